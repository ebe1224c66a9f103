"""Oracles: SciPy, sums written out in Python, decimal arithmetic with fifty digits, and inequalities."""

import itertools
import math
from decimal import Decimal, localcontext

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from curvezoo.theory import information

runs = settings(max_examples=150, deadline=None, derandomize=True)
shapes = st.lists(st.integers(1, 4), min_size=3, max_size=3).map(tuple)


def tables(shape):
    """Returns a strategy for tables of probabilities; small integer weights give many zeros and ties."""
    weights = hnp.arrays(np.int64, shape, elements=st.integers(0, 12)).filter(lambda a: a.sum() > 0)
    return weights.map(lambda a: a / a.sum())


def several(count, shape=None):
    """Returns a strategy for several tables of one shape."""
    return (st.just(shape) if shape else st.integers(1, 6)).flatmap(lambda s: st.tuples(*[tables(s)] * count))


@pytest.mark.equation("2.1.1")
@pytest.mark.equation("2.1.3")
@pytest.mark.equation("2.1.4")
@pytest.mark.parametrize("states", [1, 2, 7, 1000])
def test_the_entropy_of_a_uniform_distribution_is_the_log_of_the_number_of_states(states):
    p = np.full(states, 1 / states)
    written_out = -math.fsum(x * math.log(x) for x in p)
    assert information.entropy(p) == pytest.approx(np.log(states), rel=1e-13, abs=1e-15)
    assert information.entropy(p) == pytest.approx(-np.log(1 / states), rel=1e-13, abs=1e-15)
    assert information.entropy(p) == pytest.approx(written_out, rel=1e-13, abs=1e-15)
    assert information.perplexity(p) == pytest.approx(states, rel=1e-12)


@pytest.mark.equation("2.1.4")
@pytest.mark.equation("2.3.3")
@pytest.mark.parametrize("base", [None, 2, 10, 1.5])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None])
def test_entropy_and_divergences_match_scipy_along_any_axis(axis, base):
    rng = np.random.default_rng(0)
    p, q = rng.random((2, 3, 4, 5))
    p[p < 0.2] = 0
    p, q = p / p.sum(axis=axis, keepdims=True), q / q.sum(axis=axis, keepdims=True)
    options = {"axis": axis, "base": base}
    np.testing.assert_allclose(
        information.entropy(p, **options), scipy.stats.entropy(p, **options), rtol=1e-13
    )
    divergence = scipy.stats.entropy(p, q, **options)
    np.testing.assert_allclose(information.kl_divergence(p, q, **options), divergence, rtol=1e-12)
    cross = scipy.stats.entropy(p, **options) + divergence
    np.testing.assert_allclose(information.cross_entropy(p, q, **options), cross, rtol=1e-13)
    np.testing.assert_allclose(
        information.perplexity(p, axis), np.exp(scipy.stats.entropy(p, axis=axis)), rtol=1e-12
    )


@pytest.mark.equation("3.6.2")
@pytest.mark.parametrize("base", [None, 2])
def test_jensen_shannon_is_the_square_of_scipys_distance(base):
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.full(5, 0.3), size=(2, 20))
    p[0], q[0] = [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]
    ours = information.jensen_shannon(p, q, base=base)
    np.testing.assert_allclose(ours, jensenshannon(p, q, base, axis=-1) ** 2, rtol=1e-11, atol=1e-15)
    assert ours[0] == pytest.approx(np.log(2) if base is None else 1)
    mixture = (p + q) / 2
    printed = (information.kl_divergence(p, mixture) + information.kl_divergence(q, mixture)) / 2
    np.testing.assert_allclose(information.jensen_shannon(p, q), printed, rtol=1e-12, atol=1e-15)


def test_zero_probabilities_give_the_right_limits_and_infinities(recwarn):
    tiny = np.nextafter(0.0, 1.0)
    assert information.entropy([1, 0, 0]) == 0
    assert information.entropy([0.5, 0.5, 0]) == pytest.approx(np.log(2), rel=1e-15)
    assert information.kl_divergence([0.5, 0.5, 0], [0.5, 0.25, 0.25]) == pytest.approx(np.log(2) / 2)
    assert information.kl_divergence([0.5, 0.5], [1, 0]) == np.inf
    assert information.kl_divergence([1, 0], [0.5, 0.5], base=2) == 1
    assert information.kl_divergence([1 - tiny, tiny], [1, 0]) == np.inf
    # The ratio 2^1073 overflows, but its logarithm does not.
    assert information.kl_divergence([0.5, 0.5], [1, tiny]) == pytest.approx(
        1073 / 2 * np.log(2) - np.log(2) / 2
    )
    assert information.cross_entropy([0.5, 0.5], [1, 0]) == np.inf
    assert information.cross_entropy([1, 0], [1, 0]) == 0
    assert information.jensen_shannon([1, 0], [0, 1], base=2) == 1
    assert information.jensen_shannon([1, tiny], [1, 0]) == 0
    assert not np.signbit(information.entropy([1.0, 0.0]))
    assert not len(recwarn)


def exact_divergence(p, q):
    """Returns the divergence in decimal arithmetic with fifty digits."""
    with localcontext() as context:
        context.prec = 50
        pairs = [(Decimal(float(a)), Decimal(float(b))) for a, b in zip(p, q, strict=True) if a > 0]
        return float(sum((a * (a / b).ln() for a, b in pairs), Decimal(0)))


@pytest.mark.equation("2.3.4")
@given(pair=several(2), noise=st.sampled_from([0.0, 1e-16, 1e-12, 1e-8, 1e-3]), seed=st.integers(0, 99))
@runs
def test_rounding_does_not_make_a_divergence_negative(pair, noise, seed):
    p, q = pair
    nearby = p * (1 + noise * np.random.default_rng(seed).normal(size=p.shape))
    nearby /= nearby.sum()
    divergence = information.kl_divergence(p, nearby)
    assert divergence >= 0
    # The floats do not sum to one exactly, so the exact sum can be negative by as much.
    assert divergence == pytest.approx(exact_divergence(p, nearby), rel=1e-12, abs=2e-15)
    far = information.kl_divergence(p, q)
    assert far > 1e-4 or np.array_equal(p, q)
    assert information.kl_divergence(p, p) == information.jensen_shannon(p, p) == 0
    assert 0 <= information.jensen_shannon(p, q) <= np.log(2) * (1 + 1e-15)


@pytest.mark.equation("3.6.2")
@given(triple=several(3))
@runs
def test_the_root_of_jensen_shannon_obeys_the_triangle_inequality(triple):
    p, q, r = triple
    sides = [np.sqrt(information.jensen_shannon(*pair)) for pair in itertools.combinations((p, q, r), 2)]
    # A rounding error of 1e-16 in a divergence of 0 gives a root of 1e-8.
    assert max(sides) <= sum(sides) - max(sides) + 2e-8


def test_jensen_shannon_itself_violates_the_triangle_inequality():
    p, q, r = [1, 0], [0.5, 0.5], [0, 1]
    js = information.jensen_shannon
    assert js(p, r) > js(p, q) + js(q, r) + 0.2


def test_the_divergence_violates_the_triangle_inequality_but_not_as_printed():
    one, half, zero = [1, 0], [0.5, 0.5], [0, 1]
    kl = information.kl_divergence
    assert kl(one, zero) == kl(zero, one) == np.inf
    assert kl(one, half) == kl(zero, half) == pytest.approx(np.log(2))
    # The divergence from the middle to an end is infinite, so the inequality is satisfied.
    assert kl(half, zero) == kl(half, one) == np.inf
    for r in (0.4999, 0.3, 0.1, 1e-9, 1e-300):
        assert kl(one, [r, 1 - r]) > kl(one, half) + kl(half, [r, 1 - r])
    # The symmetrized divergence violates the inequality, too.
    high, low = [0.9, 0.1], [0.1, 0.9]
    assert kl(high, low) + kl(low, high) > 2 * (kl(high, half) + kl(half, high))


def written_out(joint, axes):
    """Returns the entropy of some variables of a joint table, by a sum over a dictionary."""
    marginal = {}
    for cell, p in np.ndenumerate(joint):
        key = tuple(cell[axis] for axis in axes)
        marginal[key] = marginal.get(key, 0.0) + p
    return -math.fsum(p * math.log(p) for p in marginal.values() if p > 0)


@pytest.mark.equation("2.5.1")
@given(joint=st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(tables))
@runs
def test_conditional_entropy_is_the_mean_entropy_of_the_conditionals(joint):
    cells = [(p, p / joint[:, y].sum()) for (_, y), p in np.ndenumerate(joint) if p > 0]
    first_line = -math.fsum(p * math.log(conditional) for p, conditional in cells)
    columns = [column for column in joint.T if column.sum() > 0]
    second_line = math.fsum(c.sum() * information.entropy(c / c.sum()) for c in columns)
    ours = information.conditional_entropy(joint)
    assert ours == pytest.approx(first_line, abs=1e-13)
    assert ours == pytest.approx(second_line, abs=1e-13)
    assert information.conditional_entropy(joint.T, x=1, given=0) == pytest.approx(ours, abs=1e-13)
    assert -1e-13 <= first_line <= written_out(joint, [0]) + 1e-13


@pytest.mark.equation("2.5.2")
@given(joint=shapes.flatmap(tables))
@runs
def test_entropies_of_joint_tables_factorize(joint):
    for axes in ((0,), (2, 0), (1, 2), (0, 1, 2)):
        assert information.joint_entropy(joint, axes) == pytest.approx(written_out(joint, axes), abs=1e-13)
    total = written_out(joint, (0, 1, 2))
    assert information.joint_entropy(joint) == pytest.approx(total, abs=1e-13)
    # S(X,Y) = S(Y) + S(X|Y), where Z is summed over or part of X.
    conditional = information.conditional_entropy(joint, 0, 1)
    assert written_out(joint, (0, 1)) == pytest.approx(written_out(joint, [1]) + conditional, abs=1e-13)
    conditional = information.conditional_entropy(joint, (0, 2), 1)
    assert total == pytest.approx(written_out(joint, [1]) + conditional, abs=1e-13)


@pytest.mark.equation("2.5.3")
@pytest.mark.equation("2.5.4")
@given(joint=st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(tables))
@runs
def test_all_forms_of_the_mutual_information_agree(joint):
    x, y = joint.sum(axis=1), joint.sum(axis=0)
    ours = information.mutual_information(joint)
    ratio = math.fsum(p * math.log(p / (x[i] * y[j])) for (i, j), p in np.ndenumerate(joint) if p > 0)
    assert ours == pytest.approx(ratio, abs=1e-13)
    for form in (
        information.entropy(x) + information.entropy(y) - information.entropy(joint, axis=None),
        information.entropy(x) - information.conditional_entropy(joint, 0, 1),
        information.entropy(y) - information.conditional_entropy(joint, 1, 0),
        information.kl_divergence(joint, np.outer(x, y), axis=None),
        information.mutual_information(joint.T),
    ):
        assert ours == pytest.approx(form, abs=1e-13)
    assert 0 <= information.mutual_information(np.outer(x, y)) < 1e-14
    independent = np.allclose(joint, np.outer(x, y), atol=1e-9)
    assert (ours < 1e-6) == independent


@pytest.mark.equation("2.5.5")
@pytest.mark.equation("2.5.6")
@given(pair=shapes.flatmap(lambda s: several(2, s)))
@runs
def test_observing_more_adds_the_divergence_of_the_conditionals(pair):
    p, q = pair
    q = (q + 1 / q.size) / 2
    both = information.kl_divergence(p, q, axis=None)
    for given_axes, others in ((0, (1, 2)), ((0, 2), (1,))):
        p_x, q_x = p.sum(axis=others), q.sum(axis=others)
        marginal = information.kl_divergence(p_x, q_x, axis=None)
        gap = information.conditional_kl_divergence(p, q, given=given_axes)
        assert both >= marginal - 1e-14
        assert both - marginal == pytest.approx(gap, abs=1e-13)
        first = range(np.ndim(p_x))
        rows = np.moveaxis(p, given_axes, first), np.moveaxis(q, given_axes, first)
        printed = math.fsum(
            p_x[x] * information.kl_divergence(rows[0][x] / p_x[x], rows[1][x] / q_x[x], axis=None)
            for x in np.ndindex(p_x.shape)
            if p_x[x] > 0
        )
        assert gap == pytest.approx(printed, abs=1e-13)


def test_the_conditional_divergence_is_infinite_where_only_the_model_is_zero(recwarn):
    p, q = [[0.25, 0.25], [0.5, 0]], [[0.5, 0], [0.5, 0]]
    assert information.conditional_kl_divergence(p, q) == np.inf
    assert information.conditional_kl_divergence(p, [[0, 0], [0.5, 0.5]]) == np.inf
    assert information.conditional_kl_divergence(q, p) == pytest.approx(np.log(2) / 2)
    assert not len(recwarn)


@given(joint=shapes.flatmap(tables))
@runs
def test_entropy_is_strongly_subadditive(joint):
    s = {axes: written_out(joint, axes) for n in range(4) for axes in itertools.combinations(range(3), n)}
    gap = s[0, 1] + s[1, 2] - s[(1,)] - s[0, 1, 2]
    assert gap >= -1e-13
    assert information.conditional_mutual_information(joint, 0, 2, given=1) == pytest.approx(gap, abs=1e-13)
    # It is the monotonicity of D_KL(p(x,y,z) || p(x) p(y,z)) under marginalization over z.
    product = joint.sum(axis=(1, 2))[:, None, None] * joint.sum(axis=0)
    monotonicity = information.conditional_kl_divergence(joint, product, given=(0, 1))
    assert monotonicity == pytest.approx(gap, abs=1e-13)


@pytest.mark.parametrize("e", [1e-3, 1e-6, 1e-8, 1e-9])
def test_a_small_dependence_has_an_accurate_information(e):
    joint = np.array([[1 / 4 + e, 1 / 4 - e], [1 / 4 - e, 1 / 4 + e]])
    # log 2 minus the entropy of a coin with sides 1/2 + 2e and 1/2 - 2e, as a series in 4e.
    expected = sum((4 * e) ** (2 * k) / (2 * k * (2 * k - 1)) for k in range(1, 4))
    assert information.mutual_information(joint) == pytest.approx(expected, rel=1e-7, abs=0)
    stacked = np.stack([joint, joint[::-1]]) / 2
    # Given the third variable, both slices have this information; without it, they cancel.
    assert information.conditional_mutual_information(stacked, 1, 2, 0) == pytest.approx(
        expected, rel=1e-7, abs=0
    )
    assert information.mutual_information(stacked, 1, 2) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("e", [1e-7, 1e-8])
def test_the_information_of_a_small_dependence_survives_the_rounding_of_ratios(e):
    product = np.outer([0.3, 0.7], [0.6, 0.4])
    value = information.mutual_information(product + e * np.array([[1, -1], [-1, 1]]))
    # To second order in e.
    assert value == pytest.approx(e**2 / 2 * np.sum(1 / product), rel=1e-5, abs=0)


def test_tables_of_very_different_probabilities_are_accurate(recwarn):
    for tiny in (1e-20, 1e-200, 1e-320):
        # The rare outcome determines both variables.
        assert information.mutual_information([[1, 0], [0, tiny]]) == pytest.approx(
            -tiny * np.log(tiny) + tiny, rel=1e-2 if tiny < 1e-300 else 1e-12, abs=0
        )
        # The sum 1 + tiny is rounded to 1, which leaves the term of the rare outcome.
        assert information.conditional_entropy([[1, tiny]], 1, 0) == pytest.approx(
            -tiny * np.log(tiny), rel=1e-2 if tiny < 1e-300 else 1e-12, abs=0
        )
    assert not len(recwarn)


def test_dependent_variables_may_have_a_product_of_means():
    # x is -1, 0 or 1, and y = x^2 has the values 0 and 1.
    joint = np.array([[0, 1], [1, 0], [0, 1]]) / 3
    x, y = np.array([-1, 0, 1]), np.array([0, 1])
    mean_x, mean_y = joint.sum(1) @ x, joint.sum(0) @ y
    assert x @ joint @ y == mean_x * mean_y == 0
    # Yet x determines y.
    entropy = information.entropy([1 / 3, 2 / 3])
    assert information.mutual_information(joint) == pytest.approx(entropy, rel=1e-14)


def test_the_inputs_of_exclusive_or_are_dependent_only_given_its_output():
    joint = np.zeros((2, 2, 2))
    for x, y in itertools.product(range(2), repeat=2):
        joint[x, y, x ^ y] = 1 / 4
    assert information.mutual_information(joint, 0, 1, base=2) == 0
    assert information.conditional_mutual_information(joint, 0, 1, 2, base=2) == pytest.approx(1)
    assert information.mutual_information(joint, (0, 1), 2, base=2) == pytest.approx(1)


TABLE = [[0.25, 0.25], [0.5, 0.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: information.entropy([[0.5, 0.5], [0.5, 0.6]]), r"p\[1\] must sum to 1, got 1.1"),
        (lambda: information.entropy([0.5, -0.5, 1]), r"p\[1\] must not be negative, got -0.5"),
        (lambda: information.entropy([0.5, np.nan]), r"p\[1\] must be finite, got nan"),
        (lambda: information.entropy([0.5, 0.5], axis=1), "axis 1 is out of bounds"),
        (lambda: information.entropy([0.5, 0.5], base=1), "base must be above 1, got 1.0"),
        (lambda: information.entropy([0.5, 0.5], base=np.inf), "base must be finite, got inf"),
        (lambda: information.perplexity([2.0]), "p must sum to 1, got 2"),
        (lambda: information.cross_entropy([0.5, 0.5], [0.5, 0.4]), "q must sum to 1, got 0.9"),
        (
            lambda: information.kl_divergence([0.5, 0.5], [1.0]),
            r"p and q .* same shape, got \(2,\) and \(1,\)",
        ),
        (lambda: information.jensen_shannon([1, 0], [-1, 2]), r"q\[0\] must not be negative, got -1"),
        (lambda: information.joint_entropy([[0.5, 0.5], [0]]), "joint must hold real numbers in rows of one"),
        (lambda: information.joint_entropy(TABLE, 0.5), "x must be an axis of joint .*, got 0.5"),
        (lambda: information.mutual_information(TABLE, None), "x must be an axis of joint .*, got None"),
        (
            lambda: information.conditional_kl_divergence(TABLE, TABLE, 1.0),
            "given must be an axis of joint .*, got 1.0",
        ),
        (lambda: information.entropy([0.5, 0.5], axis=0.5), "axis must be an integer, .* got 0.5"),
        (lambda: information.joint_entropy([[0.5, 0.6]]), "joint must sum to 1, got 1.1"),
        (lambda: information.joint_entropy(TABLE, 2), "x: axis 2 is out of bounds"),
        (
            lambda: information.conditional_entropy(TABLE, 0, 0),
            "x and given must be different variables, .* axis 0",
        ),
        (
            lambda: information.mutual_information(TABLE, (0, 1), -1),
            "x and y must be different variables, .* axis 1",
        ),
        (lambda: information.mutual_information([0.5, 0.5]), "y: axis 1 is out of bounds"),
        (
            lambda: information.conditional_mutual_information(TABLE, 0, 1, 1),
            "y and given must be different variables, .* axis 1",
        ),
        (lambda: information.conditional_kl_divergence(TABLE, TABLE, 3), "given: axis 3 is out of bounds"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_probability_that_is_negative_by_rounding_counts_as_zero():
    assert information.entropy([1 + 1e-9, -1e-9]) == 0
    assert information.entropy([0.5, 0.5, -1e-9]) == pytest.approx(np.log(2), rel=1e-12)
    with pytest.raises(ValueError, match=r"p\[1\] must not be negative, got -0.0001"):
        information.entropy([1.0001, -0.0001])
