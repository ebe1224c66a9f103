"""Splits whose examples are random functions of the images, with a key for each batch."""

from ..splits import Splits

_TEST_SEED = 0


def keyed_splits(splits, function, test_function, seed):
    """Maps the batches of splits by a function of the images, the labels and a key.

    Every epoch has new keys, made of (seed, epoch), the same in every run. The keys of the validation split
    are fixed, and those of the test split do not depend on `seed`, so that all models are measured on the
    same examples.

    Args:
        splits: The `Splits` of (images, labels).
        function: Function of images [B, H, W, C], labels [B] and a stateless key [2] to (inputs, targets).
        test_function: The same for the test split.
        seed: Key of the training and validation splits.

    Returns:
        `Splits` of (inputs, targets).
    """
    import tensorflow as tf

    def batches(epochs):
        keys = epochs.flat_map(lambda epoch: _keys(tf.stack([seed, epoch]), splits.steps_per_epoch))
        return tf.data.Dataset.zip((splits.batches(epochs), keys)).map(
            lambda example, key: function(*example, key), num_parallel_calls=tf.data.AUTOTUNE
        )

    def evaluation(split, seed, function):
        # The key of a batch consists of the seed and the batch's number.
        return split.enumerate().map(
            lambda number, example: function(*example, tf.stack([seed, number])),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def rebuild(**settings):
        again = splits.with_batches(**settings)
        return keyed_splits(again, function, test_function, settings.get("seed", seed))

    return Splits(
        splits.spec,
        splits.batch_size,
        batches,
        evaluation(splits.validation, seed + 1, function),
        evaluation(splits.test, _TEST_SEED, test_function),
        rebuild,
        splits.source,
    )


def _keys(key, count):
    """Returns the keys of one epoch's batches."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(tf.random.split(key, count))
