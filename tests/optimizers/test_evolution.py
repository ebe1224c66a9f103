"""Evolution against closed moments of Gaussian noise, SciPy's ranks and NumPy's recursions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import rankdata
from sklearn.datasets import load_digits

from curvezoo.optimizers.evolution import Evolution, centered_ranks
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective

PAIRS = 4000


def estimate(loss, x, y, theta, **kwargs):
    """The estimated gradient of a loss of x theta, without ranks."""
    model = keras.Sequential([keras.Input((len(theta),)), keras.layers.Dense(1, use_bias=False)])
    optimizer = Evolution(**({"pairs": PAIRS, "ranks": False, "seed": 0} | kwargs))
    model.compile(optimizer, loss=loss)
    model.set_weights([np.reshape(theta, (-1, 1))])
    values = tf.constant(x), tf.constant(y)
    return tf.function(lambda: optimizer.direction(CompiledObjective(model, *values), None))()[0].numpy()[
        :, 0
    ]


def mean_output(y, outputs):
    return outputs


def assert_estimates(actual, gradient):
    """Checks an estimate by the covariance of e (e . a), which is |a|^2 + a a^T."""
    error = np.sqrt((gradient @ gradient + gradient**2) / PAIRS)
    assert np.all(np.abs(actual - gradient) < 4 * error)
    assert np.abs(actual - gradient).max() > 0.1 * error.max()
    # The mean square of D standardized deviations is 1 with a variance of about 2 / D.
    assert abs(np.mean(((actual - gradient) / error) ** 2) - 1) < 4 * np.sqrt(2 / len(gradient))


def test_the_estimate_on_a_linear_loss_is_unbiased(double_precision_rates):
    a = np.linspace(-1, 2, 8)
    actual = estimate(mean_output, a[None], np.zeros((1, 1)), np.ones(8), sigma=0.3)
    assert_estimates(actual, a)

    # A constant cancels in every pair, at any theta and sigma.
    def doubled(y, outputs):
        return 1e3 + 2 * outputs

    other = estimate(doubled, a[None], np.zeros((1, 1)), np.zeros(8), sigma=5.0)
    np.testing.assert_allclose(other, 2 * actual, rtol=1e-9, atol=1e-10)


def test_the_estimate_on_a_quadratic_loss_is_unbiased_at_any_sigma(double_precision_rates):
    rng = np.random.default_rng(0)
    x, y, theta = rng.normal(size=(20, 6)), rng.normal(size=(20, 1)), rng.normal(size=6)
    gradient = 2 * x.T @ (x @ theta - y[:, 0]) / 20
    near, far = (estimate("mse", x, y, theta, sigma=s) for s in (0.01, 10.0))
    assert_estimates(near, gradient)
    np.testing.assert_allclose(near, far, rtol=1e-8)


def test_the_estimate_on_a_quartic_loss_is_the_smoothed_gradient(double_precision_rates):
    theta, sigma = 0.7, 0.5
    actual = estimate(lambda y, t: t**4 / 4, np.ones((1, 1)), np.zeros((1, 1)), [theta], sigma=sigma)[0]
    # <(t + sigma e)^4> / 4 has the slope t^3 + 3 sigma^2 t; one pair gives t^3 e^2 + t sigma^2 e^4.
    smoothed = theta**3 + 3 * sigma**2 * theta
    square = 3 * theta**6 + 2 * 15 * theta**4 * sigma**2 + 105 * theta**2 * sigma**4
    error = np.sqrt((square - smoothed**2) / PAIRS)
    assert abs(actual - smoothed) < 4 * error < 10 * error < smoothed - theta**3


@pytest.mark.parametrize("shape", [(2,), (5, 2), (40, 2)])
def test_ranks_equal_scipys_and_nan_ranks_worst(shape):
    rng = np.random.default_rng(1)
    losses = rng.integers(0, 6, shape).astype(float)
    expected = (rankdata(losses) - 1) / (losses.size - 1) - 0.5
    np.testing.assert_allclose(centered_ranks(tf.constant(losses)), expected.reshape(shape), atol=1e-12)
    assert float(tf.reduce_sum(centered_ranks(tf.constant(losses)))) == pytest.approx(0, abs=1e-9)
    bad = tf.constant([np.inf, -1.0, np.nan, 3.0])
    np.testing.assert_allclose(centered_ranks(bad), [1 / 3, -0.5, 1 / 3, -1 / 6], rtol=1e-6)


def small(optimizer, loss="mse", noisy=False, **kwargs):
    """A network, with dropout and batch norm if it is noisy, and 64 examples."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = np.sin(x @ rng.normal(size=(4, 1))).astype("float32")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh")]
    if noisy:
        layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.2, seed=1)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizer, loss, **kwargs)
    return model, x, y


def run(optimizer, epochs=2, batch_size=16, **kwargs):
    model, x, y = small(optimizer, **kwargs)
    losses = model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0).history["loss"]
    return model, losses


def assert_equal_weights(first, second, **tolerance):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance))


def test_ranks_are_invariant_under_increasing_maps_of_the_loss():
    def cubed(y, outputs):
        return 100 + 1000 * keras.ops.mean(keras.ops.square(y - outputs))

    plain, mapped = (run(Evolution(pairs=8, seed=0), loss=loss, batch_size=64)[0] for loss in ("mse", cubed))
    assert_equal_weights(plain, mapped)


def test_equal_seeds_give_equal_runs_and_updates_draw_new_noise():
    first, again, other = (run(Evolution(pairs=4, seed=seed), 1)[0] for seed in (3, 3, 4))
    assert_equal_weights(first, again)
    assert np.abs(first.get_weights()[0] - other.get_weights()[0]).max() > 1e-3
    optimizer = Evolution(pairs=4, ranks=False, momentum=0, learning_rate=1.0, seed=0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer, mean_output)
    steps, x = [model.get_weights()[0]], np.ones((1, 2), "float32")
    for _ in range(2):
        model.train_on_batch(x, np.zeros((1, 1)))
        steps.append(model.get_weights()[0])
    first, second = np.diff(steps, axis=0)
    assert np.abs(first - second).max() > 0.1


def test_keras_set_random_seed_fixes_the_default_seed():
    keras.utils.set_random_seed(5)
    first, second = Evolution(), Evolution()
    keras.utils.set_random_seed(5)
    assert first.seed == Evolution().seed != second.seed
    assert Evolution.from_config(first.get_config()).get_config() == first.get_config()


def test_a_saved_run_resumes_exactly(tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 12)
    options = {"pairs": 4, "seed": 0, "weight_decay": 0.01, "global_clipnorm": 3.0}
    whole, _ = run(Evolution(schedule, **options), 3)
    part, _ = run(Evolution(schedule, **options), 1)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == part.optimizer.get_config()
    _, x, y = small("sgd")
    loaded.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert_equal_weights(whole, loaded)
    for a, b in zip(whole.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_momentum_and_weight_decay_follow_the_equations(double_precision_rates):
    def path(theta, **kwargs):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(Evolution(0.1, pairs=4, ranks=False, seed=0, **kwargs), mean_output)
        model.set_weights([theta])
        steps = [theta]
        for _ in range(5):
            model.train_on_batch(np.array([[1.0, -2.0, 3.0]]), np.zeros((1, 1)))
            steps.append(model.get_weights()[0])
        return np.array(steps)

    theta = np.array([[1.0], [2.0], [3.0]])
    # The gradient of a linear loss is constant, and its estimates depend on the update only.
    estimates = -np.diff(path(theta, momentum=0.0), axis=0) / 0.1
    v, expected, decayed = 0.0, [theta], [theta]
    for g in estimates:
        v = 0.6 * v + g
        expected.append(expected[-1] - 0.1 * v)
        decayed.append(decayed[-1] * (1 - 0.1 * 0.3) - 0.1 * g)
    np.testing.assert_allclose(path(theta, momentum=0.6), expected, rtol=1e-9)
    np.testing.assert_allclose(path(theta, momentum=0.0, weight_decay=0.3), decayed, rtol=1e-6)


def test_trials_do_not_change_the_state_of_batch_norm_and_dropout():
    ours, reference = (
        run(o, 1, 64, noisy=True, run_eagerly=True)[0]
        for o in (Evolution(pairs=6), keras.optimizers.SGD(0.1))
    )
    for a, b in zip(ours.non_trainable_variables, reference.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_fit_compiles_with_xla():
    _, losses = run(Evolution(pairs=8, seed=0), 8, jit_compile=True)
    assert losses[-1] < 0.7 * losses[0]


def test_it_learns_digits():
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(Evolution(seed=0), loss, metrics=["accuracy"])
    history = model.fit(x[:1500], y[:1500], batch_size=250, epochs=20, verbose=0).history
    assert history["accuracy"][0] < 0.5
    assert model.evaluate(x[1500:], y[1500:], verbose=0)[1] > 0.75


def test_a_loss_without_a_gradient_is_minimized():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype("float32")
    y = (x @ rng.normal(size=(5, 1)) > 0).astype("float32")

    def errors(y, logits):
        return keras.ops.cast((logits > 0) != (y > 0.5), "float32")

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(Evolution(0.05, sigma=0.3, seed=0), errors)
    losses = model.fit(x, y, batch_size=200, epochs=30, verbose=0).history["loss"]
    assert losses[0] > 0.4 and losses[-1] < 0.03


def test_a_loss_that_is_not_finite_leaves_the_weights_unchanged():
    def broken(y, outputs):
        return outputs * np.nan

    for ranks in (False, True):
        model, x, y = small(Evolution(pairs=2, ranks=ranks), broken, run_eagerly=True)
        before = [v.numpy() for v in model.trainable_variables]
        model.train_on_batch(x, y)
        for a, b in zip(before, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_batch_with_nan_changes_nothing():
    for ranks in (False, True):
        optimizer = Evolution(pairs=2, ranks=ranks, momentum=0, weight_decay=0.1)
        model, x, y = small(optimizer, noisy=True, run_eagerly=True)
        model.train_on_batch(x, y)
        before = [v.numpy() for v in model.weights]
        model.train_on_batch(np.nan * x, y)
        for a, b in zip(before, model.weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_two_logical_devices_equal_one(mirrored):
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(64, 4)), rng.normal(size=(64, 1))
    batches = tf.data.Dataset.from_tensor_slices(examples).batch(16)

    def trained(strategy, ranks):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_regularizer="l2")])
            model.compile(Evolution(pairs=5, ranks=ranks, seed=0, global_clipnorm=0.5), "mse")
        losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
        return np.concatenate([losses, *(np.ravel(w) for w in model.get_weights())])

    plain, plain_ranks = (trained(tf.distribute.get_strategy(), ranks) for ranks in (False, True))
    np.testing.assert_allclose(trained(mirrored, False), plain, atol=1e-5)
    np.testing.assert_allclose(trained(mirrored, True), plain_ranks, atol=1e-5)
    assert np.abs(plain - plain_ranks).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.0}, "sigma must be positive, got 0"),
        ({"sigma": np.nan}, "sigma must be finite, got nan"),
        ({"pairs": 0}, "pairs must be an integer of at least 1, got 0"),
        ({"pairs": 2.5}, "pairs must be an integer of at least 1, got 2.5"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"learning_rate": -0.1}, "learning_rate must not be negative, got -0.1"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": 2**31}, r"seed must be below 2\^31"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps must be None for Evolution"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Evolution(**arguments)


def test_applying_without_a_model_is_refused():
    with pytest.raises(ValueError, match="Evolution needs a model"):
        Evolution().apply([tf.zeros(2)], [keras.Variable([1.0, 2.0])])
