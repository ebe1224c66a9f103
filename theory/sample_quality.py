"""Distances between a sample of a generative model and data, in the space of some features.

A generative adversarial network has no likelihood, so its samples are compared with data by features of both,
such as the last hidden layer of a classifier. All values depend on the features.

Legend: N and M numbers of feature vectors, D features.
"""

import numpy as np
from scipy.spatial.distance import cdist

from .. import arguments
from .transport import gaussian_wasserstein

_BLOCK_SIZE = 2**20  # Distances in memory at a time.


def frechet_distance(real, drawn):
    r"""Returns the Fréchet distance, the squared Wasserstein distance of two Gaussians.

    \[ |m - m'|^2 + \mathrm{tr}\,(C + C' - 2 (C^{1/2} C' C^{1/2})^{1/2}), \]

    with the means and covariances of the two sets of features. It is biased upwards by a term of order 1 / N,
    so only values for the same N and M are comparable.

    Args:
        real: Features of data, [N, D].
        drawn: Features of samples, [M, D].

    Returns:
        The distance, in squared units of the features.

    Raises:
        ValueError: If a feature is not finite, a set has fewer than two vectors, or the shapes do not match.

    References:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), arXiv:1706.08500.
    """
    real, drawn = _features(real, drawn)
    moments = [part for x in (real, drawn) for part in (x.mean(axis=0), np.atleast_2d(np.cov(x.T)))]
    return gaussian_wasserstein(*moments) ** 2


def kernel_distance(real, drawn, block=1000):
    r"""Returns the kernel distance, an unbiased estimate of a squared maximum mean discrepancy.

    With the kernel \(k(x, y) = (x \cdot y / D + 1)^3\), it is the mean over blocks of n vectors x and y of

    \[ \frac{1}{n(n - 1)} \sum_{i \ne j} [k(x_i, x_j) + k(y_i, y_j)] - \frac{2}{n^2} \sum_{ij} k(x_i, y_j). \]

    It is zero on average, and may be negative, if both sets come from one distribution.

    Args:
        real: Features of data, [N, D].
        drawn: Features of samples, [M, D].
        block: Largest size n of a block; the vectors after the last whole block are left out.

    Returns:
        The estimate, and its standard error from the scatter of the blocks, NaN for a single block.

    Raises:
        ValueError: If a feature is not finite, a set has fewer than two vectors, the shapes do not match, or
            `block` is below two.

    References:
        Bińkowski et al., "Demystifying MMD GANs" (2018), arXiv:1801.01401.
    """
    real, drawn = _features(real, drawn)
    size = min(arguments.integer("block", block, 2), len(real), len(drawn))
    starts = range(0, min(len(real), len(drawn)) - size + 1, size)
    values = np.array([_discrepancy(real[i : i + size], drawn[i : i + size]) for i in starts])
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def precision_and_recall(real, drawn, neighbors=3):
    """Returns the fractions of samples near data (precision) and of data near samples (recall).

    A vector is near a set if it lies within the distance of some vector of the set to its k-th nearest
    neighbor there. Precision falls if samples do not look like data, recall if they lack variety.

    Args:
        real: Features of data, [N, D].
        drawn: Features of samples, [M, D].
        neighbors: Number k.

    Returns:
        Precision and recall, both in [0, 1].

    Raises:
        ValueError: If a feature is not finite, the shapes do not match, or a set has no k other vectors.

    References:
        Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (2019),
            arXiv:1904.06991.
    """
    real, drawn = _features(real, drawn)
    arguments.integer("neighbors", neighbors, 1, min(len(real), len(drawn)) - 1)
    precision = _covered(drawn, real, _radii(real, neighbors)).mean()
    recall = _covered(real, drawn, _radii(drawn, neighbors)).mean()
    return float(precision), float(recall)


def _features(real, drawn):
    real, drawn = arguments.finite("real", real, ndim=2), arguments.finite("drawn", drawn, ndim=2)
    if real.shape[1] != drawn.shape[1] or min(len(real), len(drawn)) < 2 or not real.size:
        raise ValueError(
            f"real and drawn must be at least two vectors of the same length, got shapes {real.shape} and "
            f"{drawn.shape}"
        )
    return real, drawn


def _discrepancy(x, y):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_of_pairs(a):
        matrix = kernel(a, a)
        return (matrix.sum() - np.trace(matrix)) / (len(a) * (len(a) - 1))

    return mean_of_pairs(x) + mean_of_pairs(y) - 2 * kernel(x, y).mean()


def _distances(x, y):
    """Yields the distances [R, M] of some rows of x to all of y; those of all rows may exceed the memory."""
    height = max(1, _BLOCK_SIZE // len(y))
    for start in range(0, len(x), height):
        # The difference of squared norms would lose the digits of features far from zero, and of copies.
        yield cdist(x[start : start + height], y)


def _radii(x, neighbors):
    """Returns the distance of each vector to its k-th nearest other one, [N]."""
    # The nearest one is the vector itself. A view of the column would keep all distances in memory.
    parts = [np.partition(rows, neighbors, axis=1)[:, neighbors].copy() for rows in _distances(x, x)]
    return np.concatenate(parts)


def _covered(x, centers, radii):
    """Returns whether each vector is within the radius of a center, [N]."""
    return np.concatenate([(rows <= radii).any(axis=1) for rows in _distances(x, centers)])
