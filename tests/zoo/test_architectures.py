"""Each architecture against counts by hand and against the formula that it implements."""

import keras
import numpy as np
import pytest

from curvezoo import data, zoo
from curvezoo.publishing import account
from curvezoo.theory import counting


def convolution(size, inputs, outputs, kernel=3):
    """Multiplications of a convolution whose output is a `size` x `size` image."""
    return size * size * kernel * kernel * inputs * outputs


def resnet20(version):
    """Parameters and multiplications of ResNet-20, counted layer by layer on paper."""
    weights = 9 * 3 * 16 + (16 if version == 2 else 0)  # version 2's first convolution has a bias
    products = convolution(32, 3, 16)
    norms = 16 if version == 1 else 0
    inputs = 16
    for size, filters in ((32, 16), (16, 32), (8, 64)):
        for _block in range(3):
            weights += 9 * inputs * filters + 9 * filters * filters
            products += convolution(size, inputs, filters) + convolution(size, filters, filters)
            norms += 2 * filters if version == 1 else inputs + filters
            if inputs != filters:
                weights += inputs * filters
                products += convolution(size, inputs, filters, 1)
                norms += filters if version == 1 else 0
            inputs = filters
    norms += 64 if version == 2 else 0
    return weights + 4 * norms + 64 * 10 + 10, products + 640


@pytest.mark.parametrize("version", [1, 2])
def test_resnet20_has_the_parameters_and_multiplications_counted_by_hand(version):
    model = zoo.build("resnet20_cifar10", version=version)
    found = account(model)
    parameters, multiplications = resnet20(version)
    assert found.parameters == model.count_params() == parameters
    assert found.multiplications == multiplications


@pytest.mark.parametrize(("name", "depth"), [("resnet56_cifar10", 56), ("resnet20_cifar10", 20)])
def test_a_resnets_name_is_its_number_of_weighted_layers(name, depth):
    kernels = [v for v in zoo.build(name).trainable_variables if v.name == "kernel"]
    shortcuts = [v for v in kernels if len(v.shape) == 4 and v.shape[0] == 1]
    assert len(kernels) - len(shortcuts) == depth


def test_resnet50_has_the_published_counts():
    model = zoo.build("resnet50_imagenet")
    reference = keras.applications.ResNet50(weights=None)
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    biases = sum(
        v.shape[0]
        for layer in reference.layers
        if isinstance(layer, keras.layers.Conv2D)
        for v in [layer.bias]
    )
    expected = sum(int(np.prod(v.shape)) for v in reference.trainable_variables) - biases
    assert trainable == expected == 25_557_032
    # He et al. put the stride on the first 1x1 convolution (3.86e9), we on the 3x3 one (4.09e9).
    assert account(model).multiplications == pytest.approx(4.09e9, rel=0.005)


def test_the_wide_network_is_four_times_as_wide():
    widths = {
        v.shape[-1] for v in zoo.build("wide_resnet20v2_cifar10").trainable_variables if v.name == "kernel"
    }
    assert widths == {16, 64, 128, 256, 10}


@pytest.mark.equation("1.1.2")
@pytest.mark.equation("1.8.1")
def test_the_mlp_is_the_composition_of_affine_maps_and_relu():
    spec = data.spec("digits")
    model = zoo.build("mlp_digits", widths=(7, 5))
    x = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
    hidden = ((x - spec.mean[0]) / spec.std[0]).reshape(4, 64)
    *inner, last = [
        (w.numpy(), b.numpy())
        for w, b in zip(model.trainable_variables[::2], model.trainable_variables[1::2], strict=True)
    ]
    for w, b in inner:
        hidden = np.maximum(0, hidden @ w + b)
    np.testing.assert_allclose(model(x), hidden @ last[0] + last[1], rtol=2e-5, atol=1e-5)
    assert account(model).multiplications == counting.perceptron((64, 7, 5, 10)).forward


@pytest.mark.parametrize("downsampling", ["pool", "stride"])
def test_each_stage_of_the_cnn_halves_the_image(downsampling):
    model = zoo.build("cnn_mnist", downsampling=downsampling, channels=(4, 8), units=16)
    size, expected, inputs = 28, 0, 1
    for filters in (4, 8):
        out = size // 2 if downsampling == "stride" else size
        expected += convolution(size, inputs, filters) + convolution(out, filters, filters)
        size, inputs = size // 2, filters
    assert account(model).multiplications == expected + size * size * 8 * 16 + 16 * 10


def test_arguments_out_of_range_are_named():
    with pytest.raises(ValueError, match="downsampling must be one of pool, stride, got 'none'"):
        zoo.build("cnn_mnist", downsampling="none")
    with pytest.raises(ValueError, match="version"):
        zoo.build("resnet20_cifar10", version=3)
    with pytest.raises(
        ValueError, match="not built with 'depth'; valid: data, classes, input_shape, blocks, width"
    ):
        zoo.build("resnet20_cifar10", depth=3)


def test_the_model_standardizes_its_data():
    images = np.concatenate([images for images, _ in data.load("digits").train])
    standardized = zoo.build("softmax_digits").get_layer("standardize")(images)
    assert abs(np.mean(standardized)) < 0.02
    assert abs(np.std(standardized) - 1) < 0.02
