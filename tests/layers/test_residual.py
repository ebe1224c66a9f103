import keras
import numpy as np
import pytest
from keras import ops

from curvezoo import layers

X = np.random.default_rng(0).normal(size=(3, 6, 6, 4))


def block(*args, **kwargs):
    layer = layers.ResidualBlock(*args, dtype="float64", **kwargs)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in layer.get_weights()])
    return layer


def convolve(x, convolution, strides=1):
    return ops.conv(x, convolution.kernel, strides=strides, padding="same", data_format="channels_last")


def normalize(x, norm):
    mean, variance = np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))
    return norm.gamma.numpy() * (x - mean) / np.sqrt(variance + 1e-5) + norm.beta.numpy()


def preactivate(x, norm):
    return np.maximum(0, normalize(np.asarray(x), norm))


@pytest.mark.equation("5.1.14")
def test_version_1_is_the_relu_of_the_sum():
    layer = block(4, version=1)
    x = preactivate(convolve(X, layer.convolutions[0]), layer.norms[0])
    f = normalize(np.asarray(convolve(x, layer.convolutions[1])), layer.norms[1])
    np.testing.assert_allclose(layer(X, training=True), np.maximum(0, X + f), atol=1e-10)
    np.testing.assert_allclose(layer.residual(X, training=True), f, atol=1e-10)


@pytest.mark.equation("5.1.13")
def test_version_2_adds_a_preactivated_branch_to_the_untouched_input():
    layer = block(4)
    f = convolve(preactivate(X, layer.norms[0]), layer.convolutions[0])
    f = np.asarray(convolve(preactivate(f, layer.norms[1]), layer.convolutions[1]))
    np.testing.assert_allclose(layer(X, training=True), X + f, atol=1e-10)


def test_a_version_1_bottleneck_with_projection_matches_its_formula():
    layer = block(2, strides=2, version=1, bottleneck=True)
    f = X
    for i, strides in enumerate((1, 2, 1)):
        f = normalize(np.asarray(convolve(f, layer.convolutions[i], strides)), layer.norms[i])
        f = np.maximum(0, f) if i < 2 else f
    shortcut = normalize(np.asarray(convolve(X, layer.projection, 2)), layer.projection_norm)
    np.testing.assert_allclose(layer(X, training=True), np.maximum(0, shortcut + f), atol=1e-10)
    assert [c.kernel.shape for c in layer.convolutions] == [(1, 1, 4, 2), (3, 3, 2, 2), (1, 1, 2, 8)]


def test_version_2_projects_the_preactivated_input():
    layer = block(8, strides=2)
    first = preactivate(X, layer.norms[0])
    f = preactivate(convolve(first, layer.convolutions[0], 2), layer.norms[1])
    expected = convolve(first, layer.projection, 2) + convolve(f, layer.convolutions[1])
    np.testing.assert_allclose(layer(X, training=True), expected, atol=1e-10)


@pytest.mark.parametrize("version", [1, 2])
def test_the_pad_shortcut_subsamples_and_adds_zero_channels(version):
    layer = block(6, strides=2, version=version, shortcut="pad", normalization=None)
    shortcut = np.zeros((3, 3, 3, 6))
    shortcut[..., :4] = X[:, ::2, ::2]
    expected = shortcut + layer.residual(X)
    np.testing.assert_allclose(layer(X), np.maximum(0, expected) if version == 1 else expected, atol=1e-12)
    assert layer.projection is None


@pytest.mark.equation("5.1.15")
def test_version_2_telescopes_into_the_input_plus_every_branch():
    stack = [layers.ResidualDense(sublayers=m, dtype="float64") for m in (1, 2, 3, 2)]
    x = inputs = np.random.default_rng(0).normal(size=(5, 7))
    states = []
    for layer in stack:
        states.append(x)
        x = layer(x)
    total = inputs
    for layer, state in zip(stack, states, strict=True):
        f = np.asarray(state)
        for matrix in layer.matrices:
            f = np.maximum(0, f) @ matrix.kernel.numpy()
        np.testing.assert_allclose(layer.residual(state), f, rtol=1e-12, atol=1e-13)
        total = total + np.asarray(layer.residual(state))
    np.testing.assert_array_equal(x, total)


@pytest.mark.equation("5.1.15")
def test_convolutional_version_2_telescopes_and_version_1_does_not():
    for version in (2, 1):
        stack = [block(4, version=version) for _ in range(4)]
        x, total = X, X
        for layer in stack:
            total = total + np.asarray(layer.residual(x))
            x = layer(x)
        assert np.array_equal(x, total) == (version == 2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_residual_scale_divides_the_initial_branch_by_the_root_of_the_depth(
    version, bottleneck, normalization
):
    branches = []
    for scaled in (False, True):
        keras.utils.set_random_seed(0)
        layer = layers.ResidualBlock(
            4,
            version=version,
            bottleneck=bottleneck,
            normalization=normalization,
            depth=9,
            residual_scale=scaled,
            dtype="float64",
        )
        layer.build(X.shape)
        branches.append(np.asarray(layer.residual(X, training=True)))
    # Only batch norm's epsilon does not scale.
    np.testing.assert_allclose(branches[1], branches[0] / 3, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sublayers", [1, 2, 3])
def test_the_dense_sublayers_have_equal_parts_of_the_residual_scale(sublayers):
    layer = layers.ResidualDense(sublayers, depth=16, residual_scale=True)
    layer.build((None, 600))
    for matrix in layer.matrices:
        assert np.var(matrix.kernel.numpy()) == pytest.approx(2 / 600 * 16 ** (-1 / sublayers), rel=0.02)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"filters": "4"}, "filters must be an integer of at least 1, got '4'"),
        ({"strides": (1, 1)}, r"strides must be an integer of at least 1, got \(1, 1\)"),
        ({"version": 3}, "version must be one of 1, 2, got 3"),
        ({"shortcut": "crop"}, "shortcut must be one of projection, pad, got 'crop'"),
        ({"normalization": "weight"}, "normalization must be one of None, batch, layer, got 'weight'"),
        ({"scheme": "fan"}, "scheme must be one of fan_in, fan_out, fan_avg, got 'fan'"),
        ({"residual_scale": True}, "depth must be an integer of at least 1, got None"),
    ],
)
def test_an_error_names_the_wrong_argument(arguments, words):
    with pytest.raises(ValueError, match=words):
        layers.ResidualBlock(**{"filters": 4, **arguments})


def test_the_pad_shortcut_cannot_remove_channels():
    with pytest.raises(ValueError, match="4 input channels for 2 output channels"):
        layers.ResidualBlock(2, shortcut="pad").build(X.shape)
