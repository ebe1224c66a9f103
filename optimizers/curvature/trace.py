"""Estimates of the trace of a matrix from products with random vectors."""

import dataclasses

import numpy as np

from ... import arguments
from .lanczos import as_product


@dataclasses.dataclass(frozen=True)
class TraceEstimate:
    """An estimate of a trace.

    Args:
        value: The estimate.
        standard_error: Its standard error, from the spread of the probes; NaN for a single probe.
    """

    value: float
    standard_error: float


def hutchinson_trace(matrix, probes=30, *, rank=0, dimension=None, seed=0):
    r"""Returns an unbiased estimate of the trace of a square matrix: the mean of v^T A v.

    The entries of v are -1 or 1, so that \(E\, v v^T = 1\); for a symmetric matrix the variance of one probe
    is \(2 \sum_{i \ne j} A_{ij}^2\). If k = `rank` is positive, A is multiplied by k random vectors, and Q is
    an orthonormal basis of the products. The trace on the span of Q is computed exactly, and only the rest,
    which has no large eigenvalues, is estimated (Hutch++):

        tr A = tr Q^T A Q + tr (1 - Q Q^T) A (1 - Q Q^T)

    Args:
        matrix: The matrix, [n, n], or a function that returns its product with a vector [n].
        probes: The number of random vectors, and of products.
        rank: The dimension k of the exact part, below n, which takes 2k more products; 0 for Hutchinson's
            estimator.
        dimension: n, if `matrix` is a function.
        seed: Seed of the random vectors.

    Returns:
        A `TraceEstimate`.

    Raises:
        ValueError: If an argument is out of range, the matrix is not square, or a product is not finite.

    Example:
        >>> hutchinson_trace(np.diag([1.0, 2.0, 5.0]), probes=2)
        TraceEstimate(value=8.0, standard_error=0.0)

    References:
        Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
        splines" (1990).
        Meyer, Musco, Musco and Woodruff, "Hutch++: Optimal Stochastic Trace Estimation" (2021).
    """
    product, n = as_product(matrix, dimension)
    probes = arguments.integer("probes", probes, 1)
    rank = arguments.integer("rank", rank, 0)
    if rank >= n:
        raise ValueError(f"rank must be below the dimension {n}, got {rank}")
    rng = np.random.default_rng(seed)
    basis, exact = np.zeros((n, 0)), 0.0
    if rank:
        sketch = [product(rng.choice([-1.0, 1.0], size=n)) for _ in range(rank)]
        basis, _ = np.linalg.qr(np.stack(sketch, axis=1))
        exact = sum(column @ product(column) for column in basis.T)
    values = []
    for _ in range(probes):
        probe = rng.choice([-1.0, 1.0], size=n)
        probe = probe - basis @ (basis.T @ probe)
        values.append(probe @ product(probe))
    error = np.std(values, ddof=1) / np.sqrt(probes) if probes > 1 else np.nan
    return TraceEstimate(float(exact + np.mean(values)), float(error))
