"""Splits of ImageNet, streamed from its shards in constant memory.

Legend: B batch, N training examples, S image size.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ..prepared import test_split
from ..shards import Shards
from ..splits import Splits
from .records import parsed
from .sampling import replacement_labels, subset_rows

_SHARDS_AT_ONCE = 16
_SHUFFLE_BLOCK = 2048
_EXCLUDED, _TRUE_LABEL = -2, -1


def evaluation_image(encoded, size):
    """Decodes an image, resizes its shorter side to 256/224 of `size` and crops the center.

    Args:
        encoded: JPEG bytes, a scalar string.
        size: Side S in pixels.

    Returns:
        Image [S, S, 3], float32 in [0, 1].
    """
    image = tf.io.decode_jpeg(encoded, channels=3)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    shorter = round(size * 256 / 224)
    sides = tf.cast(tf.round(sides * shorter / tf.reduce_min(sides)), tf.int32)
    top, left = tf.unstack((sides - size) // 2)
    image = tf.image.resize(image, sides)[top : top + size, left : left + size]
    return tf.ensure_shape(image, [size, size, 3]) / 255.0


def training_image(encoded, key, size):
    """Decodes a random window, resizes it and mirrors it with probability 1/2.

    The window covers 8 to 100 % of the image, with an aspect ratio between 3/4 and 4/3 (Szegedy et al. 2015).

    Args:
        encoded: JPEG bytes, a scalar string.
        key: Stateless key [2].
        size: Side S in pixels.

    Returns:
        Image [S, S, 3], float32 in [0, 1].

    References:
        Szegedy et al., "Going deeper with convolutions" (2015), section 6.
    """
    window_key, flip_key = tf.unstack(tf.random.split(key, 2))
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.io.extract_jpeg_shape(encoded),
        tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        window_key,
        min_object_covered=0.0,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
    )
    window = tf.concat([begin[:2], extent[:2]], 0)
    image = tf.image.resize(tf.io.decode_and_crop_jpeg(encoded, window, channels=3), [size, size])
    mirrored = tf.random.stateless_uniform([], flip_key) < 0.5
    return tf.where(mirrored, image[:, ::-1], image) / 255.0


def _in_order(shards, size, batch_size):
    """Returns the batches of an evaluation split, in order."""

    def decode(_, record):
        encoded, label = parsed(record[None])
        return evaluation_image(encoded[0], size), label[0]

    records = tf.data.Dataset.range(len(shards.files)).flat_map(shards.read)
    images = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _label_table(spec, sampling):
    """Returns for each training example its replacement label, `_TRUE_LABEL` or `_EXCLUDED`, int32 [N]."""
    table = np.full(spec.train, _EXCLUDED, np.int32)
    rows = subset_rows(spec.train, sampling.subset)
    table[rows] = replacement_labels(len(rows), spec.classes, sampling.random_labels, sampling.seed)
    with tf.device("CPU:0"):
        return tf.constant(table)


def _shuffled(shards, table, size, sampling, steps):
    """Returns the function from epoch numbers to batches that `Splits` expects."""

    def mixed(files_key, records_key):
        def mix(number, block):
            positions, records = block
            key = tf.random.fold_in(records_key, number)
            order = tf.random.experimental.stateless_shuffle(tf.range(tf.size(positions)), key)
            return tf.gather(positions, order), tf.gather(records, order)

        files = tf.random.experimental.stateless_shuffle(tf.range(len(shards.files)), files_key)
        records = tf.data.Dataset.from_tensor_slices(files).interleave(
            shards.read, _SHARDS_AT_ONCE, block_length=16, num_parallel_calls=tf.data.AUTOTUNE
        )
        records = records.filter(lambda position, _: tf.gather(table, position) != _EXCLUDED)
        # Blocks are shuffled with a stateless key, since Dataset.shuffle also depends on the global seed.
        return records.batch(_SHUFFLE_BLOCK).enumerate().map(mix).prefetch(1).unbatch()

    def epoch(number):
        key = tf.stack([tf.constant(sampling.seed, tf.int64), number])
        files_key, records_key, images_key = tf.unstack(tf.random.split(key, 3))

        def decode(place, example):
            position, record = example
            encoded, label = parsed(record[None])
            replaced = tf.gather(table, position)
            label = tf.where(replaced == _TRUE_LABEL, label[0], replaced)
            return training_image(encoded[0], tf.random.fold_in(images_key, place), size), label

        images = mixed(files_key, records_key).enumerate().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(sampling.batch_size, drop_remainder=True).take(steps)

    return lambda epochs: epochs.flat_map(epoch)


def check_augment(spec, sampling):
    """Checks that no augmentation is asked for: the streamed images have their own.

    Args:
        spec: The `Spec`.
        sampling: The `Sampling` of the training batches.

    Raises:
        ValueError: If `sampling.augment` is not empty.
    """
    if sampling.augment:
        raise ValueError(
            f"augment must be () for {spec.name!r}, got {tuple(sampling.augment)!r}: its training images are "
            "always random resized crops, flipped half of the time"
        )


def splits(spec, builder, sampling):
    """Builds the streamed splits.

    An epoch reads the shards in a shuffled order, several at once, and shuffles blocks of records. Images are
    decoded as they are read, so memory holds only a few blocks of JPEG files for any number of images.

    Args:
        spec: The `Spec`, with shape (S, S, 3).
        builder: The prepared `tfds` builder.
        sampling: The `Sampling` of the training batches; its batch size B also applies to validation and
            test.

    Returns:
        The `Splits`.

    Raises:
        ValueError: If `sampling` asks for an augmentation.
    """
    check_augment(spec, sampling)

    def rebuild(**settings):
        return splits(spec, builder, sampling.replaced(spec.train, **settings))

    size = spec.shape[0]
    table = _label_table(spec, sampling)
    train = dataclasses.replace(spec, train=sampling.subset or spec.train)
    shards = Shards.of(builder, f"train[:{spec.train}]")
    validation = Shards.of(builder, f"train[{spec.train}:]")
    return Splits(
        train,
        sampling.batch_size,
        _shuffled(shards, table, size, sampling, train.train // sampling.batch_size),
        _in_order(validation, size, sampling.batch_size),
        _in_order(Shards.of(builder, test_split(spec.name)), size, sampling.batch_size),
        rebuild,
    )
