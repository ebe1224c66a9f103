"""Negative log-likelihoods: what all of them share, and the one of any distribution.

Maximum likelihood minimizes the mean of -log p(y|x) (Eq. 3.4.5). The losses of this package give it in full,
in nats, with the constants that a fit ignores, so that values of different likelihoods can be compared.

Legend: B batch, D outputs of one example, P parameters of one example's distribution, ... any further axes.
"""

import keras
from keras import ops


class Likelihood(keras.losses.Loss):
    """Base of the likelihoods: a loss that is computed in single precision at least.

    Half-precision predictions and targets are widened before the first difference. A subclass defines `call`,
    which returns the losses that are then weighted and reduced.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: `float32` or `float64`, the precision of the sum. The default is Keras's `floatx`, and
            float32 where that is half precision.

    Raises:
        ValueError: If `dtype` is not one of the above.
    """

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None):
        if dtype is None:
            # Narrower floats would also round the labels that Keras casts beside the predictions.
            dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the reduced loss.

        Args:
            y_true: Targets, as in `call`.
            y_pred: Predictions, as in `call`; where they carry a Keras mask, masked losses do not count.
            sample_weight: Weights of the shape [B, ...] of the losses. [B], or 1 in place of further axes,
                gives a weight to a whole example; a last axis of 1 may be added.

        Raises:
            ValueError: If the shapes are others, or a number of axes is unknown.
        """
        with keras.name_scope(self.name):
            tensors = [ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred)]
            for name, tensor in zip(("y_true", "y_pred"), tensors, strict=True):
                _check_rank(name, tensor)
            losses = self.call(*tensors)
            if sample_weight is not None:
                weights = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
                sample_weight = _match_weights(weights, losses)
            return _Reduction("reduction", self.reduction, self.dtype)(losses, y_pred, sample_weight)

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "dtype": self.dtype}


class _Reduction(keras.losses.Loss):
    """Keras's weighting and reduction of losses that are known, with the mask of the predictions."""

    def call(self, losses, y_pred):
        return losses


@keras.saving.register_keras_serializable("curvezoo")
class NegativeLogLikelihood(Likelihood):
    """Negative log-likelihood of the targets under a distribution made from the predictions (Eq. 3.4.5).

    The distribution is built anew in every call, inside the gradient tape, from tensors. What it declares as
    its event is summed, its batch is averaged: under `Normal(loc)` with `loc` [B, D] every one of the B D
    numbers is an example of its own, under `Independent(Normal(loc), 1)` the examples are the B rows.

    A saved model holds the name of `make_distribution`, so it must be registered before it is saved or
    loaded; training needs no registration.

    Args:
        make_distribution: Function of the predictions [B, P] that returns a distribution of TensorFlow
            Probability (or an object with `log_prob`, `batch_shape`, `event_shape` and `dtype` of the
            same meaning).
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
            y_true: Targets of the distribution's batch and event shape; a last axis of 1 may be missing or
                added.
            y_pred: Parameters, whatever `make_distribution` takes; usually [B, P].

        Raises:
            ValueError: If `make_distribution` returns something else than a distribution of one tensor, or
                the targets have another shape.
        """
        distribution = self.distribution(y_pred)
        shape = (*distribution.batch_shape, *distribution.event_shape)
        targets = match_targets(ops.cast(y_true, distribution.dtype), shape)
        return -distribution.log_prob(targets)

    def distribution(self, y_pred):
        """Returns the law of the targets that `make_distribution` makes.

        Args:
            y_pred: As in `call`.

        Raises:
            ValueError: If it is something else than a distribution of one tensor.
        """
        distribution = self.make_distribution(ops.cast(y_pred, self.dtype))
        needed = ("log_prob", "batch_shape", "event_shape", "dtype")
        if not all(hasattr(distribution, name) for name in needed):
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
            ValueError: If `make_distribution` is not registered, so that its name would not find it again.
        """
        function = self.make_distribution
        kind = function if hasattr(function, "__name__") else type(function)
        if keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is not kind:
            raise ValueError(
                "make_distribution can be saved only if it is registered by "
                f"@keras.saving.register_keras_serializable, got {function!r}"
            )
        return {**super().get_config(), "make_distribution": keras.saving.serialize_keras_object(function)}

    @classmethod
    def from_config(cls, config):
        """Returns the loss of a configuration by `get_config`."""
        function = keras.saving.deserialize_keras_object(config["make_distribution"])
        return cls(**{**config, "make_distribution": function})


def match_targets(targets, shape):
    """Returns targets of the shape of the predictions; a last axis of length 1 is added or taken away.

    Targets of another shape would broadcast into a loss of every target for every prediction.

    Args:
        targets: A tensor.
        shape: Its shape; `None` where a length is not known before the run.

    Raises:
        ValueError: If the shape is another.
    """
    shape, given = tuple(shape), tuple(targets.shape)
    if len(given) == len(shape) - 1 and shape[-1] == 1:
        targets = ops.expand_dims(targets, -1)
    elif len(given) == len(shape) + 1 and given[-1] == 1:
        targets = ops.squeeze(targets, -1)
    if not _agree(targets.shape, shape):
        raise ValueError(f"y_true must have shape {shape} to match y_pred, got shape {given}")
    return targets


def _match_weights(weights, losses):
    """Returns weights of the shape of the losses; those of examples are repeated along other axes."""
    _check_rank("sample_weight", weights)
    given, shape = tuple(weights.shape), tuple(losses.shape)
    if len(given) == len(shape) + 1 and given[-1] == 1:
        weights = ops.squeeze(weights, -1)
    elif len(given) == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (len(shape) - 1))
    # After the first axis, a length of 1 is one weight for all positions.
    repeated = [shape[axis] if axis and n == 1 else n for axis, n in enumerate(weights.shape[: len(shape)])]
    if len(weights.shape) != len(shape) or not _agree(repeated, shape):
        valid = f"{shape} or {shape[:1]}" if len(shape) > 1 else f"{shape}"
        raise ValueError(f"sample_weight must have shape {valid} to match the losses, got shape {given}")
    return ops.broadcast_to(weights, ops.shape(losses))


def _check_rank(name, tensor):
    # Only TensorFlow has tensors without one.
    if getattr(tensor.shape, "rank", 0) is None:
        raise ValueError(f"{name} must have a known number of axes, got shape {tensor.shape}")


def _agree(shape, other):
    """Whether two shapes can be the same once all lengths are known."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )
