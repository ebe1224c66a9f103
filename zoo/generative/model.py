"""The base classes of generative models: Keras models of images that also draw, encode and decode them.

Legend: N images, B batch, H height, W width, C channels, Z latent variables.
"""

import warnings

import keras
import numpy as np
from keras import ops

from ... import arguments
from ..programs import Programs

# Images, or latents, that a program takes at a time.
_CHUNK = 500


class GenerativeModel(keras.Model):
    """A model of images [B, H, W, C] with pixels in [0, 1].

    A subclass makes its layers, calls `super().__init__(inputs=..., outputs=...)`, keeps the arguments of its
    constructor in `_config`, and defines those of these hooks that it supports. They take and return
    tensors, and are endpoints of the SavedModel:

        draw(count, seed)            images [count, H, W, C]
        encoded(images)              latents [B, Z]
        decoded(latents)             images [B, H, W, C]

    Attributes:
        image_shape: The shape (H, W, C) of an image.
        latent_size: The number Z of latent variables; `None` if there are none.
        binary: Whether the model's pixels are 0 or 1.
    """

    image_shape: tuple[int, int, int]
    latent_size: int | None = None
    binary = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._programs = Programs(self, jit_compile=False)
        self._warned = False

    def get_config(self):
        """Returns the arguments of the constructor."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns a model with new weights."""
        return cls(**config)

    def sample(self, count, seed=0):
        """Returns images that the model draws, [N, H, W, C] in [0, 1].

        Args:
            count: Number N of images.
            seed: Integer seed; the same seed gives the same images.

        Raises:
            ValueError: If the model has no distribution of images, `count` is not a positive integer, or
                `seed` is not a valid seed.
        """
        if not hasattr(self, "draw"):
            raise ValueError(f"{self.name} has no distribution to draw images from")
        count, seed = arguments.integer("count", count, 1), arguments.seed("seed", seed)
        return self._run(type(self).draw, np.int32(count), np.int32(seed))

    def encode(self, images):
        """Returns the latents [N, Z] of images.

        Args:
            images: Images [N, H, W, C] in [0, 1].

        Raises:
            ValueError: If the model has no encoder, or the images have another shape or range.
        """
        if self.latent_size is None or not hasattr(self, "encoded"):
            raise ValueError(f"{self.name} has no encoder")
        return self._by_chunks(type(self).encoded, self.checked_images(images))

    def decode(self, latents):
        """Returns the images [N, H, W, C] of latents.

        Args:
            latents: Latents [N, Z].

        Raises:
            ValueError: If the model has no latents, or these have another shape.
        """
        latents = self._checked_latents("latents", latents)
        return self._by_chunks(type(self).decoded, latents)

    def interpolate(self, first, second, steps=8):
        """Returns the images on the straight line between two images, or two latents, in latent space.

        Args:
            first: The first image [H, W, C], or its latents [Z].
            second: The last image, or its latents.
            steps: Number of images, the ends included.

        Returns:
            Images [steps, H, W, C].

        Raises:
            ValueError: If the ends do not fit the model, or `steps` is not an integer of at least 2.
        """
        steps = arguments.integer("steps", steps, 2)
        ends = [self._end(name, end)[0] for name, end in (("first", first), ("second", second))]
        return self._run(GenerativeModel.interpolated, *ends, np.int32(steps))

    def interpolated(self, first, second, steps):
        """Returns the images of latents on a straight line, [steps, H, W, C], as an endpoint.

        Args:
            first: Latents [Z].
            second: Latents [Z].
            steps: Number of images, a scalar int32.
        """
        share = ops.cast(ops.arange(steps), first.dtype) / ops.cast(steps - 1, first.dtype)
        return self.decoded((1 - share[:, None]) * first + share[:, None] * second)

    def checked_images(self, images, name="images"):
        """Returns images as a float32 array after checking their shape and range.

        Args:
            images: Images [N, H, W, C] in [0, 1].
            name: The argument's name, for messages.

        Raises:
            ValueError: If the shape is another, a pixel is not finite, or one is outside [0, 1].
        """
        images = arguments.finite(name, images)
        if images.ndim != 4 or images.shape[1:] != tuple(self.image_shape) or not len(images):
            expected = ", ".join(map(str, ("N", *self.image_shape)))
            raise ValueError(f"{name} must have shape [{expected}], got {images.shape}")
        inside = (images >= 0) & (images <= 1)
        arguments.require(name, images, inside, "be in [0, 1]; divide pixels of 0 to 255 by 255")
        if self.binary and not self._warned and not np.isin(images, (0.0, 1.0)).all():
            self._warned = True
            warnings.warn(
                f"{self.name} models binary pixels, got others: its nats are then a cross-entropy, not a "
                "log-likelihood; draw pixels with data.images.binarized",
                stacklevel=3,
            )
        return images.astype(np.float32)

    def _checked_latents(self, name, latents):
        if self.latent_size is None or not hasattr(self, "decoded"):
            raise ValueError(f"{self.name} has no latent variables")
        latents = arguments.finite(name, latents)
        if latents.ndim != 2 or latents.shape[1] != self.latent_size or not len(latents):
            raise ValueError(f"{name} must have shape [N, {self.latent_size}], got {latents.shape}")
        return latents.astype(np.float32)

    def _end(self, name, end):
        """Returns one end of an interpolation as latents [1, Z]."""
        end = np.asarray(end)
        if end.ndim == 3 and hasattr(self, "encoded"):
            self.checked_images(end[None], name)
            return self.encode(end[None])
        return self._checked_latents(name, end[None])

    def _run(self, function, *inputs, **static):
        """Returns the output of a hook as a NumPy array."""
        return np.asarray(self._programs.run(function, *inputs, **static))

    def _by_chunks(self, function, *arrays):
        """Returns the outputs of a hook for the rows of arrays, a chunk of them at a time."""
        chunks = [slice(i, i + _CHUNK) for i in range(0, len(arrays[0]), _CHUNK)]
        return np.concatenate([self._run(function, *(array[chunk] for array in arrays)) for chunk in chunks])


class DensityModel(GenerativeModel):
    """A generative model whose forward pass is the log-density itself.

    `model(images)` is [B, 1], in nats; `losses.NegativeLogDensity` trains it.
    """

    def log_prob(self, images):
        """Returns log p of each image in nats, [N].

        Args:
            images: Images [N, H, W, C] in [0, 1], binary or dequantized as the model's pixels are.

        Raises:
            ValueError: If the images have another shape or range.
        """
        return self._by_chunks(_log_density, self.checked_images(images))


def _log_density(model, images):
    return model(images, training=False)[:, 0]
