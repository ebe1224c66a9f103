"""Oracle: a training on data with the same batch sizes from the beginning."""

import functools
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.batch_callback import BatchCallback
from curvezoo.optimizers.noise_scale.adaptive_batch import AdaptiveBatch
from curvezoo.optimizers.noise_scale.callback import GradientNoiseScale

D = 4


class KnownNoiseScale(BatchCallback):
    """A constant in place of measurements."""

    def __init__(self, noise_scale, standard_error=0.0):
        super().__init__()
        self.noise_scale, self.standard_error = noise_scale, standard_error


class Sizes(keras.callbacks.Callback):
    """Records the batch sizes that reach the compiled step, by the count of the loss tracker."""

    def __init__(self):
        super().__init__()
        self.sizes, self.before = [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.sizes.append([])
        self.before = 0

    def on_train_batch_end(self, batch, logs=None):
        count = int(self.model._loss_tracker.count)
        self.sizes[-1].append(count - self.before)
        self.before = count


def regression(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((D,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", **compiled)
    return model


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D)).astype("float32")
    return x, (x[:, :1] + rng.normal(size=(n, 1))).astype("float32")


def fit(model, callbacks, x, y=None, **kwargs):
    return model.fit(x, y, verbose=0, callbacks=callbacks, **kwargs).history


def test_the_batch_grows_to_the_noise_scale():
    noise, sizes, model = KnownNoiseScale(30.0), Sizes(), regression()
    adaptive = AdaptiveBatch(noise, high=64)
    x, y = data(104)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(model, [noise, adaptive, sizes], x, y, batch_size=8, epochs=4)
    # 32 is nearest to 30. The batch grows by a factor of two per epoch, and the last batch is smaller.
    assert sizes.sizes == [[8] * 13, [16] * 6 + [8], [32] * 3 + [8], [32] * 3 + [8]]
    assert history["batch_size"] == [8, 16, 32, 32]
    assert adaptive.history == [(0, 8), (13, 16), (20, 32)] and adaptive.batch_size == 32
    assert int(model.optimizer.iterations) == 13 + 7 + 4 + 4


@functools.cache
def weights_after(batches):
    """The weights after a training on batches of repeated data, given as (first, last) index."""
    model, (x, y) = regression(), data(96)
    x, y = np.concatenate([x] * 3), np.concatenate([y] * 3)
    for low, high in batches:
        model.train_on_batch(x[low:high], y[low:high])
    return model.get_weights()


@pytest.mark.parametrize("kind", ["arrays", "data set", "endless data set", "generator"])
@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_joined_batches_train_as_batches_of_that_size(kind, steps_per_execution):
    x, y = data(96)

    def source(size, kind):
        batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(size)
        if kind == "endless data set":
            return batches.repeat()
        return (
            batches
            if kind == "data set"
            else ((x[i : i + size], y[i : i + size]) for i in range(0, 96, size))
        )

    noise = KnownNoiseScale(1000.0)
    adaptive = AdaptiveBatch(noise, high=32, growth=4, every=1)
    model = regression(steps_per_execution=steps_per_execution)
    if kind == "arrays":
        fit(model, [noise, adaptive], x, y, batch_size=8, shuffle=False)
    else:
        steps = {"steps_per_epoch": 6} if kind == "endless data set" else {}
        fit(model, [noise, adaptive], source(8, kind), **steps)
    # The first execution has batches of 8, the following ones of 32.
    first = 8 * steps_per_execution
    small = [(i, i + 8) for i in range(0, first, 8)]
    if kind == "endless data set":
        large = [(i, i + 32) for i in range(first, first + 32 * (6 - steps_per_execution), 32)]
    else:
        large = [(i, min(i + 32, 96)) for i in range(first, 96, 32)]
    assert int(model.optimizer.iterations) == len(small + large)
    for a, b in zip(model.get_weights(), weights_after(tuple(small + large)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("scale", "error"), [(np.inf, np.inf), (100.0, 60.0), (5.0, 0.1)])
def test_the_batch_stays_if_the_noise_scale_is_uncertain_or_small(scale, error):
    noise = KnownNoiseScale(scale, error)
    adaptive = AdaptiveBatch(noise, high=64)
    fit(regression(), [noise, adaptive], *data(64), batch_size=8, epochs=3)
    assert adaptive.history == [(0, 8)]


def test_the_batch_never_shrinks_and_stays_below_its_limit():
    noise, model = KnownNoiseScale(1e6), regression()
    adaptive = AdaptiveBatch(noise, high=50, growth=100)
    fit(model, [noise, adaptive], *data(64), batch_size=8, epochs=2)
    # 48 is the largest multiple of 8 below 50.
    assert adaptive.batch_size == 48
    noise.noise_scale = 8.0
    fit(model, [noise, adaptive], *data(64), batch_size=8, epochs=2)
    assert adaptive.history == [(0, 48)]


def test_the_noise_scale_is_measured_on_the_joined_batches():
    noise = GradientNoiseScale(every=1, decay=1.0)
    adaptive = AdaptiveBatch(noise, high=32)
    # At zero weights the noise scale of this regression is 1 + D (1 + 2.5^2) = 30; 32 is nearest.
    model = keras.Sequential([keras.Input((D,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1024, D)).astype("float32")
    y = x[:, :1] + rng.normal(scale=2.5, size=(1024, 1)).astype("float32")
    fit(model, [noise, adaptive], x, y, batch_size=8, epochs=5)
    assert abs(noise.noise_scale - 30) < 4 * noise.standard_error
    sizes = dict(zip(noise.history["step"], noise.history["batch_size"], strict=True))
    assert list(sizes) == list(range(adaptive._steps))
    # Each change is in effect from its step on, and not earlier.
    assert [sizes[at] for at, _ in adaptive.history] == [8, 16, 32]
    assert [sizes[at - 1] for at, _ in adaptive.history[1:]] == [8, 16]


def test_two_logical_devices_join_batches_like_one(mirrored):
    batches = tf.data.Dataset.from_tensor_slices(data(64)).batch(8)
    weights = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = regression()
        noise = KnownNoiseScale(1000.0)
        adaptive = AdaptiveBatch(noise, high=16)
        fit(model, [noise, adaptive], batches, epochs=2)
        assert adaptive.history == [(0, 8), (8, 16)]
        weights.append(model.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": 3.0}, "noise must be a GradientNoiseScale, got 3.0"),
        ({"noise": BatchCallback()}, "noise must be a GradientNoiseScale, got "),
        ({"noise": SimpleNamespace(noise_scale=1.0)}, "noise must be a GradientNoiseScale, got "),
        ({"high": 0}, "high must be an integer of at least 1, got 0"),
        ({"excess": -1.0}, "excess must be positive, got -1"),
        ({"growth": 1}, "growth must be an integer of at least 2, got 1"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveBatch(**{"noise": KnownNoiseScale(1.0), "high": 64} | settings)


def test_a_missing_noise_scale_and_too_large_batches_are_refused():
    noise = KnownNoiseScale(1.0)
    for callbacks in ([AdaptiveBatch(noise, high=64)], [AdaptiveBatch(noise, high=64), noise]):
        with pytest.raises(ValueError, match="noise must be listed before AdaptiveBatch in the callbacks"):
            fit(regression(), callbacks, *data(64), batch_size=8)
    with pytest.raises(ValueError, match="high must be at least the data's batch size 16, got 8"):
        fit(regression(), [noise, AdaptiveBatch(noise, high=8)], *data(64), batch_size=16)
