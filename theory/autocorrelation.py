"""Autocorrelation times, and the error of the mean of correlated samples (end of Sec. 3.2).

The central limit theorem holds for dependent variables if the sum of their cross-cumulants also grows as N.
For a stationary series with variance s^2 and autocorrelations rho(t), the mean of N values has the variance

    Var(mean) = 2 tau s^2 / N,    tau = 1/2 + sum_{t >= 1} rho(t),

up to terms of order 1/N^2. The integrated autocorrelation time tau is 1/2 for independent values, and about
T for rho(t) = exp(-t / T) with a large T. A series is worth N / (2 tau) independent values. Other authors
call 2 tau the autocorrelation time.

The sum over all lags of a measured series is useless: its noise does not decrease with N. Sokal ends it at
the window W that is the first of at least `window` times the time summed so far.

Legend: N values of a series, C series (chains) of equal length; t lags.

References:
    Sokal, "Monte Carlo methods in statistical mechanics: foundations and new algorithms" (1997), section 3.
    Madras and Sokal, "The pivot algorithm" (1988), Journal of Statistical Physics 50, 109-186.
    Wolff, "Monte Carlo errors with less errors" (2004), Computer Physics Communications 156, 143-153.
    Flyvbjerg and Petersen, "Error estimates on averages of correlated data" (1989), J. Chem. Phys. 91, 461.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from .. import arguments


@dataclass(frozen=True)
class CorrelatedMean:
    """The mean of a stationary series with its autocorrelations.

    Args:
        mean: Mean of all values, in units of the series.
        error: Standard error of the mean, sqrt(2 tau s^2 / (C N)).
        time: Integrated autocorrelation time tau, in steps.
        time_error: Standard error of tau, tau sqrt((4 W + 2) / (C N)).
        window: Last lag W of the sum.
        effective_size: Number of independent values with the same error, C N / (2 tau).
    """

    mean: float
    error: float
    time: float
    time_error: float
    window: int
    effective_size: float


def autocorrelation(x, lags=None):
    """Returns the autocorrelations rho(t) = Gamma(t) / Gamma(0) of a stationary series.

        Gamma(t) = sum_i (x_i - m) (x_{i+t} - m) / (N - t)

    The mean m is that of all chains, which makes Gamma(t) too small by about 2 tau s^2 / (C N) on average.
    The sums are Fourier transforms, of cost N log N.

    Args:
        x: The series, [N], or chains of the same process, [C, N], whose Gamma are averaged.
        lags: Largest lag, below N; `None` for N - 1. The last ones are noise.

    Returns:
        rho(0) = 1, ..., rho(lags), [lags + 1].

    Raises:
        ValueError: If a value is not finite, the series is constant or shorter than 2, or `lags` is not below
            N.
    """
    chains = _chains(x)
    size = chains.shape[1]
    lags = size - 1 if lags is None else arguments.integer("lags", lags, 0, size - 1)
    return _autocorrelation(chains, lags)


def correlated_mean(x, window=6.0):
    """Returns the mean of a correlated series with its standard error, by Sokal's automatic windowing.

    The window W is the smallest lag with W >= window (1/2 + sum_{t <= W} |rho(t)|). The absolute values equal
    Sokal's rule for positive correlations, and prevent that alternating ones end the sum too early. For
    rho(t) = exp(-t / T) the lags beyond W contribute exp(-window) tau. Wolff's factor 1 + (2 W + 1) / (C N)
    corrects tau for the deviation of the measured mean from the true one.

    Args:
        x: The series, [N], or chains of the same process, [C, N], without their approach to equilibrium. N
            should be above 100 tau: in a shorter series slow correlations remain unseen, and the error is too
            small.
        window: Number of autocorrelation times summed, at least 1; Sokal advises 4 to 10. More of them reduce
            the bias and increase the noise.

    Returns:
        A `CorrelatedMean`.

    Raises:
        ValueError: If a value is not finite, the series is constant, the window exceeds half of the series,
            or the correlations cancel so that tau is not positive.

    Example:
        >>> noise, x = np.random.default_rng(0).normal(size=20_000), [0.0]
        >>> for z in noise:
        ...     x.append(0.8 * x[-1] + z)
        >>> result = correlated_mean(x)
        >>> abs(result.time - 4.5) < 3 * result.time_error  # (1 + 0.8) / (1 - 0.8) / 2
        True
    """
    chains, window = _chains(x), arguments.number("window", window, low=1)
    count, size = chains.size, chains.shape[1]
    rho = _autocorrelation(chains, size // 2)
    reach = 0.5 + np.cumsum(np.abs(rho[1:]))
    long_enough = np.arange(1, len(rho)) >= window * reach
    if not long_enough.any():
        raise ValueError(
            f"x must be longer than its correlations, but a window of {window:g} autocorrelation times "
            f"exceeds half of its {size} values"
        )
    end = int(np.argmax(long_enough)) + 1
    correction = 1 + (2 * end + 1) / count
    time = (0.5 + np.sum(rho[1 : end + 1])) * correction
    if not time > 0:
        raise ValueError(
            f"x must be long enough for its negative correlations, got an autocorrelation time of {time:.3g}"
        )
    return CorrelatedMean(
        mean=float(chains.mean()),
        error=float(np.sqrt(2 * time / count) * _spread(chains)),
        time=float(time),
        time_error=float(time * np.sqrt((4 * end + 2) / count)),
        window=end,
        effective_size=float(count / (2 * time)),
    )


def blocking(x):
    """Returns the naive error of the mean after averaging neighbors again and again.

    Each level replaces two neighbors by their mean. Averages over blocks longer than the correlations are
    nearly independent, so that the errors increase to a plateau, which is the error of the mean. In contrast
    to `correlated_mean` nothing is assumed about the autocorrelations, but the plateau has to be judged by
    eye, and it is noisier.

    Args:
        x: The series, [N]. At a level of odd length, the last value is dropped.

    Returns:
        The tuple (errors, their standard errors), each [levels]: level l has blocks of 2^l values, and the
        last one at least two blocks. A level of n blocks has the error s / sqrt(n) with a relative standard
        error of 1 / sqrt(2 (n - 1)).

    Raises:
        ValueError: If a value is not finite or `x` does not have at least 2 values on one axis.
    """
    x = arguments.finite("x", x, 1)
    if len(x) < 2:
        raise ValueError(f"x must hold at least 2 values, got {len(x)}")
    errors, sizes = [], []
    while len(x) >= 2:
        sizes.append(len(x))
        errors.append(_spread(x, ddof=1) / np.sqrt(len(x)))
        x = x[: len(x) // 2 * 2].reshape(-1, 2).mean(axis=1)
    errors = np.array(errors)
    return errors, errors / np.sqrt(2 * (np.array(sizes) - 1))


def _spread(x, ddof=0):
    """Returns the standard deviation; in units of the largest value, no square overflows or vanishes."""
    unit = np.abs(x).max() or 1.0
    return unit * (x / unit).std(ddof=ddof)


def _chains(x):
    """Returns series as an array [C, N]."""
    x = arguments.finite("x", x)
    if x.ndim not in (1, 2) or x.shape[-1] < 2 or not x.size:
        raise ValueError(f"x must have shape [N] or [C, N] with at least 2 values in a row, got {x.shape}")
    return x.reshape(-1, x.shape[-1])


def _autocorrelation(chains, lags):
    size = chains.shape[1]
    # The mean of equal values may differ from them by rounding.
    if chains.min() == chains.max():
        raise ValueError(f"x must not be constant, got {chains[0, 0]:.9g} only")
    deviations = chains - chains.mean()
    scale = np.abs(deviations).max()
    # Zeros between the ends keep the transform from wrapping around.
    length = fft.next_fast_len(size + lags, real=True)
    power = np.abs(fft.rfft(deviations / scale, length)) ** 2
    sums = fft.irfft(power.sum(axis=0), length)[: lags + 1] / (size - np.arange(lags + 1))
    return sums / sums[0]
