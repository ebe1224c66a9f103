"""Options of a style transfer, checked before TensorFlow is imported."""

import dataclasses
import os
import typing

from ... import arguments
from ...publishing import cards
from ...training.settings import read_value
from .pictures import SMALLEST

VGG19 = "vgg19"
DEFAULT = "resnet20_cifar10"
OPTIMIZERS = ("lbfgs", "adam")
STARTS = ("content", "noise")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a style transfer.

    Args:
        features: The network: a published model of the zoo, the folder of a run, or `vgg19`.
        weights: The file of VGG19's weights, for `vgg19`.
        size: Largest height or width of the pictures, in pixels.
        steps: Number of evaluations of the loss and its gradient for each optimizer.
        optimizers: `lbfgs`, `adam` or both.
        learning_rate: The learning rate of Adam; pixels are in [0, 1].
        content_weight: Weight of the content, relative to that of the style.
        style_weight: Weight of the style.
        tv_weight: Weight of the total variation, which suppresses noise.
        start: The first picture: the `content`, or uniform `noise`.
        seed: Seed of the noise.
        style_layers: Names of the layers that describe the style; None for the default of the network.
        content_layer: Name of the layer that describes the content; None for the default of the network.

    Raises:
        ValueError: If a value is not valid; the message says what is valid.
    """

    features: str = DEFAULT
    weights: str | None = None
    size: int = 256
    steps: int = 120
    optimizers: tuple[str, ...] = OPTIMIZERS
    learning_rate: float = 0.06
    content_weight: float = 0.03
    style_weight: float = 1.0
    tv_weight: float = 1.0
    start: str = "content"
    seed: int = 0
    style_layers: tuple[str, ...] | None = None
    content_layer: str | None = None

    def __post_init__(self):
        check_source(self.features, self.weights)
        arguments.integer("size", self.size, SMALLEST)
        arguments.integer("steps", self.steps, 1)
        arguments.distinct_names("optimizers", self.optimizers, OPTIMIZERS)
        if not self.optimizers:
            raise ValueError(f"optimizers must name at least one of {', '.join(OPTIMIZERS)}")
        arguments.positive_number("learning_rate", self.learning_rate)
        for name in ("content_weight", "style_weight", "tv_weight"):
            arguments.nonnegative_number(name, getattr(self, name))
        arguments.one_of("start", self.start, STARTS)
        arguments.seed("seed", self.seed)


def read_options(values):
    """Returns `Options` with the values of a dictionary; strings are parsed as the types of their fields.

    Args:
        values: Values by field, such as `{"steps": "60", "tv_weight": 0.1}`.

    Raises:
        ValueError: If a field is unknown or a value is not valid.
    """
    types = typing.get_type_hints(Options)
    for name in values:
        arguments.known_name("option of a style transfer", name, types)
    return Options(**{key: read_value(key, value, types[key]) for key, value in values.items()})


def check_source(name, weights):
    """Checks that a trained network exists, without loading it.

    Args:
        name: As in `features.load`.
        weights: As in `features.load`.

    Raises:
        ValueError: If there is no such model or file, or only one of `vgg19` and `weights` is given.
    """
    if name != VGG19:
        if weights is not None:
            raise ValueError(f"weights must be given for features={VGG19!r} only, got features={name!r}")
        try:
            cards.folder_of(name)
        except ValueError as error:
            raise ValueError(f"{error}; or {VGG19!r} with a file of its weights") from None
    elif weights is None:
        raise ValueError(
            "weights must be the file of VGG19's weights without its dense layers "
            "(vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5), got None"
        )
    elif not os.path.isfile(os.path.expanduser(weights)):
        raise ValueError(f"weights must be an existing file, got {os.fspath(weights)!r}")
