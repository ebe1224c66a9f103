"""How training examples and labels are sampled, both for sets in memory and for streamed sets.

Legend: N training examples, n examples of a subset, K classes.
"""

import dataclasses

import numpy as np

from ... import arguments
from ..arguments import AUGMENTATIONS

_SUBSET_SEED = 20190213


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How training batches are drawn from a training split; the arguments are those of `load`.

    Args:
        batch_size: Examples per training batch.
        seed: Key of the order, of the augmentation and of the random labels.
        subset: Number n of training examples to use; `None` for all.
        random_labels: Fraction of the training labels to replace by uniform draws.
        augment: Names among `flip` and `crop`.
    """

    batch_size: int = 128
    seed: int = 0
    subset: int | None = None
    random_labels: float = 0.0
    augment: tuple[str, ...] = ()

    def check(self, train):
        """Raises a ValueError unless every setting is valid for `train` training examples."""
        if self.subset is not None:
            train = arguments.integer("subset", self.subset, 1, train)
        arguments.integer("batch_size", self.batch_size, 1, train)
        arguments.seed("seed", self.seed)
        arguments.number("random_labels", self.random_labels, 0, 1)
        arguments.distinct_names("augment", self.augment, AUGMENTATIONS)

    def replaced(self, train, **settings):
        """Returns a copy with other settings, checked against `train` training examples."""
        sampling = dataclasses.replace(self, **settings)
        sampling.check(train)
        return sampling


def default_batch_size(train, subset):
    """Returns the default batch size of a user's own images: 128, or all of them if there are fewer.

    Args:
        train: Number of training images.
        subset: Number of them that are used; `None` for all.

    Raises:
        ValueError: If `subset` is not an integer from 1 to `train`.
    """
    if subset is not None:
        train = arguments.integer("subset", subset, 1, train)
    return min(Sampling.batch_size, train)


def subset_rows(total, subset):
    """Picks a nested subset: the first n of one fixed permutation, which does not depend on the user's seed.

    Args:
        total: Number N of examples in the training split.
        subset: Number n to pick; `None` for all of them in their own order.

    Returns:
        Positions [n], int64, in the training split.
    """
    if subset is None:
        return np.arange(total)
    return np.random.default_rng(_SUBSET_SEED).permutation(total)[:subset]


def replacement_labels(examples, classes, fraction, seed):
    """Draws uniform labels for a fraction of the examples.

    Exactly round(fraction n) examples are drawn. A drawn label may equal the true one, so the expected
    agreement with the true labels is 1 - fraction (1 - 1/K).

    Args:
        examples: Number n of examples.
        classes: Number K of classes.
        fraction: Fraction of the labels to replace, in [0, 1].
        seed: Integer seed of the draw.

    Returns:
        Labels [n], int32: the replacement, or -1 where the true label is kept.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.permutation(examples)[: round(fraction * examples)]
    labels = np.full(examples, -1, np.int32)
    labels[drawn] = rng.integers(classes, size=len(drawn))
    return labels
