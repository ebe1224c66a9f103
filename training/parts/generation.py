"""Objectives of generative models of images: maximum likelihood, its lower bound, and reconstruction.

B batch, H height and width, W width, C channels, Z latent variables, N images to draw. This module does not
import TensorFlow.
"""

import dataclasses
import math
from typing import ClassVar

from ... import arguments
from ...publishing.exports import Endpoint, forward
from .objectives import Objective

PIXELS = ("binary", "gray")
# Images that a golden sample draws.
_DRAWS = 2


@dataclasses.dataclass(frozen=True)
class _Generation(Objective):
    """What objectives of images that are their own targets have in common."""

    pixels: str = "binary"

    def __post_init__(self):
        arguments.one_of("pixels", self.pixels, PIXELS)

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
        """Returns `serve`, the log-density `[B, 1]`, and `generation_endpoints`."""
        return {"serve": forward(model), **generation_endpoints(model, examples[0])}


@dataclasses.dataclass(frozen=True)
class NegativeELBO(_Generation):
    r"""Variational autoencoders: the bound of the likelihood with a weighted divergence (Eq. 7.3.2).

    Args:
        pixels: As for `MaximumLikelihood`.
        beta: Weight of the divergence from the prior; 1 gives the bound of Eq. 7.3.10.
        free_bits: Divergence of each latent, in nats, that costs nothing extra.
        warmup: Number of epochs before `beta` is reached; the first have 1, 2, ... parts of `warmup` + 1 of
            it. The weight is then logged as `beta`.
    """

    kind: ClassVar[str] = "negative_elbo"
    measure: ClassVar[str] = "variational"
    beta: float = 1.0
    free_bits: float = 0.0
    warmup: int = 0

    def __post_init__(self):
        super().__post_init__()
        arguments.nonnegative_number("beta", self.beta)
        arguments.nonnegative_number("free_bits", self.free_bits)
        arguments.integer("warmup", self.warmup, 0)

    def loss(self):
        """Returns the negative ELBO; its `beta` is a variable if there is a warm-up."""
        import keras

        from ...losses.variational import NegativeELBO

        beta = keras.Variable(self.beta, trainable=False, name="beta") if self.warmup else self.beta
        return NegativeELBO(beta, self.free_bits)

    def metrics(self):
        """Returns the mean divergence, unweighted."""
        from ...losses.variational import Divergence

        return [Divergence(name="kl")]

    def callbacks(self):
        """Returns the warm-up, if there is one."""
        from ..kl_warmup import KLWarmup

        return [KLWarmup(self.beta, self.warmup)] if self.warmup else []

    def endpoints(self, model, examples):
        """Returns `serve`, the means of the latents, `elbo`, and `generation_endpoints`."""
        return bound_endpoints(model, examples[0])


@dataclasses.dataclass(frozen=True)
class ImportanceWeighted(_Generation):
    """Importance-weighted autoencoders: the bound of K draws, the `importance_samples` of the model.

    Args:
        pixels: As for `MaximumLikelihood`.
    """

    kind: ClassVar[str] = "importance_weighted"
    measure: ClassVar[str] = "variational"

    def loss(self):
        """Returns the negative importance-weighted bound."""
        from ...losses.variational import NegativeImportanceWeightedBound

        return NegativeImportanceWeightedBound()

    def endpoints(self, model, examples):
        """Returns `serve`, the means of the latents, `elbo`, and `generation_endpoints`."""
        return bound_endpoints(model, examples[0])


@dataclasses.dataclass(frozen=True)
class Reconstruct(Objective):
    r"""Autoencoders: maps images `[B, H, W, C]` to the logits `[B, D]` of their own D pixels (Eq. 7.1.1).

    The loss is the cross-entropy of the pixels, which may be gray, summed over the pixels.
    """

    kind: ClassVar[str] = "reconstruct"
    measure: ClassVar[str] = "reconstruction"

    def loss(self):
        """Returns the cross-entropy of the pixels, summed over them."""
        from ...losses.binary import BernoulliNLL

        return BernoulliNLL()

    def prepare(self, splits, seed):
        """Returns splits of (images, pixels `[B, D]`), from (images, labels)."""
        import tensorflow as tf

        from ...data.images.keyed import keyed_splits

        def pair(images, labels, key):
            return images, tf.reshape(images, (len(images), math.prod(splits.spec.shape)))

        return keyed_splits(splits, pair, pair, seed)

    def endpoints(self, model, examples):
        """Returns `serve`, the logits, and `generation_endpoints`."""
        return {"serve": forward(model), **generation_endpoints(model, examples[0])}


def bound_endpoints(model, images):
    """Returns the endpoints of a `VAE`: `serve`, the means of the latents, as `encode`; `elbo`; and others.

    `elbo` takes images and a seed, an int32 scalar. The others are `generation_endpoints`.

    Args:
        model: The `VAE`.
        images: A few images `[B, H, W, C]`, the golden inputs.
    """
    import numpy as np
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, *model.image_shape), tf.float32, name="images"),
        tf.TensorSpec((), tf.int32, name="seed"),
    ]
    elbo = Endpoint(model.bound, signature, (images, np.int32(0)))
    return {"serve": model.encoded, "elbo": elbo, **generation_endpoints(model, images)}


def generation_endpoints(model, images):
    """Returns the endpoints that a `GenerativeModel` supports: `sample`, `encode`, `decode`, `interpolate`.

    `sample` takes the number of images and a seed, int32 scalars, `encode` images, `decode` latents, and
    `interpolate` two latents `[Z]` and the number of images from one to the other.

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
        end = latents.shape[1:]
        ends = [tf.TensorSpec(end, tf.float32, name=name) for name in ("first", "second")]
        endpoints["interpolate"] = Endpoint(
            model.interpolated, [*ends, tf.TensorSpec((), tf.int32, name="steps")], (*golden, np.int32(3))
        )
    return endpoints
