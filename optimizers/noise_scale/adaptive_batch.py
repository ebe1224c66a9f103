"""A batch size that grows with the gradient noise scale during training (Sec. 4.5)."""

import contextlib
import itertools
import math
import warnings

import keras
import tensorflow as tf

from ... import arguments
from ...theory.trade_off import advised_batch_size
from ..keras_bridge.batch_callback import BatchCallback, callbacks_between
from .callback import GradientNoiseScale


class AdaptiveBatch(BatchCallback):
    """Grows the batch size towards the noise scale that a `GradientNoiseScale` callback measures.

    The noise scale increases as the loss decreases: small batches make the best use of examples early
    in training, and large ones later. The data passed to `fit` do not change: this callback joins k
    consecutive batches of b examples into one batch of k b, on which the model trains. It supports arrays,
    data sets and generators of dense tensors, also under a strategy.

    The batch size is updated at the end of each epoch, or every `every` steps. If the standard error of the
    noise scale is at most half of it, the target is the size from `theory.trade_off.advised_batch_size`. The
    batch grows towards it by at most a factor of `growth`, and never shrinks.

    Consequences of a larger batch:

    - It needs more memory; `high` is the limit.
    - An epoch over the data has fewer steps (the last batch may be smaller), although the progress bar shows
      the old total. With `steps_per_epoch` the number of steps is unchanged and they take more data, which
      should therefore repeat.
    - The learning rate is not adapted; a schedule continues by steps. Growing batches are meant to
      replace a decaying learning rate. By Eq. 4.5.6 the best learning rate increases with the batch by
      (1 + B_noise / B_old) / (1 + B_noise / B_new).
    - The train step is compiled once more, for an unknown batch size; under `jit_compile` it is compiled for
      each size.

    `logs` contain `batch_size` at the end of each epoch.

    Args:
        noise: The `GradientNoiseScale`, listed before this one in the callbacks.
        high: Maximum batch size, in examples.
        excess: x, the number of examples to spend beyond the minimum, in units of the minimum; the target is
            x times the noise scale (`theory.trade_off.advised_batch_size`).
        growth: Maximum factor by which one update increases the batch size, at least 2.
        every: Steps between updates; None to update at the end of each epoch.

    Attributes:
        batch_size: Current number of examples in a full batch over all replicas; None before the first batch.
        history: List of (step, batch size) for the first batch and each change; steps count from the start of
            this `fit`.

    Raises:
        ValueError: If an argument is not valid; in `fit`, if `noise` is not listed before this callback, or
            the batches of the data are larger than `high`.

    Example:
        >>> import numpy as np
        >>> from curvezoo.optimizers.noise_scale.callback import GradientNoiseScale
        >>> x = np.random.default_rng(0).normal(size=(512, 4)).astype("float32")
        >>> keras.utils.set_random_seed(0)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(keras.optimizers.SGD(1e-4), "mse")
        >>> noise = GradientNoiseScale(every=1, decay=0.99)
        >>> adaptive = AdaptiveBatch(noise, high=16)
        >>> y = x[:, :1] + 2 * np.random.default_rng(1).normal(size=(512, 1))
        >>> _ = model.fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=[noise, adaptive])
        >>> adaptive.batch_size
        16

    References:
        S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
        S. L. Smith et al., Don't Decay the Learning Rate, Increase the Batch Size, arXiv:1711.00489.
    """

    def __init__(
        self,
        noise: GradientNoiseScale,
        high: int,
        excess: float = 1.0,
        growth: int = 2,
        every: int | None = None,
    ):
        super().__init__()
        if not isinstance(noise, BatchCallback) or not hasattr(noise, "noise_scale"):
            raise ValueError(f"noise must be a GradientNoiseScale, got {noise!r}")
        self.noise = noise
        self.high = arguments.integer("high", high, 1)
        self.excess = float(arguments.positive("excess", excess, ndim=0))
        self.growth = arguments.integer("growth", growth, 2)
        self.every = None if every is None else arguments.integer("every", every, 1)
        self.history = []
        self._base, self._joined, self._steps = None, 1, 0
        self._warnings = contextlib.ExitStack()

    @property
    def batch_size(self):
        """Number of examples in a full batch over all replicas; None before the first batch."""
        return None if self._base is None else self._base * self._joined

    def on_train_begin(self, logs=None):
        """Starts to intercept batches, with the number of joined batches from the last `fit`.

        Raises:
            ValueError: If `noise` is not listed before this callback.
        """
        if self.noise not in callbacks_between(self.model):
            raise ValueError("noise must be listed before AdaptiveBatch in the callbacks of fit")
        super().on_train_begin(logs)
        self._base, self._steps, self.history = None, 0, []

    def train(self, step, batches):
        """Trains on the next batches, after joining them."""
        batches = iter(batches)
        if self._base is None:
            first = next(batches)
            self._start(first)
            batches = itertools.chain([first], batches)
        if self._joined == 1:
            return step(batches)
        batches = self._join(batches)
        first = next(batches, None)
        if first is None:
            self._silence()
            raise StopIteration
        return step(itertools.chain([first], batches))

    def on_train_batch_end(self, batch, logs=None):
        """Updates the batch size, if it is due."""
        before, self._steps = self._steps, self._steps + self.model.steps_per_execution
        if self.every is not None and before // self.every < self._steps // self.every:
            self._update()

    def on_epoch_end(self, epoch, logs=None):
        """Logs the batch size and updates it for the next epoch."""
        self._warnings.close()
        if logs is not None:
            logs["batch_size"] = self.batch_size
        if self.every is None:
            self._update()

    def _silence(self):
        """Suppresses, until the end of the epoch, Keras's warning about fewer steps than expected."""
        self._warnings.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Your input ran out of data")

    def _start(self, batch):
        strategy = self.model.distribute_strategy
        replicas = strategy.experimental_local_results(keras.tree.flatten(batch)[0])
        self._base = sum(int(x.shape[0]) for x in replicas)
        if self._base > self.high:
            raise ValueError(f"high must be at least the data's batch size {self._base}, got {self.high}")
        self._joined = min(self._joined, self.high // self._base)
        self.history.append((0, self.batch_size))

    def _update(self):
        scale, error = self.noise.noise_scale, self.noise.standard_error
        if not math.isfinite(scale) or error > scale / 2:
            return
        target = advised_batch_size(scale, self.excess, self._base, self.high)
        joined = min(round(target / self._base), self.growth * self._joined, self.high // self._base)
        if joined > self._joined:
            self._joined = joined
            self.history.append((self._steps, self.batch_size))

    def _join(self, batches):
        """Yields joined batches; the last one joins the remaining batches."""
        strategy = self.model.distribute_strategy
        while group := list(itertools.islice(batches, self._joined)):
            yield group[0] if len(group) == 1 else strategy.run(_concatenated, args=(group,))


def _concatenated(batches):
    return keras.tree.map_structure(lambda *t: None if t[0] is None else tf.concat(t, 0), *batches)
