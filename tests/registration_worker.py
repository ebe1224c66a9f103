"""A process that knows curvezoo by `import curvezoo` alone: reads saved models and reports on them as JSON.

python registration_worker.py keras-first|curvezoo-first FOLDER
"""

import json
import pathlib
import sys

if sys.argv[1] == "keras-first":
    import keras

import curvezoo  # noqa: F401

imported_by_curvezoo = sorted({"keras", "tensorflow"} & set(sys.modules))

import keras  # noqa: E402
import numpy as np  # noqa: E402


@keras.saving.register_keras_serializable("curvezoo_tests")
def standard_normal(y_pred):
    """The user's own function, which the user registers."""
    import tensorflow_probability as tfp

    return tfp.distributions.Normal(y_pred, 1.0)


def report(path):
    """The model of a file, compared with what its writer measured, before and after a training step."""
    model = keras.models.load_model(path)
    stored = np.load(path.with_suffix(".npz"))
    x = stored["x"]
    outputs = model(list(x) if len(model.inputs) > 1 else x)
    result = {"same outputs": bool(np.array_equal(outputs, stored["outputs"]))}
    if model.compiled:
        loss = model.compute_loss(stored["x"], stored["y"], outputs)
        result["same loss"] = bool(np.isclose(loss, stored["loss"], rtol=1e-6))
        result["optimizer"] = type(model.optimizer).__name__
        if "trains" in stored:
            model.fit(stored["x"], stored["y"], batch_size=len(stored["x"]), epochs=2, verbose=0)
            after = model.compute_loss(stored["x"], stored["y"], model(stored["x"]))
            result["loss decreased"] = bool(after < loss)
    return result


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[2])
    configs = json.loads((folder / "configs.json").read_text())
    objects = [keras.saving.deserialize_keras_object(config) for config in configs]
    results = {
        "imported by curvezoo": imported_by_curvezoo,
        "models": {path.stem: report(path) for path in sorted(folder.glob("*.keras"))},
        "configs": [keras.saving.serialize_keras_object(thing) for thing in objects],
        "tensorflow": "tensorflow" in sys.modules,
    }
    print(json.dumps(results))
