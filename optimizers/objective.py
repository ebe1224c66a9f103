"""The loss of a compiled model on one batch, as a function of its trainable values.

Legend: B batch, ... further axes of the outputs that losses are averaged over, such as positions.
"""

import functools

import keras
import tensorflow as tf

from . import replicas
from .vectors import precision, resolution


class Objective:
    """A compiled model's loss on a batch at any values of its trainable variables.

    Everything is a function of plain tensors, by `stateless_call`: it may be differentiated forwards and
    backwards, evaluated at trial points, inside control flow and in every replica, and leaves the model's
    variables alone. Two evaluations drop the same units, and batch norm's averages stay as they are.

    Args:
        model: A compiled and built `keras.Model`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights, or None.
        training: Whether the model runs as in training, with dropout and batch statistics.
        state: Values of the variables that are not trained, seeds of dropout among them; None for the
            current.
        share: Of a batch that is larger, which share of its examples these are.
    """

    def __init__(self, model, x, y=None, sample_weight=None, training=False, state=None, share=1.0):
        self.model, self.training, self.state, self.share = model, training, state, share
        self.x, self.y, self.sample_weight = x, y, sample_weight

    @property
    def values(self):
        """The current values of the trainable variables, a list of tensors."""
        return [tf.convert_to_tensor(v.value) for v in self.model.trainable_variables]

    @property
    def resolution(self):
        """The relative rounding of `loss`, which Keras computes in the loss's type and not the weights'."""
        types = {v.dtype for v in self.model.trainable_variables}
        return max(loss_resolution(self.model.loss), *map(resolution, types))

    @property
    def size(self):
        """The number of examples, an integer where it is known and else a tensor."""
        first = next(t for t in keras.tree.flatten(self.x) if t is not None)
        return first.shape[0] if first.shape[0] is not None else tf.shape(first)[0]

    def subsample(self, count):
        """Returns the objective of evenly spaced examples, to estimate what they say of the whole batch.

        Every k-th is taken, with the least k such that there are not more than `count`.

        Args:
            count: The largest number of examples.
        """
        size = self.size
        if not tf.is_tensor(size) and size <= count:
            return self
        every = tf.maximum((size + count - 1) // count, 1)
        # A slice with an unknown stride would have an unknown number of axes.
        places = tf.range(0, size, every)
        x, y, sample_weight = keras.tree.map_structure(
            lambda t: t if t is None else tf.gather(t, places), (self.x, self.y, self.sample_weight)
        )
        share = self.share * (tf.size(places) / tf.maximum(size, 1))
        return Objective(self.model, x, y, sample_weight, self.training, self.state, share)

    def outputs(self, values):
        """Returns the model's outputs.

        Args:
            values: A tensor for each trainable variable.
        """
        return self._call(values)[0]

    def outputs_and_losses(self, values):
        """Returns the model's outputs, and the list of the layers' losses, regularization among them.

        Args:
            values: A tensor for each trainable variable.
        """
        outputs, _, losses = self._call(values, return_losses=True)
        return outputs, losses

    def loss(self, values):
        """Returns the compiled loss with all regularization, a scalar.

        Under a strategy it is this replica's share, as in Keras: the shares of all replicas add up to the
        loss.

        Args:
            values: A tensor for each trainable variable.
        """
        outputs, losses = self.outputs_and_losses(values)
        data_loss = self.data_loss(outputs)
        return data_loss + _share(losses, data_loss.dtype)

    def regularization(self, values):
        """Returns what the layers add to the loss, a scalar; this replica's share of it.

        Args:
            values: A tensor for each trainable variable.
        """
        return _share(self.outputs_and_losses(values)[1], precision(values))

    def data_loss(self, outputs):
        """Returns the compiled loss of the targets, a scalar, without regularization.

        Args:
            outputs: The model's outputs.

        Raises:
            ValueError: If the model is not compiled with a loss, or the loss is not a scalar.
        """
        compiled = self._compiled_loss()
        if not compiled.built:
            compiled.build(self.y, outputs)
        # With several outputs, Keras notes each one's loss in a metric.
        with keras.StatelessScope():
            loss = compiled(self.y, outputs, self.sample_weight)
        if len(loss.shape):
            raise ValueError(f"the compiled loss must be a scalar, got shape {tuple(loss.shape)}")
        return loss

    @functools.cached_property
    def distribution(self):
        """The `OutputDistribution` whose negative log-likelihood the compiled loss is.

        Raises:
            ValueError: If there are several outputs or weights of losses, or the loss has no distribution.
        """
        from .curvature.distributions import output_distribution

        loss, weights = self.model.loss, self._compiled_loss()._user_loss_weights
        if isinstance(loss, dict | list | tuple):
            if len(loss) != 1:
                raise ValueError(f"the model must have one output with one loss, got {len(loss)} losses")
            (loss,) = loss.values() if isinstance(loss, dict) else loss
        if weights is not None:
            raise ValueError(
                f"loss_weights must be None, got {weights!r}: weigh the one loss by the learning rate"
            )
        if getattr(loss, "reduction", "sum") in (None, "none"):
            raise ValueError(f"the compiled loss must be a scalar, got reduction={loss.reduction!r}")
        return output_distribution(loss)

    def require_distribution(self):
        """Raises ValueError if the compiled loss has no distribution."""
        self.distribution  # noqa: B018

    def position_weights(self, outputs):
        """Returns d(loss) / d(loss of one position), [B, ...]: reduction, sample weights and masks.

        Of a share of a batch they are such that sums over it estimate sums over the batch.

        Args:
            outputs: The model's outputs, [B, ..., D].

        Raises:
            ValueError: If the outputs are not one tensor with an axis for the batch and one for the
                parameters.
        """
        if not tf.is_tensor(outputs) or len(outputs.shape) < 2:
            raise ValueError(f"the model must have one output tensor of shape [B, ..., D], got {outputs!r}")
        (loss,) = keras.tree.flatten(self.model.loss)
        reduction = getattr(loss, "reduction", "sum_over_batch_size")
        losses = tf.ones(tf.shape(outputs)[:-1], outputs.dtype)
        losses = tf.ensure_shape(losses, outputs.shape[:-1])
        with tf.GradientTape() as tape:
            tape.watch(losses)
            total = _Reduction(reduction, dtype=outputs.dtype)(losses, outputs, self.sample_weight)
        weights = tape.gradient(total, losses)
        if reduction == "sum":
            weights /= tf.cast(self.share, weights.dtype)
        return tf.stop_gradient(weights)

    def nll_weights(self, outputs):
        """Returns d(loss) / d(negative log-likelihood of one position), [B, ...].

        Args:
            outputs: The model's outputs, [B, ..., D].

        Raises:
            ValueError: As `distribution` and `position_weights`.
        """
        return self.distribution.scale(outputs) * self.position_weights(outputs)

    def _compiled_loss(self):
        if self.model._compile_loss is None:
            raise ValueError("model must be compiled with a loss, got loss=None")
        return self.model._compile_loss

    def _call(self, values, **kwargs):
        state = self.state
        if state is None:
            state = [tf.convert_to_tensor(v.value) for v in self.model.non_trainable_variables]
        call = self.model.stateless_call
        if isinstance(self.model, keras.Model):
            call = functools.partial(stateless_call, self.model)
        return call(values, state, self.x, training=self.training, **kwargs)


def stateless_call(model, values, state, x, training=False, return_losses=False):
    """Calls a model at other values of its variables, as `keras.Model.stateless_call` does.

    That one goes past `model.__call__`, so that layers which are not handed `training` miss it, and losses of
    a layer that is called twice count once.

    Args:
        model: The model.
        values: Values of the trainable variables.
        state: Values of the other variables.
        x: Inputs.
        training: Whether the model runs as in training.
        return_losses: Whether to return regularization and other losses of layers.

    Returns:
        The outputs, the next values of the other variables and, if wanted, the list of losses.
    """
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    mapping = list(zip(variables, [*values, *state], strict=True))
    options = {"training": training} if model._call_has_training_arg else {}
    with keras.StatelessScope(state_mapping=mapping, collect_losses=return_losses) as scope:
        outputs = model(x, **options)
        losses = list(model.losses) if return_losses else None
    state = [scope.get_current_value(v) for v in model.non_trainable_variables]
    return (outputs, state, losses) if return_losses else (outputs, state)


def loss_resolution(losses):
    """Returns the relative rounding of Keras losses.

    Args:
        losses: A loss, its name or a function, or a nest of them.
    """
    types = {getattr(loss, "dtype", None) or keras.config.floatx() for loss in keras.tree.flatten(losses)}
    return max(map(resolution, types))


def _share(losses, dtype):
    """The sum of layers' losses over the number of replicas."""
    total = sum((tf.cast(tf.reduce_sum(loss), dtype) for loss in losses), tf.zeros([], dtype))
    return total / replicas.number()


class _Reduction(keras.losses.Loss):
    """Keras's weighting and reduction of losses that are known, with the mask of the predictions."""

    def __init__(self, reduction, dtype):
        super().__init__(name="reduction", reduction=reduction, dtype=dtype)

    def call(self, losses, outputs):
        return losses
