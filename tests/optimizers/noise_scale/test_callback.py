"""Oracles: linear regression in closed form, trainings without the callback, one device for two."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.noise_scale import estimators as noise_estimators
from curvezoo.optimizers.noise_scale.callback import GradientNoiseScale
from curvezoo.theory import noise_scale

D, B = 6, 32
SPECTRUM = np.array([4.0, 2.0, 1.0, 1.0, 0.5, 0.25])
SHIFT, NOISE = np.array([0.1, 0.2, -0.5, 0.6, 0.6, -0.5]), 0.5


def regression_data(seed, n):
    """Inputs with covariance diag(SPECTRUM), and targets with optimal weights 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D)) * np.sqrt(SPECTRUM)
    return x.astype("float32"), rng.normal(scale=NOISE, size=(n, 1)).astype("float32")


def exact():
    """The local model at weights SHIFT: g = 2 (x . delta - noise) x and H = 2 <x x^T>."""
    cov = np.diag(SPECTRUM)
    gradient = 2 * cov @ SHIFT
    second = 4 * ((SHIFT @ cov @ SHIFT + NOISE**2) * cov + 2 * cov @ np.outer(SHIFT, SHIFT) @ cov)
    return noise_scale.LocalModel(gradient, 2 * cov, second - np.outer(gradient, gradient))


def regression(rate=0.0, scale=1.0, **compiled):
    model = keras.Sequential([keras.Input((D,)), layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign(SHIFT[:, None].astype("float32"))
    model.compile(keras.optimizers.SGD(rate), "mse", loss_weights=scale, **compiled)
    return model


def fit(model, callbacks, x, y, epochs=1, **kwargs):
    kwargs = {"batch_size": B, "shuffle": False, "verbose": 0, "callbacks": callbacks} | kwargs
    return model.fit(x, y, epochs=epochs, **kwargs).history


@pytest.fixture(scope="module")
def linear_regression():
    """Measurements of one training with a learning rate of 0, by method."""
    noises = {
        "per_example": GradientNoiseScale("per_example", every=1, hessian_every=1, decay=1.0),
        "microbatches": GradientNoiseScale("microbatches", every=1, decay=1.0),
    }
    fit(regression(), list(noises.values()), *regression_data(0, 1200 * B))
    return noises


@pytest.mark.equation("4.5.9")
@pytest.mark.parametrize("method", ["per_example", "microbatches"])
def test_linear_regression_has_the_exact_noise_scale_within_its_errors(method, linear_regression):
    noise, truth = linear_regression[method], exact()
    assert abs(noise.noise_scale - truth.simple_noise_scale) < 4 * noise.standard_error
    assert noise.standard_error < 0.08 * noise.noise_scale
    estimates = np.array([noise.history["squared_norm"], noise.history["trace"]])
    deviations = estimates.mean(axis=1) - (truth.squared_norm, np.trace(truth.covariance))
    assert np.all(np.abs(deviations) < 4 * estimates.std(axis=1) / np.sqrt(1200))
    # Of 40 trainings of 30 steps, 95 % are within two standard errors.
    inside = 0
    for training in np.split(estimates.T, 40):
        running = noise_scale.RunningNoiseScale(decay=1.0)
        for pair in training:
            running.update(*pair)
        inside += abs(running.noise_scale - truth.simple_noise_scale) < 2 * running.standard_error
    assert abs(inside / 40 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 40)


@pytest.mark.equation("4.5.8")
def test_linear_regression_has_the_exact_hessian_noise_scale(linear_regression):
    noise, truth = linear_regression["per_example"], exact()
    assert abs(noise.hessian_noise_scale - truth.noise_scale) < 4 * noise.hessian_standard_error
    assert noise.hessian_standard_error < 0.12 * truth.noise_scale
    assert truth.noise_scale > 1.5 * truth.simple_noise_scale
    estimates = np.array([noise.hessian_history["squared_norm"], noise.hessian_history["trace"]])
    deviations = estimates.mean(axis=1) - (truth.curvature, truth.curvature_of_noise)
    assert np.all(np.abs(deviations) < 4 * estimates.std(axis=1) / np.sqrt(1200))


@pytest.mark.equation("4.5.9")
def test_the_noise_scale_does_not_depend_on_the_unit_of_the_loss():
    # Division by |G| instead of |G|^2 would multiply it by 10.
    noises = []
    for scale in (1.0, 10.0):
        noise = GradientNoiseScale(every=1, hessian_every=2)
        fit(regression(scale=scale), noise, *regression_data(2, 20 * B))
        noises.append(noise)
    one, ten = noises
    np.testing.assert_allclose(ten.history["noise_scale"], one.history["noise_scale"], rtol=1e-3)
    np.testing.assert_allclose(ten.hessian_noise_scale, one.hessian_noise_scale, rtol=1e-3)
    np.testing.assert_allclose(
        ten.history["squared_norm"], 100 * np.array(one.history["squared_norm"]), rtol=1e-3
    )


def test_methods_agree_in_expectation(network, labelled):
    model = network()
    model.optimizer.learning_rate = 0.0
    noises = [GradientNoiseScale(m, every=1, decay=1.0) for m in ("per_example", "microbatches")]
    fit(model, noises, *labelled(2, 400 * B))
    for name in ("squared_norm", "trace"):
        single, pieces = (np.array(noise.history[name]) for noise in noises)
        difference = single - pieces
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    # Single examples scatter less.
    assert np.std(noises[0].history["trace"]) < np.std(noises[1].history["trace"])


def convolutional():
    keras.utils.set_random_seed(4)
    first = [layers.Reshape((D, 1)), layers.Conv1D(4, 3, activation="relu"), layers.BatchNormalization()]
    model = keras.Sequential([*first, layers.Dropout(0.3), layers.Flatten(), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


TRAININGS = {
    "adam, dropout and batch norm, built in fit": (lambda network: convolutional(), [{}]),
    "momentum and dropout": (lambda network: network(layers.Dropout(0.5)), [{}]),
    "all measured, by both methods": (
        lambda network: network(),
        [{"every": 1, "hessian_every": 1}, {"method": "microbatches", "hessian_every": None}],
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_callback_leaves_the_training_bit_for_bit_unchanged(name, network, labelled):
    make, all_settings = TRAININGS[name]
    x, y = labelled(3, 200)
    noises = [GradientNoiseScale(**{"every": 3, "hessian_every": 5} | settings) for settings in all_settings]
    runs = []
    for callbacks in (None, noises):
        model = make(network)
        keras.utils.set_random_seed(8)
        history = fit(model, callbacks, x, y, 2, shuffle=True, validation_data=(x[:50], y[:50]))
        runs.append((model, history))
    for noise in noises:
        assert len(noise.history["step"]) == (14 if noise.every == 1 else 5) and noise.skipped == 0
    (plain, without), (measured, logs) = runs
    for a, b in zip(plain.weights, measured.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for key in without:
        assert logs[key] == without[key], key


def test_metrics_of_two_outputs_are_unchanged(labelled):
    logs = []
    x, _ = labelled(4, 128)
    for callback in (None, GradientNoiseScale(every=1)):
        keras.utils.set_random_seed(9)
        inputs = keras.Input((D,))
        hidden = layers.Dense(4, "tanh")(inputs)
        model = keras.Model(
            inputs, {"a": layers.Dense(1, name="a")(hidden), "b": layers.Dense(1, name="b")(hidden)}
        )
        model.compile("sgd", {"a": "mse", "b": "mae"})
        logs.append(fit(model, callback, x, {"a": x[:, :1], "b": x[:, 1:2]}, 2))
    assert {key: logs[1][key] for key in logs[0]} == logs[0]
    assert {"a_loss", "b_loss"} <= set(logs[0])


def test_steps_per_execution_and_xla_do_not_change_the_measurements():
    x, y = regression_data(5, 10 * B + 7)
    runs = []
    for per_execution, jit_compile in ((1, False), (4, False), (4, True)):
        model = regression(0.01, jit_compile=jit_compile, steps_per_execution=per_execution)
        noises = [
            GradientNoiseScale("per_example", every=4, hessian_every=8),
            GradientNoiseScale("microbatches", every=4),
        ]
        fit(model, noises, x, y, 2)
        assert int(model.optimizer.iterations) == 22
        runs.append(noises)
    for one, four, compiled in zip(*runs, strict=True):
        assert one.history["step"] == [0, 4, 8, 12, 16, 20]
        # Executions begin at steps 0, 4, 8, and at 11, 15, 19 in the second epoch.
        assert four.history["step"] == compiled.history["step"] == [0, 4, 8, 15, 19]
        for name in ("squared_norm", "trace"):
            np.testing.assert_allclose(four.history[name][:3], one.history[name][:3], rtol=1e-4)
            np.testing.assert_allclose(compiled.history[name], four.history[name], rtol=1e-4)
    one, four, compiled = (noises[0].hessian_history for noises in runs)
    assert one["step"] == [0, 8, 16] and four["step"] == compiled["step"] == [0, 8, 19]
    np.testing.assert_allclose(compiled["trace"], four["trace"], rtol=1e-3)


def test_logs_and_summaries_contain_finite_numbers(tmp_path):
    noise = GradientNoiseScale(every=2, hessian_every=4, log_dir=tmp_path / "noise")
    board = keras.callbacks.TensorBoard(tmp_path / "board", write_graph=False)
    batch_logs = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch_logs.append(dict(logs))
    )
    history = fit(regression(), [noise, board, watch], *regression_data(6, 20 * B), 2)
    assert (
        len(history["noise_scale"])
        == len(history["noise_scale_error"])
        == len(history["hessian_noise_scale"])
        == 2
    )
    assert history["noise_scale"][-1] == noise.noise_scale
    assert history["noise_scale_error"][-1] == noise.standard_error
    assert all(np.isfinite(list(logs.values())).all() for logs in batch_logs)
    assert "noise_scale_error" not in batch_logs[0]
    assert batch_logs[-1]["noise_scale"] == noise.noise_scale
    assert scalars(tmp_path / "noise")["noise_scale"][-1] == (38, pytest.approx(noise.noise_scale, rel=1e-6))
    assert scalars(tmp_path / "board")["epoch_noise_scale"][-1][1] == pytest.approx(
        noise.noise_scale, rel=1e-6
    )


def scalars(folder):
    """The (step, value) pairs of a folder's TensorBoard summaries, by name."""
    pairs = {}
    for path in sorted(folder.rglob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.HasField("tensor"):
                    number = tf.make_ndarray(value.tensor)
                    pairs.setdefault(value.tag, []).append(
                        (event.step, float(number) if number.ndim == 0 else None)
                    )
    return pairs


def test_a_second_fit_continues_and_a_new_model_starts_over():
    x, y = regression_data(7, 10 * B)
    model, noise = regression(), GradientNoiseScale(every=4)
    fit(model, noise, x, y)
    assert noise.history["step"] == [0, 4, 8]
    fit(model, noise, x, y)
    assert noise.history["step"] == [0, 4, 8, 12, 16]
    assert model.train_function.__name__ == "function"
    fresh = regression()
    fit(fresh, noise, x, y)
    assert noise.history["step"] == [0, 4, 8]
    resumed = regression()
    resumed.optimizer.iterations.assign(100)
    late = GradientNoiseScale(every=4)
    fit(resumed, late, x, y)
    assert late.history["step"] == [100, 104, 108]


class Stop(Exception):
    pass


def test_after_an_exception_the_model_trains_as_before():
    def stop(batch, logs):
        if batch == 3:
            raise Stop

    x, y = regression_data(8, 10 * B)
    stopper = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    model, noise = regression(0.01), GradientNoiseScale(every=2)
    train_step = model.train_step
    with pytest.raises(Stop):
        fit(model, [noise, stopper], x, y)
    assert model.train_step == train_step and noise.history["step"] == [0, 2]
    model.train_on_batch(x[:B], y[:B])
    fit(model, None, x, y)
    assert noise.history["step"] == [0, 2]
    fit(model, noise, x, y)
    assert noise.history["step"] == [0, 2, 15, 17, 19, 21, 23]
    assert model.train_function.__name__ == "function"


class Fixed(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        """Does not change the weights, so that they stay finite."""


def test_non_finite_gradients_are_counted_and_omitted():
    x, y = regression_data(9, 10 * B)
    x[3 * B] = np.nan
    noise = GradientNoiseScale(every=1, hessian_every=1)
    model = regression()
    model.compile(Fixed(), "mse")
    history = fit(model, noise, x, y)
    assert noise.skipped == 2 and noise.history["step"] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert np.isfinite(history["noise_scale"]).all() and np.isfinite(history["hessian_noise_scale"]).all()


def test_gradients_whose_squares_underflow_are_counted_and_omitted():
    x, y = regression_data(9, 4 * B)
    noise = GradientNoiseScale(every=1)
    model = regression()
    model.compile(Fixed(), lambda target, output: 1e-22 * (target - output) ** 2)
    history = fit(model, noise, x, y)
    assert noise.skipped == 4 and not noise.history["step"]
    assert "noise_scale" not in history


def test_a_last_batch_of_one_example_is_omitted():
    x, y = regression_data(10, 3 * B + 1)
    noise = GradientNoiseScale(every=1)
    fit(regression(), noise, x, y)
    assert noise.skipped == 1 and noise.history["step"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "batch", "message"),
    [
        ({}, 1, "must have at least two examples .* noise_scale, got too few: gradients of 1 and of 1 ex"),
        ({"method": "microbatches"}, 1, "must have at least two examples .* to measure noise_scale"),
        (
            {"hessian_every": 1},
            3,
            "must have at least four examples .* to measure hessian_noise_scale",
        ),
    ],
)
def test_a_batch_that_is_too_small_is_refused(settings, batch, message):
    with pytest.raises(ValueError, match=message):
        fit(regression(), GradientNoiseScale(**settings), *regression_data(11, 12), batch_size=batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "best"}, "method must be one of auto, per_example, microbatches, replicas, got 'best'"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
        ({"hessian_every": 2.5}, "hessian_every must be an integer of at least 1, got 2.5"),
        ({"microbatches": 1}, "microbatches must be an integer of at least 2, got 1"),
        ({"microbatches": 3, "hessian_every": 1}, "microbatches must be an integer of at least 4, got 3"),
        ({"decay": 1.5}, r"decay must be in \[0, 1\], got 1.5"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        GradientNoiseScale(**settings)


class OwnLoss(keras.Model):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


@pytest.mark.parametrize(
    ("make", "method", "message"),
    [
        (
            lambda network: convolutional(),
            "per_example",
            "does not support this model: BatchNormalization 'batch_norm.*' couples",
        ),
        (
            lambda network: network(layers.PReLU()),
            "per_example",
            "does not support this model: .*alpha of PReLU .*has no rule",
        ),
        (
            lambda network: network(),
            "replicas",
            "method='replicas' needs a strategy with several replicas, got one",
        ),
    ],
)
def test_a_method_that_does_not_support_the_model_is_refused(make, method, message, network, labelled):
    with pytest.raises(ValueError, match=message):
        fit(make(network), GradientNoiseScale(method), *labelled(5, 64))


def test_an_overridden_compute_loss_is_refused():
    inputs = keras.Input((D,))
    model = OwnLoss(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must have Keras's own compute_loss, but OwnLoss overrides it"):
        fit(model, GradientNoiseScale(), *regression_data(12, 64))


def classifier(strategy):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        first = layers.Dense(8, "tanh", kernel_regularizer=keras.regularizers.L2(0.01))
        model = keras.Sequential([keras.Input((D,)), first, layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def test_two_logical_devices_give_the_measurements_of_one(labelled, mirrored, double_precision_rates):
    """The curved estimates are averages over the devices' shares."""
    # The same examples, the same pieces, and as many pieces as replicas.
    settings = {
        tf.distribute.get_strategy(): (
            {"method": "per_example"},
            {"method": "microbatches", "microbatches": 8},
            {"method": "microbatches", "microbatches": 2},
        ),
        mirrored: (
            {"method": "per_example"},
            {"method": "microbatches", "microbatches": 4, "hessian_every": 100},
            {"method": "replicas"},
        ),
    }
    x, y = labelled(0, 200)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(48)
    runs, weights = [], []
    for strategy, each in settings.items():
        model, noises = classifier(strategy), [GradientNoiseScale(every=2, **kwargs) for kwargs in each]
        model.fit(batches, epochs=2, verbose=0, callbacks=noises)
        runs.append(noises)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
    for one, two in zip(*runs, strict=True):
        assert two.history["step"] == one.history["step"]
        assert two.history["batch_size"] == one.history["batch_size"]
        for key in ("squared_norm", "trace", "noise_scale", "standard_error"):
            np.testing.assert_allclose(two.history[key], one.history[key], rtol=1e-5)
    model = classifier(tf.distribute.get_strategy())
    shares = [noise_estimators.curved(model, (x[s], y[s]), 4) for s in (slice(24), slice(24, 48))]
    expected = noise_scale.two_batch_estimates(*np.mean(shares, axis=0))
    history = runs[1][1].hessian_history
    measured = [*history["squared_norm"], *history["trace"]]
    np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_steps_count_batches_under_gradient_accumulation():
    x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2), "mse")
    noise = GradientNoiseScale(every=1)
    for _ in range(2):
        model.fit(x, x[:, :1], batch_size=16, verbose=0, callbacks=[noise])
    assert noise.history["step"] == list(range(12))
