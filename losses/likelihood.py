"""The base class of negative log-likelihoods, and the negative log-likelihood of any distribution.

Maximum likelihood minimizes the mean of -log p(y|x) (Eq. 3.4.5). The losses of this package return it in nats
and include the constants that a fit ignores, so that the values of different likelihoods can be compared.

Legend: B batch, D outputs of one example, P parameters of one example's distribution, ... further axes.
"""

import keras
import numpy as np
from keras import ops

from .. import arguments
from .tensors import agree


class Likelihood(keras.losses.Loss):
    """Base class of the likelihoods, which are losses computed in at least single precision.

    Half-precision predictions and targets are cast before they are subtracted. A subclass defines `call`,
    which returns the losses that are then weighted and reduced.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: `float32` or `float64`, the precision of the sum; `None` for Keras's `floatx`, but at least
            `float32`.

    Raises:
        ValueError: If `dtype` is not valid.
    """

    # Whether `call` reads the targets; if not, they may be anything, None included.
    reads_targets = True

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None):
        if dtype is None:
            # Keras casts labels like predictions, so half precision would round them, too.
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        arguments.one_of("dtype", dtype, ("float32", "float64"))
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss.

        Args:
            y_true: Targets, as in `call`.
            y_pred: Predictions, as in `call`; if they have a Keras mask, masked losses are left out.
            sample_weight: Weights with the shape [B, ...] of the losses. A shape [B], or lengths of 1 for the
                further axes, gives one weight to each example; a last axis of 1 may be added.

        Raises:
            ValueError: If the shapes do not match these, a number of axes is unknown, or a number is complex.
        """
        y_true = y_true if self.reads_targets else y_pred
        _check_real(y_true=y_true, y_pred=y_pred, sample_weight=sample_weight)
        with keras.name_scope(self.name):
            tensors = [ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred)]
            for name, tensor in zip(("y_true", "y_pred"), tensors, strict=True):
                _check_rank(name, tensor)
            losses = self.call(*tensors)
            if sample_weight is not None:
                weights = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
                sample_weight = match_weights(weights, losses)
            valid = self.valid(tensors[0], losses)
            if valid is not None:
                sample_weight = self._weights_of_valid(valid, sample_weight, y_pred)
            return _Reduction("reduction", self.reduction, self.dtype)(losses, y_pred, sample_weight)

    def valid(self, y_true, losses):
        """Returns which losses count, a boolean tensor of their shape, or None for all.

        Args:
            y_true: The targets.
            losses: The value of `call`.
        """
        return None

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "dtype": self.dtype}

    def _weights_of_valid(self, valid, sample_weight, y_pred):
        """Returns weights by which a mean over all unmasked losses becomes one over the valid ones."""
        valid = ops.cast(valid, self.dtype)
        weights = valid if sample_weight is None else sample_weight * valid
        if self.reduction in ("sum", "mean_with_sample_weight", "none", None):
            return weights
        mask = getattr(y_pred, "_keras_mask", None)
        counted = ops.ones_like(valid) if mask is None else ops.cast(mask, self.dtype)
        return weights * ops.divide_no_nan(ops.sum(counted), ops.sum(counted * valid))


class _Reduction(keras.losses.Loss):
    """Keras's weighting, masking and reduction of losses that are already computed."""

    def call(self, losses, y_pred):
        return losses


@keras.saving.register_keras_serializable("curvezoo")
class NegativeLogLikelihood(Likelihood):
    """Negative log-likelihood of the targets under a distribution made from the predictions (Eq. 3.4.5).

    Every call builds the distribution from tensors, inside the gradient tape. The loss is summed over the
    distribution's event and averaged over its batch. With `Normal(loc)` and `loc` [B, D], each of the B D
    numbers is an example; with `Independent(Normal(loc), 1)`, each of the B rows is one.

    A saved model stores the name of `make_distribution`, which must therefore be registered before saving and
    loading; training needs no registration.

    Args:
        make_distribution: Function from the predictions [B, P] to a distribution of TensorFlow Probability
            (or an object with the same `log_prob`, `batch_shape`, `event_shape` and `dtype`).
        reduction: As in `keras.losses.Loss`. Weights have the distribution's batch shape, as in `Likelihood`.
        name: Name of the loss.
        dtype: As in `Likelihood`.

    Raises:
        ValueError: If `make_distribution` is not callable, or `dtype` is not valid.

    Example:
        >>> import tensorflow_probability as tfp
        >>> @keras.saving.register_keras_serializable("my_project")
        ... def poisson(y_pred):
        ...     return tfp.distributions.Poisson(log_rate=y_pred[..., 0])
        >>> loss = NegativeLogLikelihood(poisson)
        >>> float(loss([0.0], [[0.0]]))  # the rate is 1
        1.0
    """

    def __init__(
        self,
        make_distribution,
        reduction="sum_over_batch_size",
        name="negative_log_likelihood",
        dtype=None,
    ):
        if not callable(make_distribution):
            raise ValueError(
                "make_distribution must be a function from predictions to a distribution, "
                f"got {make_distribution!r}"
            )
        super().__init__(reduction, name, dtype)
        self.make_distribution = make_distribution

    def call(self, y_true, y_pred):
        """Returns -log p(y_true) for each member of the distribution's batch.

        Args:
            y_true: Targets with the distribution's batch and event shape; a last axis of 1 may be missing or
                added.
            y_pred: The predictions that `make_distribution` takes, usually [B, P].

        Raises:
            ValueError: If `make_distribution` does not return a distribution of one tensor, or the targets
                have another shape.
        """
        distribution = self.distribution(y_pred)
        shape = (*distribution.batch_shape, *distribution.event_shape)
        targets = match_targets(ops.cast(y_true, distribution.dtype), shape)
        return -distribution.log_prob(targets)

    def distribution(self, y_pred):
        """Returns the distribution of the targets that `make_distribution` builds.

        Args:
            y_pred: As in `call`.

        Raises:
            ValueError: If it does not build a distribution of one tensor.
        """
        distribution = self.make_distribution(ops.cast(y_pred, self.dtype))
        required = ("log_prob", "batch_shape", "event_shape", "dtype")
        if not all(hasattr(distribution, name) for name in required):
            raise ValueError(
                "make_distribution must return a distribution with log_prob, batch_shape and event_shape, "
                f"got {type(distribution).__name__}"
            )
        if isinstance(distribution.dtype, dict | list | tuple):
            raise ValueError(
                "make_distribution must return a distribution of one tensor, "
                f"got {type(distribution).__name__} with dtype {distribution.dtype}"
            )
        return distribution

    def get_config(self):
        """Returns the arguments that rebuild this loss.

        Raises:
            ValueError: If `make_distribution` is not registered, so that it could not be loaded by name.
        """
        function = self.make_distribution
        kind = function if hasattr(function, "__name__") else type(function)
        if keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is not kind:
            raise ValueError(
                "make_distribution must be registered with @keras.saving.register_keras_serializable to be "
                f"saved, got {function!r}"
            )
        return {**super().get_config(), "make_distribution": keras.saving.serialize_keras_object(function)}

    @classmethod
    def from_config(cls, config):
        """Returns the loss with the configuration of `get_config`."""
        function = keras.saving.deserialize_keras_object(config["make_distribution"])
        return cls(**{**config, "make_distribution": function})


def match_targets(targets, shape):
    """Returns targets with the shape of the predictions; a last axis of length 1 is added or removed.

    Without this check, targets of another shape could broadcast to a loss for every pair of a target and a
    prediction.

    Args:
        targets: A tensor.
        shape: The shape of the predictions; `None` for a length that is not known yet.

    Raises:
        ValueError: If the targets have another shape.
    """
    shape, given = tuple(shape), tuple(targets.shape)
    if len(given) == len(shape) - 1 and shape[-1] == 1:
        targets = ops.expand_dims(targets, -1)
    elif len(given) == len(shape) + 1 and given[-1] == 1:
        targets = ops.squeeze(targets, -1)
    if not agree(targets.shape, shape):
        raise ValueError(f"y_true must have shape {shape} to match y_pred, got shape {given}")
    return targets


def match_weights(weights, losses):
    """Returns weights with the shape of the losses, repeated along the axes that they lack.

    Args:
        weights: A tensor with the shape [B, ...] of the losses, [B], or lengths of 1 for the further axes; a
            last axis of 1 may be added.
        losses: A tensor [B, ...].

    Raises:
        ValueError: If the weights have another shape.
    """
    _check_rank("sample_weight", weights)
    given, shape = tuple(weights.shape), tuple(losses.shape)
    if len(given) == len(shape) + 1 and given[-1] == 1:
        weights = ops.squeeze(weights, -1)
    elif len(given) == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (len(shape) - 1))
    # After the first axis, a length of 1 stands for one weight for all positions.
    repeated = [shape[axis] if axis and n == 1 else n for axis, n in enumerate(weights.shape[: len(shape)])]
    if len(weights.shape) != len(shape) or not agree(repeated, shape):
        valid = f"{shape} or {shape[:1]}" if len(shape) > 1 else f"{shape}"
        raise ValueError(f"sample_weight must have shape {valid} to match the losses, got shape {given}")
    return ops.broadcast_to(weights, ops.shape(losses))


def _check_real(**values):
    """Rejects complex numbers, of which a cast would silently drop the imaginary parts."""
    for name, value in values.items():
        dtype = getattr(value, "dtype", None)
        if np.iscomplexobj(value) if dtype is None else "complex" in str(dtype):
            raise ValueError(
                f"{name} must hold real numbers, got {getattr(dtype, 'name', 'complex numbers')}"
            )


def _check_rank(name, tensor):
    # Only TensorFlow has tensors whose rank is unknown.
    if getattr(tensor.shape, "rank", 0) is None:
        raise ValueError(f"{name} must have a known number of axes, got shape {tensor.shape}")
