"""Rényi, Tsallis and von Neumann entropies, which generalize Eq. 2.1.4.

The larger the order of a Rényi entropy, the more it depends on the likely outcomes only: it decreases with
the order, from the logarithm of the number of possible outcomes to that of the inverse of the largest
probability. Like the Shannon entropy it is additive for independent variables; the Tsallis entropy is not.
The von Neumann entropy is the Shannon entropy of the eigenvalues of a density matrix, and
`renyi(spectrum(rho), order)` is its Rényi entropy.

Probabilities are divided by their sum, which may miss one by 1e-5.

Legend: K outcomes, or dimensions of a state space; ... stands for other axes.

References:
    Rényi, "On measures of entropy and information" (1961), Proceedings of the Fourth Berkeley Symposium.
    Tsallis, "Possible generalization of Boltzmann-Gibbs statistics" (1988), Journal of Statistical Physics
        52, 479-487.
    Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), section 11.3.
"""

import math
import numbers

import numpy as np
from scipy.special import entr, logsumexp, xlogy

from .. import arguments
from .information import in_base

# Largest asymmetry and most negative eigenvalue of a density matrix, which may be in single precision.
_ROUNDING = 1e-6


def renyi(p, order, axis=-1, base=None):
    """Returns the Rényi entropy log(sum_i p_i^alpha) / (1 - alpha).

    The limits are exact: log K for alpha = 0 with K possible outcomes, the Shannon entropy for alpha = 1, the
    min-entropy -log max_i p_i for alpha = infinity. Alpha = 2 is the collision entropy.

    Args:
        p: Probabilities, [..., K].
        order: Order alpha, from 0 to infinity.
        axis: The axis or axes of the K outcomes; `None` for all.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropies, [...], between 0 and log K. Also near alpha = 1 the relative error is about 1e-15.

    Raises:
        ValueError: If `p` does not hold distributions along `axis`, `order` is negative, or `base` is not
            above 1.

    Example:
        >>> [round(float(renyi([0.5, 0.25, 0.25], order, base=2)), 4) for order in (0, 1, 2, float("inf"))]
        [1.585, 1.5, 1.415, 1.0]
    """
    p, order = _distributions(p, axis), _order(order)
    if order == 0:
        nats = np.log(np.count_nonzero(p, axis=axis))
    elif order == 1:
        nats = entr(p).sum(axis=axis)
    elif order == math.inf:
        nats = -np.log(p.max(axis=axis))
    else:
        # Near alpha = 1 the sum of p^alpha is close to one, and its difference from one keeps the digits.
        gain = _power_gain(p, order).sum(axis=axis)
        log_p = np.log(p, out=np.full_like(p, -np.inf), where=p > 0)
        far = logsumexp(order * log_p, axis=axis)
        nats = np.where(np.abs(gain) < 0.5, np.log1p(np.maximum(gain, -0.5)), far) / (1 - order)
    return in_base(np.maximum(nats, 0.0) + 0.0, base)[()]


def tsallis(p, order, axis=-1):
    """Returns the Tsallis entropy (1 - sum_i p_i^q) / (q - 1).

    The limits are exact: K - 1 for q = 0 with K possible outcomes, the Shannon entropy in nats for q = 1, and
    0 for q = infinity. For independent variables T(X,Y) = T(X) + T(Y) + (1 - q) T(X) T(Y).

    Args:
        p: Probabilities, [..., K].
        order: Order q, from 0 to infinity.
        axis: The axis or axes of the K outcomes; `None` for all.

    Returns:
        The entropies, [...], dimensionless, at least 0.

    Raises:
        ValueError: If `p` does not hold distributions along `axis`, or `order` is negative.
    """
    p, order = _distributions(p, axis), _order(order)
    if order == 0:
        value = np.count_nonzero(p, axis=axis) - 1.0
    elif order == 1:
        value = entr(p).sum(axis=axis)
    elif order == math.inf:
        value = np.zeros_like(p.sum(axis=axis))
    else:
        value = _power_gain(p, order).sum(axis=axis) / (1 - order)
    return (np.maximum(value, 0.0) + 0.0)[()]


def von_neumann(density_matrix, base=None):
    """Returns the von Neumann entropy S = -tr(rho log rho).

    Args:
        density_matrix: The density matrix rho, [K, K], complex Hermitian or real symmetric.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropy: 0 for a pure state, log K for the fully mixed one. The absolute error is about 1e-15 K.

    Raises:
        ValueError: If the matrix is not square, Hermitian, positive semidefinite and of trace one, or `base`
            is not above 1.

    Example:
        >>> print(von_neumann([[0.5, 0.5], [0.5, 0.5]]), von_neumann([[0.5, 0], [0, 0.5]], base=2))
        0.0 1.0
    """
    return in_base(entr(spectrum(density_matrix)).sum() + 0.0, base)


def spectrum(density_matrix):
    """Returns the eigenvalues of a density matrix, the probabilities of its orthogonal pure states.

    Args:
        density_matrix: The density matrix rho, [K, K], complex Hermitian or real symmetric.

    Returns:
        Probabilities in increasing order, [K]. Those below K times 2e-16, the rounding errors of a zero
        eigenvalue, are zero.

    Raises:
        ValueError: If the matrix is not square, not finite, or not Hermitian, an eigenvalue is negative, or
            the trace is not one.
    """
    matrix = _square(density_matrix)
    asymmetry = np.abs(matrix - matrix.conj().T)
    if asymmetry.max() > _ROUNDING:
        raise ValueError(
            f"density_matrix must be Hermitian, which fails at {arguments.first_index(asymmetry > _ROUNDING)}"
        )
    trace = np.trace(matrix).real
    if abs(trace - 1) > arguments.ROUNDING:
        raise ValueError(f"density_matrix must have trace 1, got {trace:.9g}")
    values = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
    if values[0] < -_ROUNDING:
        raise ValueError(f"density_matrix must have no negative eigenvalue, got {values[0]:.9g}")
    values[values < len(values) * np.finfo(float).eps] = 0.0
    return values / values.sum()


def _square(value):
    """Returns a finite square matrix, real or complex."""
    try:
        matrix = np.asarray(value)
        matrix = (
            matrix.astype(np.result_type(matrix.dtype, np.float64)) if matrix.dtype.kind in "biufc" else None
        )
    except ValueError:
        matrix = None
    if matrix is None:
        got = arguments.described(value)
        raise ValueError(f"density_matrix must hold real or complex numbers in rows of one length, got {got}")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"density_matrix must be a square matrix, got shape {matrix.shape}")
    bad = ~np.isfinite(matrix)
    if bad.any():
        raise ValueError(f"density_matrix{arguments.first_index(bad)} must be finite, got {matrix[bad][0]}")
    return matrix


def _distributions(p, axis):
    p = arguments.distributions("p", p, axis)
    return p / p.sum(axis=axis, keepdims=True)


def _order(order):
    """Returns the order as a float, which may be infinite."""
    valid = isinstance(order, numbers.Real) and not isinstance(order, bool)
    if not valid or not order >= 0:
        raise ValueError(
            f"order must be a number of at least 0 or infinity, got {arguments.described(order)}"
        )
    return float(order)


def _power_gain(p, order):
    """Returns p^order - p, accurate near order 1; 0 for p = 0."""
    exponent = xlogy(order - 1, np.where(p > 0, p, 1.0))
    # For a tiny probability and a small order, the exponential may overflow, but p^order does not.
    return np.where(np.abs(exponent) < 1, p * np.expm1(np.clip(exponent, -1, 1)), p**order - p)
