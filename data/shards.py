"""Record files of a prepared data set, read one after the other without holding them in memory."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from . import record_files


@dataclasses.dataclass(frozen=True)
class Shards:
    """Record files of a split.

    Args:
        files: Paths of the files, a string tensor.
        skips: Records to skip at the start of each file, int64.
        takes: Records to take from each file, int64; -1 for all.
        before: Records taken from earlier files, int64.
        reader: A function from a file's path to the dataset of its records.
    """

    files: tf.Tensor
    skips: np.ndarray
    takes: np.ndarray
    before: np.ndarray
    reader: Callable[[tf.Tensor], tf.data.Dataset]

    @classmethod
    def of(cls, builder, split):
        """Returns the files of a split.

        Args:
            builder: A prepared `tfds` builder.
            split: The split as tfds writes it, such as `train[:1000]`.
        """
        files = builder.info.splits[split].file_instructions
        takes = [file.take for file in files]
        columns = [file.filename for file in files], [file.skip for file in files], takes
        before = np.cumsum([0, *takes[:-1]])
        with tf.device("CPU:0"):
            names, counts = tf.constant(columns[0]), (np.array(c, np.int64) for c in (*columns[1:], before))
        return cls(names, *counts, record_files.reader(builder))

    def read(self, shard):
        """Returns a dataset of (position in the split, serialized example) of one file.

        Args:
            shard: Number of the file, an integer scalar.
        """
        skip, take, before = (tf.gather(c, shard) for c in (self.skips, self.takes, self.before))
        return self.reader(tf.gather(self.files, shard)).skip(skip).take(take).enumerate(before)
