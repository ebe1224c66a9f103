"""The three splits of a data set, and the epochs of its training split.

Legend: B batch, H height, W width, C channels, S and T lengths. Image sets yield `(images, labels)`: float32
[B, H, W, C] in [0, 1] and int32 [B]. `images.corruption.noisy_splits` yields (noisy images, targets),
`images.stochastic.stochastic_splits` (images, images). Texts
yield (inputs, targets), both int32 [B, T]; pairs of texts ((sources [B, S], target inputs [B, T]), targets
[B, T]).
"""

import functools
import html
import itertools


class Splits:
    """Training, validation and test splits, each a `tf.data.Dataset` of (inputs, targets).

    An epoch has `steps_per_epoch` training batches; the last partial batch is dropped. `train` is one epoch:
    its k-th iteration, counted from 0, is `epochs(k, k + 1)`.

    Args:
        spec: The `Spec`, `TextSpec` or `PairSpec`, with the sizes of these splits.
        batch_size: Examples B per training batch.
        batches: Function from a dataset of epoch numbers (int64 scalars) to the dataset of their batches,
            each epoch a pure function of its number.
        validation: Dataset of (inputs, targets), in order; no image is dropped.
        test: Dataset of (inputs, targets), likewise.
        rebuild: Function from the settings of `with_batches` to new `Splits`; `None` if there is none.
        source: The `Splits` of (images, labels) whose examples these change; `None` for these themselves.
    """

    def __init__(self, spec, batch_size, batches, validation, test, rebuild=None, source=None):
        self.spec = spec
        self.batch_size = batch_size
        self.steps_per_epoch = spec.train // batch_size
        self.validation = validation
        self.test = test
        self.batches = batches
        self.source = source or self
        self._rebuild = rebuild

    def __repr__(self):
        facts = {**self.spec.facts(), "batch_size": self.batch_size}
        fields = ", ".join(f"{name}={value!r}" for name, value in facts.items())
        return f"Splits({self.spec.name!r}, {fields})"

    def _repr_html_(self):
        """Returns a table for Jupyter."""
        facts = {
            **self.spec.details(),
            "batch_size": self.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
        }
        rows = "".join(
            f"<tr><th>{name.replace('_', ' ')}</th><td>{html.escape(_readable(value))}</td></tr>"
            for name, value in facts.items()
        )
        return f"<table><caption>{html.escape(self.spec.name)}</caption>{rows}</table>"

    def with_batches(self, **settings):
        """Returns splits of the same examples whose training batches are drawn with other settings.

        Validation and test examples stay the same, and so do settings that are not given.

        Args:
            **settings: For image sets `batch_size`, `seed`, `subset`, `random_labels` and `augment`, as for
                `load`; `subset=None` brings back the whole training split. For texts `batch_size`, `seed` and
                `order`, for pairs of texts `batch_size` and `seed`.

        Returns:
            New `Splits`, whose `train` starts at epoch 0.

        Raises:
            ValueError: If a setting is not valid, or these splits were built without a way to rebuild them.
            TypeError: If a setting is unknown.
        """
        if self._rebuild is None:
            raise ValueError(
                "with_batches needs splits made by load, from_arrays or from_folder; these were not"
            )
        return self._rebuild(**settings)

    @functools.cached_property
    def train(self):
        """The training split as a dataset; each iteration yields the next epoch."""
        import tensorflow as tf

        passes = itertools.count()
        # Epochs are counted in Python, because the seeds of tf.data depend on the global seed.
        number = tf.data.Dataset.from_generator(
            lambda: iter([next(passes)]), output_signature=tf.TensorSpec([], tf.int64)
        )
        return self._run(number, 1)

    def _run(self, numbers, count):
        import tensorflow as tf

        options = tf.data.Options()
        options.deterministic = True
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        cardinality = tf.data.experimental.assert_cardinality(count * self.steps_per_epoch)
        return self.batches(numbers).apply(cardinality).prefetch(tf.data.AUTOTUNE).with_options(options)

    def epochs(self, first, last):
        """Returns the epochs first .. last - 1 back to back.

        The order and the augmentation of epoch e depend on (seed, e) only, so a run resumed at epoch e sees
        the same batches as an uninterrupted one.

        Args:
            first: First epoch, from 0.
            last: One past the last epoch, above `first`.

        Returns:
            A dataset of `(last - first) * steps_per_epoch` batches.

        Raises:
            ValueError: If not 0 <= first < last.
        """
        import tensorflow as tf

        if not 0 <= first < last:
            raise ValueError(f"epochs must satisfy 0 <= first < last, got first={first!r}, last={last!r}")
        return self._run(tf.data.Dataset.range(first, last), last - first)


def _readable(value):
    if isinstance(value, tuple):
        return " × ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
