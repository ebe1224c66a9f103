"""The loss of a Keras model on one batch, as a function of its trainable values.

Legend: B examples of a batch, ... further axes with a loss each, such as positions, D parameters of the
predictive distribution at one position.
"""

import copy
import functools

import keras
import tensorflow as tf

from .. import replicas
from ..vectors import precision, resolution
from .stateless import stateless_call, trainable_values


class ModelObjective:
    """Base class of the losses that a model computes itself, for optimizers that need more than a gradient.

    A model with a `train_step` or `compute_loss` of its own passes its loss to the optimizers and to
    `GradientNoiseScale` through a method

        def curvature_objective(self, **batch):
            return MyObjective(self, **batch)

    where `batch` has the arguments below except for the model and `share`. A subclass implements `data_loss`,
    which is all that `HessianFree`, `Newton`, `Evolution` and the noise scale need. For a Fisher matrix,
    which `KFAC` and `NaturalGradient` need, it also sets `likelihood`, and overrides `select_predictions`
    where the likelihood does not take the model's outputs as they are.

    The loss must be the one whose gradients the model's train step applies. Random numbers, such as the noise
    of a latent variable, must come from a `keras.random.SeedGenerator` that is an attribute of the model or
    of a layer: then every evaluation draws the numbers that the train step drew.

    Args:
        model: A built `keras.Model`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the examples, or None.
        training: Whether the model runs in training mode.
        state: Values of the variables that are not trained, among them the seeds of dropout; None for the
            current ones.
        share: The fraction of a larger batch that these examples make up.

    Attributes:
        likelihood: The loss whose negative log-likelihood defines the Fisher matrix: a Keras loss, its name,
            or a likelihood of `curvezoo.losses`. Its reduction gives the weights of the positions.

    Example:
        The mean squared error with a penalty on large outputs.

        >>> class Penalized(ModelObjective):
        ...     likelihood = keras.losses.MeanSquaredError()
        ...     def data_loss(self, outputs):
        ...         return self.likelihood(self.y, outputs) + 0.1 * keras.ops.mean(outputs**2)
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        >>> objective = Penalized(model, keras.ops.ones((4, 1)), keras.ops.ones((4, 1)))
        >>> round(float(objective.loss(objective.values)), 6)
        0.1
    """

    likelihood = None

    def __init__(self, model, x, y=None, sample_weight=None, training=False, state=None, share=1.0):
        self.model, self.training, self.state, self.share = model, training, state, share
        self.x, self.y, self.sample_weight = x, y, sample_weight

    def data_loss(self, outputs):
        """Returns the loss as a function of the outputs, a scalar, without the losses that layers add.

        Under a strategy of R replicas it is this replica's share, as in Keras: the mean over the replica's
        examples divided by R.

        Args:
            outputs: The model's outputs.
        """
        raise NotImplementedError

    def select_predictions(self, outputs):
        """Returns the tensor [B, ..., D] among the outputs that parametrizes the likelihood.

        Args:
            outputs: The model's outputs.
        """
        return outputs

    @property
    def targets(self):
        """The data that the likelihood models, by default `y`; only the empirical Fisher matrix needs it."""
        return self.y

    @property
    def values(self):
        """The current values of the trainable variables, a list of tensors."""
        return trainable_values(self.model)

    @property
    def resolution(self):
        """The relative rounding error of `loss`."""
        types = {v.dtype for v in self.model.trainable_variables}
        return max(loss_resolution(self.likelihood), *map(resolution, types))

    @property
    def size(self):
        """The number of examples, an integer where it is static and otherwise a tensor."""
        first = next(t for t in keras.tree.flatten(self.x) if t is not None)
        return first.shape[0] if first.shape[0] is not None else tf.shape(first)[0]

    def subsample(self, count):
        """Returns the objective of evenly spaced examples, as an estimate of the whole batch's.

        It has every k-th example, with the smallest k that leaves at most `count` of them.

        Args:
            count: The largest number of examples.
        """
        size = self.size
        if not tf.is_tensor(size) and size <= count:
            return self
        stride = tf.maximum((size + count - 1) // count, 1)
        # A slice with an unknown stride would have an unknown number of axes.
        indices = tf.range(0, size, stride)
        examples = copy.copy(self)
        examples.x, examples.y, examples.sample_weight = keras.tree.map_structure(
            lambda t: t if t is None else tf.gather(t, indices), (self.x, self.y, self.sample_weight)
        )
        examples.share = self.share * (tf.size(indices) / tf.maximum(size, 1))
        return examples

    def outputs(self, values):
        """Returns the model's outputs.

        Args:
            values: A tensor for each trainable variable.
        """
        return self._call(values)[0]

    def outputs_and_losses(self, values):
        """Returns the model's outputs and the list of the layers' losses, such as regularization.

        Args:
            values: A tensor for each trainable variable.
        """
        outputs, _, losses = self._call(values, return_losses=True)
        return outputs, losses

    def loss(self, values):
        """Returns `data_loss` plus all regularization, a scalar.

        Under a strategy it is this replica's share: the shares of all replicas add up to the loss.

        Args:
            values: A tensor for each trainable variable.
        """
        outputs, losses = self.outputs_and_losses(values)
        data_loss = self.data_loss(outputs)
        return data_loss + _sum_per_replica(losses, data_loss.dtype)

    def regularization(self, values):
        """Returns the sum of the losses that the layers add, a scalar; under a strategy this replica's share.

        Args:
            values: A tensor for each trainable variable.
        """
        return _sum_per_replica(self.outputs_and_losses(values)[1], precision(values))

    @functools.cached_property
    def distribution(self):
        """The `OutputDistribution` whose negative log-likelihood `likelihood` is.

        Raises:
            ValueError: If there is no likelihood, or it is not the negative log-likelihood of a distribution.
        """
        from ..curvature.distributions import output_distribution

        if self.likelihood is None:
            raise ValueError(
                f"{type(self).__name__} has no Fisher matrix: set its `likelihood` to a loss that is the "
                "negative log-likelihood of a distribution"
            )
        return output_distribution(self.likelihood)

    def require_distribution(self):
        """Raises ValueError if there is no predictive distribution."""
        self.distribution  # noqa: B018

    def predictions(self, values):
        """Returns the parameters of the predictive distribution, [B, ..., D].

        Args:
            values: A tensor for each trainable variable.
        """
        return self.select_predictions(self.outputs(values))

    def position_weights(self, predictions):
        """Returns d(loss) / d(loss of one position), [B, ...], from the reduction, weights and masks.

        In a subsample they are scaled such that sums over it estimate sums over the whole batch.

        Args:
            predictions: The parameters of the predictive distribution, [B, ..., D].

        Raises:
            ValueError: If the predictions are not one tensor with an axis for the batch and one for the
                parameters.
        """
        if not tf.is_tensor(predictions) or len(predictions.shape) < 2:
            raise ValueError(
                f"the model must have one output tensor of shape [B, ..., D], got {predictions!r}"
            )
        reduction = getattr(self.likelihood, "reduction", "sum_over_batch_size")
        losses = tf.ones(tf.shape(predictions)[:-1], predictions.dtype)
        losses = tf.ensure_shape(losses, predictions.shape[:-1])
        with tf.GradientTape() as tape:
            tape.watch(losses)
            total = _Reduction(reduction, dtype=predictions.dtype)(losses, predictions, self.sample_weight)
        weights = tape.gradient(total, losses)
        if reduction == "sum":
            weights /= tf.cast(self.share, weights.dtype)
        return tf.stop_gradient(weights)

    def nll_weights(self, predictions):
        """Returns d(loss) / d(negative log-likelihood of one position), [B, ...].

        Args:
            predictions: The parameters of the predictive distribution, [B, ..., D].

        Raises:
            ValueError: As `distribution` and `position_weights`.
        """
        return self.distribution.scale(predictions) * self.position_weights(predictions)

    def _call(self, values, **kwargs):
        state = self.state
        if state is None:
            state = [tf.convert_to_tensor(v.value) for v in self.model.non_trainable_variables]
        call = self.model.stateless_call
        if isinstance(self.model, keras.Model):
            call = functools.partial(stateless_call, self.model)
        return call(values, state, self.x, training=self.training, **kwargs)


def loss_resolution(losses):
    """Returns the relative rounding error of Keras losses.

    Args:
        losses: A loss, its name or a function, or a nest of them.
    """
    types = {getattr(loss, "dtype", None) or keras.config.floatx() for loss in keras.tree.flatten(losses)}
    return max(map(resolution, types))


def _sum_per_replica(losses, dtype):
    """The sum of layers' losses divided by the number of replicas."""
    total = sum((tf.cast(tf.reduce_sum(loss), dtype) for loss in losses), tf.zeros([], dtype))
    return total / replicas.number()


class _Reduction(keras.losses.Loss):
    """Keras's weighting and reduction of given losses, with the mask of the predictions."""

    def __init__(self, reduction, dtype):
        super().__init__(name="reduction", reduction=reduction, dtype=dtype)

    def call(self, losses, outputs):
        return losses
