"""RealNVP: a normalizing flow of affine couplings at several scales (section 7.2).

An image x is mapped to latents z = f(x) by an invertible f, and z is standard normal, so that

    log p(x) = log N(f(x); 0, 1) + log |det df/dx|

Legend: B batch, H height, W width, C channels, Z = H W C latent variables.
"""

import math

import keras
import numpy as np
from keras import ops

from ... import arguments, layers
from .model import DensityModel

PREPROCESSING = ("gaussianization", "logit")


@keras.saving.register_keras_serializable("curvezoo")
class RealNVP(DensityModel):
    """A flow from images [B, H, W, C] in [0, 1] to their log-density in nats, [B, 1].

    A map of single pixels from the unit interval to the real line comes first, then couplings with
    checkerboard masks at full resolution, if there are any. Each scale squeezes blocks of 2x2 pixels into
    channels and applies couplings with channel masks, the first of which are the checkerboard on the image
    before the squeeze. Half of the channels then become latents, and the next scale transforms the others.

    Args:
        shape: The shape (H, W, C) of an image; 2^scales divides H and W.
        levels: Number of values of a pixel before dequantization.
        scales: Number of scales.
        couplings: Number of couplings at each scale; masks alternate.
        checkerboards: Number of couplings with checkerboard masks.
        width: Hidden channels of the couplings' networks.
        depth: Hidden dense layers of each network.
        kernel_size: Height and width of the networks' filters.
        mixing: Whether an invertible 1x1 convolution follows every second coupling with a channel mask.
        preprocessing: `gaussianization`, with learned frequencies of the levels, or `logit`.
        alpha: Distance of the preprocessed pixels from 0 and 1, as for these layers.
        **kwargs: Arguments of `keras.Model`.

    Attributes:
        levels: As above. The bits per dimension are log2(levels) - log p(x) / (Z log 2).

    Raises:
        ValueError: If an argument is not valid, or the sides are not divisible by 2^scales.

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (2017), arXiv:1605.08803.
        Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions" (2018).
    """

    def __init__(
        self,
        shape,
        levels=256,
        scales=2,
        couplings=8,
        checkerboards=0,
        width=48,
        depth=1,
        kernel_size=5,
        mixing=True,
        preprocessing="gaussianization",
        alpha=1e-5,
        **kwargs,
    ):
        config = {
            "shape": arguments.sizes("shape", shape, 3),
            "levels": arguments.integer("levels", levels, 2),
            "scales": arguments.integer("scales", scales, 1),
            "couplings": arguments.integer("couplings", couplings, 1),
            "checkerboards": arguments.integer("checkerboards", checkerboards, 0),
            "width": arguments.integer("width", width, 1),
            "depth": arguments.integer("depth", depth, 0),
            "kernel_size": arguments.integer("kernel_size", kernel_size, 1),
            "mixing": arguments.boolean("mixing", mixing),
            "preprocessing": arguments.one_of("preprocessing", preprocessing, PREPROCESSING),
            "alpha": arguments.number("alpha", alpha, 0, 0.5, bounds="()"),
        }
        if any(side % 2**scales for side in shape[:2]):
            raise ValueError(
                f"scales must be such that 2^scales divides {shape[0]} x {shape[1]}, got {scales}"
            )
        images = keras.Input(shape, name="images")
        pixels = _pixel_bijection(config)
        stages = [_stage(scale, config) for scale in range(scales)]
        latents, log_det = _forward(pixels, stages, images)
        # The logarithm of the standard normal density.
        log_base = -0.5 * ops.sum(ops.square(latents) + math.log(2 * math.pi), axis=1)
        super().__init__(images, ops.expand_dims(log_base + log_det, 1), **kwargs)
        self._config, self._pixels, self._stages = config, pixels, stages
        self.image_shape, self.levels, self.latent_size = config["shape"], levels, math.prod(shape)

    def sample(self, count, seed=0, temperature=1.0):
        """Returns images that the model draws, [N, H, W, C] in [0, 1].

        Args:
            count: Number N of images.
            seed: Integer seed; the same seed gives the same images.
            temperature: Standard deviation of the latents; below 1, images are drawn closer to the mode.

        Raises:
            ValueError: If an argument is not valid.
            FloatingPointError: If the output of a layer is not finite; the message names the layer.
        """
        count, seed = arguments.integer("count", count, 1), arguments.seed("seed", seed)
        temperature = arguments.nonnegative_number("temperature", temperature)
        latents = np.asarray(_standard_normal(count, self.latent_size, seed))
        return self._by_chunks(type(self).decoded, np.float32(temperature) * latents)

    def draw(self, count, seed):
        """Returns images [count, H, W, C] from an integer seed, both scalars."""
        return self.decoded(_standard_normal(count, self.latent_size, seed))

    def encoded(self, images):
        """Returns the latents [B, Z] of images, those of the first scale first."""
        return _forward(self._pixels, self._stages, images)[0]

    def decoded(self, latents):
        """Returns the images [B, H, W, C] of latents, clipped to [0, 1]; where a layer fails they are NaN."""
        y = _inverse(self._stages, self._latent_shapes(), latents)
        # The map of pixels would turn an infinity into 0 or 1.
        return ops.where(ops.isfinite(y), ops.clip(self._pixels.inverse(y), 0, 1), math.nan)

    def _latent_shapes(self):
        """Returns the shape of the latents of each scale."""
        height, width, channels = self.image_shape
        last = len(self._stages) - 1
        # The squeeze multiplies the channels by 4, and the next scale gets half of them.
        return [
            (height >> scale + 1, width >> scale + 1, channels << scale + 1 + (scale == last))
            for scale in range(last + 1)
        ]

    def _run(self, function, *inputs, **static):
        outputs = super()._run(function, *inputs, **static)
        if not np.isfinite(outputs).all():
            self._raise_not_finite(function, *inputs)
        return outputs

    def _raise_not_finite(self, function, inputs):
        """Raises an error that names the first layer whose output is not finite."""

        def check(layer, output):
            if not np.isfinite(np.asarray(output)).all():
                raise FloatingPointError(
                    f"{self.name}: the output of {layer.name} is not finite; training may have diverged"
                )

        if function is type(self).decoded:
            y = _inverse(self._stages, self._latent_shapes(), inputs, check)
            check(self._pixels, self._pixels.inverse(y))
        else:
            _forward(self._pixels, self._stages, inputs, check)
        raise FloatingPointError(f"{self.name}: the log-density is not finite")


def _standard_normal(count, size, seed):
    """Returns standard normal numbers, [count, size], in float32."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.random.stateless_normal((count, size), tf.stack([seed, 0]), alg="philox")
    return keras.random.normal((int(count), size), seed=int(seed))


def _pixel_bijection(config):
    if config["preprocessing"] == "logit":
        return layers.Logit(config["alpha"], name="logit")
    return layers.Gaussianization(config["levels"], alpha=config["alpha"], name="gaussianization")


def _stage(scale, config):
    """Returns the bijections of one scale."""
    sizes = {"width": config["width"], "depth": config["depth"], "kernel_size": config["kernel_size"]}
    count = config["checkerboards"] if scale == 0 else 0
    stage = [
        layers.AffineCoupling("checkerboard", bool(i % 2), name=f"checkerboard_{i}", **sizes)
        for i in range(count)
    ]
    stage.append(layers.Squeeze(name=f"squeeze_{scale}"))
    for i in range(config["couplings"]):
        stage.append(layers.AffineCoupling("channel", bool(i % 2), name=f"coupling_{scale}_{i}", **sizes))
        if config["mixing"] and i % 2 and i + 1 < config["couplings"]:
            stage.append(layers.InvertibleConvolution(name=f"mixing_{scale}_{i // 2}"))
    return stage


def _forward(pixels, stages, images, check=lambda layer, output: None):
    """Returns the latents [B, Z] and the log-determinant [B]; calls `check` with each layer's output."""
    latents, log_det, x = [], 0.0, images
    for scale, stage in enumerate(stages):
        for layer in [pixels, *stage] if scale == 0 else stage:
            x, change = layer(x)
            check(layer, x)
            log_det = log_det + change
        if scale + 1 < len(stages):
            x, z = ops.split(x, 2, axis=-1)
            latents.append(z)
    return ops.concatenate(
        [ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in [*latents, x]], axis=1
    ), log_det


def _inverse(stages, shapes, latents, check=lambda layer, output: None):
    """Returns the preprocessed images of latents; calls `check` with each layer's output."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1].tolist()
    parts = ops.split(latents, ends, axis=1) if ends else [latents]
    x = None
    for stage, shape, part in reversed(list(zip(stages, shapes, parts, strict=True))):
        z = ops.reshape(part, (-1, *shape))
        x = z if x is None else ops.concatenate([x, z], axis=-1)
        for layer in reversed(stage):
            x = layer.inverse(x)
            check(layer, x)
    return x
