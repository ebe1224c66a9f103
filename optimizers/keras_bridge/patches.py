"""The changes that importing the optimizers makes to two methods of `keras.Model`.

`compile` is followed by a call that attaches a `ModelOptimizer` to the model, and `make_train_function` is
preceded by one that builds it. Neither changes anything for other optimizers.
"""

import contextlib
import functools

import keras

_METHODS = ("compile", "make_train_function")
_ORIGINALS = {}


def install(after_compile, before_train_function):
    """Wraps Keras's `compile` and `make_train_function`, once.

    Args:
        after_compile: Function of the model, called at the end of `compile`.
        before_train_function: Function of the model, called before `make_train_function`.
    """
    if _ORIGINALS:
        return
    for name in _METHODS:
        owner = next(cls for cls in keras.Model.__mro__ if name in vars(cls))
        _ORIGINALS[name] = owner, vars(owner)[name]
    (compile_owner, keras_compile), (make_owner, keras_make) = _ORIGINALS.values()

    @functools.wraps(keras_compile)
    def compile(self, *args, **kwargs):
        keras_compile(self, *args, **kwargs)
        after_compile(self)

    @functools.wraps(keras_make)
    def make_train_function(self, *args, **kwargs):
        before_train_function(self)
        return keras_make(self, *args, **kwargs)

    compile_owner.compile, make_owner.make_train_function = compile, make_train_function


@contextlib.contextmanager
def unpatched():
    """Undoes curvezoo's changes to Keras for a `with` block.

    Inside the block `compile` and `make_train_function` are Keras's own, and curvezoo's `BatchNormalization`
    is computed by Keras's operations instead of the fused kernel. A `ModelOptimizer` that is compiled inside
    the block is not attached to its model.

    Example:
        >>> from curvezoo.optimizers import KFAC  # importing an optimizer makes the changes
        >>> patched = keras.Model.compile
        >>> with unpatched():
        ...     keras.Model.compile is patched
        False
        >>> keras.Model.compile is patched
        True
    """
    patched = {name: vars(owner)[name] for name, (owner, _) in _ORIGINALS.items()}
    # Find the class by its registered name, since the optimizers do not import the layers.
    registered = keras.saving.get_registered_object("curvezoo>BatchNormalization")
    # Before the first import of the layers a `DeferredClass` is registered, which has no kernel.
    batch_norm = registered if isinstance(registered, type) else None
    kernel = batch_norm and vars(batch_norm)["_fused_kernel"]
    try:
        for name, (owner, method) in _ORIGINALS.items():
            setattr(owner, name, method)
        if batch_norm:
            batch_norm.use_fused_kernel(None)
        yield
    finally:
        for name, (owner, _) in _ORIGINALS.items():
            setattr(owner, name, patched[name])
        if batch_norm:
            batch_norm._fused_kernel = kernel
