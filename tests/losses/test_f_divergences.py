"""Oracles: TFP's Csiszar functions, the Fisher matrix of a softmax, 60-digit arithmetic."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from curvezoo.losses.divergences import f_divergence, jensen_shannon, kl_divergence
from curvezoo.losses.f_divergences import GENERATORS, alpha_divergence, balanced, squared_hellinger

tfd = tfp.distributions
SMOOTH = [name for name in GENERATORS if name != "total_variation"]

# TFP's Csiszar functions with the factors that make their second derivative at 1 equal to 1.
CSISZAR = {
    "kl": (1.0, lambda logu: tfp.vi.kl_forward(logu, self_normalized=True)),
    "reverse_kl": (1.0, lambda logu: tfp.vi.kl_reverse(logu, self_normalized=True)),
    "scaled_jensen_shannon": (2.0, lambda logu: tfp.vi.jensen_shannon(logu, self_normalized=True)),
    "total_variation": (1.0, tfp.vi.total_variation),
    "squared_hellinger": (2.0, tfp.vi.squared_hellinger),
    "chi_squared": (0.5, tfp.vi.pearson),
}


def float64(values):
    return tf.constant(values, tf.float64)


def categorical(logits):
    return tfd.Categorical(logits=tf.convert_to_tensor(logits, tf.float64), dtype=tf.int32)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_equal_the_csiszar_functions_of_tfp(name):
    log_ratio = float64(np.linspace(-8, 8, 101))
    factor, csiszar = CSISZAR[name]
    expected = factor * 2 * csiszar(log_ratio) / (1 + np.exp(log_ratio))
    np.testing.assert_allclose(GENERATORS[name](log_ratio), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("alpha", [-1.0, -0.3, 0.0, 0.5, 0.7, 1.0, 2.0, 3.0])
def test_alpha_generators_equal_amaris(alpha):
    log_ratio = float64(np.linspace(-8, 8, 101))
    csiszar = tfp.vi.amari_alpha(log_ratio, alpha, self_normalized=True)
    ours = alpha_divergence(alpha)(log_ratio)
    np.testing.assert_allclose(ours, 2 * csiszar / (1 + np.exp(log_ratio)), rtol=1e-9, atol=1e-14)
    # Replacing alpha by 1 - alpha exchanges p and q.
    np.testing.assert_allclose(ours, alpha_divergence(1 - alpha)(-log_ratio), rtol=1e-9, atol=1e-14)


def test_any_function_of_the_ratio_can_be_a_generator():
    log_ratio = float64(np.linspace(-5, 5, 11))
    ours = balanced(lambda u: 2 * (tf.sqrt(u) - 1) ** 2)(log_ratio)
    np.testing.assert_allclose(ours, squared_hellinger(log_ratio), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_generators_reach_their_limits_where_p_or_q_is_zero(dtype):
    ends = {
        "kl": (2, np.inf),
        "reverse_kl": (np.inf, 2),
        "scaled_jensen_shannon": (4 * np.log(2),) * 2,
        "total_variation": (1, 1),
        "squared_hellinger": (4, 4),
        "chi_squared": (1, np.inf),
    }
    for name, expected in ends.items():
        for far in (-np.inf, np.inf), (-1e30, 1e30):
            ours = GENERATORS[name](tf.constant(far, dtype)).numpy()
            np.testing.assert_allclose(np.where(ours > 1e6, np.inf, ours), expected, rtol=1e-6)
    np.testing.assert_allclose(
        alpha_divergence(0.5)(tf.constant([-np.inf, np.inf], dtype)), [4, 4], rtol=1e-6
    )
    np.testing.assert_allclose(
        alpha_divergence(2)(tf.constant([-np.inf, np.inf], dtype)), [1, np.inf], rtol=1e-6
    )


@pytest.mark.equation("2.3.7")
@pytest.mark.parametrize("name", [*SMOOTH, -0.7, 0.3, 3.0])
def test_the_fisher_matrix_is_the_common_second_derivative(name):
    f = alpha_divergence(name) if isinstance(name, float) else name
    theta = np.array([0.3, -1.0, 0.8, 0.0])
    p = softmax(theta)
    fisher = np.diag(p) - np.outer(p, p)
    moving = tf.Variable(theta)
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            divergence = f_divergence(f, categorical(theta), categorical(moving))
        slope = inner.gradient(divergence, moving)
    np.testing.assert_allclose(divergence, 0.0, atol=1e-15)
    np.testing.assert_allclose(slope, 0.0, atol=1e-15)
    np.testing.assert_allclose(outer.jacobian(slope, moving, experimental_use_pfor=False), fisher, atol=1e-14)


def test_small_steps_measure_the_fisher_metric_except_total_variation():
    theta, direction = np.array([0.3, -1.0, 0.8, 0.0]), np.array([1.0, 2.0, -1.0, 0.5])
    p = softmax(theta)
    length = p @ direction**2 - (p @ direction) ** 2

    def measured(name, step):
        moved = f_divergence(name, categorical(theta), categorical(theta + step * direction))
        return 2 / step**2 * float(moved)

    for name in SMOOTH:
        errors = [abs(measured(name, step) - length) for step in (1e-2, 1e-3)]
        # The error is linear in the step, or quadratic if the third derivative of f vanishes.
        assert errors[1] < 0.11 * errors[0] < 0.05 * length
    # Total variation is linear in the step, with the slope E_p|score| / 2.
    slope = np.sum(p * np.abs(direction - p @ direction)) / 2
    for step in (1e-2, 1e-3):
        assert step / 2 * measured("total_variation", step) == pytest.approx(slope, rel=2 * step)


@pytest.mark.parametrize("generator", [*GENERATORS.values(), *map(alpha_divergence, (-1.5, 0.3, 2.5))])
def test_generators_have_zero_slope_where_they_have_a_limit(generator):
    ends = tf.constant([-np.inf, np.inf, -1e30, 1e30], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(ends)
        values = generator(ends)
    slope = tape.gradient(values, ends).numpy()
    np.testing.assert_array_equal(slope[np.abs(values) < 1e6], 0.0)


def exact(name, log_ratio):
    """Returns h(l) = 2 f(u) / (1 + u) for Jensen-Shannon or an order alpha, computed with 60 digits."""
    with localcontext(prec=60):
        u = Decimal(float(log_ratio)).exp()
        if name == "scaled_jensen_shannon":
            f = 2 * (u * u.ln() - (1 + u) * ((1 + u) / 2).ln())
        else:
            a = Decimal(name)
            f = (u**a - 1 - a * (u - 1)) / (a * (a - 1))
        return float(2 * f / (1 + u))


ORDERS = [-30.0, -1.0, 0.3, 0.5, 3.0, 30.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["scaled_jensen_shannon", *ORDERS])
def test_generators_lose_no_digits_where_p_is_close_to_q(name, dtype):
    generator = GENERATORS.get(name) or alpha_divergence(name)
    scale = max(1.0, abs(name)) if name in ORDERS else 1.0
    size = np.geomspace(1e-10, 2, 60)
    # Include both sides of the change of formula.
    size = np.concatenate([size, [0.999, 1.001]]) / scale
    log_ratio = np.concatenate([-size, size]).astype(dtype)
    expected = [exact(name, x) for x in log_ratio]
    np.testing.assert_allclose(generator(tf.constant(log_ratio)), expected, rtol=20 * np.finfo(dtype).eps)


def test_alpha_generators_of_order_near_0_or_1_lose_no_digits_for_close_p_and_q():
    log_ratio = np.array([-0.99, -1e-4, 1e-8, 0.3])
    for name in (1e-12, 1 - 1e-9):
        expected = [exact(name, x) for x in log_ratio]
        np.testing.assert_allclose(alpha_divergence(name)(float64(log_ratio)), expected, rtol=1e-14)


@pytest.mark.parametrize("f", ["scaled_jensen_shannon", 0.5, -1.0])
def test_close_distributions_have_accurate_divergences_in_single_precision(f):
    f = alpha_divergence(f) if isinstance(f, float) else f
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(100, 5))
    moved = logits + 1e-4 * rng.normal(size=logits.shape)
    expected = f_divergence(f, categorical(logits), categorical(moved))
    ours = f_divergence(f, *(tfd.Categorical(logits=x.astype(np.float32)) for x in (logits, moved)))
    # Rounding of the logits gives the log ratios of 1e-4 an error of about 2e-7.
    np.testing.assert_allclose(ours, expected, rtol=1e-2)


def test_divergences_are_exact_for_different_supports():
    p = tfd.Categorical(probs=float64([0.5, 0.5, 0.0, 0.0]))
    q = tfd.Categorical(probs=float64([0.5, 0.25, 0.25, 0.0]))
    apart = tfd.Categorical(probs=float64([0.0, 0.0, 0.0, 1.0]))
    assert float(kl_divergence(p, q)) == pytest.approx(0.5 * np.log(2), rel=1e-12)
    assert float(kl_divergence(q, p)) == np.inf
    assert float(f_divergence("reverse_kl", p, q)) == np.inf
    for name, maximum in [
        ("scaled_jensen_shannon", 4 * np.log(2)),
        ("total_variation", 1.0),
        ("squared_hellinger", 4.0),
    ]:
        assert float(f_divergence(name, p, apart)) == pytest.approx(maximum, rel=1e-12)
        assert float(f_divergence(name, apart, apart)) == 0.0
    assert float(jensen_shannon(p, apart)) == pytest.approx(np.log(2), rel=1e-12)


LOGITS = st.lists(st.floats(-20, 20), min_size=4, max_size=4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(LOGITS, LOGITS)
def test_divergences_are_nonnegative_and_satisfy_known_inequalities(a, b):
    p, q = categorical(a), categorical(b)
    d = {name: float(f_divergence(name, p, q)) for name in GENERATORS}
    assert all(value >= -1e-12 for value in d.values())
    for symmetric in ("scaled_jensen_shannon", "total_variation", "squared_hellinger"):
        reverse = float(f_divergence(symmetric, q, p))
        assert d[symmetric] == pytest.approx(reverse, rel=1e-9, abs=1e-12)
    # Pinsker's inequality, and bounds on total variation and KL in terms of the Hellinger distance.
    tolerance = 1e-9
    assert d["total_variation"] <= np.sqrt(d["kl"] / 2) + tolerance
    hellinger = d["squared_hellinger"] / 4
    assert hellinger <= d["total_variation"] + tolerance
    assert d["total_variation"] <= np.sqrt(hellinger * (2 - hellinger)) + tolerance
    assert -2 * np.log(max(1 - hellinger, 1e-300)) <= d["kl"] + 1e-6
    assert d["kl"] <= np.log1p(2 * d["chi_squared"]) + 1e-6


def test_alpha_must_be_finite():
    with pytest.raises(ValueError, match="alpha must be a finite number, got inf"):
        alpha_divergence(np.inf)
