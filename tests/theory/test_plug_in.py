"""Oracles: exact expectations by enumeration, scikit-learn, and SciPy's G test."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from curvezoo.theory import information, plug_in


def expectation(estimator, n, p):
    """Returns the exact mean of an estimator of multinomial counts, by summing over all tables."""
    p = np.asarray(p)
    if p.size == 2:
        tables = np.stack([np.arange(n + 1), n - np.arange(n + 1)], axis=1)
    else:
        tables = np.array([(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a)
                           for c in range(n + 1 - a - b)])  # fmt: skip
    weights = stats.multinomial(n, p.ravel()).pmf(tables)
    likely = weights > 1e-12
    values = [estimator(table.reshape(p.shape)) for table in tables[likely]]
    return weights[likely] @ values


def test_plug_in_estimates_are_those_of_the_frequencies():
    counts = np.array([[5, 0, 2], [1, 7, 3]])
    frequencies = counts / counts.sum()
    assert plug_in.entropy(counts, corrected=False) == pytest.approx(stats.entropy(frequencies.ravel()))
    ours = plug_in.mutual_information(counts, corrected=False)
    assert ours == pytest.approx(mutual_info_score(None, None, contingency=counts), rel=1e-13)
    g = stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood").statistic
    assert 2 * counts.sum() * ours == pytest.approx(g, rel=1e-13)
    p, q = [3, 0, 5], [4, 1, 5]
    expected = stats.entropy(np.array(p) / 8, np.array(q) / 10)
    assert plug_in.kl_divergence(p, q, corrected=False) == pytest.approx(expected, rel=1e-13)
    assert plug_in.kl_divergence(p, q, corrected=False, base=2) == pytest.approx(expected / np.log(2))


def test_one_observation_has_no_entropy():
    assert plug_in.entropy([1, 0]) == 0


def test_the_corrections_are_the_printed_ones():
    assert plug_in.entropy([2, 1, 1, 0]) == pytest.approx(1.5 * np.log(2) + 2 / 8, rel=1e-14)
    counts = np.array([[5, 0, 2], [1, 7, 3]])
    difference = plug_in.mutual_information(counts) - plug_in.mutual_information(counts, corrected=False)
    assert difference == pytest.approx((2 + 3 - 5 - 1) / 36, rel=1e-13)
    bits = plug_in.mutual_information(counts, base=2)
    assert bits == pytest.approx(plug_in.mutual_information(counts) / np.log(2), rel=1e-14)


@pytest.mark.parametrize("p", [(0.5, 0.5), (0.3, 0.7)])
def test_millers_and_madows_term_removes_the_bias_of_first_order(p):
    truth = information.entropy(p)
    plain = [expectation(lambda c: plug_in.entropy(c, corrected=False), n, p) - truth for n in (100, 200)]
    corrected = [expectation(plug_in.entropy, n, p) - truth for n in (100, 200)]
    np.testing.assert_allclose(np.array(plain) * [200, 400], -1, rtol=0.02)
    # The bias of second order is -(sum of 1/p - 1) / (12 N^2).
    second = -(sum(1 / np.array(p)) - 1) / 12
    np.testing.assert_allclose(np.array(corrected) * [1e4, 4e4], second, rtol=0.1)


def test_corrected_information_of_independent_variables_is_zero_to_first_order():
    p = np.outer([0.4, 0.6], [0.5, 0.5])
    plain = expectation(lambda c: plug_in.mutual_information(c, corrected=False), 30, p)
    corrected = expectation(plug_in.mutual_information, 30, p)
    assert plain == pytest.approx(1 / 60, rel=0.08)
    assert abs(corrected) < 0.08 * plain


def test_the_corrected_divergence_is_unbiased_to_first_order():
    p, q, n = (0.3, 0.7), (0.6, 0.4), 30
    truth = information.kl_divergence(p, q)

    def mean(corrected):
        return expectation(
            lambda a: expectation(lambda b: plug_in.kl_divergence(a, b, corrected), 2 * n, q), n, p
        )

    first = 1 / (2 * n) + (0.3 / 0.6 + 0.7 / 0.4 - 1) / (4 * n)
    assert mean(False) - truth == pytest.approx(first, rel=0.08)
    assert abs(mean(True) - truth) < 0.08 * first


def test_a_missing_outcome_of_the_model_makes_the_divergence_infinite():
    assert plug_in.kl_divergence([1, 1], [2, 0]) == np.inf
    assert np.isfinite(plug_in.kl_divergence([2, 0], [1, 1]))


def test_counting_labels_matches_a_direct_count():
    rng = np.random.default_rng(0)
    x, y = rng.integers(3, size=200), rng.choice(["no", "yes"], 200)
    table = plug_in.count(x, y)
    assert table.tolist() == [[np.sum((x == i) & (y == j)) for j in ("no", "yes")] for i in range(3)]
    assert plug_in.count(x).tolist() == np.bincount(x).tolist()
    assert plug_in.mutual_information(table, corrected=False) == pytest.approx(mutual_info_score(x, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plug_in.entropy([0, 0]), "counts must hold at least one observation, got none"),
        (lambda: plug_in.entropy([]), "counts must hold at least one observation, got none"),
        (lambda: plug_in.entropy([1, -1]), r"counts\[1\] must be an integer of at least 0, got -1"),
        (lambda: plug_in.entropy([0.5, 0.5]), r"counts\[0\] must be an integer of at least 0, got 0.5"),
        (lambda: plug_in.entropy([1, 1], base=1), "base must be above 1, got 1"),
        (lambda: plug_in.mutual_information([1, 2]), r"counts must have 2 axes.*\(2,\)"),
        (lambda: plug_in.kl_divergence([1, 2], [1, 2, 3]), "counts_p and counts_q must have the same shape"),
        (lambda: plug_in.count(), "labels must be arrays .*, got none"),
        (lambda: plug_in.count([1, 2], [1]), r"labels\[0\] and labels\[1\] must have the same shape"),
        (lambda: plug_in.count([[1, 2]]), r"labels must be arrays .* got \(1, 2\)"),
        (lambda: plug_in.count([1.0, np.nan]), "labels must not be nan"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
