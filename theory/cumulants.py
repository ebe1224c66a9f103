"""Moments and cumulants of random variables and of their sums (Sec. 3.2).

Legend: D variables, S values, n, m orders.

The moments and cumulants of one variable are arrays [order + 1] with entries <X^n> and <X^n>_c for n = 0, 1,
...; the zeroth moment is 1 and the zeroth cumulant is 0. Joint moments and cumulants of D variables are
arrays with D axes, with <X_1^n_1 ... X_D^n_D> or its connected part at index [n_1, ..., n_D]. Integers and
fractions are kept exact, in arrays of Python objects.

The notes' Eqs. 3.2.5 and 3.2.6 have misprints (docs/errata.md): the sum over moments begins at n = 0, and

    <X^m> = m! sum over {p_n} with sum_n n p_n = m of prod_n (<X^n>_c / n!)^p_n / p_n!.

Only delta functions and Gaussians have finitely many nonzero cumulants: the Fourier transform of the
exponential of any other polynomial is negative somewhere (Marcinkiewicz 1939).
"""

import math
import numbers
import operator

import numpy as np
from scipy.stats import kstat

from ..arguments import ROUNDING, described, distributions, finite, integer, require
from . import quadrature

_BLOCK = 2**20  # Numbers in memory for the joint moments of a block of values.

# Python's integers do not overflow, unlike NumPy's.
_to_int = np.frompyfunc(lambda number: int(number) if isinstance(number, numbers.Integral) else number, 1, 1)


def moments(values, order, probabilities=None):
    """Returns the moments <X_1^n_1 ... X_D^n_D> of a discrete distribution, Eq. 3.2.1 as a sum.

    Args:
        values: Values of one variable, [S], or of D variables, [S, D]. Center them before computing cumulants
            from the moments.
        order: Highest order n of each variable.
        probabilities: Probability of each value, [S]; `None` for equal ones, as for a sample.

    Returns:
        An array [order + 1], or one with D axes of this length for values [S, D].

    Raises:
        ValueError: If the values are not finite or have the wrong number of axes, or `probabilities` is not a
            distribution over them.
    """
    values, order = finite("values", values), integer("order", order, 0)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"values must have shape [S] or [S, D], got {values.shape}")
    count = len(values)
    p = np.full(count, 1 / count) if probabilities is None else distributions("probabilities", probabilities)
    if p.shape != (count,):
        raise ValueError(f"probabilities must have shape ({count},), one per value, got {p.shape}")
    columns = values.reshape(count, -1)
    # Blocks of values bound the memory, since each value has (order + 1)^D products.
    block = max(1, _BLOCK // (order + 1) ** columns.shape[1])
    return sum(
        _sum_of_products(columns[start : start + block], p[start : start + block], order)
        for start in range(0, count, block)
    )


def _sum_of_products(columns, p, order):
    """Returns the sums of p X_1^n_1 ... X_D^n_D over values [S, D]."""
    total = p[None]
    for column in columns.T[:-1]:
        powers = np.vander(column, order + 1, increasing=True).T
        total = (total[:, None] * powers).reshape(-1, len(p))
    # The last variable takes a matrix product in place of the largest array.
    sums = total @ np.vander(columns[:, -1], order + 1, increasing=True)
    return sums.reshape((order + 1,) * columns.shape[1])


def cumulants_from_moments(moments):
    """Returns cumulants from moments, of one variable or jointly of several.

    A chosen point shares its cluster with b of the n - 1 others in binomial(n - 1, b) ways:

        <X^n> = sum_b binomial(n - 1, b) <X^(b + 1)>_c <X^(n - 1 - b)>.

    This determines each cumulant from those of lower order. For several variables the binomials of their
    orders are multiplied.

    Args:
        moments: Moments, [order + 1] or with one axis per variable; the zeroth is 1.

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
        cumulants: Cumulants, [order + 1] or with one axis per variable; the zeroth is 0.

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
    """Returns the partitions of m points into clusters, up to relabeling, and the groupings of each.

    Args:
        order: Number m of points.

    Returns:
        An iterator over pairs (p, number): a `dict` from n to the number p_n of clusters of n points, with
        sum_n n p_n = m, and the number of groupings m! / prod_n p_n! (n!)^p_n.

    Raises:
        ValueError: If `order` is not an integer of at least 0.
    """
    order = integer("order", order, 0)

    def partitions(points, largest):
        if not points:
            yield {}
        for size in range(min(points, largest), 0, -1):
            for p in partitions(points - size, size):
                yield {**p, size: p.get(size, 0) + 1}

    def number(p):
        symmetry = math.prod(math.factorial(count) * math.factorial(n) ** count for n, count in p.items())
        return math.factorial(order) // symmetry

    # A function that yields would check its argument only when its first result is taken.
    return ((p, number(p)) for p in partitions(order, order))


def moment_by_groupings(cumulants, order):
    """Returns one moment as the sum over groupings of products of cumulants, Eq. 3.2.6 corrected.

    Args:
        cumulants: Cumulants of one variable, [order + 1] or more.
        order: Order m of the moment.

    Returns:
        <X^m> = sum over {p_n}, sum_n n p_n = m, of m! prod_n <X^n>_c^p_n / (p_n! (n!)^p_n).

    Raises:
        ValueError: If there are too few cumulants, one is not finite or the zeroth is not 0.
    """
    cumulants = _numbers("cumulants", cumulants, 0)
    if cumulants.ndim != 1 or len(cumulants) <= integer("order", order, 0):
        raise ValueError(f"cumulants must have the orders 0 to {order}, got shape {cumulants.shape}")
    terms = groupings(order)
    return sum(ways * math.prod(cumulants[n] ** count for n, count in p.items()) for p, ways in terms)


def cumulants_of_sum(joint):
    """Returns the cumulants of X_1 + ... + X_D from the joint cumulants, Eqs. 3.2.12 and 3.2.13.

    <X^n>_c is the sum of <X_i1 ... X_in>_c over all i1 ... in, so the joint cumulant of orders n_1 ... n_D
    occurs n! / (n_1! ... n_D!) times. The cross cumulants of independent variables vanish (Eq. 3.2.8).

    Args:
        joint: Joint cumulants, with one axis of length order + 1 per variable.

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
        count: Number N of copies, or an array [...] of them.

    Returns:
        N^(1 - n/2) <X_1^n>_c, and zero for n = 1; an array [..., order + 1].

    Raises:
        ValueError: If a cumulant is not finite, the zeroth is not 0, or a count is below 1.
    """
    cumulants, count = finite("cumulants", _numbers("cumulants", cumulants, 0), 1), finite("count", count)
    require("count", count, count >= 1, "be at least 1")
    order = np.arange(len(cumulants))
    return np.where(order == 1, 0.0, cumulants * count[..., None] ** (1 - order / 2))


def sample_cumulants(sample, order=4):
    """Returns unbiased estimates of the cumulants from a sample: Fisher's k-statistics.

    Args:
        sample: Independent values, [..., S], at least `order` of them.
        order: Highest order, 1 to 4.

    Returns:
        An array [order + 1, ...]; the zeroth is 0.

    Raises:
        ValueError: If a value is not finite, `order` is not 1 to 4, or there are too few values.
    """
    sample = finite("sample", sample)
    if integer("order", order, 1) > 4:
        raise ValueError(f"order must be at most 4, got {order}")
    if not sample.ndim or sample.shape[-1] < order:
        raise ValueError(
            f"sample must hold at least {order} values for order {order}, got shape {sample.shape}"
        )
    mean = sample.mean(axis=-1)
    # If the mean is far from zero, sums of powers of the raw values would lose digits to cancellation.
    deviations = sample - mean[..., None]
    estimates = [kstat(deviations, n, axis=-1) for n in range(2, order + 1)]
    return np.stack([np.zeros_like(mean), mean, *estimates])


def density_moments(density, order, support=(-np.inf, np.inf), center=0.0):
    """Returns the moments <(X - center)^n> of a density by adaptive quadrature, Eq. 3.2.1.

    Args:
        density: Function of an array of points, such as the `pdf` of a SciPy distribution.
        order: Highest order n.
        support: Ends of the interval outside which the density is zero.
        center: Point about which the moments are taken.

    Returns:
        An array [order + 1].

    Raises:
        ValueError: If the density is negative or does not integrate to 1 within 1e-6, or a moment does not
            converge.
    """
    order = integer("order", order, 0)
    edges = quadrature.normalized(density, support).edges()

    def moment(n):
        def integrand(x):
            p = density(x)
            # The power may overflow where the density underflows.
            return np.where(p > 0, (x - center) ** n * p, 0.0)

        return quadrature.fit(f"the moment of order {n} of density", integrand, edges).integrals().sum()

    return np.array([1.0, *(moment(n) for n in range(1, order + 1))])


def density_cumulants(density, order, support=(-np.inf, np.inf)):
    """Returns the cumulants of a density, from its moments about the mean.

    Args:
        density: As in `density_moments`.
        order: Highest order n.
        support: Ends of the interval outside which the density is zero.

    Returns:
        An array [order + 1].

    Raises:
        ValueError: As in `density_moments`.
    """
    mean = density_moments(density, 1, support)[1]
    cumulants = cumulants_from_moments(density_moments(density, order, support, center=mean))
    cumulants[1:2] += mean
    return cumulants


def _numbers(name, value, zeroth):
    """Returns an array of floats, or of Python objects if all are rational, after checking entry zero."""
    given = np.asarray(value, dtype=object)
    exact = all(isinstance(number, numbers.Rational) for number in given.flat)
    array = np.asarray(_to_int(given), dtype=object) if exact else finite(name, value)
    if not array.ndim or not array.size:
        raise ValueError(f"{name} must have at least one axis and one entry, got shape {array.shape}")
    first = (0,) * array.ndim
    if abs(array[first] - zeroth) > ROUNDING:
        raise ValueError(f"{name}{list(first)} must be {zeroth}, got {described(array[first])}")
    return array


def _clusters(order):
    """Yields the possible clusters of a chosen point: (ways, orders in its cluster, orders of the others)."""
    axis = next(i for i, n in enumerate(order) if n)
    chosen = tuple(int(i == axis) for i in range(len(order)))
    others = tuple(map(operator.sub, order, chosen))
    for joined in np.ndindex(*(n + 1 for n in others)):
        ways = math.prod(map(math.comb, others, joined))
        yield ways, tuple(map(operator.add, joined, chosen)), tuple(map(operator.sub, others, joined))
