"""The Wasserstein distance between Gaussians (Sec. 3.6).

Legend: D dimensions.
"""

import math

import numpy as np

from ... import arguments


def gaussian_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """Returns W_2 between two Gaussians in closed form.

        W_2^2 = |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)

    In one dimension this is (m_a - m_b)^2 + (sigma_a - sigma_b)^2. The difference of traces would lose the
    distance between close Gaussians to rounding errors. It is therefore computed as the smallest
    |A^1/2 - B^1/2 Q|^2 over orthogonal matrices Q, which are the polar factor of B^1/2 A^1/2.

    Args:
        mean_a: Mean m_a, [D].
        covariance_a: Covariance A, [D, D], symmetric and positive semidefinite.
        mean_b: Mean m_b, [D].
        covariance_b: Covariance B, [D, D].

    Returns:
        The distance, in units of the means.

    Raises:
        ValueError: If shapes do not match, or a covariance is not symmetric and positive semidefinite.
    """
    mean_a, mean_b = arguments.finite("mean_a", mean_a, ndim=1), arguments.finite("mean_b", mean_b, ndim=1)
    arguments.same_shape(mean_a=mean_a, mean_b=mean_b)
    root_a = _square_root("covariance_a", covariance_a, len(mean_a))
    root_b = _square_root("covariance_b", covariance_b, len(mean_a))
    left, _, right = np.linalg.svd(root_b @ root_a)
    spread = np.linalg.norm(root_a - root_b @ (left @ right))
    return float(np.hypot(math.dist(mean_a, mean_b), spread))


def _square_root(name, covariance, size):
    covariance = arguments.covariance(name, covariance, definite=False)
    if covariance.shape != (size, size):
        raise ValueError(f"{name} must have shape ({size}, {size}), got {covariance.shape}")
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
