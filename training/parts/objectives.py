"""Training objectives: the loss, the inputs and targets, the measure and the SavedModel's endpoints.

This module does not import TensorFlow. An objective is a part with a `kind`, its name on a card, a
`measure`, the name of the measure in `publishing.measures`, and these methods:

    loss(), metrics()        arguments of `compile`
    prepare(splits, seed)    splits of the model's inputs and targets, made from those of the data set
    endpoints(model)         functions of the SavedModel by name; the first is the default

B batch, H W height and width, C channels, K classes.
"""

import dataclasses
from typing import ClassVar

from ... import arguments
from ...data.arguments import check_noise
from ...publishing.exports import forward
from ..settings import Part

LIKELIHOODS = ("gaussian", "laplace")


@dataclasses.dataclass(frozen=True)
class CrossEntropy(Part):
    """Classification: maps images `[B, H, W, C]` to the logits `[B, K]` of their classes (section 1.8).

    Args:
        label_smoothing: Fraction of a label's probability that is spread over all classes, in [0, 1).
    """

    kind: ClassVar[str] = "cross_entropy"
    measure: ClassVar[str] = "classification"
    label_smoothing: float = 0.0

    def __post_init__(self):
        arguments.fraction("label_smoothing", self.label_smoothing)

    def loss(self):
        """Returns the negative log-likelihood of the labels, smoothed."""
        from ...losses.classification import CategoricalNLL

        return CategoricalNLL(label_smoothing=self.label_smoothing)

    def metrics(self):
        """Returns the accuracy."""
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def prepare(self, splits, seed):
        """Returns the splits unchanged: (images, labels)."""
        return splits

    def endpoints(self, model):
        """Returns `serve`, the logits, and `probabilities`, their softmax."""
        import keras

        logits = forward(model)
        return {"serve": logits, "probabilities": lambda images: keras.ops.softmax(logits(images))}


@dataclasses.dataclass(frozen=True)
class Denoise(Part):
    """Denoising without clean images: the target is a second noisy copy of the input (section 3.3.4).

    The best prediction of a noisy target is the mean of its distribution under a Gaussian likelihood, and its
    median under a Laplace one. If that mean, or median, is the clean pixel, noisy targets only add variance.

    Args:
        noise: `gaussian`, whose mean is the clean pixel, or `impulse`, whose median is.
        level: Standard deviation of `gaussian` noise; probability of `impulse` noise, below 1/2.
        targets: `noisy`, or `clean` for comparison.
        likelihood: `gaussian` (squared error) or `laplace` (absolute error).

    Raises:
        ValueError: If a value is not one of these.

    References:
        Lehtinen et al., "Noise2Noise: Learning Image Restoration without Clean Data" (2018).
    """

    kind: ClassVar[str] = "denoise"
    measure: ClassVar[str] = "denoising"
    noise: str = "gaussian"
    level: float = 0.2
    targets: str = "noisy"
    likelihood: str = "gaussian"

    def __post_init__(self):
        check_noise(self.noise, self.level, self.targets)
        arguments.one_of("likelihood", self.likelihood, LIKELIHOODS)

    def loss(self):
        """Returns the negative log-likelihood of the target pixels, with unit scale."""
        from ...losses import regression

        losses = {"gaussian": regression.GaussianNLL, "laplace": regression.LaplaceNLL}
        return losses[self.likelihood](scale=1.0)

    def metrics(self):
        """Returns an empty list: a signal-to-noise ratio against noisy targets would mean little."""
        return []

    def prepare(self, splits, seed):
        """Returns splits of (noisy images, targets), from (images, labels)."""
        from ...data.images.corruption import noisy_splits

        return noisy_splits(splits, self.noise, self.level, self.targets, seed)

    def endpoints(self, model):
        """Returns `serve`, which maps noisy images to clean ones."""
        return {"serve": forward(model)}
