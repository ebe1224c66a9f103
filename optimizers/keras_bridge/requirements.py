"""Checks, on import, that the installed Keras has the internals that the optimizers use."""

import keras

TESTED = ("3.15.0", "3.15.1")

# The members that the bridge uses, by owner: methods and properties of classes, and attributes of instances.
_CLASSES = {
    "keras.Model": ("compile", "make_train_function", "train_step", "compute_loss", "_symbolic_build"),
    "keras.Layer": ("_flatten_layers",),
    "keras.Optimizer": (
        "_apply_weight_decay",
        "_clip_gradients",
        "_get_variable_index",
        "_use_weight_decay",
    ),
}
_INSTANCES = {
    "keras.Model": ("_call_has_training_arg", "_compile_loss", "_trainable_variables"),
    "keras.losses.MeanSquaredError": ("fn", "_fn_kwargs"),
}


def check():
    """Checks that Keras runs on TensorFlow and has the internals that `keras_bridge` uses.

    Raises:
        ImportError: If it does not.
    """
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ImportError(f"curvezoo.optimizers needs the TensorFlow backend, got {backend!r}")
    missing = missing_internals()
    if missing:
        raise ImportError(
            f"curvezoo.optimizers needs internals that Keras {keras.version()} lacks: {', '.join(missing)}; "
            f"it was tested with Keras {', '.join(TESTED)}"
        )


def missing_internals():
    """Returns the names of the internals that the installed Keras lacks."""
    # Explicit names: Keras would count unnamed ones, and name the user's first model "sequential_1".
    instances = {
        "keras.Model": keras.Sequential(name="requirements"),
        "keras.losses.MeanSquaredError": keras.losses.MeanSquaredError(name="requirements"),
    }
    classes = {
        "keras.Model": keras.Model,
        "keras.Layer": keras.Layer,
        "keras.Optimizer": keras.optimizers.Optimizer,
    }
    required = [(owner, classes[owner], names) for owner, names in _CLASSES.items()]
    required += [(owner, instances[owner], names) for owner, names in _INSTANCES.items()]
    pairs = [(owner, where, name) for owner, where, names in required for name in names]
    return [f"{owner}.{name}" for owner, where, name in pairs if not hasattr(where, name)]
