"""Splits of image sets that fit in memory: one tensor of pixels, batches gathered by shuffled indices.

Legend: B batch, N examples, H height, W width, C channels.
"""

import dataclasses

import tensorflow as tf

from ..splits import Splits
from .augmentation import augmented
from .sampling import replacement_labels, subset_rows

_EVALUATION_BATCH = 500
_DIGITS_SEED = 0


def digits():
    """Reads scikit-learn's 1,797 digits and splits them, stratified by class, with a fixed seed.

    Returns:
        Pairs `(images, labels)` for training (1,257), validation (180) and test (360): images uint8
        [N, 8, 8, 1] with values 0 .. 16, labels int32 [N].
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images, labels = images.reshape(-1, 8, 8, 1).astype("uint8"), labels.astype("int32")
    rest, test, rest_labels, test_labels = train_test_split(
        images, labels, test_size=360, stratify=labels, random_state=_DIGITS_SEED
    )
    train, validation, train_labels, validation_labels = train_test_split(
        rest, rest_labels, test_size=180, stratify=rest_labels, random_state=_DIGITS_SEED
    )
    return (train, train_labels), (validation, validation_labels), (test, test_labels)


def _sampled(split, classes, sampling):
    """Returns the sampled subset of a training split, with random labels if there are any."""
    images, labels = split
    if sampling.subset is not None:
        rows = subset_rows(len(labels), sampling.subset)
        images, labels = tf.gather(images, rows), tf.gather(labels, rows)
    if sampling.random_labels:
        replaced = replacement_labels(len(labels), classes, sampling.random_labels, sampling.seed)
        labels = tf.where(replaced >= 0, replaced, labels)
    return images, labels


def _in_order(split, levels):
    """Returns the batches of an evaluation split, in order."""
    images, labels = split
    size = len(labels)

    def batch(start):
        rows = slice(start, start + _EVALUATION_BATCH)
        return tf.cast(images[rows], tf.float32) / levels, labels[rows]

    starts = tf.data.Dataset.range(0, size, _EVALUATION_BATCH)
    return starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _shuffled(split, levels, sampling, padding):
    """Returns the function from epoch numbers to batches that `Splits` expects."""
    images, labels = split
    size = len(labels)
    steps = size // sampling.batch_size

    def order(epoch):
        key = tf.stack([tf.constant(sampling.seed, tf.int64), epoch])
        order_key, batches_key = tf.unstack(tf.random.split(key, 2))
        rows = tf.random.experimental.stateless_shuffle(tf.range(size), order_key)
        rows = tf.reshape(rows[: steps * sampling.batch_size], [steps, sampling.batch_size])
        keys = tf.random.split(batches_key, steps)
        return tf.data.Dataset.from_tensor_slices((rows, keys))

    def batch(rows, key):
        pixels = augmented(tf.gather(images, rows), sampling.augment, key, padding)
        return tf.cast(pixels, tf.float32) / levels, tf.gather(labels, rows)

    return lambda epochs: epochs.flat_map(order).map(batch, num_parallel_calls=tf.data.AUTOTUNE)


def splits(spec, train, validation, test, levels, sampling):
    """Builds the splits of a set held in memory.

    Args:
        spec: The `Spec` of the whole set.
        train: Pair `(images, labels)`: [N, H, W, C] of any real dtype and integers [N].
        validation: As for `train`.
        test: As for `train`.
        levels: The pixel value that is mapped to 1: images are divided by it.
        sampling: The `Sampling` of the training batches.

    Returns:
        The `Splits`.
    """
    # On a machine with an accelerator the pixels stay on the host, where tf.data runs.
    with tf.device("CPU:0"):
        train, validation, test = (
            (tf.convert_to_tensor(images), tf.cast(labels, tf.int32))
            for images, labels in (train, validation, test)
        )
        drawn = _sampled(train, spec.classes, sampling)

    def rebuild(**settings):
        changed = sampling.replaced(spec.train, **settings)
        return splits(spec, train, validation, test, levels, changed)

    return Splits(
        dataclasses.replace(spec, train=len(drawn[1])),
        sampling.batch_size,
        _shuffled(drawn, levels, sampling, spec.padding),
        _in_order(validation, levels),
        _in_order(test, levels),
        rebuild,
    )
