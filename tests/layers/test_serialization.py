import io

import keras
import numpy as np


def test_a_loaded_model_has_the_same_outputs_penalties_and_shapes(worker, tmp_path, case):
    model = worker.build(case)
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.1 * rng.uniform(size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, _ = worker.batch(model)
    np.testing.assert_array_equal(loaded(x), model(x))
    np.testing.assert_allclose(loaded.losses, model.losses)
    assert loaded.output_shape[1:] == tuple(model(x).shape[1:])
    assert [w.name for w in loaded.weights] == [w.name for w in model.weights]
    text = io.StringIO()
    loaded.summary(print_fn=lambda line: text.write(line + "\n"))
    assert f"{model.count_params():,}" in text.getvalue()


def test_mixed_precision_computes_in_bfloat16_close_to_float32(worker, case):
    # With these weights the straight-through case has no close logits, so rounding cannot swap the largest.
    keras.utils.set_random_seed(1)
    model = worker.build(case)
    x, _ = worker.batch(model)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed = worker.build(case)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {w.dtype for w in mixed.weights} <= {"float32", "uint32", "int64"}
    mixed.set_weights(model.get_weights())
    outputs = mixed(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    expected = np.asarray(model(x))
    error = np.asarray(keras.ops.cast(outputs, "float32")) - expected
    assert np.sqrt(np.mean(error**2)) < 0.03 * np.sqrt(np.mean(expected**2))
