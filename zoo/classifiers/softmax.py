"""Softmax regression: the logits are an affine function of the pixels (section 1.8).

B batch, H W height and width, C channels, K classes.
"""

from ...training.parts import Architecture, LabeledImages, Optimizer, Penalty
from ...training.supervised import Supervised
from .images import LIMITS, logits_of, standardized_images


def softmax_regression(spec):
    r"""Returns \(a = W x + b\) with probabilities softmax(a) (Eq. 1.8.1); its loss is convex in W and b.

    Args:
        spec: The data set's `Spec`.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.
    """
    import keras

    images, x = standardized_images(spec)
    x = keras.layers.Flatten()(x)  # [B, H*W*C]
    return keras.Model(images, logits_of(x, spec, "zeros"), name="softmax_regression")


RECIPES = (
    Supervised(
        name="softmax_digits",
        section="1.8",
        summary="softmax regression on 8x8 digits",
        model=Architecture(softmax_regression),
        data=LabeledImages("digits", batch_size=64),
        optimizer=Optimizer("adam", learning_rate=5e-3, schedule="cosine"),
        penalty=Penalty(l2=1e-3),
        epochs=60,
        limits=LIMITS["digits"],
    ),
    Supervised(
        name="softmax_mnist",
        section="1.8",
        summary="softmax regression on MNIST",
        model=Architecture(softmax_regression),
        data=LabeledImages("mnist"),
        optimizer=Optimizer("adam", learning_rate=1e-3, schedule="cosine"),
        epochs=10,
        limits=LIMITS["mnist"],
    ),
)
