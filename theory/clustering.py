"""The agreement of clusters with classes, whose names clusters do not know.

Legend: N examples, K classes and clusters.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from .. import arguments


def matching(clusters: ArrayLike, classes: ArrayLike) -> tuple[np.ndarray, float]:
    """Matches clusters to classes one to one, so that as few examples as possible are in a wrong cluster.

    Args:
        clusters: Cluster of each example, an integer from 0, [N].
        classes: Class of each example, an integer from 0, [N].

    Returns:
        The class of each cluster, [K], where K is the larger of both numbers; and the error, the share of
        examples whose cluster is matched to another class. It is 0 if the two partitions are the same, and at
        most 1 - 1/K for equally frequent classes.

    Raises:
        ValueError: If there are no examples, or their numbers differ.

    References:
        Kuhn, "The Hungarian method for the assignment problem" (1955).
    """
    clusters, classes = (
        arguments.integers(name, values, 0).astype(np.int64)
        for name, values in (("clusters", clusters), ("classes", classes))
    )
    if clusters.ndim != 1 or not clusters.size:
        raise ValueError(f"clusters must be a sequence of at least one integer, got shape {clusters.shape}")
    arguments.same_shape(clusters=clusters, classes=classes)
    size = max(clusters.max(), classes.max()) + 1
    counts = np.bincount(clusters * size + classes, minlength=size * size).reshape(size, size)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return columns, float(1.0 - counts[rows, columns].sum() / len(clusters))
