"""The gradient noise scale: the batch size that suits a problem (Sec. 4.5).

A batch of B examples estimates the gradient G with covariance Sigma / B. In the quadratic model of the loss,

    E[L(theta - eps G_est)] - L = -eps |G|^2 + (eps^2 / 2) (G^T H G + tr(H Sigma) / B),

the best step and the best gain saturate as 1 / (1 + B_noise / B) with B_noise = tr(H Sigma) / G^T H G. For H
proportional to the identity this is B_simple = tr(Sigma) / |G|^2. The text of the notes divides by "the
global norm", as does much code; the correct divisor is the squared norm, as in Eq. 4.5.9 (docs/errata.md).

`LocalModel` has the closed forms at one point. `two_batch_estimates`, `sample_noise_scale` and
`RunningNoiseScale` estimate them during training. `theory.trade_off` treats whole training runs.

Legend: N examples, P parameters, B examples in a batch.

References:
    S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


def gradient_moments(gradients):
    """Returns the mean and covariance of per-example gradients, the expectations of Eqs. 4.5.2 and 4.5.3.

    Args:
        gradients: Gradients of all N equally likely examples, [N, P].

    Returns:
        (G, Sigma), [P] and [P, P]. Sigma is divided by N, since the examples are the whole distribution. For
        a sample of a larger one, see `sample_noise_scale`.

    Raises:
        ValueError: If there are no gradients, or an entry is not finite.
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
        hessian: True Hessian H, [P, P], symmetric and positive semidefinite; with negative curvature there
            would be no best step.
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
            ValueError: If the loss is flat along G, or both gradient and noise vanish.
        """
        return _ratio(self.curvature_of_noise, self._curvature())

    @property
    def simple_noise_scale(self):
        """B_simple = tr(Sigma) / |G|^2, Eq. 4.5.9; infinite where G vanishes and the noise does not.

        Raises:
            ValueError: If both gradient and noise vanish.
        """
        return _ratio(np.trace(self.covariance), self.squared_norm)

    def relative_error(self, batch_size):
        """Returns E|G_est - G|^2 / |G|^2 = B_simple / B, Eq. 4.5.10.

        The notes call this the distance; it is the mean squared distance (docs/errata.md).

        Args:
            batch_size: Batch sizes B, positive.
        """
        return self.simple_noise_scale / arguments.positive("batch_size", batch_size)

    def expected_change(self, step, batch_size):
        """Returns E[L(theta - eps G_est)] - L(theta), Eq. 4.5.5.

        It is zero at twice the optimal step: larger steps raise the loss on average.

        Args:
            step: Step sizes eps.
            batch_size: Batch sizes B, positive, broadcast against `step`.
        """
        step = arguments.finite("step", step)
        return -step * self.squared_norm + step**2 / 2 * self._expected_curvature(batch_size)

    def optimal_step(self, batch_size):
        """Returns eps_opt(B) = eps_max / (1 + B_noise / B), Eq. 4.5.6; zero for a zero gradient.

        Args:
            batch_size: Batch sizes B, positive.

        Raises:
            ValueError: As in `noise_scale`.
        """
        return self.squared_norm / self._checked_denominator(batch_size)

    def optimal_gain(self, batch_size):
        """Returns Delta L_opt(B) = Delta L_max / (1 + B_noise / B), Eq. 4.5.7; zero for a zero gradient.

        At the turnover B = B_noise, the gain is half the largest one, and d log(gain) / d log(B) = 1/2.

        Args:
            batch_size: Batch sizes B, positive.

        Raises:
            ValueError: As in `noise_scale`.
        """
        return self.squared_norm**2 / self._checked_denominator(batch_size) / 2

    @property
    def largest_step(self):
        """eps_max = |G|^2 / (G^T H G), the optimal step without noise.

        Raises:
            ValueError: If the gradient is zero, or the loss is flat along it.
        """
        return self.squared_norm / self._curvature(nonzero_gradient=True)

    @property
    def largest_gain(self):
        """Delta L_max = |G|^4 / (2 G^T H G), the optimal gain without noise, Eq. 4.5.7.

        Raises:
            ValueError: If the gradient is zero, or the loss is flat along it.
        """
        return self.squared_norm**2 / self._curvature(nonzero_gradient=True) / 2

    def _curvature(self, nonzero_gradient=False):
        """Returns G^T H G after checking that it is positive unless the gradient vanishes."""
        if nonzero_gradient and not self.squared_norm:
            raise ValueError("gradient must not be zero: without noise all steps are equally good")
        rounding = 1e-12 * np.linalg.norm(self.hessian) * self.squared_norm
        if self.squared_norm and self.curvature <= rounding:
            raise ValueError(
                f"hessian must have positive curvature along the gradient, got {self.curvature:.3g}"
            )
        return self.curvature

    def _expected_curvature(self, batch_size):
        return self.curvature + self.curvature_of_noise / arguments.positive("batch_size", batch_size)

    def _checked_denominator(self, batch_size):
        """Returns the denominator of the optimal step and gain after checking that they are defined."""
        _ratio(self.curvature_of_noise, self._curvature())
        return self._expected_curvature(batch_size)


def two_batch_estimates(small, big, batch_small, batch_big):
    """Returns unbiased estimates of |G|^2 and tr Sigma from squared gradient norms at two batch sizes.

    E|G_est|^2 = |G|^2 + tr(Sigma) / B by Eq. 4.5.2; two batch sizes determine both unknowns:

        |G|^2 = (B_b |G_b|^2 - B_s |G_s|^2) / (B_b - B_s)
        tr Sigma = (|G_s|^2 - |G_b|^2) / (1 / B_s - 1 / B_b)

    The small batches may be parts of the big one, because neither estimate requires independent batches.
    Per-example norms have B_s = 1. With G_est^T H G_est in place of |G_est|^2, the results estimate G^T H G
    and tr(H Sigma).

    Args:
        small: |G_s|^2, preferably averaged over all available small batches.
        big: |G_b|^2.
        batch_small: Size B_s of the small batches, positive.
        batch_big: Size B_b of the big batch, above B_s.

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
        gradients: Per-example gradients, [N, P], drawn independently, with N at least 3.
        hessian: Symmetric matrix H, [P, P], for B_noise of Eq. 4.5.8; `None` for B_simple of Eq. 4.5.9.

    Returns:
        (noise_scale, standard_error). Numerator and denominator are unbiased (`two_batch_estimates` with
        B_s = 1, B_b = N); the ratio has a bias of O(1/N). The ratio is zero if the numerator is negative,
        and infinite if the denominator is not positive. The error is computed from the N leave-one-out
        ratios, and is infinite if one of them is. It is accurate if N is well above the noise scale.

    Raises:
        ValueError: If there are fewer than 3 gradients, or an entry or a shape is not valid.
    """
    gradients = _gradients(gradients, 3)
    n, p = gradients.shape
    # The ratio has no unit, but the squares of very small or large gradients would underflow or overflow.
    gradients = gradients / (np.abs(gradients).max() or 1.0)
    products = gradients
    if hessian is not None:
        hessian = arguments.finite("hessian", hessian, ndim=2)
        if hessian.shape != (p, p):
            raise ValueError(f"hessian must have shape {(p, p)}, got {hessian.shape}")
        products = gradients @ (hessian / (np.abs(hessian).max() or 1.0))
    mean = gradients.mean(axis=0)
    norms, overlaps = np.sum(products * gradients, axis=1), products @ mean
    total, norm_of_mean = norms.sum(), overlaps.mean()
    squared_norm, trace = two_batch_estimates(total / n, norm_of_mean, 1, n)
    # Repeat the estimates with each example left out in turn.
    norms_of_means = (n**2 * norm_of_mean - 2 * n * overlaps + norms) / (n - 1) ** 2
    squared_norms, traces = two_batch_estimates((total - norms) / (n - 1), norms_of_means, 1, n - 1)
    error = np.inf
    if squared_norm > 0 and np.all(squared_norms > 0):
        error = np.sqrt((n - 1) * np.var(traces / squared_norms))
    return measured_ratio(squared_norm, trace), float(error)


@dataclass
class RunningNoiseScale:
    """Exponential averages of |G|^2 and tr Sigma over steps, and their ratio with a standard error.

    The averages are taken before the division: the average of ratios is biased, and has no mean where |G|^2
    is near zero. The delta method gives the error: the weighted standard deviation of
    trace - ratio * squared_norm over steps, divided by |G|^2. It assumes independent noise in different steps
    (fresh batches). A drift of the true values within the memory of about 1 / (1 - decay) steps counts as
    noise. The error has the right mean square for any number of steps, but from a few it is itself uncertain:
    one error on either side of the noise scale covers the true value in 60 % of all cases after 3 steps, in
    65 % after 5, and in 68 % from 30 on (50 equal noise components, |G|^2 = tr Sigma / B).

    The fields are the whole state: `dataclasses.asdict` saves it and `RunningNoiseScale(**state)` resumes.

    Args:
        decay: Weight of the past, in [0, 1]; 1 averages all steps equally.
        steps: Number of updates so far.
        squared_norm: Average of |G|^2 with normalized weights, which removes the initial bias.
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
        """Adds the estimates of one step, such as those of `two_batch_estimates`.

        Args:
            squared_norm: Estimate of |G|^2.
            trace: Estimate of tr Sigma.

        Raises:
            ValueError: If an estimate is not finite; the state is then unchanged.
        """
        norm_shift = float(arguments.finite("squared_norm", squared_norm, ndim=0)) - self.squared_norm
        trace_shift = float(arguments.finite("trace", trace, ndim=0)) - self.trace
        self.steps += 1
        # Weight of the newest estimate when all weights are normalized to sum to one.
        new = 1 / self.steps if self.decay == 1 else (1 - self.decay) / (1 - self.decay**self.steps)
        self.squared_norm += new * norm_shift
        self.trace += new * trace_shift
        self.norm_variance = (1 - new) * (self.norm_variance + new * norm_shift**2)
        self.trace_variance = (1 - new) * (self.trace_variance + new * trace_shift**2)
        self.covariance = (1 - new) * (self.covariance + new * norm_shift * trace_shift)
        self.weight_squares = (1 - new) ** 2 * self.weight_squares + new**2

    @property
    def noise_scale(self):
        """Ratio of the averages; zero if `trace` is negative, infinite if `squared_norm` is not positive."""
        return measured_ratio(self.squared_norm, self.trace)

    @property
    def standard_error(self):
        """Standard error of `noise_scale`; infinite after a single step or if |G|^2 is not positive."""
        degrees_of_freedom = 1 - self.weight_squares
        if self.squared_norm <= 0 or degrees_of_freedom <= 0:
            return np.inf
        variances = self.norm_variance, self.trace_variance, self.covariance
        single_step_error = ratio_error(self.squared_norm, self.trace, *variances)
        return single_step_error * float(np.sqrt(self.weight_squares / degrees_of_freedom))


def measured_ratio(signal, noise):
    """Returns noise / signal; zero if the noise is negative, infinite if the signal is not positive.

    Args:
        signal: Estimate of |G|^2, or of another measure of the gradient.
        noise: Estimate of tr Sigma, or of the same measure of the noise.

    Raises:
        ValueError: If one of them is not a finite number.
    """
    signal, noise = (float(arguments.finite(*pair, 0)) for pair in (("signal", signal), ("noise", noise)))
    return float(max(noise, 0.0) / signal) if signal > 0 else np.inf


def ratio_error(signal, noise, signal_variance, noise_variance, covariance):
    """Returns the standard error of noise / signal to first order; infinite if the signal is not positive.

    Args:
        signal: Estimate of the denominator.
        noise: Estimate of the numerator.
        signal_variance: Variance of `signal`.
        noise_variance: Variance of `noise`.
        covariance: Covariance of the two.

    Raises:
        ValueError: If one of them is not a finite number.
    """
    names = "signal", "noise", "signal_variance", "noise_variance", "covariance"
    values = signal, noise, signal_variance, noise_variance, covariance
    signal, noise, signal_variance, noise_variance, covariance = (
        float(arguments.finite(name, value, 0)) for name, value in zip(names, values, strict=True)
    )
    if signal <= 0:
        return np.inf
    ratio = noise / signal
    variance = noise_variance - 2 * ratio * covariance + ratio**2 * signal_variance
    # Rounding may make a difference of equal terms negative.
    return float(np.sqrt(max(variance, 0.0))) / signal


def _gradients(value, minimum):
    gradients = arguments.finite("gradients", value, ndim=2)
    if len(gradients) < minimum or not gradients.shape[1]:
        raise ValueError(f"gradients must have shape [N, P] with N >= {minimum}, got {gradients.shape}")
    return gradients


def _ratio(noise, signal):
    if signal == 0 and noise == 0:
        raise ValueError("gradient and its noise must not both vanish: the noise scale is then 0 / 0")
    return np.inf if signal == 0 else float(noise / signal)
