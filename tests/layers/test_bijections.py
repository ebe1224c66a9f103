"""The oracles are the full Jacobian by automatic differentiation, TensorFlow Probability and SciPy."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from curvezoo import layers

BIJECTIONS = {
    "checkerboard": lambda: layers.AffineCoupling("checkerboard", width=5, kernel_size=3),
    "checkerboard_swapped": lambda: layers.AffineCoupling("checkerboard", True, width=5, depth=2),
    "channel": lambda: layers.AffineCoupling("channel", width=5, depth=0),
    "channel_swapped": lambda: layers.AffineCoupling("channel", True, width=5, bound=3.0),
    "convolution": layers.InvertibleConvolution,
    "squeeze": layers.Squeeze,
    "logit": layers.Logit,
    "gaussianization": lambda: layers.Gaussianization(7),
}
SHAPE = (4, 2, 3)


@pytest.fixture(autouse=True)
def float64():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def randomized(layer, inputs, scale=0.5):
    """Returns the layer with weights for which no part of it is the identity."""
    keras.utils.set_random_seed(1)
    layer(inputs)
    rng = np.random.default_rng(1)
    layer.set_weights([w + scale * rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def pixels(count=3, shape=SHAPE):
    return np.random.default_rng(0).uniform(size=(count, *shape))


def log_determinants(function, x):
    """Returns log |det| of the Jacobian of each example, by automatic differentiation of all outputs."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reshape(function(x), (len(x), -1))
    jacobian = tf.reshape(tape.batch_jacobian(y, x), (len(x), y.shape[1], -1))
    return np.linalg.slogdet(jacobian)[1]


@pytest.mark.parametrize("name", BIJECTIONS)
def test_the_log_determinant_is_that_of_the_full_jacobian(name):
    x = pixels()
    layer = randomized(BIJECTIONS[name](), x)
    y, log_det = layer(x)
    assert y.dtype == "float64"
    np.testing.assert_allclose(log_det, log_determinants(lambda x: layer(x)[0], x), rtol=1e-11, atol=1e-11)
    if name != "squeeze":
        assert np.abs(log_det).min() > 0.01


@pytest.mark.parametrize("name", BIJECTIONS)
def test_the_inverse_inverts_in_both_directions(name):
    x = pixels()
    layer = randomized(BIJECTIONS[name](), x)
    y = layer(x)[0]
    np.testing.assert_allclose(layer.inverse(y), x, atol=1e-10)
    np.testing.assert_allclose(layer(layer.inverse(y))[0], y, atol=1e-10)
    assert np.abs(np.reshape(y, (3, -1)) - np.reshape(x, (3, -1))).max() > 0.1


@pytest.mark.parametrize("swapped", [False, True])
def test_a_channel_coupling_is_the_one_of_tensorflow_probability(swapped):
    # With a single pixel the convolutions are dense layers, and the image is a vector.
    x = np.random.default_rng(0).normal(size=(6, 1, 1, 5))
    layer = randomized(layers.AffineCoupling("channel", swapped, width=4), x)

    def shift_and_log_scale(first, units):
        raw, shift = tf.split(layer.network(first[:, None, None, :]), 2, axis=-1)
        assert raw.shape[-1] == units
        return shift[:, 0, 0], (layer.factor * tf.tanh(raw))[:, 0, 0]

    kept = 2 if swapped else 3
    oracle = tfp.bijectors.RealNVP(kept, shift_and_log_scale_fn=shift_and_log_scale)
    order = [3, 4, 0, 1, 2] if swapped else [0, 1, 2, 3, 4]
    vectors = x[:, 0, 0][:, order]
    y, log_det = layer(x)
    np.testing.assert_allclose(np.asarray(y)[:, 0, 0][:, order], oracle.forward(vectors), rtol=1e-12)
    np.testing.assert_allclose(log_det, oracle.forward_log_det_jacobian(vectors, 1), rtol=1e-12)


def test_a_channel_mask_after_the_squeeze_is_a_checkerboard_before_it():
    colour = np.indices((4, 6)).sum(0)[None, :, :, None] % 2.0
    squeezed = np.asarray(layers.Squeeze()(np.concatenate([colour, 10 + colour], -1))[0])
    assert squeezed.shape == (1, 2, 3, 8)
    np.testing.assert_array_equal(np.unique(squeezed[..., :4]), [0, 10])
    np.testing.assert_array_equal(np.unique(squeezed[..., 4:]), [1, 11])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_checkerboard_changes_one_colour_as_a_function_of_the_other(swapped):
    x = pixels()
    layer = randomized(layers.AffineCoupling("checkerboard", swapped, width=4), x)
    kept = np.indices(SHAPE[:2]).sum(0) % 2 == int(swapped)
    y = np.asarray(layer(x)[0])
    np.testing.assert_array_equal(y[:, kept], x[:, kept])
    assert np.all(y[:, ~kept] != x[:, ~kept])
    # Half the change of one variable is half the change of its image: the map is affine.
    moved = np.where(kept[:, :, None], x, x + 1)
    half = np.where(kept[:, :, None], x, x + 0.5)
    np.testing.assert_allclose(layer(half)[0], (y + np.asarray(layer(moved)[0])) / 2, rtol=1e-12)


@pytest.mark.parametrize("mask", ["checkerboard", "channel"])
def test_couplings_and_convolutions_start_as_the_identity(mask):
    x = pixels()
    for layer in (layers.AffineCoupling(mask), layers.InvertibleConvolution()):
        y, log_det = layer(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(log_det, np.zeros(3))


def test_the_log_scale_is_bounded_by_its_factor():
    x = 1e6 * np.random.default_rng(0).normal(size=(50, 2, 2, 2))
    layer = randomized(layers.AffineCoupling("channel", width=4, bound=2.5), x)
    layer.factor.assign([2.5])
    # Four pixels, with saturated scales.
    log_det = np.abs(layer(x)[1])
    assert 9.9 < log_det.max() <= 10


def test_the_logit_is_the_one_of_scipy():
    x = np.array([0.0, 0.25, 0.9, 1.0]).reshape(4, 1, 1, 1)
    y, log_det = layers.Logit(0.1)(x)
    p = 0.1 + 0.8 * x.ravel()
    np.testing.assert_allclose(np.ravel(y), scipy.special.logit(p), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(log_det, np.log(0.8 / (p * (1 - p))), rtol=1e-12)


def test_gaussianization_maps_the_pixels_of_its_histogram_to_a_gaussian():
    frequencies = np.array([0.6, 0.1, 0.0001, 0.2999])
    layer = layers.Gaussianization(4, alpha=1e-9)
    layer.build((None, 1, 1, 1))
    layer.logits.assign(np.log(frequencies) + 3)
    x = np.linspace(0, 1, 101).reshape(-1, 1, 1, 1)
    y, log_det = layer(x)
    f = np.interp(x.ravel(), np.arange(5) / 4, np.concatenate([[0], np.cumsum(frequencies)]))
    oracle = scipy.stats.norm.ppf(1e-9 + (1 - 2e-9) * f)
    np.testing.assert_allclose(np.ravel(y), oracle, rtol=1e-7)
    # p(x) = N(y; 0, 1) dy/dx must be the histogram.
    inside = np.ravel(x) * 4 % 1 > 0
    density = scipy.stats.norm.pdf(oracle) * np.exp(log_det)
    np.testing.assert_allclose(density[inside], 4 * np.repeat(frequencies, 24), rtol=1e-6)


def test_gaussianization_starts_with_the_given_frequency_of_zeros():
    layer = layers.Gaussianization(5, zeros=0.7)
    # Within level 0, which is [0, 0.2], and in the middle of the others.
    y, _ = layer(np.array([0.0, 0.1, 0.2, 0.6]).reshape(4, 1, 1, 1))
    np.testing.assert_allclose(scipy.stats.norm.cdf(np.ravel(y)), [1e-5, 0.35, 0.7, 0.85], atol=2e-5)


@pytest.mark.parametrize("pixel", ["logit", "gaussianization"])
def test_the_density_of_a_flow_of_two_pixels_integrates_to_one(pixel):
    nodes, weights = np.polynomial.legendre.leggauss(100)
    alpha = 1e-12
    first = layers.Logit(alpha) if pixel == "logit" else layers.Gaussianization(2, alpha=alpha)
    # The substitution x = sigmoid(t) resolves the edges of the unit interval. The density jumps at x = 1/2.
    t = np.concatenate([14 * nodes - 14, 14 * nodes + 14])
    weights = 14 * np.tile(weights, 2)
    side = scipy.special.expit(t)
    x = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 1, 2, 1)
    stack = [first, *(layers.AffineCoupling("checkerboard", bool(i), width=3, bound=0.5) for i in (0, 1))]
    log_density, y = 0.0, x
    for layer in stack:
        y, log_det = randomized(layer, y, 0.3)(y)
        log_density = log_density + log_det
    log_density += scipy.stats.norm.logpdf(y).sum((1, 2, 3))
    factor = weights * side * (1 - side)
    total = factor @ np.exp(log_density).reshape(len(side), -1) @ factor
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", BIJECTIONS)
def test_a_rebuilt_layer_has_the_same_outputs(name):
    x = pixels()
    layer = randomized(BIJECTIONS[name](), x)
    again = type(layer).from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", ["channel", "convolution", "logit", "gaussianization"])
def test_images_of_unknown_size_have_the_same_log_determinant(name):
    x = pixels()
    layer = randomized(BIJECTIONS[name](), x)
    inputs = keras.Input((None, None, SHAPE[-1]))
    model = keras.Model(inputs, layer(inputs))
    compiled = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, SHAPE[-1]), "float64")])
    for part in (x, x[:, :2]):
        for given, expected in zip(compiled(part), layer(part), strict=True):
            np.testing.assert_allclose(given, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BIJECTIONS)
def test_the_inverse_takes_double_precision_latents_in_single_precision(name):
    keras.config.set_floatx("float32")
    x = pixels()
    layer = randomized(BIJECTIONS[name](), x, 0.1)
    latents = keras.ops.convert_to_numpy(layer(x)[0]).astype("float64")
    for given in (latents, tf.constant(latents)):
        np.testing.assert_allclose(layer.inverse(given), x, atol=1e-4)


def test_invalid_arguments_and_shapes_are_rejected():
    with pytest.raises(ValueError, match="mask must be"):
        layers.AffineCoupling("stripes")
    with pytest.raises(ValueError, match="bound must be a positive finite number, got 0"):
        layers.AffineCoupling(bound=0)
    with pytest.raises(ValueError, match="at least 2 channels, got 1"):
        layers.AffineCoupling("channel")(pixels(shape=(4, 4, 1)))
    with pytest.raises(ValueError, match="even sides, got 3 x 4"):
        layers.Squeeze()(pixels(shape=(3, 4, 1)))
    for make in (layers.Squeeze, lambda: layers.AffineCoupling("checkerboard")):
        with pytest.raises(ValueError, match=r"known size, got shape \(None, None, None, 4\)"):
            make()(keras.Input((None, None, 4)))
        with pytest.raises(ValueError, match=r"images \[B, H, W, C\] .* got shape \(3, 4\)"):
            make()(pixels(shape=(4,)))
    with pytest.raises(ValueError, match="alpha must be"):
        layers.Logit(0.5)
    with pytest.raises(ValueError, match="levels must be"):
        layers.Gaussianization(1)


def test_a_mixed_precision_policy_does_not_round_the_log_determinant():
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        layer = layers.AffineCoupling("channel", width=4)
        y, log_det = layer(pixels().astype("float32"))
    finally:
        keras.config.set_dtype_policy(policy)
    assert y.dtype == log_det.dtype == "float32"
    assert layer.network.compute_dtype == "float32"
