"""A model's loss as a sum over microbatches, and the divisor that makes the sum a mean."""

import functools
import types

import keras
import tensorflow as tf

from ..keras_bridge import internals
from ..keras_bridge.stateless import stateless_call

# The class that `compile` wraps functions in; it has no public name.
_LossFunction = keras.losses.MeanSquaredError.__base__


def compiled_loss(model):
    """Returns the loss that a model is compiled with.

    Args:
        model: The model.

    Raises:
        ValueError: If there is none, or several.
    """
    if not isinstance(model, keras.Model) or internals.compiled_loss(model) is None or model.loss is None:
        raise ValueError("loss must be given for a model that is not compiled with one, got None")
    losses = keras.tree.flatten(model.loss)
    if len(losses) != 1 or internals.compiled_loss_weights(model) is not None:
        raise ValueError(f"model must be compiled with one loss without loss_weights, got {model.loss!r}")
    return losses[0]


def summed(model, loss):
    """Returns a stand-in for a model, sufficient for `Objective`, with the loss summed over positions.

    Args:
        model: The model.
        loss: The loss, as accepted by `compile`.

    Raises:
        ValueError: If the loss is not reduced to a scalar.
    """
    loss = keras.losses.get(loss) if isinstance(loss, str | type) else loss
    if not isinstance(loss, keras.losses.Loss):
        name = getattr(loss, "__name__", "loss")
        # The name of a lambda is not a valid scope name.
        loss = _LossFunction(loss, name=name if name.isidentifier() else "loss")
    if loss.reduction in (None, "none"):
        raise ValueError(f"the loss's reduction must be a sum or a mean, got {loss.reduction!r}")
    loss = _copied(loss)
    loss.reduction = "sum"
    # Compile an empty model to obtain the compiled form of the loss.
    compiled = keras.Sequential()
    compiled.compile(loss=loss)
    return types.SimpleNamespace(
        loss=loss,
        _compile_loss=internals.compiled_loss(compiled),
        trainable_variables=model.trainable_variables,
        non_trainable_variables=model.non_trainable_variables,
        stateless_call=functools.partial(stateless_call, model),
    )


def _copied(loss):
    """Returns a shallow copy; `copy.copy` serializes a Keras loss, which fails for unregistered classes."""
    copied = object.__new__(type(loss))
    vars(copied).update(vars(loss))
    return copied


class Count(keras.losses.Loss):
    """The number of values that a loss reduces, with the weights and masks that Keras applies.

    Args:
        loss: The loss.
    """

    def __init__(self, loss):
        super().__init__(name="count", reduction="sum", dtype=loss.dtype)
        self.loss = loss

    def call(self, y_true, y_pred):
        """Returns 1 for each value."""
        losses = self.loss.call(y_true, y_pred)
        if not losses.shape.rank:
            raise ValueError(
                f"loss must return a number for each example, got one scalar from {self.loss.name!r}, whose "
                "dependence on the batch is unknown"
            )
        return tf.ones_like(losses)
