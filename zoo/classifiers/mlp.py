"""The fully connected network, or multilayer perceptron (Eq. 1.1.2; section 1.8).

B batch, H W height and width, C channels, K classes.
"""

from ... import arguments, layers
from ...training.parts import Architecture, Execution, LabeledImages, Optimizer
from ...training.supervised import Supervised
from .images import LIMITS, logits_of, standardized_images


def mlp(
    spec,
    widths: tuple[int, ...] = (512, 512),
    activation: str = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
):
    r"""Returns a composition of affine maps and nonlinearities (Eq. 1.1.2), and an affine map to the logits.

    \[ x_n = \phi(W_n x_{n-1} + b_n), \qquad a = W x_N + b \]

    Args:
        spec: The data set's `Spec`.
        widths: Units of each hidden layer.
        activation: \(\phi\), a Keras activation.
        normalization: `batch`, `layer`, `weight` or `None`, before each activation.
        dropout: Dropout rate after each hidden layer.

    Returns:
        A `keras.Model` from images `[B, H, W, C]` to logits `[B, K]`.

    Raises:
        ValueError: If a value is not valid.
    """
    import keras

    arguments.sizes("widths", widths)
    arguments.fraction("dropout", dropout)
    images, x = standardized_images(spec)
    x = keras.layers.Flatten()(x)  # [B, H*W*C]
    for units in widths:
        x = layers.DenseBlock(units, activation=activation, normalization=normalization, dropout=dropout)(x)
    return keras.Model(images, logits_of(x, spec), name="mlp")


RECIPES = (
    Supervised(
        name="mlp_digits",
        section="1.8",
        summary="two hidden layers on 8x8 digits",
        model=Architecture(mlp, {"widths": (256, 256), "dropout": 0.3}),
        data=LabeledImages("digits", batch_size=64, augment=("crop",)),
        optimizer=Optimizer("adam", learning_rate=2e-3, schedule="cosine"),
        epochs=60,
        limits=LIMITS["digits"],
    ),
    Supervised(
        name="mlp_mnist",
        section="1.8",
        summary="two hidden layers on MNIST",
        model=Architecture(mlp),
        data=LabeledImages("mnist", augment=("crop",)),
        optimizer=Optimizer("adam", learning_rate=1e-3, schedule="cosine"),
        execution=Execution(jit_compile=True, steps_per_execution=13),
        epochs=30,
        limits=LIMITS["mnist"],
    ),
)
