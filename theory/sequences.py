"""Why entropy is a logarithm: counting sequences (Secs. 2.1 and 2.3) and Shannon's tree rule (Sec. 2.2).

Of the K^N sequences of N symbols, N! / prod_i n_i! have the counts n_i. Stirling's formula gives

    log(N! / prod_i n_i!) = N S(n/N) + (log(2 pi N) - sum_i log(2 pi n_i)) / 2 + O(1 / n_i),

with the entropy S in nats. The notes keep the first term (Eqs. 2.1.8 and 2.3.1). Their approximation is valid
for log(...) / N as N grows, whereas the number of sequences itself is below e^(NS) by a growing factor.

A tree of choices is a sequence of branches (probability, subtree); the empty tree `LEAF` is an outcome:

    ((1/2, LEAF), (1/2, ((2/3, LEAF), (1/3, LEAF))))        Eq. 2.2.2

Legend: K symbols, N length of a sequence.
"""

import math
import reprlib

import numpy as np
from scipy.special import gammaln, xlogy

from .. import arguments
from . import information

LEAF = ()


def log_multiplicity(counts):
    """Returns log(N! / prod_i n_i!), the exact log of the number of sequences with these counts (Eq. 2.1.8).

    Args:
        counts: Number of occurrences of each symbol, integers, [..., K].

    Returns:
        The logarithms in nats, [...], with a relative error of about 1e-15 for counts of any size.

    Raises:
        ValueError: If a count is negative or not an integer, or a sequence has length 0.
    """
    counts = _check_counts(counts)
    # Stirling's formula with its remainder. A difference of log-gamma functions loses the digits of a small
    # count to a large one.
    remainder = _stirling_remainder(counts.sum(axis=-1)) - _stirling_remainder(counts).sum(axis=-1)
    return multiplicity_exponent(counts) + stirling_correction(counts) + remainder


def multiplicity_exponent(counts):
    """Returns N S(n/N), the approximation of Eq. 2.1.8 to log(N! / prod_i n_i!) and an upper bound on it.

    Args:
        counts: Number of occurrences of each symbol, integers, [..., K].

    Returns:
        The exponents in nats, [...].

    Raises:
        ValueError: If a count is negative or not an integer, or a sequence has length 0.
    """
    counts = _check_counts(counts)
    total = counts.sum(axis=-1, keepdims=True)
    return (counts * _log_ratio(total, counts)).sum(axis=-1)


def stirling_correction(counts):
    """Returns (log(2 pi N) - sum_i log(2 pi n_i)) / 2, Stirling's next term after `multiplicity_exponent`.

    Symbols that do not occur contribute no term, because log 0! is exactly zero. The remainder is between
    -sum_i 1 / (12 n_i) and 1 / (12 N).

    Args:
        counts: Number of occurrences of each symbol, integers, [..., K].

    Returns:
        The corrections in nats, [...].

    Raises:
        ValueError: If a count is negative or not an integer, or a sequence has length 0.

    References:
        Robbins, "A remark on Stirling's formula" (1955).
    """
    counts = _check_counts(counts)
    logs = np.log(2 * np.pi * np.where(counts > 0, counts, 1 / (2 * np.pi)))
    return (np.log(2 * np.pi * counts.sum(axis=-1)) - logs.sum(axis=-1)) / 2


def log_type_probability(counts, q):
    """Returns the exact log probability that N draws from q have these counts (left side of Eq. 2.3.1).

    Args:
        counts: Number of occurrences of each symbol, integers, [..., K].
        q: Probabilities of the model, [K].

    Returns:
        log(N! / prod_i n_i!) + sum_i n_i log q_i in nats, [...]; minus infinity where q_i = 0 < n_i.

    Raises:
        ValueError: As in `log_multiplicity`, or if `q` is not a distribution over the K symbols.
    """
    counts, q = _check_counts_and_model(counts, q)
    return log_multiplicity(counts) + xlogy(counts, q).sum(axis=-1)


def type_exponent(counts, q):
    """Returns -N D_KL(n/N || q), the approximation of Eqs. 2.3.1 and 2.3.2 to `log_type_probability`.

    It is an upper bound. The next term of Stirling's formula is `stirling_correction` for any q. Eq. 2.3.2
    raises 2 to this power, which requires logarithms to base 2 (docs/errata.md).

    Args:
        counts: Number of occurrences of each symbol, integers, [..., K].
        q: Probabilities of the model, [K].

    Returns:
        The exponents in nats, [...].

    Raises:
        ValueError: As in `log_multiplicity`, or if `q` is not a distribution over the K symbols.
    """
    counts, q = _check_counts_and_model(counts, q)
    total = counts.sum(axis=-1, keepdims=True)
    return -total[..., 0] * information.kl_divergence(counts / total, np.broadcast_to(q, counts.shape))


def leaf_probabilities(tree):
    """Returns the probabilities of the outcomes of a tree, the products along its branches.

    Args:
        tree: A sequence of branches (probability, subtree), `LEAF` for an outcome.

    Returns:
        The probabilities of the leaves from first to last, an array.

    Raises:
        ValueError: If the probabilities at a node are not a distribution.
    """
    return np.array([reached for reached, p in _nodes(tree) if not len(p)])


def tree_entropy(tree, measure=information.entropy):
    """Returns the sum of a measure H over the nodes of a tree, weighted by the probability of reaching them.

    Shannon's third axiom (Eq. 2.2.3) requires that this equal H of `leaf_probabilities`. Among all continuous
    measures that increase with the number of equal choices, only multiples of the entropy satisfy it.

    Args:
        tree: A sequence of branches (probability, subtree), `LEAF` for an outcome.
        measure: H, a function of the probabilities at a node.

    Returns:
        The weighted sum, in nats for the entropy.

    Raises:
        ValueError: If the probabilities at a node are not a distribution.

    References:
        Shannon, "A Mathematical Theory of Communication" (1948), section 6 and appendix 2.
    """
    return sum((reached * measure(p) for reached, p in _nodes(tree) if len(p)), 0.0)


def uniform_tree(branches, depth):
    """Returns the tree of `depth` successive choices among `branches` equally likely options (Eq. 2.2.7).

    Args:
        branches: Number s of branches at each node, at least 1.
        depth: Number m of choices, at least 0.

    Returns:
        A tree with s^m leaves.

    Raises:
        ValueError: If an argument is not an integer in its range.
    """
    branches = arguments.integer("branches", branches, 1)
    tree = LEAF
    for _ in range(arguments.integer("depth", depth, 0)):
        tree = ((1 / branches, tree),) * branches
    return tree


def uniform_entropy(n, base=None):
    """Returns A(n) = H(1/n, ..., 1/n), Eq. 2.2.6, which is K log n (Eq. 2.2.13); the base determines K.

    Args:
        n: Number of equally likely outcomes, at least 1.
        base: Base of the logarithm, `None` for nats.

    Returns:
        log n in that base.

    Raises:
        ValueError: If `n` is not a positive integer, or `base` is not above 1.
    """
    return information.in_base(math.log(arguments.integer("n", n, 1)), base)


def bracketing_power(s, t, n):
    """Returns the m of Shannon's proof, for which s^m <= t^n < s^(m+1), for integers of any size.

    Hence m / n <= log t / log s < (m + 1) / n (Eq. 2.2.9).

    Args:
        s: Number of choices, at least 2.
        t: Number of choices, at least 1.
        n: Length of the sequence of choices among t, at least 1.

    Returns:
        The integer m.

    Raises:
        ValueError: If an argument is not an integer in its range.
    """
    s, t, n = (arguments.integer(*check) for check in (("s", s, 2), ("t", t, 1), ("n", n, 1)))
    target = t**n
    m = int(n * math.log(t) / math.log(s))
    # The floating-point estimate may be off by one if t^n is close to a power of s.
    while s**m > target:
        m -= 1
    while s ** (m + 1) <= target:
        m += 1
    return m


def _nodes(tree):
    """Yields (probability of reaching the node, probabilities of its branches); a leaf has no branches.

    Leaves are yielded from first to last. An explicit stack, unlike recursion, does not limit the depth.
    """
    stack = [(1.0, tree, "tree")]
    while stack:
        reached, node, path = stack.pop()
        probabilities, subtrees = _branches(node, path)
        yield reached, probabilities
        children = [(reached * p, subtrees[i], f"{path}[{i}][1]") for i, p in enumerate(probabilities)]
        stack.extend(reversed(children))


def _branches(node, path):
    """Returns the probabilities and the subtrees of the branches of a node."""
    try:
        pairs = [(p, subtree) for p, subtree in node]
    except (TypeError, ValueError):
        raise ValueError(
            f"{path} must be branches (probability, subtree) or LEAF, got {reprlib.repr(node)}"
        ) from None
    if not pairs:
        return np.array([]), []
    probabilities, subtrees = zip(*pairs, strict=True)
    return arguments.distributions(f"(probabilities at {path})", probabilities), subtrees


def _log_ratio(total, counts):
    """Returns log(N / n), accurate for n close to N; zero for n = 0."""
    counts = np.where(counts > 0, counts, total)
    rest = total - counts
    return np.where(rest < counts, -np.log1p(-rest / total), np.log(total / counts))


def _stirling_remainder(n):
    """Returns log n! - (n log n - n + log(2 pi n) / 2); zero for n = 0, which has no terms of Stirling."""
    few = np.clip(n, 1, 16)
    exact = gammaln(few + 1) - (few * np.log(few) - few + np.log(2 * np.pi * few) / 2)
    inverse = 1 / np.maximum(n, 1)
    series = inverse * np.polyval([1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12], inverse**2)
    return np.where(n == 0, 0.0, np.where(n < 16, exact, series))


def _check_counts(counts):
    counts = arguments.integers("counts", counts, 0)
    if counts.ndim == 0:
        raise ValueError(f"counts must have an axis of symbols, got the number {counts:g}")
    empty = counts.sum(axis=-1) == 0
    if empty.any():
        raise ValueError(
            f"counts{arguments.first_index(empty)} must not be all zero: sequences are not empty"
        )
    return counts


def _check_counts_and_model(counts, q):
    counts, q = _check_counts(counts), arguments.distributions("q", q)
    if q.shape != counts.shape[-1:]:
        raise ValueError(f"q must have shape {counts.shape[-1:]}, one entry per symbol, got {q.shape}")
    return counts, q
