"""Entropy, divergence and mutual information of discrete distributions (Secs. 2.1, 2.3, 2.5 and 3.6).

Results are in nats; `base=2` gives bits. 0 log 0 is 0, and a divergence is infinite if q_i = 0 < p_i for some
i. All of these quantities are nonnegative: a sum that rounding makes negative is returned as zero.

Legend: K outcomes; X, Y, Z random variables. A joint table has one axis per variable, so the table of X and Y
is [X, Y]. Each of the arguments `x`, `y` and `given` is an axis or a tuple of axes that form one variable;
the remaining axes are summed over.
"""

from typing import TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import ArrayLike
from scipy.special import entr, rel_entr, xlogy

from .. import arguments

# One or several axes of a table.
Axes: TypeAlias = int | tuple[int, ...]


def in_base(nats: ArrayLike, base: float | None = None):
    """Converts an amount of information from nats.

    Args:
        nats: The amount, any shape.
        base: Base of the logarithm, above 1: 2 for bits, 10 for decimal digits, `None` for nats.

    Returns:
        nats / log(base).

    Raises:
        ValueError: If an amount is not a number, or `base` is not a number above 1.
    """
    nats = arguments.finite_or((-np.inf, np.inf), "nats", nats)[()]
    if base is None:
        return nats
    base = arguments.finite("base", base, ndim=0)
    if base <= 1:
        raise ValueError(f"base must be above 1, got {base}")
    return nats / np.log(base)


def entropy(p: ArrayLike, axis: Axes | None = -1, base: float | None = None) -> np.ndarray | np.float64:
    """Returns S = -sum_i p_i log p_i, Eq. 2.1.4.

    Args:
        p: Probabilities, [..., K].
        axis: The axis or axes of the K outcomes; `None` for all, which gives S(X, Y, ...) for a joint table.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropies, [...], between 0 and log K.

    Raises:
        ValueError: If `p` does not hold distributions along `axis`, or `base` is not above 1.

    Example:
        >>> float(entropy([0.5, 0.25, 0.25], base=2))
        1.5
    """
    p = arguments.distributions("p", p, axis)
    # A probability above one by rounding has a negative term.
    return _amount(np.maximum(entr(p).sum(axis=axis), 0.0), base)


def perplexity(p: ArrayLike, axis: Axes | None = -1) -> np.ndarray | np.float64:
    """Returns e^S, the number of equally likely outcomes with the same entropy as p, Eq. 2.6.4.

    The notes write 2^S with S in bits, which is the same number.

    Args:
        p: Probabilities, [..., K].
        axis: The axis or axes of the K outcomes; `None` for all.

    Returns:
        The perplexities, [...], between 1 and K.

    Raises:
        ValueError: If `p` does not hold distributions along `axis`.
    """
    return np.exp(entropy(p, axis))


def cross_entropy(
    p: ArrayLike, q: ArrayLike, axis: Axes | None = -1, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns -sum_i p_i log q_i = S(p) + D_KL(p||q), the mean code length under a model q.

    Args:
        p: Probabilities of the data, [..., K].
        q: Probabilities of the model, [..., K].
        axis: The axis or axes of the K outcomes; `None` for all.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The cross-entropies, [...], infinite if q_i = 0 < p_i for some i.

    Raises:
        ValueError: If `p` or `q` does not hold distributions, their shapes differ, or `base` is not above 1.
    """
    p, q = _pair(p, q, axis)
    return _amount(-xlogy(p, q).sum(axis=axis), base)


def kl_divergence(
    p: ArrayLike, q: ArrayLike, axis: Axes | None = -1, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns D_KL(p||q) = sum_i p_i log(p_i / q_i), Eq. 2.3.3, which is never negative (Eq. 2.3.4).

    Args:
        p: Probabilities of the data, [..., K].
        q: Probabilities of the model, [..., K].
        axis: The axis or axes of the K outcomes; `None` for all.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergences, [...], infinite if q_i = 0 < p_i for some i.

    Raises:
        ValueError: If `p` or `q` does not hold distributions, their shapes differ, or `base` is not above 1.
    """
    p, q = _pair(p, q, axis)
    return _amount(rel_entr(p, q).sum(axis=axis), base)


def jensen_shannon(
    p: ArrayLike, q: ArrayLike, axis: Axes | None = -1, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns D_KL(p||m) / 2 + D_KL(q||m) / 2 with m = (p + q) / 2, Eq. 3.6.2.

    Its square root is a metric.

    Args:
        p: Probabilities, [..., K].
        q: Probabilities, [..., K].
        axis: The axis or axes of the K outcomes; `None` for all.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The divergences, [...], between 0 and log 2.

    Raises:
        ValueError: If `p` or `q` does not hold distributions, their shapes differ, or `base` is not above 1.

    References:
        Endres and Schindelin, "A new metric for probability distributions" (2003).
    """
    p, q = _pair(p, q, axis)
    # Use twice the mixture: half of the smallest float rounds to zero, which makes the divergence infinite.
    total = p + q
    return _amount((rel_entr(2 * p, total) + rel_entr(2 * q, total)).sum(axis=axis) / 4, base)


def joint_entropy(
    joint: ArrayLike, x: Axes | None = None, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns the entropy S(X) of some of the variables of a joint table, by default of all of them.

    For example, strong subadditivity S(X,Y) + S(Y,Z) >= S(Y) + S(X,Y,Z) reads

        joint_entropy(t, (0, 1)) + joint_entropy(t, (1, 2)) >= joint_entropy(t, 1) + joint_entropy(t)

    Args:
        joint: Joint probabilities, one axis per variable.
        x: Axis or axes of the variables; `None` for all.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The entropy.

    Raises:
        ValueError: If `joint` is not a distribution, has no such axis, or `base` is not above 1.
    """
    joint = arguments.distributions("joint", joint, axis=None)
    (x,) = _axes(joint, x=range(joint.ndim) if x is None else x)
    return _amount(_entropy(joint, x), base)


def conditional_entropy(
    joint: ArrayLike, x: Axes = 0, given: Axes = 1, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns S(X|Y) = S(X,Y) - S(Y) = -sum_xy p(x,y) log p(x|y), Eqs. 2.5.1 and 2.5.2.

    Args:
        joint: Joint probabilities, one axis per variable.
        x: Axis or axes of X.
        given: Axis or axes of Y.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The conditional entropy, between 0 and S(X).

    Raises:
        ValueError: If `joint` is not a distribution, an axis does not exist or occurs twice, or `base` is not
            above 1.
    """
    joint = arguments.distributions("joint", joint, axis=None)
    x, given = _axes(joint, x=x, given=given)
    pair = _marginal(joint, x + given)
    # The difference of two entropies would lose the digits of a small remaining uncertainty.
    condition = np.broadcast_to(_marginal(pair, given), pair.shape)
    return _amount(-(pair * _log_ratio(pair, condition)).sum(), base)


def mutual_information(
    joint: ArrayLike, x: Axes = 0, y: Axes = 1, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns I(X,Y) = S(X) + S(Y) - S(X,Y) = D_KL(p(x,y) || p(x) p(y)), Eqs. 2.5.3 and 2.5.4.

    It is computed from the ratios p(x,y) / (p(x) p(y)), which takes several times as long as three entropies.
    These would lose the digits of a small amount of information.

    Args:
        joint: Joint probabilities, one axis per variable.
        x: Axis or axes of X.
        y: Axis or axes of Y.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The mutual information, zero for independent variables and at most the smaller of S(X) and S(Y).

    Raises:
        ValueError: If `joint` is not a distribution, an axis does not exist or occurs twice, or `base` is not
            above 1.
    """
    joint = arguments.distributions("joint", joint, axis=None)
    x, y = _axes(joint, x=x, y=y)
    pair = _marginal(joint, x + y)
    return _amount(_information(pair, _marginal(pair, x), _marginal(pair, y)), base)


def conditional_mutual_information(
    joint: ArrayLike, x: Axes, y: Axes, given: Axes, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns I(X,Z|Y) = S(X,Y) + S(Y,Z) - S(Y) - S(X,Y,Z), not negative by strong subadditivity (Sec. 2.5).

    Args:
        joint: Joint probabilities, one axis per variable.
        x: Axis or axes of the first variable, X above.
        y: Axis or axes of the second variable, Z above.
        given: Axis or axes of the condition, Y above.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The mutual information of the two variables given the third.

    Raises:
        ValueError: If `joint` is not a distribution, an axis does not exist or occurs twice, or `base` is not
            above 1.
    """
    joint = arguments.distributions("joint", joint, axis=None)
    x, y, given = _axes(joint, x=x, y=y, given=given)
    table = _marginal(joint, x + y + given)
    factors = (_marginal(table, axes) for axes in (x + given, y + given, given))
    return _amount(_information(table, *factors), base)


def conditional_kl_divergence(
    p: ArrayLike, q: ArrayLike, given: Axes = 0, base: float | None = None
) -> np.ndarray | np.float64:
    """Returns sum_x p(x) D_KL(p(Y|x) || q(Y|x)), the increase of the divergence from observing Y (Eq. 2.5.6).

    It equals D_KL(p(x,y)||q(x,y)) - D_KL(p(x)||q(x)) if these are finite, which proves Eq. 2.5.5.

    Args:
        p: Joint probabilities of the data, one axis per variable.
        q: Joint probabilities of the model, of the same shape.
        given: Axis or axes of X; Y consists of all other variables.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The average divergence. It is infinite if q(y|x) = 0 < p(x,y) somewhere, or if q(x) = 0 < p(x), which
        leaves q(y|x) undefined.

    Raises:
        ValueError: If `p` or `q` is not a distribution, their shapes differ, `given` is not an axis of them,
            or `base` is not above 1.
    """
    p, q = _pair(p, q, axis=None)
    (given,) = _axes(p, given=given)
    others = tuple(set(range(p.ndim)) - set(given))
    p_x, q_x = p.sum(axis=others, keepdims=True), q.sum(axis=others, keepdims=True)
    conditional = np.divide(q, q_x, out=np.zeros_like(q), where=q_x > 0)
    return _amount(rel_entr(p, p_x * conditional).sum(), base)


def _amount(nats, base):
    """Converts an amount of information to the given base, after setting negative rounding errors to zero."""
    # Adding zero turns -0.0, the entropy of a certain outcome, into 0.0.
    return in_base(np.maximum(nats, 0.0) + 0.0, base)


def _pair(p, q, axis):
    """Returns two arrays of distributions after checking that they have the same shape."""
    p, q = arguments.distributions("p", p, axis), arguments.distributions("q", q, axis)
    arguments.same_shape(p=p, q=q)
    return p, q


def _axes(joint, **variables):
    """Returns the axes of each variable as a tuple, after checking that no axis belongs to two variables."""
    owner = {}
    for name, axis in variables.items():
        try:
            variables[name] = normalize_axis_tuple(axis, joint.ndim, argname=name)
        except TypeError:
            got = arguments.described(axis)
            raise ValueError(f"{name} must be an axis of joint or a tuple of axes, got {got}") from None
        for one in variables[name]:
            if one in owner:
                raise ValueError(f"{owner[one]} and {name} must be different variables, both have axis {one}")
            owner[one] = name
    return variables.values()


def _entropy(joint, axes):
    """Returns the entropy of the variables on some axes, in nats."""
    return entr(_marginal(joint, axes)).sum()


def _marginal(joint, axes):
    """Returns the table of the variables on some axes, with axes of length 1 in place of the others."""
    others = tuple(set(range(joint.ndim)) - set(axes))
    return joint.sum(axis=others, keepdims=True) if others else joint


def _information(joint, a, b, common=1.0):
    """Returns sum p log(p / q) for q = a b / c, where a, b and c are marginals of the table p."""
    quotient = np.divide(a, common, out=np.zeros_like(a), where=a > 0)
    model = quotient * b
    # The sum of p - q vanishes. Without it, rounding errors of q would enter to first order in p / q - 1.
    terms = joint * _log_ratio(joint, model) - (joint - model)
    lost = (joint > 0) & (model < np.finfo(float).tiny)
    if lost.any():
        p, factor, other = (t[lost] for t in np.broadcast_arrays(joint, quotient, b))
        terms[lost] = p * (np.log(p) - np.log(factor) - np.log(other) - 1)
    return terms.sum()


def _log_ratio(p, q):
    """Returns log(p / q), accurate where p is close to q; zero where either vanishes."""
    both = (p > 0) & (q > 0)
    ratio = np.divide(p, q, out=np.ones_like(q), where=both)
    near = both & (np.abs(ratio - 1) < 0.5)
    excess = np.divide(p - q, q, out=np.zeros_like(q), where=near)
    return np.log1p(excess, out=np.log(ratio), where=near)
