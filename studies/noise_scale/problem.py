"""The model and data of a recipe as a problem that can be trained repeatedly from scratch at any batch size.

The examples are those of one epoch of the recipe's training split: images, or windows of a text. The recipe's
augmentation or corruption is applied to them once. Batches are drawn with replacement, as Eq. 4.5.2 assumes.
The loss is the one that training minimizes, with penalties, with dropout, and with batch statistics in batch
normalization.

Legend: N examples, P parameters, B examples in a batch, R batches.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from ... import arguments
from ...optimizers.keras_bridge.attachment import ModelOptimizer
from ...optimizers.keras_bridge.internals import all_layers
from ...optimizers.keras_bridge.moments import twice_differentiable_moments
from ...optimizers.vectors import dot, flat, unflat
from ...training.parts.images import Images
from ...training.parts.text import Text
from ...training.supervised import Supervised
from ...training.weights import make_optimizer, penalize

OPTIMIZERS = ("sgd", "recipe")
"""Plain SGD or the optimizer of the recipe, both at a constant learning rate."""

_LARGEST_BYTES = 2**32
_CHUNK = 500
_ORDER, _SAMPLE, _MEASURE, _CURVATURE = range(4)


class Problem:
    """A model with its data that can be trained step by step, restarted, and differentiated.

    Args:
        recipe: The `Recipe`. Its schedule, epochs and batch size are not used; the precision is float32.
        data_dir: Folder of TensorFlow Datasets; `None` for its default.
        optimizer: One of `OPTIMIZERS`.
        sample: Number of training examples on which the loss is measured, the same ones each time.

    Raises:
        ValueError: If an argument is not valid, or the data is neither images nor a text that fits in memory.
    """

    def __init__(self, recipe, data_dir=None, optimizer="sgd", sample=1000):
        arguments.one_of("optimizer", optimizer, OPTIMIZERS)
        self.recipe = recipe
        inputs, targets, self.spec = examples(recipe, data_dir)
        with tf.device("CPU:0"):
            self._inputs, self._targets = tf.constant(inputs), tf.constant(targets)
        self.size = len(inputs)
        self.sample = min(sample, self.size)
        self.model = self._new_model(recipe.seed)
        penalize(self.model, recipe.penalty.l1, recipe.penalty.l2)
        self.optimizer = _optimizer(recipe, optimizer, self.model)
        self.optimizer.build(self.model.trainable_variables)
        self._fresh = [keras.ops.convert_to_numpy(v) for v in self.optimizer.variables]
        self._loss = recipe.objective.loss()
        self._initial = {}
        self._compile()
        self.restart(recipe.seed, 0.0)

    @property
    def parameters(self):
        """Number P of trainable parameters."""
        return sum(math.prod(v.shape) for v in self.model.trainable_variables)

    @property
    def coupled(self):
        """Whether batch normalization couples the examples, so that none has a gradient of its own."""
        layers = all_layers(self.model)
        return any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)

    def restart(self, seed, rate):
        """Resets the model and the optimizer.

        Args:
            seed: Seed of the initial weights, the batches and dropout.
            rate: Learning rate.
        """
        if seed not in self._initial:
            model = self._new_model(seed)
            self._initial = {seed: [keras.ops.convert_to_numpy(v) for v in model.variables]}
        for variable, value in zip(self.model.variables, self._initial[seed], strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = rate
        self.seed, self.step = seed, 0

    def advance(self, steps, batch_size):
        """Makes optimizer steps on batches drawn with replacement, as a function of seed and step.

        Args:
            steps: Number of steps.
            batch_size: Batch size B.
        """
        self._advance(*map(tf.constant, (self.seed, self.step, steps, batch_size)))
        self.step += steps

    def loss(self):
        """Returns the loss on the fixed sample of training examples.

        It is in nats for a classifier, and in nats per token for a language model.
        """
        return float(self._measure_loss(self.sample))

    def gradients(self, batches, batch_size):
        """Returns gradients of the loss on fresh batches at the current weights, a tensor [R, P].

        Args:
            batches: Number R of batches.
            batch_size: Batch size B.
        """
        return self._gradients(*map(tf.constant, (self.seed, self.step, batches, batch_size)))

    def hessian_products(self, vectors, batch_size):
        """Returns Hessian-vector products H v on one fresh batch, independent of those of `gradients`.

        Args:
            vectors: Vectors v, a tensor [R, P].
            batch_size: Number of examples of the batch.

        Returns:
            A tensor [R, P].
        """
        place = [tf.constant(value) for value in (self.seed, self.step, batch_size)]
        return tf.stack([self._hessian_product(vector, *place) for vector in tf.unstack(vectors)])

    def _new_model(self, seed):
        keras.utils.set_random_seed(seed)
        return self.recipe.model.build(self.spec)

    def _batch(self, purpose, seed, step, size):
        """Draws a batch; each purpose has its own random stream."""
        key = tf.random.fold_in(tf.random.fold_in(tf.stack([seed, purpose]), step), size)
        rows = tf.random.stateless_uniform([size], key, maxval=self.size, dtype=tf.int32)
        return tf.gather(self._inputs, rows), tf.gather(self._targets, rows)

    def _objective(self, batch):
        inputs, targets = batch
        outputs = self.model(inputs, training=True)
        return tf.add_n([self._loss(targets, outputs), *self.model.losses])

    def _compile(self):
        variables = self.model.trainable_variables
        values = [v.value for v in variables]
        order = tf.random.experimental.stateless_shuffle(tf.range(self.size), (self.recipe.seed, _SAMPLE))
        chosen = order[: self.sample]

        def gradient(batch):
            with tf.GradientTape() as tape:
                loss = self._objective(batch)
            gradients = tape.gradient(loss, values, unconnected_gradients="zero")
            return [tf.convert_to_tensor(each) for each in gradients]

        scalar = tf.TensorSpec([], tf.int32)

        @tf.function(input_signature=[scalar] * 4)
        def advance(seed, first, steps, size):
            for step in tf.range(first, first + steps):
                self.optimizer.apply(gradient(self._batch(_ORDER, seed, step, size)), variables)

        @tf.function(input_signature=[scalar])
        def measure_loss(count):
            total = 0.0
            for start in tf.range(0, count, _CHUNK):
                rows = chosen[start : start + _CHUNK]
                loss = self._objective((tf.gather(self._inputs, rows), tf.gather(self._targets, rows)))
                total += loss * tf.cast(tf.size(rows), tf.float32)
            return total / tf.cast(count, tf.float32)

        @tf.function(input_signature=[scalar] * 4)
        def gradients(seed, step, count, size):
            inputs, targets = self._batch(_MEASURE, seed, step, count * size)

            def one(index):
                rows = slice(index * size, (index + 1) * size)
                return flat(gradient((inputs[rows], targets[rows])))

            spec = tf.TensorSpec([self.parameters], tf.float32)
            return tf.map_fn(one, tf.range(count), parallel_iterations=1, fn_output_signature=spec)

        @tf.function(input_signature=[tf.TensorSpec([self.parameters], tf.float32)] + [scalar] * 3)
        def hessian_product(vector, seed, step, size):
            batch = self._batch(_CURVATURE, seed, step, size)
            with tf.GradientTape() as tape, twice_differentiable_moments():
                along = dot(gradient(batch), unflat(vector, variables))
            return flat(tape.gradient(along, values, unconnected_gradients="zero"))

        self._advance, self._measure_loss = advance, measure_loss
        self._gradients, self._hessian_product = gradients, hessian_product


def examples(recipe, data_dir=None):
    """Returns the examples of one epoch of the training split of a recipe, prepared for its task.

    Args:
        recipe: The `Recipe`.
        data_dir: Folder of TensorFlow Datasets; `None` for its default.

    Returns:
        (inputs, targets, spec): arrays [N, ...] and the `Spec` or `TextSpec` of the data.

    Raises:
        ValueError: If the data is neither images nor a text, or is unknown, absent, or too large for memory.
    """
    check_data(recipe)
    spec = recipe.data.spec(data_dir=data_dir)
    if isinstance(recipe.data, Text):
        size, entries, setting = recipe.data.windows or spec.train, 2 * spec.context, "windows"
    else:
        size, entries, setting = recipe.data.subset or spec.train, math.prod(spec.shape), "subset"
    if 4 * size * entries > _LARGEST_BYTES:
        raise ValueError(
            f"data must fit in memory, got {recipe.data.name!r}; reduce it with --set {setting}=N"
        )
    batches = dataclasses.replace(recipe.data, batch_size=size if size <= 8 * _CHUNK else _CHUNK)
    splits = recipe.objective.prepare(batches.load(recipe.seed, data_dir), recipe.seed)
    pairs = splits.epochs(0, 1).as_numpy_iterator()
    inputs, targets = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return inputs, targets, splits.spec


def check_data(recipe):
    """Raises a ValueError if the study does not know how to draw batches from a recipe's data."""
    part = getattr(recipe, "data", None)
    supervised = isinstance(recipe, Supervised)
    if not supervised or not isinstance(part, Images | Text):
        kind = part.noun if supervised else f"kind {recipe.kind!r}"
        raise ValueError(
            f"name must be a model of images or of text for a noise-scale study, got {recipe.name!r}, "
            f"a model of {kind}"
        )


def _optimizer(recipe, name, model):
    if name == "sgd":
        return keras.optimizers.SGD(0.0)
    if recipe.optimizer.full_batch:
        raise ValueError(
            f"optimizer must make steps on batches, got {recipe.optimizer.name!r}; give optimizer='sgd'"
        )
    optimizer = make_optimizer(recipe.optimizer.at_constant_rate(), model)
    if isinstance(optimizer, ModelOptimizer):
        raise ValueError(
            f"optimizer must make its steps from gradients alone, got {recipe.optimizer.name!r}; give "
            "optimizer='sgd'"
        )
    return optimizer
