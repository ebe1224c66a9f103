"""Training objectives: the loss, the inputs and targets, the measure and the SavedModel's endpoints.

This module does not import TensorFlow. An objective is a part with a `kind`, its name on a card, a
`measure`, the name of the measure in `publishing.measures`, and these methods:

    loss(), metrics()            arguments of `compile`
    callbacks()                  Keras callbacks of the training loop
    prepare(splits, seed)        splits of the model's inputs and targets, made from those of the data set
    endpoints(model, examples)   functions of the SavedModel by name; the first is the default

The `examples` are a few inputs of the model, one array for each of its inputs. An endpoint is a function of
the model's inputs, or an `Endpoint` if its arguments are others.

B batch, H W height and width, C channels, K classes; T positions, S source positions, V vocabulary, P length
of the longest prompt.
"""

import dataclasses
from typing import ClassVar

from ... import arguments
from ...data.arguments import check_noise
from ...publishing.exports import Endpoint, forward
from ..settings import Part

LIKELIHOODS = ("gaussian", "laplace")
# Size of the golden prompts, and number of tokens that are generated from them.
_PROMPTS, _PROMPT_LENGTH, _NEW_TOKENS = 2, 4, 8


@dataclasses.dataclass(frozen=True)
class Objective(Part):
    """What most objectives have in common: no metrics and no callbacks."""

    def metrics(self):
        """Returns an empty list."""
        return []

    def callbacks(self):
        """Returns an empty list."""
        return []


@dataclasses.dataclass(frozen=True)
class LabelObjective(Objective):
    """What objectives with integer labels have in common: the data are used as they come."""

    def metrics(self):
        """Returns the accuracy."""
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def prepare(self, splits, seed):
        """Returns the splits unchanged: (inputs, labels)."""
        return splits


@dataclasses.dataclass(frozen=True)
class _Categorical(LabelObjective):
    """The likelihood of labels under a softmax of logits."""

    label_smoothing: float = 0.0

    def __post_init__(self):
        arguments.fraction("label_smoothing", self.label_smoothing)

    def loss(self):
        """Returns the negative log-likelihood of the labels, smoothed."""
        from ...losses.classification import CategoricalNLL

        return CategoricalNLL(label_smoothing=self.label_smoothing)


@dataclasses.dataclass(frozen=True)
class CrossEntropy(_Categorical):
    """Classification: maps images `[B, H, W, C]` to the logits `[B, K]` of their classes (section 1.8).

    Args:
        label_smoothing: Fraction of a label's probability that is spread over all classes, in [0, 1).
    """

    kind: ClassVar[str] = "cross_entropy"
    measure: ClassVar[str] = "classification"

    def endpoints(self, model, examples):
        """Returns `serve`, the logits, and `probabilities`, their softmax."""
        return classifier_endpoints(model)


def classifier_endpoints(model):
    """Returns `serve`, the logits, and `probabilities`, their softmax.

    Args:
        model: A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.
    """
    import keras

    logits = forward(model)
    return {"serve": logits, "probabilities": lambda images: keras.ops.softmax(logits(images))}


@dataclasses.dataclass(frozen=True)
class Denoise(Objective):
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

    def prepare(self, splits, seed):
        """Returns splits of (noisy images, targets), from (images, labels)."""
        from ...data.images.corruption import noisy_splits

        return noisy_splits(splits, self.noise, self.level, self.targets, seed)

    def endpoints(self, model, examples):
        """Returns `serve`, which maps noisy images to clean ones."""
        return {"serve": forward(model)}


@dataclasses.dataclass(frozen=True)
class NextToken(_Categorical):
    r"""Language modeling: maps tokens `[B, T]` to the logits `[B, T, V]` of the token after each.

    The loss is the mean of \(-\log p(x_{t+1} | x_1 \ldots x_t)\) over all positions, in nats per token.

    Args:
        label_smoothing: Fraction of a label's probability that is spread over the vocabulary, in [0, 1).
    """

    kind: ClassVar[str] = "next_token"
    measure: ClassVar[str] = "language_modeling"

    def endpoints(self, model, examples):
        """Returns `serve`, the logits, and `generate`, which continues prompts.

        The arguments of `generate` are the prompts, int32 `[B, P]`, padded at their ends; their lengths,
        int32 `[B]`; the number of new tokens; the temperature, 0 for the most probable token; and a seed. It
        returns the prompts with their continuations.
        """
        endpoints = {"serve": forward(model)}
        if hasattr(model, "generate_tokens"):
            endpoints["generate"] = _generation(model, examples[0])
        return endpoints


def _generation(model, tokens):
    """Returns the endpoint `generate`; its golden prompts have different lengths."""
    import numpy as np
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, None), tf.int32, name="prompts"),
        tf.TensorSpec((None,), tf.int32, name="lengths"),
        tf.TensorSpec((), tf.int32, name="max_new_tokens"),
        tf.TensorSpec((), tf.float32, name="temperature"),
        tf.TensorSpec((), tf.int32, name="seed"),
    ]
    prompts = np.asarray(tokens[:_PROMPTS, :_PROMPT_LENGTH], "int32")
    lengths = np.maximum(prompts.shape[1] - np.arange(len(prompts), dtype="int32"), 1)
    prompts = np.where(np.arange(prompts.shape[1]) < lengths[:, None], prompts, np.int32(0))
    golden = (prompts, lengths, np.int32(_NEW_TOKENS), np.float32(1.0), np.int32(0))
    return Endpoint(model.generate_tokens, signature, golden)


@dataclasses.dataclass(frozen=True)
class Translate(_Categorical):
    r"""Translation: maps a source `[B, S]` and the start of its translation `[B, T]` to logits `[B, T, V]`.

    The loss is the mean of \(-\log p(y_{t+1} | x, y_1 \ldots y_t)\) over all target tokens except padding.
    Under a strategy of several replicas it is the mean over the replicas of their means, which differs
    slightly from that of a single device if the replicas have different numbers of tokens.

    Args:
        label_smoothing: Fraction of a label's probability that is spread over the vocabulary, in [0, 1).
    """

    kind: ClassVar[str] = "translate"
    measure: ClassVar[str] = "translation"

    def loss(self):
        """Returns the negative log-likelihood of the target tokens, without the padding."""
        from ...losses.masked import MaskedCategoricalNLL

        return MaskedCategoricalNLL(label_smoothing=self.label_smoothing)

    def metrics(self):
        """Returns the accuracy of the target tokens, without the padding."""
        from ..token_accuracy import TokenAccuracy

        return [TokenAccuracy(name="accuracy")]

    def endpoints(self, model, examples):
        """Returns `serve`, the logits, and `translate`, from a source to its most probable translation."""
        import tensorflow as tf

        endpoints = {"serve": forward(model)}
        if hasattr(model, "translate"):
            source = model.inputs[0]
            signature = [tf.TensorSpec(source.shape, examples[0].dtype, name=source.name)]
            endpoints["translate"] = Endpoint(model.translate, signature, (examples[0],))
        return endpoints
