"""Gradients and states over time against products of Jacobians and against closed forms."""

import keras
import numpy as np
import pytest
from scipy.special import expit

from curvezoo import layers
from curvezoo.figures.chapter5 import memory_over_time as memory


@pytest.mark.equation("5.2.1")
def test_gradients_are_products_of_the_jacobians_of_all_later_steps():
    width, steps = 4, 5
    keras.utils.set_random_seed(1)
    network = layers.ReLURNN(width)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, steps, width)).astype("float32")
    v = rng.normal(size=(1, width)).astype("float32")
    states, gradients = memory.second_moments(network, x, v)
    recurrent, kernel = np.split(np.asarray(network.cell.kernel), [width])
    h, history, slopes = np.zeros(width), [], []
    for inputs in x[0]:
        z = h @ recurrent + inputs @ kernel
        h = np.maximum(z, 0)
        history.append(h)
        slopes.append(np.diag((z > 0).astype(float)))
    expected = []
    for t in range(steps):
        jacobian = kernel @ slopes[t]
        for later in slopes[t + 1 :]:
            jacobian = jacobian @ recurrent @ later
        expected.append(np.mean(np.square(jacobian @ v[0])))
    assert min(expected) > 0
    np.testing.assert_allclose(gradients, expected, rtol=1e-4)
    np.testing.assert_allclose(states, np.mean(np.square(history), axis=1), rtol=1e-4)


def test_without_a_masked_unit_the_gradient_is_exactly_the_power_of_the_gain():
    gain, steps = 0.8, 6
    network = layers.ReLURNN(3, "ones", keras.initializers.Identity(gain))
    x = np.random.default_rng(0).uniform(size=(2, steps, 3)).astype("float32")
    _, gradients = memory.second_moments(network, x, np.ones((2, 3), "float32"))
    expected = gain ** (2 * np.arange(steps))
    np.testing.assert_allclose(gradients[::-1] / gradients[-1], expected, rtol=1e-5)
    scheme = memory.Scheme("", None, "", "", gain=gain)
    np.testing.assert_allclose(scheme.gradient_theory(3, steps), expected)


def test_an_lstm_with_forget_gates_alone_follows_the_dashed_line_exactly():
    bias, units, steps = 1, 3, 6
    scheme = memory.SCHEMES["lstm"]
    [network] = scheme.layers(units)
    network.build((None, steps, units))
    kernel, recurrent, biases = network.get_weights()
    np.testing.assert_array_equal(biases, np.repeat([0, bias, 0, 0], units))
    kernel[:, units : 2 * units] = 0  # The forget gates do not see the inputs.
    kernel[:, 3 * units :] = 0  # Neither do the output gates, whose gradient acts at distance 0 only.
    network.set_weights([kernel, 0 * recurrent, biases])
    x = np.tile(np.random.default_rng(0).normal(size=(2, 1, units)), (1, steps, 1)).astype("float32")
    _, gradients = memory.second_moments(network, x, np.ones((2, units), "float32"))
    expected = expit(bias) ** (2 * np.arange(steps))
    np.testing.assert_allclose(gradients[::-1] / gradients[-1], expected, rtol=1e-4)
    np.testing.assert_allclose(scheme.gradient_theory(units, steps), expected)


def test_wide_relu_networks_follow_the_limit_of_infinite_width():
    m = memory.measure(memory.SCHEMES["too_large"], width=256, steps=6, networks=8)
    np.testing.assert_allclose(m.gradients.mean(axis=0), m.gradient_theory, rtol=0.15)
    np.testing.assert_allclose(m.states.mean(axis=0), m.state_theory, rtol=0.15)
    assert m.gradients.shape == m.states.shape == (8, 6)
    np.testing.assert_allclose(m.state_theory, [sum(1.1 ** (2 * k) for k in range(t)) for t in range(1, 7)])


def test_gradients_of_a_transformer_hardly_depend_on_the_distance():
    keras.utils.set_random_seed(0)
    network = keras.Sequential(memory.SCHEMES["transformer"].layers(16))
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(16, 12, 16)).astype("float32"), rng.normal(size=(16, 16)).astype("float32")
    _, gradients = memory.second_moments(network, x, v)
    earlier = np.asarray(gradients)[:-1]
    assert earlier.max() < 15 * earlier.min()


def test_the_figure_and_the_table_show_what_was_measured():
    steps, rng = 10, np.random.default_rng(0)
    measurements = []
    for name in ("lstm", "transformer"):
        scheme = memory.SCHEMES[name]
        gradients, states = rng.uniform(0.1, 1, (2, 3, steps))
        theory = scheme.gradient_theory(4, steps)
        measurements.append(memory.Measurement(scheme, gradients, states, theory, scheme.state_theory(4, 10)))
    figure = memory.plot(measurements, every=2)
    left, right = figure.axes
    typical = np.cbrt(np.prod(measurements[0].gradients, axis=0))
    points, theory, others = (line.get_ydata() for line in left.lines)
    np.testing.assert_allclose(points, typical[::2])
    np.testing.assert_array_equal(theory, measurements[0].gradient_theory)
    np.testing.assert_allclose(others, np.cbrt(np.prod(measurements[1].gradients, axis=0))[::2])
    assert len(right.lines) == 2
    header, rows = memory.table(measurements)
    assert header == ("network", "distance 1", "distance 1", "distance 4", "distance 9", "theory at 9")
    assert rows[0][4] == f"{typical[9]:.1e}"
    assert (rows[0][5], rows[1][5]) == (f"{theory[9]:.1e}", "")
