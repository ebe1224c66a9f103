"""Neighbor probabilities at a given perplexity, the input of SNE and t-SNE (Sec. 2.6).

Each point of a cloud picks a neighbor with a probability that falls off as a Gaussian whose width
depends on the point. The widths are chosen such that every point has the same perplexity, a smooth count of
its neighbors.

The widths sigma_i are those of Eq. 2.6.1, exp(-|x_j - x_i|^2 / sigma_i^2). The notes call sigma_i^2 a
variance, but the variance of this Gaussian along each axis is sigma_i^2 / 2 (docs/errata.md). The papers
below write exp(-|x_j - x_i|^2 / (2 sigma_i^2)): their sigma_i is that of Eq. 2.6.1 divided by sqrt(2). The
probabilities are the same in both conventions, because the perplexity determines them.

Legend: N points, D features.

References:
    Hinton and Roweis, "Stochastic neighbor embedding", NIPS 15 (2002).
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9 (2008) 2579.
"""

import warnings

import numpy as np
from scipy.spatial.distance import cdist

from .. import arguments

MAXIMUM_POINTS = 20_000

_TOLERANCE = 1e-5  # Relative tolerance of the perplexity.
_BLOCK_SIZE = 2**17  # Entries in a block of rows, chosen to fit into a core's second-level cache.
_TIE = 1e-12  # Neighbors are equally near if their squared distances agree to this relative precision.


def check_points(name, x):
    """Returns points as a float64 array [N, D] after checking that they are finite and their number is valid.

    Args:
        name: Name of the argument, for the message.
        x: Points, [N, D].

    Raises:
        ValueError: If an entry is not finite, or N is below 3 or above 20,000.
    """
    x = arguments.finite(name, x, ndim=2)
    if len(x) < 3 or x.shape[1] == 0:
        raise ValueError(f"{name} must contain at least 3 points of at least 1 feature, got shape {x.shape}")
    if len(x) > MAXIMUM_POINTS:
        raise ValueError(
            f"{name} must have at most {MAXIMUM_POINTS} points, got {len(x)} points: N x N matrices would be "
            "too large; above 5000 points use openTSNE (https://opentsne.readthedocs.io)"
        )
    return x


def gaussian_probabilities(x, bandwidths=1.0):
    """Returns the probability p_{j|i} that point i picks point j as its neighbor, Eq. 2.6.1.

    p_{j|i} = exp(-|x_j - x_i|^2 / sigma_i^2) / sum_{k != i} exp(-|x_k - x_i|^2 / sigma_i^2). The notes do not
    state that p_{i|i} = 0. With all sigma_i = 1 these are the q_{j|i} of Eq. 2.6.2.

    Args:
        x: Points, [N, D].
        bandwidths: sigma_i in the convention of Eq. 2.6.1, in units of x: a number or [N].

    Returns:
        Probabilities, [N, N]: row i is the distribution p_{.|i}.

    Raises:
        ValueError: If a point is not finite, a bandwidth is not positive, or the shapes do not match.
    """
    x = check_points("x", x)
    bandwidths = arguments.positive("bandwidths", bandwidths)
    if bandwidths.shape not in ((), (len(x),)):
        raise ValueError(f"bandwidths must be a number or have shape ({len(x)},), got {bandwidths.shape}")
    x, exponent = near_one(x)
    # A width far above all distances may become infinite; a width far below them is equivalent to 1e-150.
    with np.errstate(over="ignore", under="ignore"):
        widths = np.maximum(np.ldexp(bandwidths, -exponent), 1e-150)
    precision = np.broadcast_to(widths**-2.0, len(x))
    p = np.empty((len(x), len(x)))
    for rows in blocks(len(x)):
        gaps, _ = _gaps(x, rows)
        p[rows] = _normalized(gaps, precision[rows, None], rows)[0]
    return p


def conditional_probabilities(x, perplexity):
    """Returns p_{j|i} of Eq. 2.6.1 with the widths that give every point the same perplexity, Eq. 2.6.4.

    Perp(P_i) = 2^S(P_i) with the entropy in bits, or e^S(P_i) with the entropy in nats. It decreases from
    N - 1 for wide Gaussians to the number of nearest neighbors for narrow ones, which is one unless there are
    ties. Bisection over log sigma_i finds the width to a relative error of 1e-5 in the perplexity.

    A point with as many equally near neighbors or more, such as duplicates, cannot have the perplexity. It
    picks each of them with equal probability, which gives it the smallest perplexity that it can have, and a
    `RuntimeWarning` tells the number of these points.

    Args:
        x: Points, [N, D].
        perplexity: Smooth number of neighbors, above 1 and below N - 1.

    Returns:
        (p, bandwidths): probabilities, [N, N], of which row i is the distribution p_{.|i}, and sigma_i, [N],
        in the convention of Eq. 2.6.1 and units of x.

    Raises:
        ValueError: If a point is not finite, or the perplexity is out of range.
    """
    x = check_points("x", x)
    perplexity = float(arguments.finite("perplexity", perplexity, ndim=0))
    if not 1 < perplexity < len(x) - 1:
        raise ValueError(
            f"perplexity must be above 1 and below the number of other points ({len(x) - 1}), "
            f"got {perplexity:g}"
        )
    x, exponent = near_one(x)
    p, bandwidths, ties = np.empty((len(x), len(x))), np.empty(len(x)), np.empty(len(x), int)
    for rows in blocks(len(x)):
        gaps, nearest = _gaps(x, rows)
        precision, ties[rows] = _bisect(gaps, nearest, perplexity, rows)
        p[rows] = _normalized(gaps, precision[:, None], rows)[0]
        bandwidths[rows] = precision**-0.5
    crowded = ties >= perplexity
    if crowded.any():
        first = int(np.argmax(crowded))
        warnings.warn(
            f"perplexity {perplexity:g} cannot be reached at {crowded.sum()} of {len(x)} points, which pick "
            f"only among equally near neighbors (duplicates?), such as x[{first}] among {ties[first]}",
            RuntimeWarning,
            stacklevel=2,
        )
    return p, np.ldexp(bandwidths, exponent)


def joint_probabilities(p):
    """Returns p_ij = (p_{j|i} + p_{i|j}) / (2 N) of t-SNE, in which every row sums to at least 1 / (2 N).

    Args:
        p: Conditional probabilities p_{j|i}, [N, N]; each row is a distribution.

    Returns:
        The joint distribution p_ij, [N, N], symmetric.

    Raises:
        ValueError: If p is not square or a row is not a distribution.
    """
    p = check_square("p", arguments.distributions("p", p))
    joint = p + p.T
    joint /= joint.sum()
    return joint


def check_square(name, p):
    """Returns `p` after checking that it is a square matrix with a zero diagonal.

    Args:
        name: Name of the argument, for the message.
        p: An array.

    Raises:
        ValueError: If `p` is not square, or a p_ii is not zero; the message gives the first such index.
    """
    if p.ndim != 2 or p.shape[0] != p.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {p.shape}")
    nonzero = np.diagonal(p) != 0
    if nonzero.any():
        first = int(np.argmax(nonzero))
        raise ValueError(f"{name}[{first}, {first}] must be 0, got {p[first, first]}")
    return p


def near_one(x):
    """Returns (x / 2^exponent, exponent) with a largest entry near one, so that squares cannot overflow.

    Division by a power of two is exact.

    Args:
        x: Points, [N, D].
    """
    exponent = int(np.frexp(np.abs(x).max())[1])
    return np.ldexp(x, -exponent), exponent


def blocks(points):
    """Returns slices that divide the rows of an N x N matrix into blocks that stay in cache.

    Args:
        points: Number N of rows.
    """
    height = max(1, _BLOCK_SIZE // points)
    return [slice(start, min(start + height, points)) for start in range(0, points, height)]


def _gaps(x, rows):
    """Returns squared distances [R, N] from `rows` minus that to the nearest point, and the latter, [R]."""
    gaps = cdist(x[rows], x, "sqeuclidean")
    own = np.arange(len(gaps)), np.arange(rows.start, rows.stop)
    gaps[own] = np.inf
    nearest = gaps.min(axis=1)
    gaps -= nearest[:, None]
    gaps[own] = 0.0
    return gaps, nearest


def _normalized(gaps, precision, rows):
    """Returns the rows p_{.|i}, invariant to a shift of all gaps, and their entropies in nats."""
    # For points many widths away, the exponential correctly underflows to zero.
    with np.errstate(over="ignore", under="ignore"):
        p = np.exp(-precision * gaps)
    p[np.arange(len(p)), np.arange(rows.start, rows.stop)] = 0.0
    total = p.sum(axis=1)
    entropy = np.log(total) + precision[:, 0] * np.einsum("ij,ij->i", gaps, p) / total
    p /= total[:, None]
    return p, entropy


def _bisect(gaps, nearest, perplexity, rows):
    """Returns 1 / sigma_i^2 that give the rows the perplexity, and their numbers of nearest neighbors, [R].

    The logarithms are bisected. A row with too many nearest neighbors has a width at which it picks no other.
    """
    # The points have a size near one here, so that distances up to 1e-145 count as zero.
    tied = gaps <= np.maximum(_TIE * nearest[:, None], 1e-290)
    ties = tied.sum(axis=1) - 1  # The point itself is not its neighbor.
    crowded = ties >= perplexity
    farther = np.where(tied, np.inf, gaps).min(axis=1)
    # Up to rounding, the perplexity is N - 1 at the low end and the number of ties at the high end.
    high = np.log(50.0 / np.where(np.isinf(farther), 1.0, farther))
    low = np.where(crowded, high, np.log(1e-4 / np.where(crowded, 1.0, gaps.max(axis=1))))
    target = np.log(perplexity)
    while True:
        middle = (low + high) / 2
        precision = np.exp(middle)
        _, entropy = _normalized(gaps, precision[:, None], rows)
        if np.all(crowded | (np.abs(np.expm1(entropy - target)) <= _TOLERANCE / 2)):
            return precision, ties
        above = entropy > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
