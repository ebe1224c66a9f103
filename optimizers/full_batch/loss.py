"""The loss of a model over all data, as a function of one flat vector of its trainable weights.

Legend: D parameters, B examples in a microbatch, N examples in total.
"""

import keras
import tensorflow as tf

from ... import arguments
from ..all_examples import check_loss, checked, first_examples
from ..keras_bridge.compiled_objective import CompiledObjective
from ..keras_bridge.internals import ignored_class
from ..keras_bridge.model_objective import loss_resolution
from ..vectors import flat, resolution, unflat

MEAN, SUM, WEIGHTED_MEAN = "sum_over_batch_size", "sum", "mean_with_sample_weight"
# Keras has two names for its default reduction.
SYNONYMS = {"mean": MEAN}


class FullBatchLoss:
    """A model's loss over all data and its gradient, compiled and accumulated over microbatches.

    Microbatches are combined such that the loss equals that of one batch of all N examples. Losses with
    Keras's default reduction are weighted by their number of examples, those with "mean_with_sample_weight"
    by their sum of weights, and sums are added. Regularization is counted once. Masked positions count as
    they do for Keras in a single microbatch. Targets of an `ignore_class` do not count.

    Args:
        model: A Keras model.
        data: Arrays (x, y) or (x, y, sample_weight), or a finite `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of them, with the same examples in every pass.
        loss: A loss; None for the compiled one.
        batch_size: Number of examples in a microbatch B, for arrays.
        training: Whether layers run in training mode.

    Raises:
        ValueError: If the data have any other form, are infinite or empty, or change from pass to pass, the
            model has no trainable weights or no loss, or the losses of several outputs have different
            reductions or ignore a class.
    """

    def __init__(self, model, data, loss, batch_size, training):
        self.model, self.training, self.searches = model, training, {}
        if loss is None and getattr(model, "_compile_loss", None) is None:
            raise ValueError("loss must be given for a model that is not compiled with one, got None")
        self.data, self.batch_size = (
            # The statistics of batch normalization couple the examples of a microbatch.
            _as_tensors(checked(data, ordered=training)),
            arguments.integer("batch_size", batch_size, 1),
        )
        if not model.built:
            model(first_examples(self.data)[0])
        self.variables = list(model.trainable_variables)
        if not self.variables:
            raise ValueError(f"model must have trainable weights, got none in {model.name!r}")
        kinds = {v.dtype for v in self.variables}
        if not kinds <= {"float32", "float64"} or len(kinds) > 1:
            raise ValueError(f"trainable weights must all be float32 or all float64, got {sorted(kinds)}")
        self.dtype = tf.as_dtype(kinds.pop())
        self.reduction = _reduction(model.loss if loss is None else loss)
        self.ignored = _ignored_class(model.loss if loss is None else loss)
        self.loss = None if loss is None else _loss_object(loss, self.dtype.name)
        self.resolution = max(resolution(self.dtype), loss_resolution(self.loss or model.loss))
        self.examples, self.counted, self.weight = _totals(self.data, self.ignored)
        # The initial values, which include dropout seeds, so that each evaluation drops the same units.
        self.state = [tf.convert_to_tensor(v.value) for v in model.non_trainable_variables]
        check_loss(self.data, lambda *batch: self._loss(self._objective(*batch), self.variables))
        self._compiled = tf.function(self._evaluate)

    def __call__(self, position):
        """Returns the loss, a scalar, and its gradient [D].

        Args:
            position: The trainable weights as one tensor [D], in the order of `model.trainable_variables`.
        """
        return self._compiled(position)

    def start(self):
        """Returns the model's weights as one tensor [D]."""
        return flat([v.value for v in self.variables])

    def assign(self, position):
        """Writes a vector into the model's weights.

        Args:
            position: A tensor [D].
        """
        for variable, value in zip(self.variables, unflat(position, self.variables), strict=True):
            variable.assign(value)

    def _evaluate(self, position):
        loss, gradient = tf.zeros((), self.dtype), tf.zeros_like(position)
        if isinstance(self.data, tf.data.Dataset):
            for batch in self.data:
                part, slope = self._add(position, batch)
                loss, gradient = loss + part, gradient + slope
            return loss, gradient
        if self.examples <= self.batch_size:
            return self._add(position, self.data)
        for first in tf.range(0, int(self.examples), self.batch_size):
            batch = _slice(self.data, first, self.batch_size)
            part, slope = self._add(position, batch)
            loss, gradient = loss + part, gradient + slope
        return loss, gradient

    def _add(self, position, batch):
        """Returns a microbatch's contributions to the loss and its gradient."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        objective = self._objective(x, y, sample_weight)
        sizes = [tf.cast(size, self.dtype) for size in _sizes(batch, self.ignored)]
        totals = self.examples, self.counted, self.weight
        fraction, *factors = [size / total for size, total in zip(sizes, totals, strict=True)]
        factor = {SUM: 1.0, MEAN: factors[0], WEIGHTED_MEAN: factors[1]}[self.reduction]
        with tf.GradientTape() as tape:
            tape.watch(position)
            loss, penalties = self._loss(objective, unflat(position, self.variables))
            loss = factor * tf.cast(loss, self.dtype)
            for penalty in penalties:
                loss += fraction * tf.cast(tf.reduce_sum(penalty), self.dtype)
        gradient = tape.gradient(loss, position, unconnected_gradients="zero")
        return loss, tf.convert_to_tensor(gradient)

    def _objective(self, x, y, sample_weight):
        return CompiledObjective(self.model, x, y, sample_weight, self.training, self.state)

    def _loss(self, objective, values):
        """Returns the loss of the data of an objective, and the penalties."""
        outputs, penalties = objective.outputs_and_losses(values)
        if self.loss:
            return self.loss(objective.y, outputs, objective.sample_weight), penalties
        return objective.data_loss(outputs), penalties


def _as_tensors(data):
    """Returns arrays as tensors."""
    if isinstance(data, tf.data.Dataset):
        return data
    if data[1] is None:
        raise ValueError("data must have targets, got None for y")
    return tf.nest.map_structure(tf.convert_to_tensor, data)


def _slice(arrays, first, size):
    """Returns `size` examples of arrays from the index `first` on."""
    return tf.nest.map_structure(lambda array: array[first : first + size], arrays)


def _sizes(batch, ignored):
    """Returns the number of examples in a microbatch, the number that counts, and the sum of their weights.

    If a class is ignored, the second is the number of targets of other classes.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    size = count = tf.cast(tf.shape(tf.nest.flatten(x)[0])[0], tf.float64)
    weights = None if sample_weight is None else tf.cast(tf.nest.flatten(sample_weight)[0], tf.float64)
    if ignored is not None:
        targets = tf.convert_to_tensor(tf.nest.flatten(y)[0])
        valid = tf.cast(targets != tf.cast(ignored, targets.dtype), tf.float64)
        count = tf.reduce_sum(valid)
        if weights is not None:
            further = tf.ones([max(valid.shape.rank - weights.shape.rank, 0)], tf.int32)
            weights = valid * tf.reshape(weights, tf.concat([tf.shape(weights), further], 0))
    return size, count, count if weights is None else tf.reduce_sum(weights)


def _totals(data, ignored):
    """Returns the sums of `_sizes` over all data."""

    def add(totals, batch):
        return tuple(map(tf.add, totals, _sizes(batch, ignored)))

    zero = tf.zeros((), tf.float64)
    totals = data.reduce((zero,) * 3, add) if isinstance(data, tf.data.Dataset) else _sizes(data, ignored)
    examples, counted, weight = (float(total) for total in totals)
    if not examples:
        raise ValueError("data must have at least one example, got an empty dataset")
    if not weight > 0:
        raise ValueError(f"sample weights must have a positive sum, got {weight:g}")
    return examples, counted, weight


def _reduction(loss):
    """Returns the common reduction of the losses of all outputs."""
    kinds = {getattr(part, "reduction", MEAN) for part in tf.nest.flatten(loss)}
    kinds = {SYNONYMS.get(kind, kind) for kind in kinds}
    if len(kinds) != 1 or not kinds <= {MEAN, SUM, WEIGHTED_MEAN}:
        raise ValueError(
            f"losses must have one reduction of {MEAN!r}, {SUM!r} and {WEIGHTED_MEAN!r}, "
            f"got {sorted(map(str, kinds))}"
        )
    return kinds.pop()


def _ignored_class(loss):
    """Returns the class that a loss ignores, or None."""
    classes = [ignored_class(part) for part in tf.nest.flatten(loss)]
    if len(classes) > 1 and any(number is not None for number in classes):
        raise ValueError(
            "the losses of several outputs must not ignore a class where all examples are averaged, got "
            f"ignore_class={next(number for number in classes if number is not None)}"
        )
    return classes[0]


def _loss_object(loss, dtype):
    """Returns a loss, in a form accepted by `compile`, as a function of targets, outputs and weights."""
    if isinstance(loss, keras.losses.Loss):
        return loss
    function = keras.losses.get(loss)
    if isinstance(function, keras.losses.Loss):
        return function
    return _FunctionLoss(function, dtype)


class _FunctionLoss(keras.losses.Loss):
    """A function of targets and outputs, with Keras's reduction."""

    def __init__(self, function, dtype):
        super().__init__(name="function", dtype=dtype)
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)
