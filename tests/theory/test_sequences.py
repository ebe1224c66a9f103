"""Oracles: enumeration, integer factorials, SciPy's distributions, and random trees."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import information, sequences
from curvezoo.theory.sequences import LEAF

runs = settings(max_examples=80, deadline=None, derandomize=True)
counts_of_symbols = st.lists(st.integers(0, 400), min_size=1, max_size=6).filter(any)


def exact_log_multiplicity(counts):
    """Returns the log of a quotient of integers, which is exact."""
    return math.log(math.factorial(sum(counts)) // math.prod(math.factorial(n) for n in counts))


@pytest.mark.equation("2.1.7")
def test_all_binary_sequences_have_log_two_per_symbol():
    number = len(list(itertools.product("01", repeat=10)))
    assert np.log(number) / 10 == pytest.approx(information.entropy([0.5, 0.5]), rel=1e-15)
    by_count = [sequences.log_multiplicity([k, 10 - k]) for k in range(11)]
    assert np.exp(by_count).sum() == pytest.approx(number, rel=1e-13)


@pytest.mark.equation("2.1.8")
@given(counts=counts_of_symbols)
@runs
def test_the_exponent_bounds_the_exact_number_and_stirlings_remainder_is_small(counts):
    exact = exact_log_multiplicity(counts)
    total = sum(counts)
    assert sequences.log_multiplicity(counts) == pytest.approx(exact, rel=1e-13, abs=1e-11)
    exponent = sequences.multiplicity_exponent(counts)
    assert exact <= exponent + 1e-11
    # The lower bound is e^(NS) divided by a bound on the number of types, (N + 1)^K.
    assert exact >= exponent - len(counts) * np.log(total + 1)
    remainder = exact - exponent - sequences.stirling_correction(counts)
    assert -sum(1 / (12 * n) for n in counts if n) - 1e-11 <= remainder <= 1 / (12 * total) + 1e-11


@pytest.mark.parametrize("large", [10**6, 10**12, 10**15])
def test_a_rare_symbol_keeps_its_digits_beside_a_frequent_one(large):
    # C(n + 1, 1) = n + 1, and C(n + 2, 2) = (n + 2) (n + 1) / 2.
    assert sequences.log_multiplicity([large, 1]) == pytest.approx(math.log(large + 1), rel=1e-14)
    pairs = math.log((large + 2) * (large + 1) // 2)
    assert sequences.log_multiplicity([2, large]) == pytest.approx(pairs, rel=1e-14)
    assert sequences.log_multiplicity([1, large, 1]) == pytest.approx(pairs + math.log(2), rel=1e-14)
    # N S = log(N / 1) + n log(N / n), of which the second term tends to 1.
    exponent = sequences.multiplicity_exponent([large, 1])
    assert exponent == pytest.approx(math.log(large + 1) + large * math.log1p(1 / large), rel=1e-14)


@pytest.mark.equation("2.1.8")
@pytest.mark.equation("2.1.9")
@pytest.mark.parametrize("p", [0.5, 0.3, 0.1])
def test_only_the_log_number_per_bit_tends_to_the_entropy_of_a_coin(p):
    printed = -p * math.log(p) - (1 - p) * math.log(1 - p)
    gaps, ratios = [], []
    for n in (10, 300, 10_000):
        zeros = round(p * n)
        exact = exact_log_multiplicity([zeros, n - zeros])
        exponent = sequences.multiplicity_exponent([zeros, n - zeros])
        assert exponent == pytest.approx(n * printed, rel=1e-12)
        gaps.append(printed - exact / n)
        ratios.append(exact - exponent)
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2] > 0
    # The neglected factor is 1 / sqrt(2 pi N p (1 - p)).
    assert ratios[-1] == pytest.approx(-np.log(2 * np.pi * 1e4 * p * (1 - p)) / 2, abs=2e-4)


def test_a_batch_of_counts_gives_a_batch_of_results():
    counts = np.array([[[3, 0, 2], [1, 1, 8]], [[0, 0, 1], [5, 5, 5]]])
    for function in (
        sequences.log_multiplicity,
        sequences.multiplicity_exponent,
        sequences.stirling_correction,
    ):
        one_by_one = [[function(row) for row in rows] for rows in counts]
        np.testing.assert_allclose(function(counts), one_by_one, rtol=1e-14)
    q = np.array([0.5, 0.25, 0.25])
    for function in (sequences.log_type_probability, sequences.type_exponent):
        one_by_one = [[function(row, q) for row in rows] for rows in counts]
        np.testing.assert_allclose(function(counts, q), one_by_one, rtol=1e-14)


@pytest.mark.equation("2.3.1")
@pytest.mark.parametrize(("p", "q"), [(0.3, 0.5), (0.3, 0.3), (0.5, 0.01), (0.9, 0.2)])
def test_the_log_probability_of_a_type_tends_to_minus_n_times_the_divergence(p, q):
    divergence = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    for n in (10, 1000, 100_000):
        zeros = round(p * n)
        counts = [zeros, n - zeros]
        exact = sequences.log_type_probability(counts, [q, 1 - q])
        assert exact == pytest.approx(scipy.stats.binom.logpmf(zeros, n, q), rel=1e-9, abs=1e-9)
        assert sequences.type_exponent(counts, [q, 1 - q]) == pytest.approx(-n * divergence, rel=1e-12)
        # The gap does not depend on q, and the gap per draw vanishes as log N / N.
        gap = exact + n * divergence
        assert gap == pytest.approx(
            sequences.stirling_correction(counts), abs=sum(1 / (12 * k) for k in counts) + 1e-8
        )
        assert 0 <= -gap / n < np.log(n + 1) / n


@pytest.mark.equation("2.3.1")
@pytest.mark.equation("2.3.2")
@given(data=st.data())
@runs
def test_the_exponent_bounds_the_probability_of_a_multinomial_type(data):
    counts = data.draw(counts_of_symbols)
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(counts), max_size=len(counts)))
    q = np.array(weights) / sum(weights)
    exact = sequences.log_type_probability(counts, q)
    assert exact == pytest.approx(scipy.stats.multinomial.logpmf(counts, sum(counts), q), rel=1e-9, abs=1e-9)
    exponent = sequences.type_exponent(counts, q)
    assert exponent - len(counts) * np.log(sum(counts) + 1) <= exact <= exponent + 1e-10


@pytest.mark.equation("2.3.2")
def test_powers_of_two_need_logarithms_to_base_two():
    counts, q = np.array([3000, 5000, 2000]), np.array([0.25, 0.25, 0.5])
    n, p = counts.sum(), counts / counts.sum()
    exact = sequences.log_type_probability(counts, q)
    with_base_two = -n * information.kl_divergence(p, q, base=2) * np.log(2)
    with_natural_logs = -n * information.kl_divergence(p, q) * np.log(2)
    assert exact == pytest.approx(with_base_two, rel=0.01)
    assert exact < 1.4 * with_natural_logs
    # With natural logarithms, the two sides of the printed equation also differ.
    left = np.log(2) * n * information.entropy(p) + n * np.sum(p * np.log(q))
    assert abs(left - with_natural_logs) > 1000
    left = np.log(2) * n * information.entropy(p, base=2) + n * np.sum(p * np.log(q))
    assert left == pytest.approx(with_base_two, rel=1e-12)


def test_a_model_that_excludes_a_symbol_gives_probability_zero(recwarn):
    assert sequences.log_type_probability([1, 2], [0, 1]) == -np.inf
    assert sequences.type_exponent([1, 2], [0, 1]) == -np.inf
    assert sequences.log_type_probability([0, 2], [0, 1]) == sequences.type_exponent([0, 2], [0, 1]) == 0
    assert not len(recwarn)


PRINTED_TREE = ((1 / 2, LEAF), (1 / 2, ((2 / 3, LEAF), (1 / 3, LEAF))))


@pytest.mark.equation("2.2.1")
@pytest.mark.equation("2.2.2")
@pytest.mark.equation("2.2.3")
def test_the_printed_tree_obeys_the_rule():
    leaves = sequences.leaf_probabilities(PRINTED_TREE)
    np.testing.assert_allclose(leaves, [1 / 2, 1 / 3, 1 / 6], rtol=1e-15)
    direct = scipy.stats.entropy([1 / 2, 1 / 3, 1 / 6])
    by_branchings = scipy.stats.entropy([1 / 2, 1 / 2]) + scipy.stats.entropy([2 / 3, 1 / 3]) / 2
    assert direct == pytest.approx(by_branchings, rel=1e-14)
    assert sequences.tree_entropy(PRINTED_TREE) == pytest.approx(direct, rel=1e-14)


def normalized(branches):
    total = sum(weight for weight, _ in branches)
    return tuple((weight / total, subtree) for weight, subtree in branches)


def branches_over(subtrees):
    branch = st.tuples(st.integers(0, 9), subtrees)
    branches = st.lists(branch, min_size=1, max_size=4).filter(lambda drawn: any(w for w, _ in drawn))
    return branches.map(normalized)


trees = st.recursive(st.just(LEAF), branches_over, max_leaves=25)


@pytest.mark.equation("2.2.3")
@given(tree=trees)
@settings(runs, max_examples=50)
def test_the_entropy_of_the_leaves_is_the_weighted_sum_over_the_nodes(tree):
    leaves = sequences.leaf_probabilities(tree)
    assert leaves.sum() == pytest.approx(1, rel=1e-13)
    assert sequences.tree_entropy(tree) == pytest.approx(scipy.stats.entropy(leaves), abs=1e-12)


def test_a_tree_may_be_deeper_than_the_call_stack():
    tree, depth = LEAF, 5000
    for _ in range(depth):
        tree = ((0.5, LEAF), (0.5, tree))
    leaves = sequences.leaf_probabilities(tree)
    np.testing.assert_array_equal(leaves[:1000], 0.5 ** np.arange(1, 1001))
    assert len(leaves) == depth + 1
    # Each coin is tossed with half the probability of the previous one.
    assert sequences.tree_entropy(tree) == pytest.approx(2 * np.log(2), rel=1e-14)


def renyi(p):
    """Returns Rényi's entropy of order 2, which is also log n for n equal choices."""
    return -np.log(np.sum(p**2))


def gini(p):
    """Returns Tsallis's entropy of order 2, the Gini impurity."""
    return 1 - np.sum(p**2)


@pytest.mark.equation("2.2.3")
@pytest.mark.equation("2.2.7")
def test_other_measures_of_choice_break_the_rule():
    leaves = sequences.leaf_probabilities(PRINTED_TREE)
    for measure in (renyi, gini):
        assert abs(sequences.tree_entropy(PRINTED_TREE, measure) - measure(leaves)) > 0.01
    # Rényi's entropy obeys the rule for equal choices: Eq. 2.2.13 alone does not single out the entropy.
    tree = sequences.uniform_tree(3, 2)
    assert sequences.tree_entropy(tree, renyi) == pytest.approx(renyi(sequences.leaf_probabilities(tree)))
    assert sequences.tree_entropy(tree, gini) > gini(sequences.leaf_probabilities(tree)) + 0.1


@pytest.mark.equation("2.2.4")
@pytest.mark.equation("2.2.5")
def test_equal_quarters_and_eighths_are_two_and_three_coins():
    coin = scipy.stats.entropy([1 / 2, 1 / 2])
    for depth in (2, 3):
        tree = sequences.uniform_tree(2, depth)
        np.testing.assert_array_equal(sequences.leaf_probabilities(tree), np.full(2**depth, 2.0**-depth))
        assert sequences.tree_entropy(tree) == pytest.approx(depth * coin, rel=1e-14)
        assert scipy.stats.entropy(np.full(2**depth, 2.0**-depth)) == pytest.approx(depth * coin, rel=1e-14)


@pytest.mark.equation("2.2.6")
@pytest.mark.parametrize("n", [1, 2, 3, 10, 997])
def test_the_entropy_of_equal_choices_matches_scipy(n):
    uniform = scipy.stats.entropy(np.full(n, 1 / n), base=2)
    assert sequences.uniform_entropy(n, base=2) == pytest.approx(uniform, rel=1e-13, abs=1e-14)


@pytest.mark.equation("2.2.7")
@pytest.mark.equation("2.2.8")
@pytest.mark.parametrize(("branches", "depth"), [(2, 7), (3, 5), (5, 3), (7, 1), (4, 0)])
def test_a_tree_of_equal_choices_multiplies_one_choice_by_its_depth(branches, depth):
    tree = sequences.uniform_tree(branches, depth)
    assert len(sequences.leaf_probabilities(tree)) == branches**depth
    one = scipy.stats.entropy(np.full(branches, 1 / branches))
    assert sequences.tree_entropy(tree) == pytest.approx(depth * one, rel=1e-13, abs=1e-14)
    assert sequences.uniform_entropy(branches**depth) == pytest.approx(depth * one, rel=1e-13, abs=1e-14)


@pytest.mark.equation("2.2.9")
@pytest.mark.equation("2.2.10")
@given(s=st.integers(2, 50), t=st.integers(1, 50), n=st.integers(1, 300))
@runs
def test_integer_powers_bracket_the_ratio_of_logarithms(s, t, n):
    m = sequences.bracketing_power(s, t, n)
    assert s**m <= t**n < s ** (m + 1)
    ratio = math.log(t) / math.log(s)
    assert m / n <= ratio * (1 + 1e-14) and ratio < (m + 1) / n
    assert abs(m / n - ratio) < 1 / n
    # Equality is attained on the left, but never on the right, where the notes allow it.
    assert sequences.bracketing_power(s, s, n) == n


@pytest.mark.equation("2.2.9")
@pytest.mark.parametrize("s", [2, 3, 10])
def test_the_bracket_is_exact_next_to_powers_beyond_floating_point(s):
    for power in (60, 1000):
        assert sequences.bracketing_power(s, s**power, 3) == 3 * power
        assert sequences.bracketing_power(s, s**power - 1, 1) == power - 1
        assert sequences.bracketing_power(s, s**power + 1, 1) == power


@pytest.mark.equation("2.2.11")
@pytest.mark.equation("2.2.12")
@pytest.mark.equation("2.2.13")
@pytest.mark.parametrize(("s", "t"), [(2, 3), (3, 2), (10, 7), (2, 8), (5, 1)])
def test_a_obeys_the_same_bracket_and_is_a_multiple_of_the_logarithm(s, t):
    a_s, a_t = (scipy.stats.entropy(np.full(k, 1 / k), base=2) for k in (s, t))
    for n in (1, 7, 50, 1000):
        m = sequences.bracketing_power(s, t, n)
        assert m * a_s <= n * a_t * (1 + 1e-12) and n * a_t < (m + 1) * a_s
        assert abs(m / n - a_t / a_s) < 1 / n
        # Both ratios lie in the same interval of length 1 / n, so the two epsilons do not add.
        assert abs(math.log(t) / math.log(s) - a_t / a_s) < 1 / n
    assert a_t * math.log(s) == pytest.approx(a_s * math.log(t), rel=1e-13)
    assert sequences.uniform_entropy(t, base=2) == pytest.approx(math.log(t) / math.log(2), rel=1e-15)


def prime_factors(n):
    """Returns the number of prime factors of n, counted with multiplicity."""
    count, p = 0, 2
    while n > 1:
        while n % p == 0:
            n, count = n // p, count + 1
        p += 1
    return count


@pytest.mark.equation("2.2.7")
@pytest.mark.equation("2.2.11")
@pytest.mark.equation("2.2.12")
def test_the_bracket_singles_out_the_logarithm_among_measures_of_powers():
    pairs = list(itertools.permutations((2, 3, 6, 7, 8), 2))

    def multiplies(a):
        return all(math.isclose(a(s**m), m * a(s), rel_tol=1e-12) for s, _ in pairs for m in range(4))

    def is_bracketed(a, n):
        """Returns whether n A(t) / A(s) is from m to m + 1, hence near the ratio of logarithms."""
        return all(
            m * a(s) <= n * a(t) * (1 + 1e-12) and n * a(t) <= (m + 1) * a(s) * (1 + 1e-12)
            for s, t in pairs
            for m in [sequences.bracketing_power(s, t, n)]
        ) and all(abs(math.log(t) / math.log(s) - a(t) / a(s)) <= 1 / n for s, t in pairs)

    for n in (1, 10, 1000):
        assert is_bracketed(sequences.uniform_entropy, n)
    assert multiplies(sequences.uniform_entropy)
    # The number of prime factors has the values of powers, but does not increase with the number of choices.
    assert multiplies(prime_factors) and not is_bracketed(prime_factors, 10)
    # The number of choices less one increases, but not in proportion to the exponent.
    assert not multiplies(lambda n: n - 1) and not is_bracketed(lambda n: n - 1, 10)


def test_the_ratio_of_the_powers_themselves_does_not_tend_to_one():
    ratios = [3**n / 2 ** sequences.bracketing_power(2, 3, n) for n in range(500, 600)]
    assert min(ratios) < 1.02 and max(ratios) > 1.98
    # Some powers do come as close as one likes, such as those of the continued fraction of log 3 / log 2.
    closest = [abs(1 - 3**n / 2 ** round(n * math.log2(3))) for n in (5, 53, 665)]
    assert closest[0] > 0.05 > 5 * closest[1] > 50 * closest[2]


@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=6))
@runs
def test_the_entropy_of_fractions_follows_from_equal_choices(counts):
    # This is the last step of Sec. 2.2: N equal choices in groups of n_i form a tree of equal choices.
    total = sum(counts)
    tree = tuple((n / total, sequences.uniform_tree(n, 1)) for n in counts)
    np.testing.assert_allclose(sequences.leaf_probabilities(tree), np.full(total, 1 / total), rtol=1e-14)
    within = sum(n / total * sequences.uniform_entropy(n) for n in counts)
    by_axioms = sequences.uniform_entropy(total) - within
    assert by_axioms == pytest.approx(scipy.stats.entropy(np.array(counts) / total), abs=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sequences.log_multiplicity([2, -1]),
            r"counts\[1\] must be an integer of at least 0, got -1$",
        ),
        (lambda: sequences.log_multiplicity([[2, 1], [2.5, 0]]), r"counts\[1, 0\] must be an integer"),
        (lambda: sequences.multiplicity_exponent([[1, 0], [0, 0]]), r"counts\[1\] must not be all zero"),
        (lambda: sequences.stirling_correction(3), "counts must have an axis of symbols, got the number 3"),
        (lambda: sequences.log_multiplicity([1, np.nan]), r"counts\[1\] must be finite, got nan"),
        (lambda: sequences.log_type_probability([1, 1], [0.5, 0.6]), "q must sum to 1, got 1.1"),
        (lambda: sequences.type_exponent([1, 1], [1.0]), r"q must have shape \(2,\), .* got \(1,\)"),
        (
            lambda: sequences.tree_entropy(((0.5, LEAF), (0.5, ((0.5, LEAF), (0.6, LEAF))))),
            r"\(probabilities at tree\[1\]\[1\]\) must sum to 1, got 1.1",
        ),
        (
            lambda: sequences.leaf_probabilities(((1.5, LEAF), (-0.5, LEAF))),
            r"\(probabilities at tree\)\[1\] must not be negative, got -0.5",
        ),
        (
            lambda: sequences.leaf_probabilities((0.5, 0.5)),
            r"tree must be branches \(probability, subtree\) or LEAF",
        ),
        (lambda: sequences.leaf_probabilities((sequences.uniform_tree(1, 3000),)), "tree must be branches"),
        (lambda: sequences.leaf_probabilities(((1.0, 3),)), r"tree\[0\]\[1\] must be branches"),
        (lambda: sequences.uniform_tree(0, 1), "branches must be an integer of at least 1, got 0"),
        (lambda: sequences.uniform_tree(2, -1), "depth must be an integer of at least 0, got -1"),
        (lambda: sequences.uniform_entropy(0), "n must be an integer of at least 1, got 0"),
        (lambda: sequences.bracketing_power(1, 2, 3), "s must be an integer of at least 2, got 1"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
