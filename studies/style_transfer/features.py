"""Feature networks: the convolutional layers of a classifier, applied to pictures of any size.

Legend: B batch, H height, W width, C channels; pictures have pixels in [0, 1].
"""

import pathlib

import keras
from keras import layers, ops

from ... import arguments, zoo
from .options import DEFAULT, VGG19, check_source

# The layers of Gatys et al.
_VGG19_STYLE = tuple(f"block{i}_conv1" for i in range(1, 6))
_VGG19_CONTENT = "block4_conv2"
# The means of ImageNet's channels in the order blue, green, red, as VGG was trained with them.
_VGG19_MEANS = (103.939, 116.779, 123.68)


class FeatureNetwork:
    """The outputs of a classifier's convolutional layers as functions of the picture.

    The layers before the first dense layer or global pooling form a chain, which is applied to pictures of
    any size, in inference mode. Average pooling takes the place of max pooling, as Gatys et al. recommend.

    Args:
        model: A `keras.Model` from images to classes, a chain of layers.
        preprocess: Function applied to pictures before the first layer; None for none.
        style_layers: Names of the layers whose Gram matrices describe the style; None for all layers that
            shrink the picture at most by two. The deeper layers of a network trained on 32x32 images
            contribute noise rather than texture.
        content_layer: Name of the layer whose features describe the content; None for the last layer that
            does not shrink the picture.

    Attributes:
        names: Names of the convolutional layers, in order.
        channels: Number of channels C of the pictures, 1 or 3.

    Raises:
        ValueError: If the model is not a chain that starts with convolutional layers, its images do not have
            1 or 3 channels, or it has no layer of a given name.
    """

    def __init__(self, model, preprocess=None, style_layers=None, content_layer=None):
        images, outputs, shrinkage = _chain(model)
        self.channels, self.names = images.shape[-1], tuple(outputs)
        if style_layers is None:
            style_layers = [name for name in self.names if shrinkage[name] <= 2]
        if content_layer is None:
            content_layer = max(self.names, key=lambda name: (shrinkage[name] <= 1, self.names.index(name)))
        self.style_layers = arguments.distinct_names("style_layers", style_layers, self.names)
        if not self.style_layers:
            raise ValueError(f"style_layers must name at least one of {', '.join(self.names)}, got none")
        self.content_layer = arguments.one_of("content_layer", content_layer, self.names)
        used = {name: outputs[name] for name in (*self.style_layers, self.content_layer)}
        self._model, self._preprocess = keras.Model(images, used), preprocess

    def __call__(self, images):
        """Returns (features of the style layers, a list; features of the content layer), each [B, H, W, C].

        Args:
            images: Pictures, [B, H, W, C].
        """
        images = images if self._preprocess is None else self._preprocess(images)
        features = self._model(images, training=False)
        return [features[name] for name in self.style_layers], features[self.content_layer]


def load(name=DEFAULT, weights=None, style_layers=None, content_layer=None):
    """Returns the feature network of a trained classifier.

    Args:
        name: A published model of the zoo or the folder of a run, or `vgg19` for the network of Gatys et al.
        weights: For `vgg19`, the file of its weights without the dense layers, as Keras distributes it:
            `vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5`.
        style_layers: As in `FeatureNetwork`; for `vgg19` by default block1_conv1 to block5_conv1.
        content_layer: As in `FeatureNetwork`; for `vgg19` by default block4_conv2.

    Returns:
        A `FeatureNetwork`.

    Raises:
        ValueError: If there is no such model, file or layer, or the model is not a chain of convolutional
            layers.
    """
    check_source(name, weights)
    if name != VGG19:
        return FeatureNetwork(zoo.load(name), None, style_layers, content_layer)
    network = keras.applications.VGG19(include_top=False, weights=None, input_shape=(224, 224, 3))
    path = pathlib.Path(weights).expanduser()
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"weights must be a file of VGG19's weights without its dense layers, got {str(path)!r}: {error}"
        ) from None
    return FeatureNetwork(
        network, _as_vgg_was_trained, style_layers or _VGG19_STYLE, content_layer or _VGG19_CONTENT
    )


def _as_vgg_was_trained(images):
    """Returns images in the range and the order of channels of the original Caffe network."""
    return 255 * images[..., ::-1] - ops.convert_to_tensor(_VGG19_MEANS, images.dtype)


def _chain(model):
    """Returns a symbolic input of any size, and the outputs and the shrinkage of the layers by name.

    The shrinkage is the ratio of the heights of the input and the output.
    """
    [given] = model.inputs
    if len(given.shape) != 4 or given.shape[-1] not in (1, 3):
        raise ValueError(
            f"features must be of a network of images [B, H, W, C] with C of 1 or 3, got inputs of shape "
            f"{tuple(given.shape)}"
        )
    images = x = keras.Input((None, None, given.shape[-1]), dtype=given.dtype)
    outputs, shrinkage, previous = {}, {}, given
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        if len(layer.output.shape) != 4:
            break
        if layer.input is not previous:
            raise ValueError(
                f"features must be of a network whose convolutional layers form a chain, but {layer.name!r} "
                f"of {model.name!r} does not follow the layer before it"
            )
        previous = layer.output
        x = _smooth(layer)(x)
        if not isinstance(layer, _NOT_FEATURES):
            outputs[layer.name], shrinkage[layer.name] = x, given.shape[1] / previous.shape[1]
    if not outputs:
        raise ValueError(f"features must be of a network with convolutional layers, got {model.name!r}")
    return images, outputs, shrinkage


_NOT_FEATURES = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout)


def _smooth(layer):
    """Returns the layer, or average pooling in place of max pooling."""
    if not isinstance(layer, layers.MaxPooling2D):
        return layer
    settings = layer.pool_size, layer.strides, layer.padding, layer.data_format
    return layers.AveragePooling2D(*settings, dtype=layer.dtype_policy)
