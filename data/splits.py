"""The three splits of a data set, and the epochs of its training split.

Legend: B batch, H height, W width, C channels. Every data set here yields `(images, labels)`: float32
[B, H, W, C] in [0, 1] and int32 [B]; `corruption.noisy_splits` yields (noisy images, targets).
"""

import itertools

import tensorflow as tf


class Splits:
    """Training, validation and test splits as `tf.data.Dataset` of `(images, labels)`.

    An epoch has `steps_per_epoch` training batches; the last partial batch is dropped. `train` is one epoch:
    iterated for the k-th time (from 0) it is `epochs(k, k + 1)`.

    Args:
        spec: The `Spec`, with the sizes of these very splits.
        batch_size: Examples B of a training batch.
        batches: Function from a dataset of epoch numbers (int64 scalars) to the dataset of their batches,
            each epoch a pure function of its number.
        validation: Dataset of `(images, labels)`, in order, nothing dropped.
        test: Dataset of `(images, labels)`, in order, nothing dropped.
    """

    def __init__(self, spec, batch_size, batches, validation, test):
        self.spec = spec
        self.batch_size = batch_size
        self.steps_per_epoch = spec.train // batch_size
        self.validation = validation
        self.test = test
        self.batches = batches
        passes = itertools.count()
        # A Python counter: tf.data's own seeds would mix in the global seed.
        number = tf.data.Dataset.from_generator(
            lambda: iter([next(passes)]), output_signature=tf.TensorSpec([], tf.int64)
        )
        self.train = self._run(number, 1)

    def _run(self, numbers, count):
        options = tf.data.Options()
        options.deterministic = True
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        cardinality = tf.data.experimental.assert_cardinality(count * self.steps_per_epoch)
        return self.batches(numbers).apply(cardinality).prefetch(tf.data.AUTOTUNE).with_options(options)

    def epochs(self, first, last):
        """Runs through the epochs first .. last - 1 back to back.

        The order and the augmentation of epoch e depend on (seed, e) only: a run resumed at epoch e sees what
        an uninterrupted one would have seen.

        Args:
            first: First epoch, from 0.
            last: One past the last epoch, above `first`.

        Returns:
            A dataset of `(last - first) * steps_per_epoch` batches.

        Raises:
            ValueError: If not 0 <= first < last.
        """
        if not 0 <= first < last:
            raise ValueError(f"epochs({first!r}, {last!r}) is not valid: give 0 <= first < last.")
        return self._run(tf.data.Dataset.range(first, last), last - first)
