r"""The gradient noise scale of any Keras model, measured during training (Sec. 4.5)."""

import itertools
import math
import os

import keras
import numpy as np
import tensorflow as tf

from ... import arguments
from ...theory.noise_scale import RunningNoiseScale, two_batch_estimates
from ..keras_bridge.batch_callback import BatchCallback
from ..keras_bridge.compiled_objective import OWN_OBJECTIVE, has_own_objective
from ..keras_bridge.internals import batches_seen, build_symbolically, compiled_loss
from ..layer_rules import per_example
from . import estimators as noise_estimators

METHODS = ("auto", "per_example", "microbatches", "replicas")
# A measurement takes as long as one to four steps, at most 3 % of the training time at this interval.
EVERY = 150


class GradientNoiseScale(BatchCallback):
    r"""Measures the gradient noise scale B_simple = tr(Sigma) / |G|^2 (Eq. 4.5.9) and its error during `fit`.

    The noise scale is the batch size at which signal and noise of the gradient are equal. Far below it,
    larger batches save steps at no cost in examples; far above it, they waste examples. The callback supports
    any compiled model and optimizer in `fit` and does not affect the training: weights and metrics are
    identical, bit for bit, to those without it.

    Every `every` steps, a separate pass measures one batch at the current weights before the model trains on
    it. The squared gradient norms at two batch sizes give unbiased estimates of |G|^2 and tr Sigma
    (`theory.noise_scale.two_batch_estimates`). Running averages of both, which favor recent measurements, are
    divided. The standard error is computed from the scatter of the measurements.

    - `per_example` compares single examples with the batch and has the smallest variance. Their gradient
      norms follow from the inputs and gradients of layers (`layer_rules`), for Dense, EinsumDense (and
      therefore attention), convolutions, Embedding, recurrent layers (unrolled) and normalizations other than
      batch normalization.
    - `microbatches` compares microbatches with their mean, for any model. With batch normalization, each
      microbatch is normalized by its own statistics, which defines the gradient whose noise is measured.
    - `replicas` compares the replicas' shares of the batch with the whole, under a strategy with several.
    - `auto` is `per_example` if the model supports it and has no recurrent layers, else `microbatches`.

    `logs` contain `noise_scale` and `noise_scale_error` after each batch and epoch (and `hessian_noise_scale`
    and its error), for the progress bar, `History` and a `TensorBoard` callback listed after this one. Values
    that are not finite are omitted: the error after one measurement, and the noise scale while |G|^2 is not
    distinguishable from zero.

    The loss of an example includes its sample weight. The loss is the compiled one, even if a custom
    `train_step` computes another, unless the model returns its own from `curvature_objective`
    (`ModelObjective`). |G|^2 and tr Sigma are in units of loss^2 / theta^2 for a loss that
    averages over examples; for a sum over examples only their ratio is meaningful.

    If the batch is far smaller than the noise scale, a single batch contains little information about |G|^2.
    Over n measurements of a gradient whose noise has d equal components, the relative error is about
    (1 + B_simple / B) sqrt(2 / (n d)). The reported error includes this; a `decay` closer to 1 reduces it.

    Args:
        method: One of the above.
        every: Steps between measurements. At 150, measuring takes 1 to 3 % of the training time
            (docs/results.md). With `steps_per_execution` it is rounded up to whole executions.
        hessian_every: Steps between measurements of B_noise = tr(H Sigma) / G^T H G (Eq. 4.5.8) by
            Hessian-vector products, each of which costs about twelve steps; None to disable.
        microbatches: Number of microbatches in each replica's share of a batch, for `microbatches` and
            B_noise. At least 2, or 4 for B_noise.
        decay: Weight of the past at each measurement, in [0, 1]: 0.95 averages over about 20 measurements, 1
            over all with equal weights.
        log_dir: Folder for TensorBoard summaries of each measurement; None to disable.

    Attributes:
        skipped: Number of measurements that were omitted because they were not finite, because the squares of
            the gradients underflow, or because a last batch was too small.

    Raises:
        ValueError: If an argument is not valid; in `fit`, if a batch is too small (two examples for B_simple,
            four for B_noise), or the model does not support the method, or overrides `compute_loss` without
            a `curvature_objective`.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> noise = GradientNoiseScale(every=1)
        >>> _ = model.fit(x, x[:, :1], batch_size=32, epochs=3, verbose=0, callbacks=[noise])
        >>> len(noise.history["step"]), bool(noise.standard_error < noise.noise_scale)
        (24, True)

    References:
        S. McCandlish, J. Kaplan, D. Amodei, An Empirical Model of Large-Batch Training, arXiv:1812.06162.
    """

    def __init__(
        self,
        method: str = "auto",
        every: int = EVERY,
        hessian_every: int | None = None,
        microbatches: int = 8,
        decay: float = 0.95,
        log_dir: str | os.PathLike | None = None,
    ):
        super().__init__()
        self.method = arguments.one_of("method", method, METHODS)
        self.every = arguments.integer("every", every, 1)
        self.hessian_every = (
            None if hessian_every is None else arguments.integer("hessian_every", hessian_every, 1)
        )
        self.microbatches = arguments.integer("microbatches", microbatches, 4 if hessian_every else 2)
        self.decay, self.log_dir = decay, log_dir
        self.skipped = 0
        self._simple, self._curved = _Series(decay), _Series(decay)
        self._measured = self._loss = self._functions = self._writer = None
        self._begin = self._done = self._step = 0

    @property
    def noise_scale(self):
        """B_simple in examples; infinite while the gradient is not distinguishable from zero."""
        return self._simple.running.noise_scale

    @property
    def standard_error(self):
        """The standard error of `noise_scale`; infinite while it is unknown."""
        return self._simple.running.standard_error

    @property
    def hessian_noise_scale(self):
        """B_noise in examples; infinite while G^T H G is not distinguishable from zero."""
        return self._curved.running.noise_scale

    @property
    def hessian_standard_error(self):
        """The standard error of `hessian_noise_scale`; infinite while it is unknown."""
        return self._curved.running.standard_error

    @property
    def history(self):
        """A dict of lists with an entry for each measurement of B_simple.

        `step` is the number of batches already trained on, and `batch_size` the number of examples.
        `squared_norm` and `trace` are the estimates of |G|^2 and tr Sigma from this batch alone;
        `noise_scale` and `standard_error` are the running results after it.
        """
        return self._simple.history

    @property
    def hessian_history(self):
        """Like `history` for B_noise, with G^T H G as `squared_norm` and tr(H Sigma) as `trace`."""
        return self._curved.history

    def average(self, first=0):
        """Returns the noise scale over the whole training and its standard error, both in examples.

        It is the ratio of the unweighted averages of tr Sigma and |G|^2 over measurements.

        Args:
            first: Index of the first measurement to include.
        """
        running = RunningNoiseScale(decay=1.0)
        for estimates in zip(
            self.history["squared_norm"][first:], self.history["trace"][first:], strict=True
        ):
            running.update(*estimates)
        return running.noise_scale, running.standard_error

    def on_train_begin(self, logs=None):
        """Starts to intercept batches, and finds the current step of the training."""
        super().on_train_begin(logs)
        if self._measured is not self.model:
            self._measured, self._functions = self.model, None
            self._simple, self._curved = _Series(self.decay), _Series(self.decay)
        # The measurements are compiled again only if the model was.
        if self._loss is not compiled_loss(self.model):
            self._loss, self._functions = compiled_loss(self.model), None
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        # This counts batches; with gradient accumulation, `iterations` counts updates.
        self._begin = self._done = int(keras.ops.convert_to_numpy(batches_seen(optimizer)))
        for series in (self._simple, self._curved):
            series.resume(self._begin)
        if self.log_dir is not None and self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))

    def on_epoch_begin(self, epoch, logs=None):
        """Counts the steps of the earlier epochs."""
        self._begin = self._done

    def on_train_batch_begin(self, batch, logs=None):
        """Computes the step."""
        super().on_train_batch_begin(batch, logs)
        self._step = self._begin + batch

    def train(self, step, batches):
        """Measures the next batch if a measurement is due, then trains on it and the following ones."""
        due = self._step >= self._simple.next, self.hessian_every and self._step >= self._curved.next
        if not any(due):
            return step(batches)
        batches = iter(batches)
        data = next(batches)
        if self._functions is None:
            self._functions = self._prepare(data)
        simple, curved = self._functions
        if due[0]:
            self._measure(simple, data, self._simple, self.every, "noise_scale")
        if due[1]:
            self._measure(curved, data, self._curved, self.hessian_every, "hessian_noise_scale")
        return step(itertools.chain([data], batches))

    def on_train_batch_end(self, batch, logs=None):
        """Counts the steps and logs the noise scale."""
        last = batch + 1
        steps = (self.params or {}).get("steps")
        self._done = self._begin + (min(last, steps) if steps else last)
        self._log(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Logs the noise scale."""
        self._log(logs)
        if self._writer is not None:
            self._writer.flush()

    def _log(self, logs):
        all_series = {"noise_scale": self._simple, "hessian_noise_scale": self._curved}
        for name, series in all_series.items():
            if logs is not None and series.history["step"]:
                logs.update(series.finite(name))

    def _prepare(self, data):
        """Returns the compiled measurements of B_simple and B_noise, given the first training batch."""
        model, count = self.model, self.microbatches
        if type(model).compute_loss is not keras.Model.compute_loss and not has_own_objective(model):
            raise ValueError(
                f"model must have Keras's own compute_loss, but {type(model).__name__} overrides it: give it "
                f"a method {OWN_OBJECTIVE}(self, **batch) that returns its loss as a "
                "curvezoo.optimizers.ModelObjective"
            )
        if model.distribute_strategy.num_replicas_in_sync == 1:
            # `fit` builds model, loss and optimizer only in its first step.
            build_symbolically(model, keras.utils.unpack_x_y_sample_weight(data))
        method = self._chosen_method()
        return (
            self._compiled(lambda batch: noise_estimators.squares(method, model, batch, count)),
            self._compiled(lambda batch: noise_estimators.curved(model, batch, count)),
        )

    def _chosen_method(self):
        model, method = self.model, self.method
        if method == "auto":
            return noise_estimators.choose(model)
        if method == "replicas" and model.distribute_strategy.num_replicas_in_sync == 1:
            raise ValueError(
                "method='replicas' needs a strategy with several replicas, got one: use 'microbatches'"
            )
        reason, coupling = per_example.unsupported_reason(model), per_example.batch_coupling(model)
        if method == "per_example" and (reason or coupling):
            why = reason or f"BatchNormalization {coupling!r} couples the examples"
            raise ValueError(f"method='per_example' does not support this model: {why}; use 'microbatches'")
        return method

    def _compiled(self, estimate):
        strategy, eager = self.model.distribute_strategy, self.model.run_eagerly

        def measured(data):
            results = strategy.run(estimate, args=(data,))
            return strategy.experimental_local_results(results)[0]

        if eager:
            return measured
        return tf.function(
            measured, reduce_retracing=True, jit_compile=self.model.jit_compile is True, autograph=False
        )

    def _measure(self, function, data, series, every, name):
        small, big, batch_small, batch_big = function(data).numpy().astype(float)
        series.next = self._step + every
        if np.isfinite(batch_small) and not 0 < batch_small < batch_big:
            if not series.history["step"]:
                minimum = "two examples" if series is self._simple else "four examples"
                raise ValueError(
                    f"the batch must have at least {minimum} on each device to measure {name}, got too few: "
                    f"gradients of {batch_small:g} and of {batch_big:g} examples"
                )
            self.skipped += 1
        elif not np.all(np.isfinite([small, big, batch_small, batch_big])) or self._underflow(small, big):
            self.skipped += 1
        else:
            series.add(self._step, batch_big, *two_batch_estimates(small, big, batch_small, batch_big))
            self._write(series, name)

    def _underflow(self, *squares):
        """Returns whether the squares of gradients that are lost to underflow could change a sum by 0.1 %."""
        variables = self.model.trainable_variables
        kind = np.float64 if all(v.dtype == "float64" for v in variables) else np.float32
        lost = sum(math.prod(v.shape) for v in variables) * float(np.finfo(kind).tiny)
        return min(map(abs, squares)) < 1e3 * lost

    def _write(self, series, name):
        if self._writer is not None:
            with self._writer.as_default(step=self._step):
                for key, value in series.finite(name).items():
                    tf.summary.scalar(key, value)


class _Series:
    """Measurements of one noise scale and their running average."""

    def __init__(self, decay):
        self.running, self.next = RunningNoiseScale(decay=decay), 0
        names = ("step", "batch_size", "squared_norm", "trace", "noise_scale", "standard_error")
        self.history = {name: [] for name in names}

    def resume(self, step):
        """Makes a measurement due if training restarts at an earlier step."""
        if self.history["step"] and step < self.history["step"][-1]:
            self.next = step

    def add(self, step, batch_size, squared_norm, trace):
        self.running.update(squared_norm, trace)
        values = (float(squared_norm), float(trace), self.running.noise_scale, self.running.standard_error)
        for name, value in zip(self.history, (step, round(batch_size), *values), strict=True):
            self.history[name].append(value)

    def finite(self, name):
        """Returns those of the noise scale and its error that are finite, by their names in the logs."""
        values = {name: self.running.noise_scale, f"{name}_error": self.running.standard_error}
        return {key: value for key, value in values.items() if math.isfinite(value)}
