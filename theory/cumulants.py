"""Moments, cumulants and characteristic functions, and sums of random variables (Sec. 3.2).

Legend: D variables, S values, C cells of a grid, K wave numbers, n, m orders.

Moments and cumulants of one variable are arrays [order + 1] whose entry n is <X^n> or <X^n>_c, with the
zeroth moment 1 and the zeroth cumulant 0. Those of D variables have D axes, and entry [n_1, ..., n_D] is
<X_1^n_1 ... X_D^n_D>, connected or not. Integers and fractions stay exact (arrays of Python objects).

The notes' Eqs. 3.2.5 and 3.2.6 have misprints (docs/errata.md): the moments' sum begins at n = 0, and

    <X^m> = m! sum over {p_n} with sum_n n p_n = m of prod_n (<X^n>_c / n!)^p_n / p_n!.

Only a delta function and a Gaussian have finitely many cumulants: the Fourier transform of any other
exponential of a polynomial is negative somewhere (Marcinkiewicz 1939).
"""

import math
import operator

import numpy as np
from scipy import fft
from scipy.integrate import quad
from scipy.special import factorial
from scipy.stats import kstat

from .arguments import ROUNDING, distributions, finite, first_index, integer


def moments(values, order, probabilities=None):
    """Returns the moments <X_1^n_1 ... X_D^n_D> of values with given probabilities, Eq. 3.2.1 as a sum.

    Args:
        values: Values of one variable, [S], or of D variables, [S, D]; for cumulants center them first.
        order: Highest order n of each variable.
        probabilities: Probability of each value, [S]; `None` for equal ones, the moments of a sample.

    Returns:
        An array [order + 1], or with D axes of that length for values [S, D].

    Raises:
        ValueError: If the values are not finite or have other axes, or `probabilities` are none of theirs.
    """
    values, order = finite("values", values), integer("order", order, 0)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"values must have shape [S] or [S, D], got {values.shape}")
    count = len(values)
    p = np.full(count, 1 / count) if probabilities is None else distributions("probabilities", probabilities)
    if p.shape != (count,):
        raise ValueError(f"probabilities must have shape ({count},), one per value, got {p.shape}")
    total = p
    for column in values.reshape(count, -1).T:
        powers = np.vander(column, order + 1, increasing=True)
        total = total[..., None] * powers.reshape(count, *[1] * (total.ndim - 1), order + 1)
    return total.sum(axis=0)


def cumulants_from_moments(moments):
    """Returns cumulants from moments, of one variable or jointly of several.

    One chosen point is in a cluster with b of the n - 1 others, in binomial(n - 1, b) ways:

        <X^n> = sum_b binomial(n - 1, b) <X^(b + 1)>_c <X^(n - 1 - b)>,

    which gives each cumulant from those below; orders of several variables multiply their binomials.

    Args:
        moments: Moments, [order + 1] or one axis a variable; the zeroth is 1.

    Returns:
        An array of cumulants of the same shape; the zeroth is 0.

    Raises:
        ValueError: If the zeroth moment is not 1 or a moment is not finite.
    """
    moments = _numbers("moments", moments, 1)
    cumulants = np.zeros_like(moments)
    for order in np.ndindex(moments.shape):
        if any(order):
            *smaller, _ = _clusters(order)
            cumulants[order] = moments[order] - sum(
                ways * cumulants[cluster] * moments[others] for ways, cluster, others in smaller
            )
    return cumulants


def moments_from_cumulants(cumulants):
    """Returns moments from cumulants, of one variable or jointly of several: Eq. 3.2.5 order by order.

    Args:
        cumulants: Cumulants, [order + 1] or one axis a variable; the zeroth is 0.

    Returns:
        An array of moments of the same shape; the zeroth is 1.

    Raises:
        ValueError: If the zeroth cumulant is not 0 or a cumulant is not finite.
    """
    cumulants = _numbers("cumulants", cumulants, 0)
    moments = np.ones_like(cumulants)
    for order in np.ndindex(cumulants.shape):
        if any(order):
            moments[order] = sum(
                ways * cumulants[cluster] * moments[others] for ways, cluster, others in _clusters(order)
            )
    return moments


def groupings(order):
    """Yields the ways to group m points into clusters, up to relabeling, each with its number of groupings.

    Args:
        order: Number m of points.

    Yields:
        (p, number): the p_n clusters of n points as a `dict`, sum_n n p_n = m, and the number of groupings,
        m! / prod_n p_n! (n!)^p_n.

    Raises:
        ValueError: If `order` is not an integer of at least 0.
    """
    order = integer("order", order, 0)

    def partitions(points, largest):
        if not points:
            yield {}
        for size in range(min(points, largest), 0, -1):
            for rest in partitions(points - size, size):
                yield {**rest, size: rest.get(size, 0) + 1}

    for p in partitions(order, order):
        symmetry = math.prod(math.factorial(times) * math.factorial(n) ** times for n, times in p.items())
        yield p, math.factorial(order) // symmetry


def moment_by_groupings(cumulants, order):
    """Returns one moment as the sum over groupings of products of cumulants, Eq. 3.2.6 corrected.

    Args:
        cumulants: Cumulants of one variable, [order + 1] or more.
        order: Order m of the moment.

    Returns:
        <X^m> = sum over {p_n}, sum_n n p_n = m, of m! prod_n <X^n>_c^p_n / (p_n! (n!)^p_n).

    Raises:
        ValueError: If there are too few cumulants, or they are none.
    """
    cumulants = _numbers("cumulants", cumulants, 0)
    if cumulants.ndim != 1 or len(cumulants) <= integer("order", order, 0):
        raise ValueError(f"cumulants must be those of orders 0 to {order}, got shape {cumulants.shape}")
    terms = groupings(order)
    return sum(ways * math.prod(cumulants[n] ** times for n, times in p.items()) for p, ways in terms)


def cumulants_of_sum(joint):
    """Returns the cumulants of X_1 + ... + X_D from joint ones, Eqs. 3.2.12 and 3.2.13.

    <X^n>_c is the sum of <X_i1 ... X_in>_c over all i1 ... in, so the joint cumulant of orders n_1 ... n_D
    occurs n! / (n_1! ... n_D!) times. Of independent variables all joint ones vanish (Eq. 3.2.8).

    Args:
        joint: Joint cumulants, one axis of equal length order + 1 a variable.

    Returns:
        An array [order + 1].

    Raises:
        ValueError: If the axes differ in length, the zeroth cumulant is not 0 or a cumulant is not finite.
    """
    joint = _numbers("joint", joint, 0)
    if len(set(joint.shape)) != 1:
        raise ValueError(f"joint must have axes of one length, got shape {joint.shape}")
    total = np.zeros_like(joint, shape=joint.shape[0])
    for orders in np.ndindex(joint.shape):
        n = sum(orders)
        if n < len(total):
            total[n] += math.factorial(n) // math.prod(map(math.factorial, orders)) * joint[orders]
    return total


def cumulants_of_normalized_sum(cumulants, count):
    """Returns the cumulants of y = (X - N <X_1>_c) / sqrt(N) for a sum X of N independent copies, Eq. 3.2.14.

    Args:
        cumulants: Cumulants of one copy, [order + 1].
        count: Number N of copies; an array [...] for several.

    Returns:
        N^(1 - n/2) <X_1^n>_c, and zero for n = 1; an array [..., order + 1].

    Raises:
        ValueError: If `cumulants` are none or a count is below 1.
    """
    cumulants, count = _numbers("cumulants", cumulants, 0).astype(np.float64), finite("count", count)
    if (count < 1).any():
        raise ValueError(f"count{first_index(count < 1)} must be at least 1, got {count[count < 1][0]:g}")
    if cumulants.ndim != 1:
        raise ValueError(f"cumulants must have 1 axis, got shape {cumulants.shape}")
    order = np.arange(len(cumulants))
    return np.where(order == 1, 0.0, cumulants * count[..., None] ** (1 - order / 2))


def sample_cumulants(sample, order=4):
    """Returns the unbiased estimates of cumulants from a sample, Fisher's k-statistics, by SciPy.

    Args:
        sample: Independent values, [..., S], at least `order` of them.
        order: Highest order, 1 to 4.

    Returns:
        An array [order + 1, ...], the zeroth 0.

    Raises:
        ValueError: If a value is not finite, `order` is not 1 to 4, or there are too few values.
    """
    sample = finite("sample", sample)
    if integer("order", order, 1) > 4:
        raise ValueError(f"order must be at most 4, got {order}")
    if not sample.ndim or sample.shape[-1] < order:
        raise ValueError(f"sample must hold {order} values or more for order {order}, got {sample.shape}")
    estimates = [kstat(sample, n, axis=-1) for n in range(1, order + 1)]
    return np.stack([np.zeros_like(estimates[0]), *estimates])


def density_moments(density, order, support=(-np.inf, np.inf), center=0.0):
    """Returns the moments <(X - center)^n> of a density by adaptive quadrature, Eq. 3.2.1.

    Args:
        density: Function of a number, such as the `pdf` of a SciPy distribution.
        order: Highest order n.
        support: Ends of the interval outside of which it is zero.
        center: Point about which the moments are taken.

    Returns:
        An array [order + 1].

    Raises:
        ValueError: If a moment does not converge, or that of order 0 is not 1 within 1e-6.
    """
    low, high = support
    middle = min(max(center, low), high)

    def moment(n):
        # Each side by itself: the two tails of a divergent odd moment would cancel.
        sides, name = ((low, middle), (middle, high)), f"the moment of order {n}"
        return sum(_integral(lambda x: (x - center) ** n * density(x), side, name) for side in sides)

    found = [moment(n) for n in range(integer("order", order, 0) + 1)]
    if abs(found[0] - 1) > 1e-6:
        raise ValueError(f"density must integrate to 1 over support {tuple(support)}, got {found[0]:.9g}")
    return np.array([1.0, *found[1:]])


def density_cumulants(density, order, support=(-np.inf, np.inf)):
    """Returns the cumulants of a density, from its moments about the mean.

    Arguments and errors are those of `density_moments`.

    Returns:
        An array [order + 1].
    """
    mean = density_moments(density, 1, support)[1]
    cumulants = cumulants_from_moments(density_moments(density, order, support, center=mean))
    cumulants[1:2] += mean
    return cumulants


def characteristic_function(density, k, support=(-np.inf, np.inf), center=0.0):
    """Returns the Fourier transform <exp(-ikX)> of a density by adaptive quadrature, Eq. 3.2.2.

    Good to about 1e-9, and to 1e-6 if the density has a kink inside of the support that is not at `center`.

    Args:
        density: Function of a number, such as the `pdf` of a SciPy distribution.
        k: Wave numbers, in inverse units of x, [...].
        support: Ends of the interval outside of which it is zero.
        center: Point at which the integral is split, moved into `support`.

    Returns:
        A complex array [...].

    Raises:
        ValueError: If a wave number is not finite or the integral does not converge.
    """
    k, (low, high) = finite("k", k), support
    middle, name = min(max(center, low), high), "the transform"

    def transform(wave):
        total = 0.0
        # QUADPACK's rule for oscillating tails takes one end at infinity, on the right.
        for sign, end in ((1, high - middle), (-1, middle - low)):
            for factor, weight in ((1, "cos"), (-1j * sign, "sin")):
                part = _integral(lambda x, s=sign: density(middle + s * x), (0, end), name, wave, weight)
                total += factor * part
        return np.exp(-1j * wave * middle) * total

    return np.array([transform(wave) for wave in k.ravel()]).reshape(k.shape)


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
    """Returns the series G(k) = sum_n (-ik)^n <X^n>_c / n! up to the cumulants given, Eq. 3.2.4.

    It sums to the logarithm of the characteristic function (Eq. 3.2.3). With moments in place of cumulants it
    is the series of the characteristic function itself.

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
    """Returns the density of a sum of independent copies by a power of its transform, Eqs. 3.2.10 and 3.2.11.

    The discrete Fourier transform is padded so that nothing wraps around. A lattice law (its probabilities
    over the spacing) is exact, and so is, to rounding, a smooth density that vanishes at the ends; one that
    jumps halfway between points has errors of the square of the spacing. Values below rounding are zero.

    Args:
        x: Evenly spaced points, [C].
        density: Density at the points, [C].
        count: Number N of copies.

    Returns:
        (points, density): arrays [N (C - 1) + 1], the points from N x[0] in the same spacing.

    Raises:
        ValueError: If the points do not increase evenly, or density times spacing are no probabilities.
    """
    x, density = finite("x", x, 1), finite("density", density, 1)
    count = integer("count", count, 1)
    if len(x) < 2 or x.shape != density.shape:
        raise ValueError(f"x and density must be two or more values each, got {len(x)} and {len(density)}")
    spacing = (x[-1] - x[0]) / (len(x) - 1)
    if not (spacing > 0 and np.allclose(np.diff(x), spacing, rtol=1e-6, atol=0)):
        raise ValueError(f"x must increase in even steps, got {np.diff(x).min()} to {np.diff(x).max()}")
    power = distributions("density times spacing", density * spacing)
    size = count * (len(x) - 1) + 1
    padded = fft.next_fast_len(size, real=True)
    total = fft.irfft(fft.rfft(power, padded) ** count, padded)[:size]
    total[total < np.finfo(float).eps * count * total.max()] = 0.0
    return count * x[0] + spacing * np.arange(size), total / spacing


def _numbers(name, value, zeroth):
    """Returns an array of floats, or of Python objects where exact numbers are, with the zeroth checked."""
    array = np.asarray(value)
    exact = array.dtype.kind in "iuO"
    checked = finite(name, array)
    if not array.ndim or not array.size or abs(checked[(0,) * array.ndim] - zeroth) > ROUNDING:
        raise ValueError(f"{name} must begin with that of order zero, {zeroth}, got {value!r}")
    return array.astype(object) if exact else checked


def _clusters(order):
    """Yields the clusters of one chosen point: (ways, orders in its cluster, orders of the others)."""
    axis = next(i for i, n in enumerate(order) if n)
    chosen = tuple(int(i == axis) for i in range(len(order)))
    rest = tuple(map(operator.sub, order, chosen))
    for joined in np.ndindex(*(n + 1 for n in rest)):
        ways = math.prod(map(math.comb, rest, joined))
        yield ways, tuple(map(operator.add, joined, chosen)), tuple(map(operator.sub, rest, joined))


def _integral(function, support, name, wave=None, weight=None):
    """Returns the integral of a function, times cos(wave x) or sin(wave x), or says why there is none."""
    low, high = support
    if low == high:
        return 0.0
    # Looser, QUADPACK's Fourier rule takes a kink for converged.
    oscillation = {} if wave is None else {"weight": weight, "wvar": wave, "epsabs": 1e-11}
    value, _, _, *warning = quad(function, low, high, limit=500, full_output=True, **oscillation)
    if warning or not np.isfinite(value):
        raise ValueError(f"{name} of density does not converge: {warning[0] if warning else value}")
    return value
