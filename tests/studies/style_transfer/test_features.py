"""Networks for style transfer: the zoo's, and VGG19 by a small stand-in with the same names."""

import keras
import numpy as np
import pytest

from curvezoo import zoo
from curvezoo.studies.style_transfer import features

PICTURES = np.random.default_rng(0).uniform(size=(1, 40, 36, 3)).astype("float32")


def small_vgg(include_top, weights, input_shape):
    images = x = keras.Input(input_shape)
    for block in range(1, 6):
        for i in range(1, 3):
            name = f"block{block}_conv{i}"
            x = keras.layers.Conv2D(block, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(images, x)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The file of the stand-in's weights, with which it is then built without training."""
    monkeypatch.setattr(keras.applications, "VGG19", small_vgg)
    keras.utils.set_random_seed(0)
    path = tmp_path / "notop.weights.h5"
    model = small_vgg(False, None, (224, 224, 3))
    model.save_weights(path)
    return path, model


def test_the_default_network_is_resnet20_without_its_coarsest_stage():
    network = features.load()
    assert network.names[0] == "standardize" and len(network.names) == 11
    assert network.style_layers == network.names[:8]
    assert network.content_layer == network.names[4]
    styles, content = network(PICTURES)
    assert [tuple(f.shape[1:]) for f in styles] == [
        (40, 36, 3), *[(40, 36, 16)] * 4, *[(20, 18, 32)] * 3
    ]  # fmt: skip
    model = zoo.load("resnet20_cifar10")
    whole = keras.Model(model.input, model.get_layer(network.content_layer).output)
    crop = PICTURES[:, :32, :32]
    np.testing.assert_allclose(network(crop)[1], whole(crop, training=False), rtol=1e-4, atol=1e-5)
    assert content.shape == styles[4].shape


def test_vgg19_gets_its_weights_and_the_pixels_that_it_was_trained_with(weights):
    path, model = weights
    network = features.load("vgg19", path)
    assert network.style_layers == tuple(f"block{i}_conv1" for i in range(1, 6))
    assert network.content_layer == "block4_conv2"
    pixels = keras.applications.vgg19.preprocess_input(255 * PICTURES.copy())
    expected = model.get_layer("block1_conv1")(pixels)
    np.testing.assert_allclose(network(PICTURES)[0][0], expected, rtol=1e-4, atol=1e-3)
    chosen = features.load("vgg19", path, ("block2_conv2",), "block3_conv1")
    assert (chosen.style_layers, chosen.content_layer) == (("block2_conv2",), "block3_conv1")


def test_a_file_without_the_weights_of_vgg19_is_an_error(weights, tmp_path):
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(ValueError, match=r"weights must be a file of VGG19's weights .* got '.*text"):
        features.load("vgg19", tmp_path / "text.weights.h5")
