r"""The deep autoencoder: a map of images to themselves through a code of few numbers (section 7.1).

\(A(x) = p_\theta(q_\phi(x))\) (Eq. 7.1.1), with the encoder q and the decoder p. The best linear code of Z
numbers, that of squared errors, is the projection onto the first Z principal components.

Legend: N images, B batch, H height, W width, C channels, D = H W C pixels, Z numbers of the code.
"""

import keras
import numpy as np
from keras import ops

from ... import arguments
from .model import GenerativeModel


@keras.saving.register_keras_serializable("curvezoo")
class Autoencoder(GenerativeModel):
    """An autoencoder of dense layers with a linear code.

    The forward pass returns the logits of the pixels, [B, D], which `losses.BernoulliNLL` compares with the
    pixels in [0, 1]. The code has no distribution, so that the model cannot draw images.

    Args:
        image_shape: The shape (H, W, C) of an image.
        latents: Number Z of numbers of the code.
        units: Sizes of the hidden layers of the encoder; the decoder has them in reverse.
        activation: A Keras activation of the hidden layers.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not valid.

    References:
        Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks" (2006).
        Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature" (2015),
            arXiv:1503.05671.
    """

    def __init__(
        self, image_shape, latents=30, units=(1000, 500, 250), activation="tanh", name="autoencoder"
    ):
        image_shape = arguments.sizes("image_shape", image_shape, 3)
        latents, units = arguments.integer("latents", latents, 1), arguments.sizes("units", units)
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        # Lists, which JSON keeps as they are.
        config |= {"image_shape": list(image_shape), "units": list(units)}
        images = keras.Input(image_shape, name="images")
        layers = [keras.layers.Dense(n, activation, name=f"encoder_{i}") for i, n in enumerate(units)]
        layers.append(keras.layers.Dense(latents, dtype="float32", name="code"))
        layers += [
            keras.layers.Dense(n, activation, name=f"decoder_{i}") for i, n in enumerate(reversed(units))
        ]
        layers.append(keras.layers.Dense(int(np.prod(image_shape)), dtype="float32", name="logits"))
        x = keras.layers.Flatten(name="pixels")(images)
        for layer in layers:
            x = layer(x)
        super().__init__(inputs=images, outputs=x, name=name)
        self.image_shape, self.latent_size = image_shape, latents
        self._config = config

    def reconstruct(self, images):
        """Returns the images that the model makes of others, A(x), [N, H, W, C] (Eq. 7.1.1).

        Args:
            images: Images [N, H, W, C] in [0, 1].

        Raises:
            ValueError: If the images have another shape or range.
        """
        return self._by_chunks(Autoencoder.reconstructed, self.checked_images(images))

    def encoded(self, images):
        """Returns the codes, [B, Z].

        Args:
            images: Images [B, H, W, C].
        """
        return self._through(self.layers[1 : self._code_index + 1], images)

    def decoded(self, latents):
        """Returns the images of codes, [B, H, W, C] in [0, 1].

        Args:
            latents: Codes [B, Z].
        """
        return self._images(self._through(self.layers[self._code_index + 1 :], latents))

    def reconstructed(self, images):
        """Returns A(x), [B, H, W, C] in [0, 1].

        Args:
            images: Images [B, H, W, C].
        """
        return self._images(self(images, training=False))

    @property
    def _code_index(self):
        return [layer.name for layer in self.layers].index("code")

    @staticmethod
    def _through(layers, x):
        for layer in layers:
            x = layer(x)
        return x

    def _images(self, logits):
        return ops.reshape(ops.sigmoid(logits), (-1, *self.image_shape))
