"""Objectives of generative models of images: maximum likelihood, its lower bound, and reconstruction.

B batch, H height and width, W width, C channels, Z latent variables, N images to draw. This module does not
import TensorFlow.
"""

import dataclasses
from typing import ClassVar

from ... import arguments
from ...publishing.exports import Endpoint, forward
from ..settings import Part

PIXELS = ("binary", "gray")
# Images that a golden sample draws.
_DRAWS = 2


@dataclasses.dataclass(frozen=True)
class _Generation(Part):
    """What objectives of images that are their own targets have in common."""

    pixels: str = "binary"

    def __post_init__(self):
        arguments.one_of("pixels", self.pixels, PIXELS)

    def metrics(self):
        """Returns an empty list: the loss is the measure."""
        return []

    def prepare(self, splits, seed):
        """Returns splits of (images, images) with random pixels, from (images, labels)."""
        from ...data.images.stochastic import stochastic_splits

        return stochastic_splits(splits, self.pixels, seed)


@dataclasses.dataclass(frozen=True)
class MaximumLikelihood(_Generation):
    r"""Density models: maps images `[B, H, W, C]` to \(\log p_\theta(x)\), `[B, 1]`, in nats (Eq. 7.2.1).

    Args:
        pixels: `binary`: each pixel is drawn anew, in every epoch, with its gray value as the probability of
            1; `gray`: uniform noise of one level is added, for densities on [0, 1].
        conditional: Whether the model also sees the class of an image.
    """

    kind: ClassVar[str] = "maximum_likelihood"
    measure: ClassVar[str] = "density"
    conditional: bool = False

    def loss(self):
        """Returns the negative log-density."""
        from ...losses.density import NegativeLogDensity

        return NegativeLogDensity()

    def prepare(self, splits, seed):
        """Returns splits of (images, images), or ((images, labels), images) if `conditional`."""
        from ...data.images.stochastic import stochastic_splits

        return stochastic_splits(splits, self.pixels, seed, self.conditional)

    def endpoints(self, model, examples):
        """Returns `serve`, the log-density, and `sample`, `encode` and `decode` where the model has them."""
        return {"serve": forward(model), **generation_endpoints(model, examples[0])}


def generation_endpoints(model, images):
    """Returns the endpoints that a `GenerativeModel` supports.

    `sample` takes the number of images and a seed, int32 scalars, `encode` images, `decode` latents.

    Args:
        model: The `GenerativeModel`.
        images: A few images `[B, H, W, C]`, the golden inputs.
    """
    import numpy as np
    import tensorflow as tf

    endpoints = {}
    shape = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    if hasattr(model, "draw"):
        scalars = [tf.TensorSpec((), tf.int32, name=name) for name in ("count", "seed")]
        endpoints["sample"] = Endpoint(model.draw, scalars, (np.int32(_DRAWS), np.int32(0)))
    if hasattr(model, "encoded"):
        endpoints["encode"] = Endpoint(model.encoded, [shape], (images,))
    if hasattr(model, "decoded"):
        latents = tf.TensorSpec((None, model.latent_size), tf.float32, name="latents")
        golden = np.random.default_rng(0).normal(size=(_DRAWS, model.latent_size)).astype("float32")
        endpoints["decode"] = Endpoint(model.decoded, [latents], (golden,))
    return endpoints
