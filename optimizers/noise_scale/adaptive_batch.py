"""A batch size that grows with the gradient noise scale while a model trains (Sec. 4.5)."""

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
    """Grows the batch size towards the noise scale that a `GradientNoiseScale` beside it measures.

    The noise scale rises as a loss falls: examples are spent best in small batches at first and in large ones
    later. The data that `fit` is given stay as they are: of batches of b examples this callback joins k
    consecutive ones to a batch of k b, and the model trains on that. It works with arrays, data sets and
    generators, of dense tensors, and under a strategy.

    A decision is taken at the end of each epoch, or every `every` steps. Where the noise scale is known to
    better than half of itself, the size that `theory.trade_off.advised_batch_size` advises is the target; the
    batch grows towards it by a factor of `growth` at most, and never shrinks.

    What it needs, and what changes:

    - memory for the larger batch: `high` is the limit;
    - an epoch over the data has fewer steps (the last batch may be smaller), which the progress bar's total
      does not know; with `steps_per_epoch` the steps stay and take more data: repeat the data then;
    - the learning rate stays what it is or follows its schedule, by steps. Growing batches in place of a
      falling rate is what this is for; by Eq. 4.5.6 the best rate rises by (1 + B_noise / B_old) /
      (1 + B_noise / B_new) with the batch;
    - each new size compiles once more, under `jit_compile` each time.

    `logs` get `batch_size` at the end of each epoch.

    Args:
        noise: The `GradientNoiseScale` that measures, listed before this one in the callbacks.
        high: Largest batch size, examples.
        excess: x: examples to spend over the least possible, in units of it; the target is x times the noise
            scale (`theory.trade_off.advised_batch_size`).
        growth: Largest factor of one decision, at least 2.
        every: Steps between decisions; None for the end of each epoch.

    Attributes:
        batch_size: Examples of a full batch now, of all replicas; None before the first.
        history: List of (step, batch size) at each change, the first one included; steps are of this `fit`.

    Raises:
        ValueError: If an argument is not valid; in `fit`, if `noise` is not listed before this callback, or
            the data's batches are larger than `high`.

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
        self._quiet = contextlib.ExitStack()

    @property
    def batch_size(self):
        """Examples of a full batch, of all replicas; None before the first."""
        return None if self._base is None else self._base * self._joined

    def on_train_begin(self, logs=None):
        """Takes its place before the train function; how many batches are joined stays as it was.

        Raises:
            ValueError: If `noise` has not taken its place before.
        """
        if self.noise not in callbacks_between(self.model):
            raise ValueError("noise must be listed before AdaptiveBatch in the callbacks of fit")
        super().on_train_begin(logs)
        self._base, self._steps, self.history = None, 0, []

    def train(self, step, batches):
        """Trains on the next batches, each of several joined."""
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
            self._quieten()
            raise StopIteration
        return step(itertools.chain([first], batches))

    def on_train_batch_end(self, batch, logs=None):
        """Decides, where it is time to."""
        before, self._steps = self._steps, self._steps + self.model.steps_per_execution
        if self.every is not None and before // self.every < self._steps // self.every:
            self._decide()

    def on_epoch_end(self, epoch, logs=None):
        """Shows the batch size and decides on the next epoch's."""
        self._quiet.close()
        if logs is not None:
            logs["batch_size"] = self.batch_size
        if self.every is None:
            self._decide()

    def _quieten(self):
        """Until the epoch's end, keeps Keras from warning that it has fewer steps than expected."""
        self._quiet.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Your input ran out of data")

    def _start(self, batch):
        strategy = self.model.distribute_strategy
        shares = strategy.experimental_local_results(keras.tree.flatten(batch)[0])
        self._base = sum(int(share.shape[0]) for share in shares)
        if self._base > self.high:
            raise ValueError(f"high must be at least the data's batch size {self._base}, got {self.high}")
        self._joined = min(self._joined, self.high // self._base)
        self.history.append((0, self.batch_size))

    def _decide(self):
        scale, error = self.noise.noise_scale, self.noise.standard_error
        if not math.isfinite(scale) or error > scale / 2:
            return
        target = advised_batch_size(scale, self.excess, self._base, self.high)
        joined = min(round(target / self._base), self.growth * self._joined, self.high // self._base)
        if joined > self._joined:
            self._joined = joined
            self.history.append((self._steps, self.batch_size))

    def _join(self, batches):
        """Joins consecutive batches; at the end of the data, those that are left."""
        strategy = self.model.distribute_strategy
        while parts := list(itertools.islice(batches, self._joined)):
            yield parts[0] if len(parts) == 1 else strategy.run(_joined, args=(parts,))


def _joined(parts):
    return keras.tree.map_structure(lambda *t: None if t[0] is None else tf.concat(t, 0), *parts)
