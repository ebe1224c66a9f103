"""How likely a point is to pick another as its neighbor, with as many neighbors for all (Sec. 2.6).

Each point of a cloud picks a neighbor with a probability that falls off as a Gaussian of its own width, and
the widths are set so that every point has the same perplexity, a smooth count of its neighbors.

The widths are those of Eq. 2.6.1, exp(-|x_j - x_i|^2 / sigma_i^2). This sigma_i^2 is called a variance, but
the variance of that Gaussian along each axis is sigma_i^2 / 2 (docs/errata.md). The papers below write
exp(-|x_j - x_i|^2 / (2 sigma_i^2)): their sigma_i is ours over sqrt(2). The probabilities are the same in
either convention, as the perplexity fixes them.

Legend: N points, D features.

References:
    Hinton and Roweis, "Stochastic neighbor embedding", NIPS 15 (2002).
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9 (2008) 2579.
"""

import numpy as np
from scipy.spatial.distance import cdist

from .. import arguments

MAXIMUM_POINTS = 20_000

_TOLERANCE = 1e-5  # Relative, of the perplexity.
_TILE = 2**17  # Entries of a block of rows, so that it stays in a core's second-level cache.
_TIE = 1e-12  # Neighbors are equally near if their squared distances agree to this relative precision.


def check_points(name, x):
    """Returns points as a float64 array [N, D] after checking that they are finite, and neither few nor many.

    Args:
        name: The argument's name, for the message.
        x: Points, [N, D].

    Raises:
        ValueError: If an entry is not finite, or N is below 3 or above 20,000.
    """
    x = arguments.finite(name, x, ndim=2)
    if len(x) < 3 or x.shape[1] == 0:
        raise ValueError(f"{name} must hold at least 3 points of at least 1 feature, got shape {x.shape}")
    if len(x) > MAXIMUM_POINTS:
        raise ValueError(
            f"{name} has {len(x)} points, whose N x N matrices are too large: at most {MAXIMUM_POINTS} are "
            "valid; above 5000 use openTSNE (https://opentsne.readthedocs.io)"
        )
    return x


def gaussian_probabilities(x, bandwidths=1.0):
    """Returns the probability p_{j|i} that point i picks point j as its neighbor, Eq. 2.6.1.

    p_{j|i} = exp(-|x_j - x_i|^2 / sigma_i^2) / sum_{k != i} exp(-|x_k - x_i|^2 / sigma_i^2), and p_{i|i} = 0,
    which the notes leave unsaid. With all sigma_i = 1 these are the q_{j|i} of Eq. 2.6.2.

    Args:
        x: Points, [N, D].
        bandwidths: sigma_i in the convention of Eq. 2.6.1, in units of x: a number or [N].

    Returns:
        Probabilities, [N, N]: row i is the distribution p_{.|i}.

    Raises:
        ValueError: If a point is not finite, a bandwidth is not positive, or the shapes do not fit.
    """
    x = check_points("x", x)
    bandwidths = arguments.positive("bandwidths", bandwidths)
    if bandwidths.shape not in ((), (len(x),)):
        raise ValueError(f"bandwidths must be a number or of shape ({len(x)},), got {bandwidths.shape}")
    x, exponent = near_one(x)
    # A width far above all distances may become infinite; one far below them is as good as 1e-150.
    with np.errstate(over="ignore", under="ignore"):
        widths = np.maximum(np.ldexp(bandwidths, -exponent), 1e-150)
    precision = np.broadcast_to(widths**-2.0, len(x))
    p = np.empty((len(x), len(x)))
    for rows in blocks(len(x)):
        gaps, _ = _gaps(x, rows)
        p[rows] = _normalized(gaps, precision[rows, None], rows)[0]
    return p


def conditional_probabilities(x, perplexity):
    """Returns p_{j|i} of Eq. 2.6.1 with the widths at which every point has the given perplexity, Eq. 2.6.4.

    Perp(P_i) = 2^S(P_i) with the entropy in bits, which is e^S(P_i) with the entropy in nats. It falls from
    N - 1 for wide Gaussians to the number of nearest neighbors, one if there are no ties, for narrow ones;
    bisection of log sigma_i finds it to a relative 1e-5.

    Args:
        x: Points, [N, D].
        perplexity: The smooth number of neighbors, above 1 and below N - 1.

    Returns:
        (p, bandwidths): probabilities [N, N], row i the distribution p_{.|i}, and sigma_i [N] in the
        convention of Eq. 2.6.1, in units of x.

    Raises:
        ValueError: If a point is not finite, the perplexity is out of range, or a point cannot have it since
            as many others or more are equally near, duplicates for example; the message has the first one.
    """
    x = check_points("x", x)
    perplexity = float(arguments.finite("perplexity", perplexity, ndim=0))
    if not 1 < perplexity < len(x) - 1:
        raise ValueError(
            f"perplexity must be above 1 and below the number of other points ({len(x) - 1}), "
            f"got {perplexity:g}"
        )
    x, exponent = near_one(x)
    p, bandwidths = np.empty((len(x), len(x))), np.empty(len(x))
    for rows in blocks(len(x)):
        gaps, nearest = _gaps(x, rows)
        precision = _bisect(gaps, nearest, perplexity, rows)
        p[rows] = _normalized(gaps, precision[:, None], rows)[0]
        bandwidths[rows] = precision**-0.5
    return p, np.ldexp(bandwidths, exponent)


def joint_probabilities(p):
    """Returns t-SNE's p_ij = (p_{j|i} + p_{i|j}) / (2 N), in which every point weighs at least 1 / (2 N).

    Args:
        p: Conditional probabilities p_{j|i}, [N, N], each row a distribution.

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
    """Returns `p` after checking that it is a square matrix without entries on its diagonal.

    Args:
        name: The argument's name, for the message.
        p: An array.

    Raises:
        ValueError: If it has another shape, or p_ii is not zero; the message has the first index.
    """
    if p.ndim != 2 or p.shape[0] != p.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {p.shape}")
    bad = np.diagonal(p) != 0
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(f"{name}[{first}, {first}] must be 0, got {p[first, first]}")
    return p


def near_one(x):
    """Returns (x / 2^exponent, exponent) with the largest entry near one: no square overflows or vanishes.

    A power of two divides without rounding.

    Args:
        x: Points, [N, D].
    """
    exponent = int(np.frexp(np.abs(x).max())[1])
    return np.ldexp(x, -exponent), exponent


def blocks(points):
    """Returns slices that cut the rows of an N x N matrix into blocks that stay in cache.

    Args:
        points: Number N of rows.
    """
    height = max(1, _TILE // points)
    return [slice(start, min(start + height, points)) for start in range(0, points, height)]


def _gaps(x, rows):
    """Squared distances [R, N] from the points `rows` less that of the nearest other point, and this one."""
    gaps = cdist(x[rows], x, "sqeuclidean")
    own = np.arange(len(gaps)), np.arange(rows.start, rows.stop)
    gaps[own] = np.inf
    nearest = gaps.min(axis=1)
    gaps -= nearest[:, None]
    gaps[own] = 0.0
    return gaps, nearest


def _normalized(gaps, precision, rows):
    """The rows p_{.|i} and their entropies in nats; to subtract the smallest distance leaves p as it is."""
    # Far points may be many widths away: there exp gives the right zero.
    with np.errstate(over="ignore", under="ignore"):
        p = np.exp(-precision * gaps)
    p[np.arange(len(p)), np.arange(rows.start, rows.stop)] = 0.0
    total = p.sum(axis=1)
    entropy = np.log(total) + precision[:, 0] * np.einsum("ij,ij->i", gaps, p) / total
    p /= total[:, None]
    return p, entropy


def _bisect(gaps, nearest, perplexity, rows):
    """The 1 / sigma_i^2 [R] at which the rows have the perplexity, by bisection of their logarithm."""
    # Points have a size near one here: a smaller difference than 1e-145 of it is none.
    tied = gaps <= np.maximum(_TIE * nearest[:, None], 1e-290)
    ties = tied.sum(axis=1) - 1  # The point itself is not its neighbor.
    bad = ties >= perplexity
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"perplexity {perplexity:g} cannot be reached at x[{rows.start + first}]: it has {ties[first]} "
            "equally near neighbors (duplicates?) and no smaller perplexity than that at any bandwidth"
        )
    # At these ends the perplexity is N - 1 and the number of ties, to rounding.
    low = np.log(1e-4 / gaps.max(axis=1))
    high = np.log(50.0 / np.where(tied, np.inf, gaps).min(axis=1))
    target = np.log(perplexity)
    while True:
        middle = (low + high) / 2
        precision = np.exp(middle)
        _, entropy = _normalized(gaps, precision[:, None], rows)
        if np.all(np.abs(np.expm1(entropy - target)) <= _TOLERANCE / 2):
            return precision
        wide = entropy > target
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
