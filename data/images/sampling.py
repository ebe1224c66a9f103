"""Which training examples are kept and which labels replaced: fixed draws, the same in memory and streamed.

Legend: N training examples, n kept examples, K classes.
"""

import numpy as np

_SUBSET_SEED = 20190213


def kept(total, subset):
    """Picks a nested subset: the first n of one fixed permutation, whatever the user's seed.

    Args:
        total: Examples N in the training split.
        subset: Number n to keep; `None` for all of them in their own order.

    Returns:
        Positions [n], int64, into the training split.
    """
    if subset is None:
        return np.arange(total)
    return np.random.default_rng(_SUBSET_SEED).permutation(total)[:subset]


def replacement_labels(examples, classes, fraction, seed):
    """Draws uniform labels for a fraction of the examples.

    Exactly round(fraction n) examples are drawn; a drawn label may equal the true one, so that the expected
    agreement with the true labels is 1 - fraction (1 - 1/K).

    Args:
        examples: Number n of examples kept.
        classes: Number K of classes.
        fraction: Fraction of the labels to replace, in [0, 1].
        seed: The draw depends on this integer only.

    Returns:
        Labels [n], int32: the replacement, or -1 where the true label stays.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = rng.permutation(examples)[: round(fraction * examples)]
    labels = np.full(examples, -1, np.int32)
    labels[drawn] = rng.integers(classes, size=len(drawn))
    return labels
