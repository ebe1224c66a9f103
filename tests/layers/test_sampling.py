import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare, kstest, logistic, norm

from curvezoo.layers import sampling

LOGITS = np.array([1.0, 0.0, -1.0, 2.0])
P = np.exp(LOGITS) / np.exp(LOGITS).sum()
COUNT = 20_000


def rows(logits=LOGITS, count=COUNT):
    return tf.tile(tf.constant([logits], tf.float32), (count, 1))


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(function(x))
    return tape.gradient(value, x).numpy()


# GaussianSampling


@pytest.mark.equation("3.5.1")
def test_gaussian_samples_have_the_mean_and_variance_of_the_inputs():
    means, variances = np.array([0.5, -2.0, 10.0]), np.array([1.0, 0.04, 9.0])
    log_variance = tf.math.log(rows(variances))
    draws = sampling.GaussianSampling(seed=1)([rows(means), log_variance]).numpy()
    for column, mean, variance in zip(draws.T, means, variances, strict=True):
        assert kstest(column, norm(mean, np.sqrt(variance)).cdf).pvalue > 0.01
    noise = (draws - means) / np.sqrt(variances)
    # The columns are independent.
    correlations = np.corrcoef(noise.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(COUNT)


def test_gaussian_noise_is_new_in_every_call_and_repeats_with_the_seed():
    inputs = [rows(count=3), rows(count=3)]
    layer, twin, other = (sampling.GaussianSampling(seed=seed) for seed in (1, 1, 2))
    first, second = layer(inputs).numpy(), layer(inputs).numpy()
    assert np.all(first != second) and np.all(first != other(inputs).numpy())
    np.testing.assert_array_equal(twin(inputs), first)


@pytest.mark.equation("3.5.1")
def test_gaussian_gradients_are_those_of_mean_plus_scale_times_noise():
    mean, log_variance = rows(count=50), 0.3 * rows(count=50)
    mean_gradient = gradient(lambda m: sampling.GaussianSampling(seed=3)([m, log_variance]), mean)
    log_variance_gradient = gradient(lambda v: sampling.GaussianSampling(seed=3)([mean, v]), log_variance)
    draws = sampling.GaussianSampling(seed=3)([mean, log_variance])
    np.testing.assert_array_equal(mean_gradient, 1)
    np.testing.assert_allclose(log_variance_gradient, (draws - mean) / 2, rtol=1e-4, atol=1e-6)


def test_a_log_scale_is_half_a_log_variance():
    mean, log_scale = rows(count=4), 0.3 * rows(count=4)
    layer = sampling.GaussianSampling(seed=3, spread="log_scale")
    draws = layer([mean, log_scale]).numpy()
    np.testing.assert_array_equal(sampling.GaussianSampling(seed=3)([mean, 2 * log_scale]), draws)
    np.testing.assert_array_equal(type(layer).from_config(layer.get_config())([mean, log_scale]), draws)
    # Models saved before the choice existed read a log variance.
    former = {key: value for key, value in layer.get_config().items() if key != "spread"}
    assert sampling.GaussianSampling.from_config(former).spread == "log_variance"
    with pytest.raises(ValueError, match="spread must be one of log_variance, log_scale, got 'variance'"):
        sampling.GaussianSampling(spread="variance")


# GumbelSoftmax


@pytest.mark.parametrize("training", [True, False])
def test_the_lowest_uniform_number_gives_finite_noise(training, monkeypatch):
    # The generator may return the lower end of its interval, at which log u must be finite.
    lowest = lambda shape, minval, maxval, dtype, seed: keras.ops.full(shape, minval, dtype)  # noqa: E731
    monkeypatch.setattr(keras.random, "uniform", lowest)
    y = sampling.GumbelSoftmax(1.0, seed=1)(rows(count=2), training=training).numpy()
    np.testing.assert_allclose(y, [P, P] if training else [[0, 0, 0, 1]] * 2, atol=1e-5)


@pytest.mark.equation("3.5.3")
@pytest.mark.parametrize("training", [False, True])
def test_the_argmax_is_an_exact_sample_in_training_and_inference(training):
    y = sampling.GumbelSoftmax(0.7, seed=1)(rows(), training=training).numpy()
    assert chisquare(np.bincount(y.argmax(axis=1), minlength=4), COUNT * P).pvalue > 0.01
    is_one_hot = np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1)
    assert is_one_hot == (not training)


@pytest.mark.equation("3.5.7")
@pytest.mark.parametrize("beta", [0.3, 1.0, 5.0])
def test_the_log_ratio_of_a_relaxed_pair_is_logistic(beta):
    # log(f_1 / f_2) / beta = x_1 - x_2 + z_1 - z_2, and the difference of two Gumbels is logistic.
    f = sampling.GumbelSoftmax(beta, seed=2)(rows([0.8, 0.0]), training=True).numpy().astype(float)
    assert f.min() > 1e-37  # Normal float32 numbers, with all their digits.
    assert kstest(np.log(f[:, 0] / f[:, 1]) / beta, logistic(0.8).cdf).pvalue > 0.01


@pytest.mark.equation("3.5.7")
def test_relaxed_samples_have_the_softmax_jacobian_times_beta():
    beta, x = 2.5, rows(count=40)
    weights = tf.constant([0.3, -1.0, 2.0, 0.5])
    ours = gradient(lambda x: sampling.GumbelSoftmax(beta, seed=4)(x, training=True) * weights, x)
    f = sampling.GumbelSoftmax(beta, seed=4)(x, training=True).numpy()
    expected = beta * f * (weights - np.sum(f * weights, axis=1, keepdims=True))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_straight_through_samples_are_one_hot_with_the_relaxed_gradient():
    weights = tf.constant([0.3, -1.0, 2.0, 0.5])
    relaxed, hard = (sampling.GumbelSoftmax(2.0, straight_through=s, seed=5) for s in (False, True))
    outputs = []

    def forward(layer, x):
        outputs.append(layer(x, training=True))
        return outputs[-1] * weights

    gradients = [gradient(lambda x, layer=layer: forward(layer, x), rows()) for layer in (relaxed, hard)]
    np.testing.assert_array_equal(gradients[0], gradients[1])
    np.testing.assert_array_equal(outputs[1], np.eye(4)[np.argmax(outputs[0], axis=1)])


def test_noise_is_finite_and_reaches_the_upper_tail():
    # Two million draws reach log(2e6) = 14.5; noise in bfloat16 would end at 5.5.
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        layer = sampling.GumbelSoftmax(1.0, seed=6)
    finally:
        keras.config.set_dtype_policy("float32")
    rare = rows([0.0, 9.0], count=1_000_000)
    y = layer(rare)
    assert y.dtype == tf.bfloat16
    count, p = float(tf.reduce_sum(tf.cast(y[:, 0], tf.float32))), 1 / (1 + np.exp(9.0))
    assert count == pytest.approx(1e6 * p, abs=5 * np.sqrt(1e6 * p))
    assert np.all(np.isfinite(tf.cast(layer(rare, training=True), tf.float32)))


def test_forbidden_categories_are_never_drawn_and_give_no_nan():
    x = rows([0.0, -np.inf, 1.0], count=1000)
    for straight in (False, True):
        layer = sampling.GumbelSoftmax(2.0, straight_through=straight, seed=7)
        assert np.all(layer(x, training=True).numpy()[:, 1] == 0)
        assert np.all(np.isfinite(gradient(lambda x, layer=layer: layer(x, training=True) ** 2, x)))
    for surrogate in ("softmax", "identity"):
        layer = sampling.StraightThrough(surrogate)
        np.testing.assert_array_equal(layer(x), np.tile([0, 0, 1], (1000, 1)))
        assert np.all(np.isfinite(gradient(lambda x, layer=layer: layer(x) * [1.0, 2.0, 3.0], x)))


# Annealing


def test_beta_grows_geometrically_and_then_stays():
    layer = sampling.GumbelSoftmax(0.5, final_beta=8.0, annealing_steps=4, seed=0)
    x, betas = rows(count=2), []
    layer.build(x.shape)
    for _ in range(6):
        betas.append(float(layer.beta))
        layer(x)  # Inference does not count.
        layer(x, training=True)
    np.testing.assert_allclose(betas, [0.5, 1, 2, 4, 8, 8], rtol=1e-6)
    assert sampling.GumbelSoftmax(3).beta == 3.0


def test_samples_use_the_annealed_beta():
    x = rows(count=40)
    layer = sampling.GumbelSoftmax(0.5, final_beta=2.0, annealing_steps=1, seed=8)
    layer(x, training=True)
    fixed = sampling.GumbelSoftmax(2.0, seed=8)
    fixed(x, training=True)
    np.testing.assert_allclose(layer(x, training=True), fixed(x, training=True), rtol=1e-5)


def annealed_model():
    inputs = keras.Input((4,))
    mean, log_variance = keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)
    x = sampling.GaussianSampling(seed=1, name="gaussian")([mean, log_variance])
    x = sampling.GumbelSoftmax(0.5, 8.0, 4, straight_through=True, seed=2, name="gumbel")(x)
    outputs = sampling.StraightThrough("identity")(keras.layers.Dense(3)(x))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    return model


def test_a_loaded_model_continues_with_its_beta(tmp_path):
    model = annealed_model()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    model.fit(x, y, batch_size=4, verbose=0)
    assert int(model.get_layer("gumbel").calls) == 2
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.get_layer("gumbel").beta) == pytest.approx(2.0, rel=1e-6)
    assert loaded.get_layer("gumbel").straight_through
    # The noise starts from the seed again, as in a new model with these weights.
    fresh = annealed_model()
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(loaded(x, training=True), fresh(x, training=True))
    for layer in loaded.layers:
        assert layer.get_config() == model.get_layer(layer.name).get_config()
    loaded.save_weights(tmp_path / "model.weights.h5")
    fresh = annealed_model()
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert int(fresh.get_layer("gumbel").calls) == 3


def test_samples_compiled_by_xla_have_the_same_distribution():
    layer = sampling.GumbelSoftmax(0.5, 8.0, 4, seed=3)
    layer.build((None, 4))

    @tf.function(jit_compile=True)
    def step(x):
        return layer(x, training=True)

    for _ in range(3):
        y = step(rows()).numpy()
    assert int(layer.calls) == 3
    assert chisquare(np.bincount(y.argmax(axis=1), minlength=4), COUNT * P).pvalue > 0.01


# StraightThrough


@pytest.mark.parametrize("surrogate", ["softmax", "identity"])
def test_straight_through_is_a_one_hot_argmax_with_a_smooth_gradient(surrogate):
    x = tf.constant(np.random.default_rng(9).normal(size=(30, 5, 4)), tf.float32)
    weights = tf.constant([0.3, -1.0, 2.0, 0.5])
    layer = sampling.StraightThrough(surrogate)
    np.testing.assert_array_equal(layer(x), np.eye(4)[np.argmax(x, axis=-1)])
    ours = gradient(lambda x: layer(x) * weights, x)
    smooth = {"softmax": tf.nn.softmax, "identity": tf.identity}[surrogate]
    np.testing.assert_allclose(ours, gradient(lambda x: smooth(x) * weights, x), rtol=1e-5, atol=1e-7)


# Masks


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "layer",
    [
        sampling.GumbelSoftmax(seed=0),
        sampling.StraightThrough(),
        lambda x: sampling.GaussianSampling(seed=0)([x, keras.ops.stop_gradient(x)]),
    ],
)
def test_masks_are_passed_on_and_the_loss_ignores_padding(layer):
    tokens = np.array([[3, 1, 0, 0], [2, 5, 4, 0]])
    inputs = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(6, 5, mask_zero=True, embeddings_initializer="normal")(inputs)
    model = keras.Model(inputs, layer(embedded))
    draws = model(tokens)
    np.testing.assert_array_equal(draws._keras_mask, tokens != 0)
    targets = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    errors = np.mean((draws - targets) ** 2, axis=-1)
    loss = keras.losses.MeanSquaredError()(targets, draws)
    assert float(loss) == pytest.approx(errors[tokens != 0].mean(), rel=1e-5)
    assert abs(errors.mean() - errors[tokens != 0].mean()) > 0.01


# Wrong arguments


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"beta": 0.0}, "beta must be a positive finite number, got 0.0"),
        ({"beta": float("nan")}, "beta must be a positive"),
        ({"beta": "1"}, "beta must be a positive"),
        ({"beta": 1.0, "final_beta": -2.0, "annealing_steps": 3}, "final_beta must be a positive"),
        (
            {"beta": 1.0, "final_beta": 2.0},
            "must be given together, got final_beta=2.0 and annealing_steps=None",
        ),
        ({"beta": 1.0, "annealing_steps": 5}, "must be given together"),
        (
            {"beta": 1.0, "final_beta": 2.0, "annealing_steps": 0},
            "annealing_steps must be an integer of at least 1, got 0",
        ),
        (
            {"beta": 1.0, "final_beta": 2.0, "annealing_steps": 1.5},
            "annealing_steps must be an integer of at least 1, got 1.5",
        ),
    ],
)
def test_an_error_names_the_wrong_argument_of_gumbel_softmax(arguments, message):
    with pytest.raises(ValueError, match=message):
        sampling.GumbelSoftmax(**arguments)


def test_an_error_names_other_wrong_inputs():
    with pytest.raises(ValueError, match="surrogate must be one of softmax, identity, got 'tanh'"):
        sampling.StraightThrough("tanh")
    for layer in (sampling.StraightThrough(), sampling.GumbelSoftmax()):
        with pytest.raises(ValueError, match=r"at least 2 categories, got shape \(3, 1\)"):
            layer(np.zeros((3, 1)))
    for inputs in (np.zeros((2, 3)), [np.zeros((2, 3)), np.zeros((2, 4))], [np.zeros((2, 3))] * 3):
        with pytest.raises(ValueError, match=r"inputs must be \[mean, log_variance\] of one shape"):
            sampling.GaussianSampling()(inputs)
