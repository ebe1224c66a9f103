"""Oracles: the dense Hessian, the scaling of its blocks, and the unchanged outputs."""

import keras
import numpy as np
import pytest

from curvezoo import zoo
from curvezoo.figures.chapter6 import sharpness, training_curves


@pytest.fixture(scope="module")
def model():
    """A network of 64, 3, 5 and 10 units, trained for a few steps so that its biases are not zero."""
    keras.utils.set_random_seed(3)
    network = zoo.build("mlp_digits", widths=(3, 5), dropout=0.0)
    train, test = training_curves.digits()
    training_curves.train(network, train, test, keras.optimizers.SGD(0.3), (30,))
    return network


@pytest.fixture(scope="module")
def hessian(model):
    return sharpness.hessian_of(model, examples=100)


@pytest.fixture(scope="module")
def dense(hessian):
    return hessian.dense().astype(np.float64)


def test_curvature_is_that_of_the_dense_hessian(hessian, dense):
    largest, trace = sharpness.curvature(hessian, steps=25, probes=60)
    assert largest == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-3)
    assert trace == pytest.approx(np.trace(dense), rel=0.1)


def test_block_traces_are_those_of_the_dense_hessian(model, hessian, dense):
    diagonal = np.diag(dense)
    sizes = (64 * 3 + 3, 3 * 5, 5 + 5 * 10 + 10)
    exact = [part.sum() for part in np.split(diagonal, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(sharpness.block_traces(model, hessian, probes=60), exact, rtol=0.15)


def rescaled(dense, factor):
    """Returns the Hessian after the first layer is multiplied by a factor and the second divided by it."""
    scale = np.concatenate([np.full(195, factor), np.full(15, 1 / factor), np.ones(65)])
    return dense / np.outer(scale, scale)


def test_rescaling_divides_second_derivatives_but_changes_no_output(model, hessian, dense):
    weights, (train, _) = model.get_weights(), training_curves.digits()
    logits = model(train.images).numpy()
    try:
        sharpness.rescale(model, 0.2)
        np.testing.assert_allclose(model(train.images), logits, rtol=1e-4, atol=1e-4)
        expected = rescaled(dense, 0.2)
        np.testing.assert_allclose(hessian.dense(), expected, rtol=1e-3, atol=1e-4 * expected.max())
    finally:
        model.set_weights(weights)


def test_measured_rescalings_are_those_of_the_dense_hessian_and_are_undone(model, hessian, dense):
    before, factors = model.get_weights(), (0.1, 1.0, 10.0)
    result = sharpness.measure_rescaling(model, hessian, factors)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    exact = [np.linalg.eigvalsh(rescaled(dense, factor))[-1] for factor in factors]
    np.testing.assert_allclose(result.largest, exact, rtol=1e-2)
    np.testing.assert_allclose(result.trace, [np.trace(rescaled(dense, a)) for a in factors], rtol=0.15)
    first, second, rest = result.blocks
    np.testing.assert_allclose(
        [first / a**2 + second * a**2 + rest for a in factors], result.trace, rtol=0.25
    )
    assert result.change < 1e-3
    # The same function is much sharper at both ends.
    assert min(exact[0], exact[2]) > 3 * exact[1]


def test_training_stops_at_the_target_loss():
    _, curves = sharpness.train(16, target=0.5, steps=2000, points=20)
    assert curves.train_loss[-1] < 0.5 < curves.train_loss[0]
    assert len(curves.steps) < 20


def test_figure_shows_minima_and_rescalings():
    minima = [
        sharpness.Minimum(size, 100, 0.02, 0.1, 0.95, largest, 10 * largest)
        for size, largest in ((16, 3.0), (16, 4.0), (None, 9.0))
    ]
    rescaling = sharpness.Rescaling(
        np.array([0.5, 1.0, 2.0]), np.array([5.0, 3, 6]), np.array([50.0, 30, 60]), (10.0, 12.0, 8.0), 0.0
    )
    left, right = sharpness.plot(minima, rescaling).axes
    assert [line.get_xydata().tolist() for line in left.lines] == [
        [[3, 30], [4, 40]],
        [[9, 90]],
        [[5, 50]],
        [[6, 60]],
    ]
    grid, line = right.lines[0].get_data()
    np.testing.assert_allclose(line, 10 / grid**2 + 12 * grid**2 + 8)
    np.testing.assert_array_equal(right.lines[1].get_ydata(), rescaling.trace)
    np.testing.assert_array_equal(right.lines[2].get_ydata(), rescaling.largest)
    header, rows = sharpness.table(minima)
    assert rows[2] == ("all images in a batch", "100", "0.0200", "0.100", "95.0 %", "9.0", "90")
    assert {len(row) for row in rows} == {len(header)}
