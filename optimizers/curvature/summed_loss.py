"""A model's loss as a sum over data that pass by in microbatches, and what a mean divides that sum by."""

import functools
import types

import keras
import tensorflow as tf

from ..keras_bridge.stateless import stateless_call

# What `compile` wraps functions in; it has no public name.
_LossFunction = keras.losses.MeanSquaredError.__base__


def compiled_loss(model):
    """Returns the one loss that a model is compiled with.

    Args:
        model: The model.

    Raises:
        ValueError: If there is none, or one of several.
    """
    compiled = getattr(model, "_compile_loss", None)
    if compiled is None or model.loss is None:
        raise ValueError("loss must be given, as the model is not compiled with one")
    losses = keras.tree.flatten(model.loss)
    if len(losses) != 1 or compiled._user_loss_weights is not None:
        raise ValueError(f"model must be compiled with one loss without loss_weights, got {model.loss!r}")
    return losses[0]


def summed(model, loss):
    """Returns a model, as an `Objective` sees it, with the loss summed over positions.

    Args:
        model: The model.
        loss: The loss, as `compile` takes it.

    Raises:
        ValueError: If the loss is not reduced to a scalar.
    """
    loss = keras.losses.get(loss) if isinstance(loss, str | type) else loss
    if not isinstance(loss, keras.losses.Loss):
        name = getattr(loss, "__name__", "loss")
        # A lambda's is no valid name of a scope.
        loss = _LossFunction(loss, name=name if name.isidentifier() else "loss")
    if loss.reduction in (None, "none"):
        raise ValueError(f"the loss's reduction must be a sum or a mean, got {loss.reduction!r}")
    loss = _twin(loss)
    loss.reduction = "sum"
    # What `compile` makes of a loss.
    shell = keras.Sequential()
    shell.compile(loss=loss)
    return types.SimpleNamespace(
        loss=loss,
        _compile_loss=shell._compile_loss,
        trainable_variables=model.trainable_variables,
        non_trainable_variables=model.non_trainable_variables,
        stateless_call=functools.partial(stateless_call, model),
    )


def _twin(loss):
    """A shallow copy; Keras's own would save the loss and load it, for which it must be registered."""
    twin = object.__new__(type(loss))
    vars(twin).update(vars(loss))
    return twin


class Count(keras.losses.Loss):
    """The number of losses that a loss reduces, weights and masks as Keras has them.

    Args:
        loss: The loss.
    """

    def __init__(self, loss):
        super().__init__(name="count", reduction="sum", dtype=loss.dtype)
        self.loss = loss

    def call(self, y_true, y_pred):
        """Returns a one for each loss."""
        losses = self.loss.call(y_true, y_pred)
        if not losses.shape.rank:
            raise ValueError(
                f"loss must return a number for each example, got one scalar by {self.loss.name!r}: how it "
                "depends on the batch is not known"
            )
        return tf.ones_like(losses)
