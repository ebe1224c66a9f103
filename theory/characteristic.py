"""Characteristic functions, and the densities of sums from their powers (Sec. 3.2).

Legend: S values, C cells of a grid, K wave numbers.

The characteristic function of X is <exp(-ikX)>. Its logarithm G(k) generates the cumulants (`cumulants`). The
characteristic function of a sum of independent variables is the product of their characteristic functions.
"""

import numpy as np
from scipy import fft
from scipy.special import factorial

from ..arguments import distributions, finite, integer
from . import quadrature


def characteristic_function(density, k, support=(-np.inf, np.inf)):
    """Returns the Fourier transform <exp(-ikX)> of a density, Eq. 3.2.2.

    The error is about 1e-9 at every wave number, or the rounding error of the phase k x where that is larger.
    Mass that the quadrature misses, such as a second narrow peak, is below 1e-6.

    Args:
        density: Function of an array of points, such as the `pdf` of a SciPy distribution.
        k: Wave numbers, in inverse units of x, [...].
        support: Ends of the interval outside which the density is zero.

    Returns:
        A complex array [...].

    Raises:
        ValueError: If a wave number is not finite, or the density is negative or does not integrate to 1
            within 1e-6.
    """
    k, pieces = finite("k", k), quadrature.normalized(density, support)
    return np.array([pieces.transform(wave) for wave in k.ravel()], dtype=complex).reshape(k.shape)


def empirical_characteristic_function(sample, k):
    """Returns the mean of exp(-ikx) over a sample, the unbiased estimate of Eq. 3.2.2.

    Args:
        sample: Values, [S].
        k: Wave numbers, in inverse units of the values, [...].

    Returns:
        A complex array [...]; the variance of the estimate is (1 - |<exp(-ikX)>|^2) / S.

    Raises:
        ValueError: If an argument is not finite or the sample is empty.
    """
    sample, k = finite("sample", sample, 1), finite("k", k)
    if not sample.size:
        raise ValueError("sample must hold at least one value, got none")
    return np.array([np.exp(-1j * wave * sample).mean() for wave in k.ravel()]).reshape(k.shape)


def generating_function(cumulants, k):
    """Returns the series G(k) = sum_n (-ik)^n <X^n>_c / n! of the given cumulants, Eq. 3.2.4.

    The full series sums to the logarithm of the characteristic function (Eq. 3.2.3). With moments in place of
    cumulants it is the series of the characteristic function itself.

    Args:
        cumulants: Cumulants, [order + 1].
        k: Wave numbers, in inverse units of x, [...].

    Returns:
        A complex array [...].
    """
    cumulants, k = finite("cumulants", cumulants, 1), finite("k", k)
    n = np.arange(len(cumulants))
    return np.sum((-1j * k[..., None]) ** n * cumulants / factorial(n), axis=-1)


def density_of_sum(x, density, count):
    """Returns the density of a sum of N independent variables with the given density.

    It is computed from the N-th power of the Fourier transform (Eqs. 3.2.10 and 3.2.11). The discrete
    transform is padded, so that nothing wraps around. The result is exact for a lattice distribution (given
    as its probabilities divided by the spacing), and exact to rounding for a smooth density that vanishes at
    the ends. If the density jumps halfway between points, the error is of second order in the spacing. Values
    below the rounding error are set to zero.

    Args:
        x: Evenly spaced points, [C].
        density: Density at the points, [C].
        count: Number N of variables.

    Returns:
        (points, density): arrays [N (C - 1) + 1]; the points start at N x[0] and have the same spacing.

    Raises:
        ValueError: If the points do not increase evenly, or density times spacing is not a distribution.
    """
    x, density = finite("x", x, 1), finite("density", density, 1)
    count = integer("count", count, 1)
    if len(x) < 2 or x.shape != density.shape:
        raise ValueError(
            f"x and density must hold the same number of values, at least 2, got {len(x)} and {len(density)}"
        )
    spacing = (x[-1] - x[0]) / (len(x) - 1)
    if not (spacing > 0 and np.allclose(np.diff(x), spacing, rtol=1e-6, atol=0)):
        raise ValueError(f"x must increase in even steps, got {np.diff(x).min()} to {np.diff(x).max()}")
    power = distributions("density times spacing", density * spacing)
    size = count * (len(x) - 1) + 1
    padded = fft.next_fast_len(size, real=True)
    total = fft.irfft(fft.rfft(power, padded) ** count, padded)[:size]
    total[total < np.finfo(float).eps * count * total.max()] = 0.0
    return count * x[0] + spacing * np.arange(size), total / spacing
