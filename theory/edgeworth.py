"""Edgeworth's series: corrections to the central limit theorem from higher cumulants (Sec. 3.2).

The density of a sum of N independent copies is a Gaussian up to corrections in powers of N^(-1/2), because
its standardized cumulants lambda_n = <X^n>_c / <X^2>_c^(n/2) fall as N^(1 - n/2) (Eq. 3.2.14). Expanding the
exponential of the cumulants in Eq. 3.2.4 and transforming back gives, with z = (x - <X>) / sigma,

    order 0    phi(z) / sigma
    order 1    times 1 + lambda_3 He_3(z) / 6
    order 2    times 1 + lambda_3 He_3(z) / 6 + lambda_4 He_4(z) / 24 + lambda_3^2 He_6(z) / 72,

with an error of order N^(-(order + 1) / 2) relative to phi(0). The series is asymptotic: at fixed N more
terms need not help. In the tails, |z| of order N^(1/6) and beyond, a correction exceeds one and the density
may be negative. The Gram-Charlier series has the terms in another order, in which they do not fall with N.

He_n are Hermite polynomials with He_n(z) phi(z) = (-d/dz)^n phi(z).

References:
    Cramér, "Mathematical Methods of Statistics" (1946), Princeton, section 17.7.
    Blinnikov and Moessner, "Expansions for nearly Gaussian distributions" (1998), Astronomy and Astrophysics
        Supplement 130, 193-205.
"""

import numpy as np
from numpy.polynomial import hermite_e
from scipy.special import ndtr

from .. import arguments

_FAR = 1e3  # Standard deviations at which a Gaussian has vanished.


def density(x, cumulants, order=2):
    """Returns Edgeworth's approximation of the density of a variable with given cumulants.

    Args:
        x: Points, any shape [...].
        cumulants: Cumulants <X^n>_c, [order + 3] or more, as in `curvezoo.theory.cumulants`: the zeroth is 0,
            the second is the variance. For sums of independent copies see `cumulants_of_sum` and
            `cumulants_of_normalized_sum` there.
        order: Highest power of N^(-1/2): 0, 1 or 2.

    Returns:
        The density at `x`, [...], in inverse units of x. Its moments of orders up to `order + 2` are those of
        the cumulants. It may be negative.

    Raises:
        ValueError: If an argument is not finite, there are too few cumulants, the zeroth is not 0, the
            variance is not positive, or `order` is not 0, 1 or 2.

    Example:
        >>> exponential = [0, 1, 1, 2, 6]  # <X^n>_c = (n - 1)!
        >>> ten = [10 * c for c in exponential]  # the sum of ten: a gamma distribution
        >>> print(round(float(density(10.0, ten)), 4))  # 0.1251
        0.1251
    """
    z, sigma, corrections = _standardized(x, cumulants, order)
    return _normal(z) / sigma * (1 + hermite_e.hermeval(z, corrections))


def distribution(x, cumulants, order=2):
    """Returns Edgeworth's approximation of the distribution function P(X <= x), the integral of `density`.

        F = Phi(z) - phi(z) [lambda_3 He_2(z) / 6 + lambda_4 He_3(z) / 24 + lambda_3^2 He_5(z) / 72]

    For a variable on a lattice the series holds only after a correction for continuity.

    Args:
        x: Points, any shape [...].
        cumulants: Cumulants <X^n>_c, [order + 3] or more, as in `density`.
        order: Highest power of N^(-1/2): 0, 1 or 2.

    Returns:
        The distribution function at `x`, [...]. It may leave [0, 1] in the tails.

    Raises:
        ValueError: As in `density`.
    """
    z, _, corrections = _standardized(x, cumulants, order)
    # The integral of He_n phi is -He_(n-1) phi; the corrections start at He_3.
    return ndtr(z) - _normal(z) * hermite_e.hermeval(z, corrections[1:])


def _standardized(x, cumulants, order):
    """Returns z, sigma, and the coefficients of the corrections in Hermite polynomials, [7]."""
    order = arguments.integer("order", order, 0, 2)
    x, cumulants = arguments.finite("x", x), arguments.finite("cumulants", cumulants, 1)
    if len(cumulants) < order + 3:
        raise ValueError(
            f"cumulants must have the orders 0 to {order + 2} for order {order}, got shape {cumulants.shape}"
        )
    if abs(cumulants[0]) > arguments.ROUNDING:
        raise ValueError(f"cumulants[0] must be 0, got {cumulants[0]:.9g}")
    if cumulants[2] <= 0:
        raise ValueError(f"cumulants[2], the variance, must be positive, got {cumulants[2]:.9g}")
    sigma = np.sqrt(cumulants[2])
    corrections = np.zeros(7)
    if order >= 1:
        skewness = cumulants[3] / cumulants[2] / sigma
        corrections[3] = skewness / 6
    if order == 2:
        corrections[4], corrections[6] = cumulants[4] / cumulants[2] / cumulants[2] / 24, skewness**2 / 72
    # Farther out the density is zero, but the polynomials may overflow.
    return np.clip((x - cumulants[1]) / sigma, -_FAR, _FAR), sigma, corrections


def _normal(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
