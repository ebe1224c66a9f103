"""The gradient noise scale: which batch size a problem deserves (Sec. 4.5).

A batch of B examples gives the gradient G with covariance Sigma / B. On the quadratic model of the loss,

    E[L(theta - eps G_est)] - L = -eps |G|^2 + (eps^2 / 2) (G^T H G + tr(H Sigma) / B),

the best step and the best gain saturate as 1 / (1 + B_noise / B) with B_noise = tr(H Sigma) / G^T H G. For H
proportional to the identity this is B_simple = tr(Sigma) / |G|^2. The notes' text divides by "the global
norm", and so does much code; it is the squared norm, as Eq. 4.5.9 has it (docs/errata.md).

`LocalModel` has the closed forms of one point, `two_batch_estimates`, `sample_noise_scale` and
`RunningNoiseScale` what a training measures; `theory.trade_off` is about whole trainings.

Legend: N examples, P parameters, B examples in a batch.

References:
    S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


def gradient_moments(gradients):
    """Returns mean and covariance of per-example gradients, the expectations of Eqs. 4.5.2 and 4.5.3.

    Args:
        gradients: Gradients of all N equally likely examples, [N, P].

    Returns:
        (G, Sigma), [P] and [P, P]. Sigma is divided by N: the examples are the whole distribution. For a
        sample of a larger one see `sample_noise_scale`.

    Raises:
        ValueError: If there is no gradient, or an entry is not finite.
    """
    gradients = _gradients(gradients, 1)
    mean = gradients.mean(axis=0)
    noise = gradients - mean
    return mean, noise.T @ noise / len(gradients)


@dataclass(frozen=True)
class LocalModel:
    """The quadratic model of the loss around a point, with the noise of the gradient there.

    Args:
        gradient: True gradient G, [P].
        hessian: True Hessian H, [P, P], symmetric and positive semidefinite: along a direction of negative
            curvature there is no best step.
        covariance: Covariance Sigma of the per-example gradients, [P, P].

    Raises:
        ValueError: If a shape or a value is not valid.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    covariance: np.ndarray

    def __post_init__(self):
        gradient = arguments.finite("gradient", self.gradient, ndim=1)
        object.__setattr__(self, "gradient", gradient)
        for name in ("hessian", "covariance"):
            matrix = arguments.covariance(name, getattr(self, name), definite=False)
            if len(matrix) != len(gradient):
                raise ValueError(f"{name} must have shape {gradient.shape * 2}, got {matrix.shape}")
            object.__setattr__(self, name, matrix)

    @property
    def squared_norm(self):
        """|G|^2."""
        return self.gradient @ self.gradient

    @property
    def curvature(self):
        """G^T H G."""
        return self.gradient @ self.hessian @ self.gradient

    @property
    def curvature_of_noise(self):
        """tr(H Sigma)."""
        return np.sum(self.hessian * self.covariance)

    @property
    def noise_scale(self):
        """B_noise = tr(H Sigma) / (G^T H G), Eq. 4.5.8; infinite where G vanishes and the noise does not.

        Raises:
            ValueError: If the loss is flat along G, or neither gradient nor noise is left.
        """
        return _ratio(self.curvature_of_noise, self._curvature())

    @property
    def simple_noise_scale(self):
        """B_simple = tr(Sigma) / |G|^2, Eq. 4.5.9; infinite where G vanishes and the noise does not.

        Raises:
            ValueError: If neither gradient nor noise is left.
        """
        return _ratio(np.trace(self.covariance), self.squared_norm)

    def relative_error(self, batch_size):
        """Returns E|G_est - G|^2 / |G|^2 = B_simple / B, Eq. 4.5.10.

        The notes call this the distance; it is the mean squared one (docs/errata.md).

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.simple_noise_scale / arguments.positive("batch_size", batch_size)

    def expected_change(self, step, batch_size):
        """Returns E[L(theta - eps G_est)] - L(theta), Eq. 4.5.5.

        It is zero at twice the optimal step: larger ones raise the loss on average.

        Args:
            step: Step sizes eps.
            batch_size: Batch sizes B, positive; they broadcast with `step`.
        """
        step = arguments.finite("step", step)
        return -step * self.squared_norm + step**2 / 2 * self._expected_curvature(batch_size)

    def optimal_step(self, batch_size):
        """Returns eps_opt(B) = eps_max / (1 + B_noise / B), Eq. 4.5.6; zero for a zero gradient.

        Args:
            batch_size: Batch sizes B, positive.

        Raises:
            ValueError: As `noise_scale`.
        """
        return self.squared_norm / self._optimum(batch_size)

    def optimal_gain(self, batch_size):
        """Returns Delta L_opt(B) = Delta L_max / (1 + B_noise / B), Eq. 4.5.7; zero for a zero gradient.

        At the turnover B = B_noise the gain is half of the largest, and so is its logarithmic slope in B.

        Args:
            batch_size: Batch sizes B, positive.

        Raises:
            ValueError: As `noise_scale`.
        """
        return self.squared_norm**2 / self._optimum(batch_size) / 2

    @property
    def largest_step(self):
        """eps_max = |G|^2 / (G^T H G), the best step without noise.

        Raises:
            ValueError: If the gradient is zero, or the loss is flat along it.
        """
        return self.squared_norm / self._curvature(moving=True)

    @property
    def largest_gain(self):
        """Delta L_max = |G|^4 / (2 G^T H G), the best gain without noise, Eq. 4.5.7.

        Raises:
            ValueError: If the gradient is zero, or the loss is flat along it.
        """
        return self.squared_norm**2 / self._curvature(moving=True) / 2

    def _curvature(self, moving=False):
        if moving and not self.squared_norm:
            raise ValueError("gradient must not be zero: without noise every step is as good as any other")
        rounding = 1e-12 * np.linalg.norm(self.hessian) * self.squared_norm
        if self.squared_norm and self.curvature <= rounding:
            raise ValueError(
                f"hessian must have positive curvature along the gradient, got {self.curvature:.3g}"
            )
        return self.curvature

    def _expected_curvature(self, batch_size):
        return self.curvature + self.curvature_of_noise / arguments.positive("batch_size", batch_size)

    def _optimum(self, batch_size):
        _ratio(self.curvature_of_noise, self._curvature())
        return self._expected_curvature(batch_size)


def two_batch_estimates(small, big, batch_small, batch_big):
    """Estimates |G|^2 and tr Sigma without bias from squared gradient norms at two batch sizes.

    E|G_est|^2 = |G|^2 + tr(Sigma) / B by Eq. 4.5.2; two batch sizes solve for both unknowns:

        |G|^2 = (B_b |G_b|^2 - B_s |G_s|^2) / (B_b - B_s)
        tr Sigma = (|G_s|^2 - |G_b|^2) / (1 / B_s - 1 / B_b)

    The small batches may be parts of the big one: neither estimate needs them independent. Per-example norms
    are B_s = 1. Given G_est^T H G_est in place of |G_est|^2, the estimates are of G^T H G and tr(H Sigma).

    Args:
        small: |G_s|^2, best averaged over all small batches at hand.
        big: |G_b|^2.
        batch_small: B_s examples, positive.
        batch_big: B_b examples, above B_s.

    Returns:
        (squared_norm, trace). Either may be negative by chance: average both over steps, then divide.

    Raises:
        ValueError: If a value is not finite, or the batch sizes are not positive and increasing.
    """
    small, big = arguments.finite("small", small), arguments.finite("big", big)
    batch_small = arguments.positive("batch_small", batch_small)
    batch_big = arguments.positive("batch_big", batch_big)
    arguments.broadcastable(small=small, big=big, batch_small=batch_small, batch_big=batch_big)
    if np.any(batch_big <= batch_small):
        raise ValueError(f"batch_big must be above batch_small = {batch_small}, got {batch_big}")
    squared_norm = (batch_big * big - batch_small * small) / (batch_big - batch_small)
    return squared_norm, (small - big) / (1 / batch_small - 1 / batch_big)


def sample_noise_scale(gradients, hessian=None):
    """Estimates a noise scale from the gradients of a sample of examples, with a jackknife error.

    Args:
        gradients: Per-example gradients, [N, P], N at least 3, drawn independently.
        hessian: Symmetric matrix H, [P, P], for B_noise of Eq. 4.5.8; None for B_simple of Eq. 4.5.9.

    Returns:
        (noise_scale, standard_error). Numerator and denominator are unbiased (`two_batch_estimates` with
        B_s = 1, B_b = N), the ratio is biased by O(1/N); it is zero if the numerator is negative, infinite if
        the denominator is not positive. The error is from the N ratios that leave one example out, infinite
        where one of them is; it is good where N is well above the noise scale.

    Raises:
        ValueError: If there are fewer than 3 gradients, or an entry or a shape is not valid.
    """
    gradients = _gradients(gradients, 3)
    n, p = gradients.shape
    products = gradients
    if hessian is not None:
        hessian = arguments.finite("hessian", hessian, ndim=2)
        if hessian.shape != (p, p):
            raise ValueError(f"hessian must have shape {(p, p)}, got {hessian.shape}")
        products = gradients @ hessian
    mean = gradients.mean(axis=0)
    norms, overlaps = np.sum(products * gradients, axis=1), products @ mean
    total, whole = norms.sum(), overlaps.mean()
    squared_norm, trace = two_batch_estimates(total / n, whole, 1, n)
    without = (n**2 * whole - 2 * n * overlaps + norms) / (n - 1) ** 2
    parts, traces = two_batch_estimates((total - norms) / (n - 1), without, 1, n - 1)
    error = np.inf
    if squared_norm > 0 and np.all(parts > 0):
        error = np.sqrt((n - 1) * np.var(traces / parts))
    return measured_ratio(squared_norm, trace), float(error)


@dataclass
class RunningNoiseScale:
    """Exponential averages of |G|^2 and tr Sigma over steps, and their ratio with an error bar.

    Both are averaged first and divided then: the average of ratios is biased, and without a mean where |G|^2
    is near zero. The error is the delta method's: the weighted spread of trace - ratio * squared_norm over
    steps, divided by |G|^2. It assumes that the noise of different steps is independent (fresh batches); the
    drift of the true values within the memory of about 1 / (1 - decay) steps counts as if it were noise too.

    All fields are the state: `dataclasses.asdict` saves it and `RunningNoiseScale(**state)` resumes.

    Args:
        decay: Weight of the past, in [0, 1]; 1 averages all steps equally.
        steps: Number of updates so far.
        squared_norm: Average of |G|^2, weights normalized: no bias from the start.
        trace: Average of tr Sigma.
        norm_variance: Weighted variance of the estimates of |G|^2.
        trace_variance: Weighted variance of the estimates of tr Sigma.
        covariance: Their weighted covariance.
        weight_squares: Sum of the squared weights; its inverse is the effective number of steps.

    Example:
        >>> running = RunningNoiseScale(decay=0.9)
        >>> for small, big in [(13.0, 5.0), (12.0, 4.0), (14.0, 5.0)]:
        ...     running.update(*two_batch_estimates(small, big, 1, 10))
        >>> round(running.noise_scale, 3)
        2.488
    """

    decay: float = 0.99
    steps: int = 0
    squared_norm: float = 0.0
    trace: float = 0.0
    norm_variance: float = 0.0
    trace_variance: float = 0.0
    covariance: float = 0.0
    weight_squares: float = 1.0

    def __post_init__(self):
        arguments.unit_interval("decay", self.decay)

    def update(self, squared_norm, trace):
        """Takes the estimates of one step, as from `two_batch_estimates`.

        Args:
            squared_norm: Estimate of |G|^2.
            trace: Estimate of tr Sigma.

        Raises:
            ValueError: If one is not finite; the state is then unchanged.
        """
        norm_shift = float(arguments.finite("squared_norm", squared_norm, ndim=0)) - self.squared_norm
        trace_shift = float(arguments.finite("trace", trace, ndim=0)) - self.trace
        self.steps += 1
        # The newest weight after all are normalized to sum to one.
        new = 1 / self.steps if self.decay == 1 else (1 - self.decay) / (1 - self.decay**self.steps)
        self.squared_norm += new * norm_shift
        self.trace += new * trace_shift
        self.norm_variance = (1 - new) * (self.norm_variance + new * norm_shift**2)
        self.trace_variance = (1 - new) * (self.trace_variance + new * trace_shift**2)
        self.covariance = (1 - new) * (self.covariance + new * norm_shift * trace_shift)
        self.weight_squares = (1 - new) ** 2 * self.weight_squares + new**2

    @property
    def noise_scale(self):
        """Ratio of the averages: zero if `trace` is negative, infinite if `squared_norm` is not positive."""
        return measured_ratio(self.squared_norm, self.trace)

    @property
    def standard_error(self):
        """Standard error of `noise_scale`; infinite where it is unknown: one step, or no positive |G|^2."""
        free = 1 - self.weight_squares
        if self.squared_norm <= 0 or free <= 0:
            return np.inf
        variances = self.norm_variance, self.trace_variance, self.covariance
        one = ratio_error(self.squared_norm, self.trace, *variances)
        return one * float(np.sqrt(self.weight_squares / free))


def measured_ratio(signal, noise):
    """Returns noise / signal: zero if the noise is negative, infinite if the signal is not positive.

    Args:
        signal: Estimate of |G|^2, or of another measure of the gradient.
        noise: Estimate of tr Sigma, or of the same measure of the noise.
    """
    return float(max(noise, 0.0) / signal) if signal > 0 else np.inf


def ratio_error(signal, noise, signal_variance, noise_variance, covariance):
    """Returns the standard error of noise / signal to first order; infinite if the signal is not positive.

    Args:
        signal: Estimate of the denominator.
        noise: Estimate of the numerator.
        signal_variance: Variance of the first.
        noise_variance: Variance of the second.
        covariance: Covariance of both.
    """
    if signal <= 0:
        return np.inf
    ratio = noise / signal
    variance = noise_variance - 2 * ratio * covariance + ratio**2 * signal_variance
    # Rounding may leave a difference of equal terms below zero.
    return float(np.sqrt(max(variance, 0.0))) / signal


def _gradients(value, least):
    gradients = arguments.finite("gradients", value, ndim=2)
    if len(gradients) < least or not gradients.shape[1]:
        raise ValueError(f"gradients must have shape [N, P] with N >= {least}, got {gradients.shape}")
    return gradients


def _ratio(noise, signal):
    if signal == 0 and noise == 0:
        raise ValueError("gradient and its noise must not both vanish: the noise scale is then 0 / 0")
    return np.inf if signal == 0 else float(noise / signal)
