"""Entropy, mutual information and divergence of discrete variables, estimated from counts (Secs. 2.1 to 2.5).

The plug-in estimate takes the frequencies n_i / N for the probabilities. It is biased: to first order in 1/N
the entropy is too small by (K - 1) / (2N), where K outcomes are possible. Miller and Madow add this term with
the number of outcomes that were observed. The corrected estimates below do the same for each entropy, and
for the cross-entropy of the divergence. What remains is of order 1/N^2, and larger if possible outcomes were
not observed; a corrected information or divergence may be negative.

The statistical error is of order N^(-1/2); for the entropy, it is sqrt(Var(log p) / N).

For continuous variables see `curvezoo.theory.nearest_neighbors`.

Legend: N observations, K outcomes; X, Y variables with one axis each in a table of counts. Results are in
nats; `base=2` gives bits.

References:
    Miller, "Note on the bias of information estimates" (1955), Information Theory in Psychology, 95-100.
    Paninski, "Estimation of entropy and mutual information" (2003), Neural Computation 15, 1191-1253.
"""

import numpy as np

from .. import arguments
from . import information


def count(*labels):
    """Returns the table of counts of one or several variables that were observed together.

    Args:
        *labels: The observations of each variable, [N], integers, strings or other values that can be sorted.

    Returns:
        Counts, one axis per variable, with an index for each of its distinct values in increasing order.

    Raises:
        ValueError: If there are no observations, an array does not have one axis, or the lengths differ.

    Example:
        >>> count(["a", "b", "a", "a"], [0, 0, 1, 1]).tolist()
        [[1, 2], [1, 0]]
    """
    columns = [np.asarray(column) for column in labels]
    if not columns or any(column.ndim != 1 or not column.size for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns) or "none"
        raise ValueError(f"labels must be arrays [N] with at least one observation, got {shapes}")
    arguments.same_shape(**{f"labels[{i}]": column for i, column in enumerate(columns)})
    if any(column.dtype.kind in "fc" and np.isnan(column).any() for column in columns):
        raise ValueError("labels must not be nan")
    codes = [np.unique(column, return_inverse=True) for column in columns]
    table = np.zeros([len(values) for values, _ in codes], dtype=np.int64)
    np.add.at(table, tuple(inverse for _, inverse in codes), 1)
    return table


def entropy(counts, corrected=True, base=None):
    """Estimates the entropy S = -sum_i p_i log p_i, Eq. 2.1.4, jointly for all axes of a table.

        S_plug-in = -sum_i (n_i / N) log(n_i / N),    S_Miller-Madow = S_plug-in + (K - 1) / (2N)

    Args:
        counts: Counts n_i, any shape, in total N; K of them are positive.
        corrected: Whether to add Miller and Madow's term.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate.

    Raises:
        ValueError: If a count is not an integer of at least 0, all are zero, or `base` is not above 1.

    Example:
        >>> print(round(float(entropy([2, 1, 1])), 4))  # 1.0397 + 2 / 8
        1.2897
    """
    counts = _counts("counts", counts)
    plain = information.entropy(counts / counts.sum(), axis=None)
    return information.in_base(plain + arguments.boolean("corrected", corrected) * _excess(counts), base)


def mutual_information(counts, corrected=True, base=None):
    """Estimates I(X,Y) = S(X) + S(Y) - S(X,Y), Eq. 2.5.3, with each entropy as in `entropy`.

    The correction is (K_x + K_y - K_xy - 1) / (2N). The plug-in estimate of independent variables is
    positive, (K_x - 1) (K_y - 1) / (2N) on average; 2N times it is the G statistic.

    Args:
        counts: Table of counts, [X, Y], such as `count(x, y)`; in total N.
        corrected: Whether to add Miller and Madow's terms.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate.

    Raises:
        ValueError: As in `entropy`, or if the table does not have two axes.
    """
    counts = _counts("counts", counts)
    if counts.ndim != 2:
        raise ValueError(f"counts must have 2 axes, one per variable, got shape {counts.shape}")
    plain = information.mutual_information(counts / counts.sum())
    excess = _excess(counts.sum(axis=1)) + _excess(counts.sum(axis=0)) - _excess(counts)
    return information.in_base(plain + arguments.boolean("corrected", corrected) * excess, base)


def kl_divergence(counts_p, counts_q, corrected=True, base=None):
    """Estimates D_KL(p||q), Eq. 2.3.3, from counts n_i of p and m_i of q over the same outcomes.

    The plug-in estimate is D_KL(n / N || m / M). The entropy of p contributes a bias of (K - 1) / (2N), and
    expanding -log(m_i / M) to second order gives (sum_i p_i / q_i - 1) / (2M). Both are subtracted, with
    frequencies for p and q.

    Args:
        counts_p: Counts n_i, any shape, in total N.
        counts_q: Counts m_i of the same shape, in total M.
        corrected: Whether to subtract the bias.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate, infinite if m_i = 0 < n_i for some i.

    Raises:
        ValueError: As in `entropy`, or if the shapes differ.
    """
    counts_p, counts_q = _counts("counts_p", counts_p), _counts("counts_q", counts_q)
    arguments.same_shape(counts_p=counts_p, counts_q=counts_q)
    p, q = counts_p / counts_p.sum(), counts_q / counts_q.sum()
    plain = information.kl_divergence(p, q, axis=None)
    if not arguments.boolean("corrected", corrected) or np.isinf(plain):
        return information.in_base(plain, base)
    shared = p > 0
    bias = _excess(counts_p) + (np.sum(p[shared] / q[shared]) - 1) / (2 * counts_q.sum())
    return information.in_base(plain - bias, base)


def _counts(name, value):
    counts = arguments.integers(name, value, 0)
    if not counts.sum() > 0:
        raise ValueError(f"{name} must hold at least one observation, got none")
    return counts


def _excess(counts):
    """Returns (K - 1) / (2N), Miller and Madow's term."""
    return (np.count_nonzero(counts) - 1) / (2 * counts.sum())
