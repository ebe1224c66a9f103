"""Likelihoods of real targets: regression losses from the distribution of the errors (Sec. 3.4.3).

Each loss is -log p(y | mu, s) in nats, constants included, for errors with the density

    p(y) = exp(-rho(z)) / (s Z),        z = (y - mu) / s,

so that L = rho(z) + log s + log Z, summed over the D independent outputs of an example. The notes print
-log s in Eq. 3.4.17: with that sign the loss has no minimum over s (docs/errata.md).

The scale s is one of

    fixed      `scale=0.3`; y_pred holds the locations mu, [B, ..., D].
    predicted  `scale=None`; y_pred holds D locations and then D log-scales a, [B, ..., 2D].
    learned    `scale=None` after the layer `layers.GlobalScale`, which appends a trained log-scale to
               each output.

A log-scale a gives s = max(exp(a), min_scale). It is half of a log variance, the default input of
`layers.GaussianSampling`. The exponential turns a change of units into a shift of a. The floor bounds the
loss, which would otherwise decrease without limit for a model that hits its targets exactly; below the floor
the gradient with respect to a is zero. The losses compute log s and 1 / s, never s, so that a = -1e4 and
a = 1e4 give finite losses and gradients. In single precision this holds for |z| up to 1e19, whose square is
close to the largest number.

Legend: B batch, D outputs of one example, ... further axes such as positions; L has shape [B, ...].
"""

import math

import keras
from keras import ops
from scipy.special import betaln, erf

from .. import arguments
from .likelihood import Likelihood, match_targets


class LocationScaleNLL(Likelihood):
    """Base class of the likelihoods with a location and a scale; a subclass defines rho and Z.

    Here rho(z) = weight * penalty(z / width), and `log_partition` is log Z. `tfp_class` names the
    distribution in TensorFlow Probability, if it has one, and `tfp_parameters` are its parameters other than
    location and scale.

    Args:
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a scale is not positive and finite, or `dtype` is not valid.
    """

    weight, width, log_partition = 1.0, 1.0, 0.0
    tfp_class, tfp_parameters = None, {}
    default_name = "location_scale_nll"

    def __init__(self, scale=1.0, min_scale=1e-12, reduction="sum_over_batch_size", name=None, dtype=None):
        super().__init__(reduction, name or self.default_name, dtype)
        self.scale = None if scale is None else float(arguments.positive("scale", scale, ndim=0))
        self.min_scale = float(arguments.positive("min_scale", min_scale, ndim=0))

    def penalty(self, z):
        """Returns rho(z width) / weight, elementwise."""
        raise NotImplementedError

    def call(self, y_true, y_pred):
        """Returns the loss of each example, [B, ...].

        Args:
            y_true: Targets, [B, ..., D], or [B, ...] if D is 1.
            y_pred: Locations, [B, ..., D], or locations and log-scales, [B, ..., 2D], if `scale` is `None`.
                With a fixed scale [B] is read as [B, 1].

        Raises:
            ValueError: If the shapes do not match these.
        """
        predictions = self._predictions(y_pred)
        shape = (*predictions.shape[:-1], self.outputs(predictions.shape))
        return self.nll(match_targets(ops.cast(y_true, self.dtype), shape), predictions)

    def distribution(self, y_pred):
        """Returns the distribution of the targets whose negative log-likelihood is the loss.

        Args:
            y_pred: As in `call`.

        Returns:
            A distribution of TensorFlow Probability, independent over the last axis.

        Raises:
            ValueError: If TensorFlow Probability has no such distribution, or the shape does not match.
        """
        predictions = self._predictions(y_pred)
        self.outputs(predictions.shape)
        return self.conditional(predictions)

    def outputs(self, shape):
        """Returns the number D of outputs in predictions of this shape.

        Raises:
            ValueError: If the last axis has an unknown length, or an odd one if `scale` is `None`.
        """
        if not len(shape) or shape[-1] is None:
            raise ValueError(f"y_pred must have a last axis of known length, got shape {tuple(shape)}")
        if self.scale is not None:
            return shape[-1]
        if shape[-1] % 2 or len(shape) < 2:
            raise ValueError(
                "y_pred must hold equally many locations and log-scales, [B, ..., 2D], if scale is None, "
                f"got shape {tuple(shape)}"
            )
        return shape[-1] // 2

    def nll(self, targets, predictions):
        """Returns the loss of each example without checking shapes; leading axes broadcast."""
        if self.scale is not None:
            log_scale = math.log(self.scale)
            z = (targets - predictions) * (1.0 / (self.scale * self.width))
        else:
            location, log_scale = ops.split(predictions, 2, axis=-1)
            log_scale = ops.maximum(log_scale, math.log(self.min_scale))
            z = (targets - location) * ops.exp(-math.log(self.width) - log_scale)
        # The constants are inside the sum because XLA runs a sum of squares alone an eighth slower.
        return ops.sum(self.weight * self.penalty(z) + (log_scale + self.log_partition), axis=-1)

    def conditional(self, predictions):
        """Returns `distribution` in the precision of the predictions, without checking shapes."""
        # A local import, because training needs no TensorFlow Probability.
        from tensorflow_probability import distributions as tfd

        if self.tfp_class is None:
            raise ValueError(f"{type(self).__name__} has no distribution in TensorFlow Probability")
        if self.scale is not None:
            location, scale = predictions, ops.full_like(predictions, self.scale)
        else:
            location, log_scale = ops.split(predictions, 2, axis=-1)
            scale = ops.exp(ops.maximum(log_scale, math.log(self.min_scale)))
        distribution = getattr(tfd, self.tfp_class)(loc=location, scale=scale, **self.tfp_parameters)
        return tfd.Independent(distribution, 1)

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "scale": self.scale, "min_scale": self.min_scale}

    def _predictions(self, y_pred):
        """Returns predictions in the loss's dtype, and [B] as [B, 1] if the scale is fixed."""
        predictions = ops.cast(y_pred, self.dtype)
        if self.scale is not None and len(predictions.shape) == 1:
            predictions = ops.expand_dims(predictions, -1)
        return predictions


@keras.saving.register_keras_serializable("curvezoo")
class GaussianNLL(LocationScaleNLL):
    """Negative log-likelihood of Gaussian errors with standard deviation s, in nats (Eqs. 3.4.15-3.4.17).

        L = sum_d (y - mu)^2 / (2 s^2) + log s + log(2 pi) / 2

    At fixed s this is the squared error of Eq. 3.4.15 times 1 / (2 s^2), plus a constant. Eq. 3.4.17 has the
    wrong sign of log s (docs/errata.md).

    Args:
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a scale is not positive and finite, or `dtype` is not valid.

    Example:
        >>> loss = GaussianNLL(scale=1.0)
        >>> float(loss([[0.0]], [[0.0]]))  # log(2 pi) / 2
        0.9189385175704956
    """

    default_name = "gaussian_nll"
    width, log_partition = math.sqrt(2.0), 0.5 * math.log(2 * math.pi)
    tfp_class = "Normal"

    def penalty(self, z):
        """Returns z^2."""
        return ops.square(z)


@keras.saving.register_keras_serializable("curvezoo")
class LaplaceNLL(LocationScaleNLL):
    """Negative log-likelihood of errors with the density exp(-|y - mu| / s) / (2 s), in nats (Eq. 3.4.18).

        L = sum_d |y - mu| / s + log(2 s)

    At fixed s this is the absolute error of Eq. 3.4.18 times 1 / s, plus a constant. Its minimum is at the
    median of y. The gradient at y = mu is zero.

    Args:
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a scale is not positive and finite, or `dtype` is not valid.
    """

    default_name = "laplace_nll"
    log_partition = math.log(2.0)
    tfp_class = "Laplace"

    def penalty(self, z):
        """Returns |z|."""
        return ops.abs(z)


@keras.saving.register_keras_serializable("curvezoo")
class CauchyNLL(LocationScaleNLL):
    """Negative log-likelihood of errors with the density s / (pi (s^2 + (y - mu)^2)), in nats (Eq. 3.4.19).

        L = sum_d log(1 + (y - mu)^2 / s^2) + log(pi s)

    The loss is not convex in mu. Far from y its gradient decreases as 2 / (y - mu).

    Args:
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If a scale is not positive and finite, or `dtype` is not valid.
    """

    default_name = "cauchy_nll"
    log_partition = math.log(math.pi)
    tfp_class = "Cauchy"

    def penalty(self, z):
        """Returns log(1 + z^2)."""
        return ops.log1p(ops.square(z))


@keras.saving.register_keras_serializable("curvezoo")
class StudentTNLL(LocationScaleNLL):
    """Negative log-likelihood of errors with Student's t distribution of `df` degrees of freedom, in nats.

        L = sum_d (df + 1) / 2 log(1 + z^2 / df) + log s + log(df) / 2 + log B(1/2, df / 2)

    It interpolates between Cauchy (df = 1) and Gaussian errors (df -> infinity); its tails are |z|^-(df + 1).

    Args:
        df: Degrees of freedom, positive.
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `df` or a scale is not positive and finite, or `dtype` is not valid.
    """

    tfp_class = "StudentT"

    def __init__(
        self,
        df,
        scale=1.0,
        min_scale=1e-12,
        reduction="sum_over_batch_size",
        name="student_t_nll",
        dtype=None,
    ):
        super().__init__(scale, min_scale, reduction, name, dtype)
        self.df = float(arguments.positive("df", df, ndim=0))
        self.tfp_parameters = {"df": self.df}
        self.weight, self.width = (self.df + 1.0) / 2.0, math.sqrt(self.df)
        # The Beta function, because a difference of two log-Gammas loses digits at large df.
        self.log_partition = float(0.5 * math.log(self.df) + betaln(0.5, self.df / 2.0))

    def penalty(self, z):
        """Returns log(1 + z^2)."""
        return ops.log1p(ops.square(z))

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "df": self.df}


@keras.saving.register_keras_serializable("curvezoo")
class Huber(LocationScaleNLL):
    """Negative log-likelihood of Huber's density, Gaussian with exponential tails, in nats.

        rho(z) = z^2 / 2                      for |z| <= delta
               = delta |z| - delta^2 / 2      beyond
        Z = sqrt(2 pi) erf(delta / sqrt(2)) + (2 / delta) exp(-delta^2 / 2)

    Since exp(-rho) / (s Z) is a density, s can be predicted or learned like any other scale. At s = 1 and
    D = 1 the loss is `keras.losses.Huber(delta)` plus log Z; in general the threshold is in units of s. The
    default has 95 % of the efficiency of least squares for Gaussian errors of standard deviation s.

    Args:
        delta: Threshold between quadratic and linear, in units of s; from 1e-18 to 1e18.
        scale: The scale s > 0 of every output, in the units of y; `None` if y_pred holds log-scales.
        min_scale: Floor of a scale that is not fixed, in the units of y.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B, ...] of L, or [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `delta` is out of range, a scale is not positive and finite, or `dtype` is not valid.

    References:
        Huber, "Robust Estimation of a Location Parameter" (1964).
    """

    def __init__(
        self,
        delta=1.345,
        scale=1.0,
        min_scale=1e-12,
        reduction="sum_over_batch_size",
        name="huber",
        dtype=None,
    ):
        super().__init__(scale, min_scale, reduction, name, dtype)
        self.delta = float(arguments.positive("delta", delta, ndim=0))
        if not 1e-18 <= self.delta <= 1e18:
            raise ValueError(f"delta must be in [1e-18, 1e18], got {self.delta:.9g}")
        middle = math.sqrt(2 * math.pi) * float(erf(self.delta / math.sqrt(2)))
        self.log_partition = math.log(middle + 2 / self.delta * math.exp(-(self.delta**2) / 2))

    def penalty(self, z):
        """Returns rho(z)."""
        size = ops.abs(z)
        tail = self.delta * size - 0.5 * self.delta**2
        return ops.where(size <= self.delta, 0.5 * ops.square(z), tail)

    def get_config(self):
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "delta": self.delta}
