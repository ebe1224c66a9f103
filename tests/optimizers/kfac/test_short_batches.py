"""A batch that is shorter than the others, such as the last one of an epoch, against closed forms."""

import numpy as np
import pytest

from curvezoo.optimizers.kfac.optimizer import KFAC

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 5)), RNG.integers(0, 3, 32)


def after_three_batches(compiled, **settings):
    """A model of constant damping after three batches of 32 examples, with its weights unchanged."""
    model = compiled(KFAC(0.0, damping=0.5, adapt_every=None, statistics_every=1, **settings))
    for _ in range(3):
        model.train_on_batch(X, Y)
    return model


@pytest.mark.equation("4.5.6")
@pytest.mark.parametrize("size", [1, 8, 32])
def test_the_signal_fraction_is_that_of_the_batchs_own_size(size, compiled):
    """If half of the slope of 32 examples is signal, then B_noise = 32, and c = B / (B + 32)."""
    measured = after_three_batches(compiled)
    signal = measured.optimizer._noise.signal
    signal._slopes.assign(-1.0)
    signal._signals.assign(-0.5)
    given = after_three_batches(compiled, noise_memory=None)
    before = given.get_weights()
    for model, rate in ((measured, 1.0), (given, size / (size + 32))):
        model.optimizer.learning_rate = rate
        model.train_on_batch(X[:size], Y[:size])
    for a, b, start in zip(measured.get_weights(), given.get_weights(), before, strict=True):
        np.testing.assert_allclose(a - start, b - start, rtol=1e-10, atol=1e-15)
        assert np.abs(b - start).max() > 1e-4


@pytest.mark.parametrize("size", [1, 8, 32])
def test_statistics_weigh_examples_and_not_batches(size, compiled):
    """The fourth of equal batches has the weight 1/4, and one of B < 32 examples B/32 of that."""
    model = after_three_batches(compiled)
    model.train_on_batch(2 * X[:size], Y[:size])
    ones = np.ones((32, 1))
    before, new = np.append(X, ones, 1), np.append(2 * X[:size], ones[:size], 1)
    weight = size / 32 / 4
    expected = (1 - weight) * before.T @ before / 32 + weight * new.T @ new / size
    actual = model.optimizer._statistics.states[0]["A"]
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_the_average_size_follows_the_batches(compiled):
    model = after_three_batches(compiled)
    assert float(model.optimizer._mean_size) == 32
    model.train_on_batch(X[:8], Y[:8])
    model.train_on_batch(np.nan * X[:8], Y[:8])
    assert float(model.optimizer._mean_size) == pytest.approx(0.95 * 32 + 0.05 * 8, rel=1e-12)
