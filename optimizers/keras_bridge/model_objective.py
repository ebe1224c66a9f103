"""The loss of a Keras model on one batch, as a function of its trainable values.

Legend: B examples of a batch, ... further axes with a loss each, such as positions, D parameters of the
predictive distribution at one position.
"""

import copy
import dataclasses
import functools

import keras
import tensorflow as tf

from .. import replicas
from ..vectors import precision, resolution, scaled
from .internals import ignored_class
from .stateless import stateless_call, trainable_values


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """A likelihood that a loss is made of; the loss of a model with several outputs has several.

    Attributes:
        loss: The loss whose negative log-likelihood it is.
        weight: Its weight in the sum of the losses.
        targets: The data that it models.
        sample_weight: Weights of the examples, or None.
    """

    loss: object
    weight: object
    targets: object = None
    sample_weight: object = None


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
            or a likelihood of `curvezoo.losses`. Its reduction gives the weights of the positions. A tuple in
            a model with several outputs, which are taken to be independent given the inputs.
        likelihood_weights: The weights of several likelihoods in the loss, a tuple; None for 1.

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
    likelihood_weights = None

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
        """Returns the output [B, ..., D] that parametrizes the likelihood, or a list for several likelihoods.

        Args:
            outputs: The model's outputs.
        """
        return outputs

    @property
    def targets(self):
        """The data that the likelihood models, by default `y`, or a list for a list of likelihoods.

        Only the empirical Fisher matrix and losses that ignore a class need it.
        """
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

    @property
    def terms(self):
        """The likelihoods that define the Fisher matrix, a list of `Term`s.

        Raises:
            ValueError: If there is none, or the lists differ in length.
        """
        if self.likelihood is None:
            raise ValueError(
                f"{type(self).__name__} has no Fisher matrix: set its `likelihood` to a loss that is the "
                "negative log-likelihood of a distribution"
            )
        if not isinstance(self.likelihood, list | tuple):
            return [Term(self.likelihood, 1.0, self.targets, self.sample_weight)]
        count = len(self.likelihood)
        weights = self.likelihood_weights or [1.0] * count
        targets = [None] * count if self.targets is None else self.targets
        if not len(weights) == len(targets) == count:
            raise ValueError(
                f"likelihood, likelihood_weights and targets of {type(self).__name__} must have one length, "
                f"got {count}, {len(weights)} and {len(targets)}"
            )
        terms = zip(self.likelihood, weights, targets, strict=True)
        return [Term(*term, self.sample_weight) for term in terms]

    @functools.cached_property
    def distribution(self):
        """The `OutputDistribution` whose negative log-likelihood the loss is, or a `JointDistribution`.

        Raises:
            ValueError: If there is no likelihood, or it is not the negative log-likelihood of a distribution.
        """
        from ..curvature.distributions import output_distribution
        from ..curvature.joint import JointDistribution

        parts = [output_distribution(term.loss) for term in self.terms]
        return parts[0] if len(parts) == 1 else JointDistribution(parts)

    def require_distribution(self):
        """Raises ValueError if there is no predictive distribution."""
        self.distribution  # noqa: B018

    def output_losses(self, outputs):
        """Returns the loss of each output, in the order of the flattened outputs; None where it is not known.

        Args:
            outputs: The model's outputs.
        """
        count = len(keras.tree.flatten(outputs))
        losses = self.likelihood if isinstance(self.likelihood, list | tuple) else [self.likelihood]
        return list(losses) if len(losses) == count else [None] * count

    def predictions(self, values):
        """Returns the parameters of the predictive distribution, [B, ..., D], or a list for several outputs.

        Args:
            values: A tensor for each trainable variable.
        """
        predictions = self.select_predictions(self.outputs(values))
        return list(predictions) if isinstance(predictions, tuple) else predictions

    def position_weights(self, predictions):
        """Returns d(loss of an output) / d(loss of one position), [B, ...], or a list for several outputs.

        They follow from the reduction, the sample weights, masks and ignored classes, and do not include the
        weights of the outputs. In a subsample they are scaled such that sums over it estimate sums over the
        whole batch.

        Args:
            predictions: The parameters of the predictive distribution, [B, ..., D], or a list.

        Raises:
            ValueError: If the predictions of an output are not one tensor with an axis for the batch and one
                for the parameters.
        """
        terms, single = self.terms, not isinstance(predictions, list)
        if not single and len(predictions) != len(terms):
            raise ValueError(
                f"the model must have one output for each likelihood, got {len(predictions)} outputs and "
                f"{len(terms)} likelihoods: override select_predictions"
            )
        pairs = zip(terms, [predictions] if single else predictions, strict=True)
        weights = [position_weights(term, output, self.share) for term, output in pairs]
        return weights[0] if single else weights

    def nll_weights(self, predictions):
        """Returns d(loss) / d(negative log-likelihood of one position), [B, ...], or a list.

        Args:
            predictions: The parameters of the predictive distribution, [B, ..., D], or a list.

        Raises:
            ValueError: As `distribution` and `position_weights`.
        """
        weights, scales = self.position_weights(predictions), self.distribution.scale(predictions)
        if not isinstance(predictions, list):
            return scaled(self.terms[0].weight, scales * weights)
        triples = zip(self.terms, scales, weights, strict=True)
        return [scaled(term.weight, scale * weight) for term, scale, weight in triples]

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


def position_weights(term, predictions, share=1.0):
    """Returns d(loss) / d(loss of one position) of a term without its weight, [B, ...].

    Args:
        term: A `Term`.
        predictions: The parameters of its distribution, [B, ..., D].
        share: The fraction of a batch that the examples make up, by which weights in a sum are divided.

    Raises:
        ValueError: If the predictions are not a tensor with an axis for the batch and one for the parameters.
    """
    if not tf.is_tensor(predictions) or len(predictions.shape) < 2:
        raise ValueError(
            f"each output with a loss must be one tensor of shape [B, ..., D], got {predictions!r}"
        )
    reduction = getattr(term.loss, "reduction", "sum_over_batch_size")
    losses = tf.ones(tf.shape(predictions)[:-1], predictions.dtype)
    losses = tf.ensure_shape(losses, predictions.shape[:-1])
    with tf.GradientTape() as tape:
        tape.watch(losses)
        reduce = _Reduction(
            reduction, predictions.dtype, valid_positions(term.loss, term.targets, losses.shape.rank)
        )
        total = reduce(losses, predictions, term.sample_weight)
    weights = tape.gradient(total, losses)
    if reduction == "sum":
        weights /= tf.cast(share, weights.dtype)
    return tf.stop_gradient(weights)


def valid_positions(loss, targets, rank):
    """Returns which positions do not have the class that a loss ignores, [B, ...]; None if it ignores none.

    Args:
        loss: The loss, as accepted by `compile`.
        targets: Its targets, which may have a last axis of 1.
        rank: The number of axes of the losses.
    """
    ignored = ignored_class(loss)
    if ignored is None:
        return None
    targets = tf.convert_to_tensor(targets)
    if targets.shape.rank == rank + 1:
        targets = tf.squeeze(targets, -1)
    return targets != tf.cast(ignored, targets.dtype)


class _Reduction(keras.losses.Loss):
    """Keras's weighting and reduction of given losses, with the mask of the predictions.

    Args:
        reduction: The reduction.
        dtype: The type of the losses.
        valid: Which losses count, [B, ...], or None for all.
    """

    def __init__(self, reduction, dtype, valid=None):
        super().__init__(name="reduction", reduction=reduction, dtype=dtype)
        self.valid = valid

    def call(self, losses, outputs):
        if self.valid is not None:
            losses = tf.identity(losses)
            losses._keras_mask = self.valid
        return losses
