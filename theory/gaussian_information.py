"""Divergence and mutual information of multivariate Gaussians in closed form (Secs. 2.3 and 2.5).

The entropy is `curvezoo.theory.differential_entropy.gaussian_entropy`, and the divergence of Gaussians in one
dimension, for arrays of them, is `curvezoo.theory.families.gaussian_kl`.

Legend: D dimensions, D_x and D_y those of X and Y. Results are in nats; `base=2` gives bits.

References:
    Cover and Thomas, "Elements of Information Theory" (2006), Wiley, chapter 8.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from scipy.linalg import solve_triangular
from scipy.special import hyp2f1

from .. import arguments
from .information import in_base

# Where the covariances differ by less than this, relatively, the divergence is a sum of squares.
_CLOSE = 0.5


def kl_divergence(mean_p, covariance_p, mean_q, covariance_q, base=None):
    """Returns D_KL(p||q), Eq. 2.3.3, of the Gaussians p = N(m_p, C_p) and q = N(m_q, C_q).

        D = (tr(C_q^-1 C_p) - D + log(det C_q / det C_p) + (m_q - m_p)^T C_q^-1 (m_q - m_p)) / 2

    With the Cholesky factors C = L L^T, the trace is the sum of squares of L_q^-1 L_p and the determinants
    are products of diagonals. If the covariances are close, the terms cancel; the divergence is then computed
    from the eigenvalues d of L_q^-1 (C_p - C_q) L_q^-T, as the sum of d - log(1 + d) = d^2 / 2 - ...

    Args:
        mean_p: Mean of the data, [D]; a number if D = 1.
        covariance_p: Covariance matrix of the data, [D, D], or a variance if D = 1.
        mean_q: Mean of the model, [D].
        covariance_q: Covariance matrix of the model, [D, D].
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergence. Its relative error is about 1e-15 times the condition number of C_q.

    Raises:
        ValueError: If a covariance is not symmetric and positive definite, the shapes differ, or `base` is
            not above 1.

    Example:
        >>> print(float(kl_divergence([0, 0], np.eye(2), [3, 4], np.eye(2))))
        12.5
    """
    covariance_p = arguments.covariance("covariance_p", covariance_p)
    covariance_q = arguments.covariance("covariance_q", covariance_q)
    arguments.same_shape(covariance_p=covariance_p, covariance_q=covariance_q)
    shift = _mean("mean_q", mean_q, covariance_q) - _mean("mean_p", mean_p, covariance_p)
    scale = np.sqrt(np.diagonal(covariance_q))
    # In units of the model's standard deviations, no square overflows.
    covariance_p, covariance_q = (c / scale / scale[:, None] for c in (covariance_p, covariance_q))
    root = np.linalg.cholesky(covariance_q)
    distance = np.sum(_solve(root, shift / scale) ** 2)
    excess = np.linalg.eigvalsh(_solve(root, _solve(root, covariance_p - covariance_q).T))
    if np.abs(excess).max() < _CLOSE:
        # d - log(1 + d) = d^2 F(1, 2; 3; -d) / 2.
        spread = np.sum(excess**2 / 2 * hyp2f1(1, 2, 3, -excess))
    else:
        ratio = _solve(root, np.linalg.cholesky(covariance_p))
        spread = np.sum(ratio**2) - len(root) - 2 * np.sum(np.log(np.diagonal(ratio)))
    return in_base(np.maximum(spread + distance, 0.0) / 2, base)


def mutual_information(covariance, x=0, y=1, base=None):
    """Returns I(X,Y), Eq. 2.5.3, of two groups of jointly Gaussian variables; the others are integrated over.

        I = log(det C_x det C_y / det C_xy) / 2 = -sum_i log(1 - rho_i^2) / 2

    The canonical correlations rho are the singular values of L_x^-1 K L_y^-T, where K is the covariance of X
    with Y and C = L L^T. Unlike the determinants, they keep the digits of a small information.

    Args:
        covariance: Covariance matrix of all variables, [D, D].
        x: Index or indices of the variables X, [D_x].
        y: Index or indices of the variables Y, [D_y].
        base: Base of the logarithm, `None` for nats.

    Returns:
        The mutual information, zero for uncorrelated variables. It does not depend on their units.

    Raises:
        ValueError: If the matrix is not symmetric and positive definite, an index does not exist or occurs
            twice, or `base` is not above 1.

    Example:
        >>> print(round(float(mutual_information([[1, 0.6], [0.6, 1]])), 6))  # -log(1 - 0.36) / 2
        0.223144
    """
    covariance = arguments.covariance("covariance", covariance)
    x, y = (_indices(name, i, len(covariance)) for name, i in (("x", x), ("y", y)))
    both = sorted(set(x) & set(y))
    if both:
        raise ValueError(f"x and y must be different variables, both have index {both[0]}")
    root_x, root_y = (np.linalg.cholesky(covariance[np.ix_(i, i)]) for i in (x, y))
    correlations = np.linalg.svd(_solve(root_y, _solve(root_x, covariance[np.ix_(x, y)]).T), compute_uv=False)
    # Rounding may give a correlation of one, of which the check of the covariance leaves no other trace.
    squares = np.minimum(correlations**2, 1 - np.finfo(float).epsneg)
    return in_base(-np.sum(np.log1p(-squares)) / 2 + 0.0, base)


def _solve(root, right):
    return solve_triangular(root, right, lower=True)


def _mean(name, value, covariance):
    mean = np.atleast_1d(arguments.finite(name, value))
    if mean.shape != covariance.shape[:1]:
        raise ValueError(f"{name} must have shape {covariance.shape[:1]}, got {np.shape(value)}")
    return mean


def _indices(name, value, size):
    """Returns the indices of a group of variables as a list."""
    try:
        indices = normalize_axis_tuple(value, size, argname=name)
    except TypeError:
        got = arguments.described(value)
        raise ValueError(f"{name} must be an index of a variable or a tuple of indices, got {got}") from None
    if not indices:
        raise ValueError(f"{name} must hold at least one variable, got none")
    return list(indices)
