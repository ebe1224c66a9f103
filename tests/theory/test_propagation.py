"""Oracles: exact sums, quadrature, and averages over random networks."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import laplace, norm, t

from curvezoo.theory import propagation

WIDTHS = (40, 64, 96, 32, 80)


@pytest.mark.equation("5.1.7")
def test_the_variance_of_a_product_is_exact_for_independent_variables():
    a, p = np.array([-1.0, 2.0, 5.0]), np.array([0.2, 0.5, 0.3])
    b, q = np.array([0.5, -3.0]), np.array([0.7, 0.3])
    products, weights = np.outer(a, b), np.outer(p, q)
    exact = np.sum(weights * products**2) - np.sum(weights * products) ** 2
    mean_a, mean_b = p @ a, q @ b
    variance_a, variance_b = p @ a**2 - mean_a**2, q @ b**2 - mean_b**2
    ours = propagation.variance_of_product(mean_a, variance_a, mean_b, variance_b)
    assert ours == pytest.approx(exact, rel=1e-13)


@pytest.mark.equation("5.1.8")
@pytest.mark.parametrize("law", [norm(scale=1.7), laplace(scale=0.4), t(df=7)])
def test_relu_halves_the_second_moment_of_any_symmetric_law(law):
    moment, _ = quad(lambda x: x**2 * law.pdf(x), 0, np.inf)
    assert propagation.relu_second_moment(law.var()) == pytest.approx(moment, rel=1e-7)


@pytest.mark.equation("5.1.9")
def test_relu_does_not_halve_the_variance():
    law = norm(scale=1.7)
    mean, _ = quad(lambda x: x * law.pdf(x), 0, np.inf)
    assert propagation.relu_mean(law.var()) == pytest.approx(mean, rel=1e-9)
    exact = law.var() / 2 - mean**2
    assert propagation.relu_variance(law.var()) == pytest.approx(exact, rel=1e-9)
    assert exact / (law.var() / 2) == pytest.approx(1 - 1 / np.pi, rel=1e-9)
    # The neglected <X>^2 is 1/pi of <X^2>.
    assert mean**2 / (law.var() / 2) == pytest.approx(1 / np.pi, rel=1e-9)


@pytest.mark.equation("5.1.9")
def test_the_moments_over_all_signs_of_the_weights_obey_the_corrected_recursion():
    # Two inputs, two hidden units and one output. Each weight and bias has a fixed size and a random sign.
    x, sizes, bias = np.array([1.3, -0.4]), (0.7, 1.1), 0.6
    signs = np.array(list(itertools.product((-1, 1), repeat=9)))
    sums = signs[:, :4].reshape(-1, 2, 2) @ x
    hidden = np.maximum(0, sizes[0] * sums + bias * signs[:, 4:6])
    output = np.maximum(0, sizes[1] * np.sum(signs[:, 6:8] * hidden, axis=1) + bias * signs[:, 8])
    exact = [np.mean(units**2) for units in (x, hidden, output)]
    variances = np.square(sizes)
    moments = propagation.forward_second_moment((2, 2, 1), variances, np.mean(x**2), bias**2)
    np.testing.assert_allclose(moments, exact, rtol=1e-13)
    # The printed recursion, with variances in place of second moments, does not hold.
    printed = (2 * variances[1] * np.var(hidden) + bias**2) / 2
    assert abs(printed / np.var(output) - 1) > 0.03


def draw_layers(widths, networks, seed=0):
    """Returns standard normal weights [networks, L_{n-1}, L_n] and biases [networks, L_n] of each layer."""
    rng = np.random.default_rng(seed)
    shapes = [(networks, fan_in + 1, fan_out) for fan_in, fan_out in itertools.pairwise(widths)]
    draws = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    return [(draw[:, 1:], draw[:, 0]) for draw in draws]


@pytest.fixture(scope="module")
def layers_of_2000_networks():
    return draw_layers(WIDTHS, 2000)


def relu_network(scheme, layers, bias_variance=0.0):
    """Returns activations [networks, L_n] of each layer for one fixed input with unit second moment."""
    widths = [layers[0][0].shape[1], *(biases.shape[1] for _, biases in layers)]
    x = np.random.default_rng(0).normal(size=widths[0])
    activations = [np.tile(x / np.sqrt(np.mean(x**2)), (len(layers[0][0]), 1))]
    for (w, b), variance in zip(layers, propagation.weight_variance(widths, scheme), strict=True):
        sums = np.matmul(activations[-1][:, None].astype(np.float32), w)[:, 0]
        activations.append(np.maximum(0, sums * np.sqrt(variance) + b * np.sqrt(bias_variance)))
    return activations


@pytest.mark.equation("5.1.9")
@pytest.mark.equation("5.1.10")
@pytest.mark.equation("5.1.11")
@pytest.mark.equation("5.1.12")
@pytest.mark.parametrize("bias_variance", [0.0, 0.3])
@pytest.mark.parametrize("scheme", ["fan_in", "fan_out", "fan_avg"])
def test_the_second_moment_obeys_the_corrected_recursion(scheme, bias_variance, layers_of_2000_networks):
    variances = propagation.weight_variance(WIDTHS, scheme)
    expected = propagation.forward_second_moment(WIDTHS, variances, 1.0, bias_variance)
    tolerance = 4 * np.sqrt(propagation.relative_variance(WIDTHS) / 2000) + 1e-9
    activations = relu_network(scheme, layers_of_2000_networks, bias_variance)
    for x, moment, bound in zip(activations, expected, tolerance, strict=True):
        assert np.mean(x**2) == pytest.approx(moment, rel=bound)


@pytest.mark.equation("5.1.9")
@pytest.mark.equation("5.1.10")
def test_fan_in_preserves_the_second_moment_and_loses_variance_once(layers_of_2000_networks):
    halves = (relu_network("fan_in", x) for x in (layers_of_2000_networks, draw_layers(WIDTHS, 2000, seed=1)))
    layers = [np.concatenate(pair) for pair in zip(*halves, strict=True)]
    np.testing.assert_allclose([np.mean(x**2) for x in layers], 1.0, rtol=0.03)
    # This is the variance over the units of one network. Over networks, |X|^2 fluctuates as well.
    spread = [np.mean(np.var(x, axis=1)) / np.mean(x**2) * x.shape[1] / (x.shape[1] - 1) for x in layers[1:]]
    np.testing.assert_allclose(spread, 1 - 1 / np.pi, rtol=0.03)


@pytest.mark.equation("5.1.11")
def test_fan_out_preserves_the_sum_over_a_layer():
    moments = propagation.forward_second_moment(WIDTHS, propagation.weight_variance(WIDTHS, "fan_out"))
    np.testing.assert_allclose(moments * WIDTHS, WIDTHS[0], rtol=1e-13)


def test_gradients_obey_the_recursion_of_the_transposed_network():
    fan_in, fan_out = (propagation.weight_variance(WIDTHS, s) for s in ("fan_in", "fan_out"))
    np.testing.assert_allclose(propagation.gradient_second_moment(WIDTHS, fan_out), 1.0, rtol=1e-13)
    gradients = propagation.gradient_second_moment(WIDTHS, fan_in)
    # The ratios of widths telescope: end to end, the choice of fan makes one factor.
    np.testing.assert_allclose(gradients, WIDTHS[-1] / np.array(WIDTHS), rtol=1e-13)


@pytest.mark.equation("5.1.12")
def test_fan_avg_halves_the_signal_per_layer_and_more_at_uneven_widths():
    equal, uneven = (64,) * 11, (32, 128) * 5 + (32,)
    ends = [
        propagation.forward_second_moment(w, propagation.weight_variance(w, "fan_avg"))[-1]
        for w in (equal, uneven)
    ]
    assert ends[0] == pytest.approx(2**-10, rel=1e-12)
    assert ends[1] == pytest.approx((32 * 128 / 160**2) ** 5, rel=1e-12)


def test_the_spread_over_networks_is_the_product_of_one_plus_five_over_width():
    widths = (20, 32, 48, 16, 40)
    norms = [np.sum(x**2, axis=1) for x in relu_network("fan_in", draw_layers(widths, 8_000, seed=1))]
    measured = [np.var(n) / np.mean(n) ** 2 for n in norms]
    np.testing.assert_allclose(measured, propagation.relative_variance(widths), rtol=0.12, atol=1e-12)


def test_residual_stream_doubles_unscaled_and_stays_below_e_scaled():
    depth, m = 50, 2
    assert propagation.residual_second_moment(depth)[-1] == 2.0**depth
    scaled = propagation.residual_second_moment(depth, depth ** (-1 / (2 * m)), m)[-1]
    assert scaled == pytest.approx(propagation.residual_growth(depth), rel=1e-12)
    assert scaled == pytest.approx((1 + 1 / depth) ** depth, rel=1e-12)
    assert propagation.residual_growth(10**9, 1.5) == pytest.approx(np.exp(1.5), rel=1e-8)


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match=r"scheme must be one of .*'fan_avg'.*, got 'fan'"):
        propagation.weight_variance(WIDTHS, "fan")
    with pytest.raises(ValueError, match=r"widths must be two or more positive numbers, got .*4.* 0"):
        propagation.weight_variance((4, 0), "fan_in")
    with pytest.raises(ValueError, match=r"weight_variances must have shape \(4,\), .*, got \(1,\)"):
        propagation.forward_second_moment(WIDTHS, [1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: propagation.relu_mean(-1.0), "variance must not be negative, got -1"),
        (lambda: propagation.relu_variance([1, np.nan]), r"variance\[1\] must be finite, got nan"),
        (lambda: propagation.relu_second_moment(-2), "variance must not be negative, got -2"),
        (lambda: propagation.variance_of_product(0, 1, np.inf, 1), "mean_b must be finite, got inf"),
        (lambda: propagation.variance_of_product(0, 1, 0, -1), "variance_b must not be negative, got -1"),
        (lambda: propagation.weight_variance([3, np.nan], "fan_in"), r"widths\[1\] must be finite, got nan"),
        (lambda: propagation.weight_variance([3, 4], "fan_in", -1), "gain must be a positive finite number"),
        (lambda: propagation.forward_second_moment([3, 4], [-1]), r"weight_variances\[0\] must not be negat"),
        (lambda: propagation.forward_second_moment([3, 4], [1], np.nan), "inputs must be a nonnegative"),
        (
            lambda: propagation.forward_second_moment([3, 4], [1], 1, -1),
            "bias_variance must be a nonneg",
        ),
        (lambda: propagation.gradient_second_moment([3, 4], [1], -1), "outputs must be a nonnegative"),
        (lambda: propagation.residual_second_moment(2.5), "blocks must be an integer of at least 0, got 2.5"),
        (lambda: propagation.residual_second_moment(2, sublayers=0), "sublayers must be an integer of at le"),
        (lambda: propagation.residual_growth(0), "depth must be a positive finite number, got 0"),
        (lambda: propagation.residual_growth(2, np.nan), "strength must be a nonnegative finite number"),
    ],
)
def test_arguments_without_a_result_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scheme", ["fan_in", "fan_out", "fan_avg"])
def test_the_gain_scales_the_standard_deviation_of_the_weights(scheme):
    unit = propagation.weight_variance(WIDTHS, scheme)
    np.testing.assert_allclose(propagation.weight_variance(WIDTHS, scheme, 3.0), 9 * unit, rtol=1e-15)
