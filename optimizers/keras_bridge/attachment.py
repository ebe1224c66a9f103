"""Optimizers that see the model and the batch, under Keras's own `compile` and `fit`.

Keras hands an optimizer gradients, and nothing else. Curvature needs the outputs' distribution, activations,
or the loss at another point. Importing this module therefore adds one line to `compile`: a
`ModelOptimizer` is given the model. `train_step` then notes its batch before it runs, so that
`apply` finds the model, the batch and the gradients together. Everything else is Keras's own: the loop, the
forward pass, metrics, callbacks, strategies, clipping, weight decay and checkpoints.
"""

import functools
import threading
import weakref

import keras
import tensorflow as tf

from ... import arguments
from ..objective import Objective
from ..replicas import number, total


class ModelOptimizer(keras.optimizers.Optimizer):
    """Base of the optimizers whose update depends on more than the gradient.

    A subclass implements `direction`, which takes the place of the gradient in `update_step`; the default
    `update_step` subtracts the learning rate times the direction. It keeps its state in variables made by
    `add_state` in `build`, so that checkpoints hold it.

    A step whose gradient or direction is not finite on some replica is skipped: its direction is zero on all,
    and no weight decays. If it is the gradient, averages like batch norm's return to what they were before
    the batch.

    Args:
        learning_rate: As in `keras.optimizers.Optimizer`.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping and weight decay act on the direction.

    Raises:
        ValueError: If `gradient_accumulation_steps` or `loss_scale_factor` is given, or the rate is negative.
    """

    def __init__(self, learning_rate, name, **kwargs):
        for argument in ("gradient_accumulation_steps", "loss_scale_factor"):
            if kwargs.get(argument) is not None:
                raise ValueError(
                    f"{argument} must be None for {type(self).__name__}, got {kwargs[argument]!r}: "
                    "its direction belongs to the batch at hand"
                )
        if not callable(learning_rate):
            learning_rate = float(arguments.nonnegative("learning_rate", learning_rate, 0))
        super().__init__(learning_rate, name=name, **kwargs)
        self._model = None
        self._batches = threading.local()

    # Not a property: Keras saves what it finds in an optimizer's attributes, and would go round in circles.
    def compiled_model(self):
        """Returns the compiled model.

        Raises:
            ValueError: If there is none.
        """
        model = None if self._model is None else self._model()
        if model is None:
            raise ValueError(f"{type(self).__name__} needs a model: pass it to compile(optimizer=...)")
        return model

    def attach(self, model):
        """Binds the optimizer to a model; `compile` calls it.

        Args:
            model: The model that is compiled.

        Raises:
            ValueError: If the model has a `train_step` or `compute_loss` of its own, or scaled losses, or a
                batch norm that is synchronized among replicas.
        """
        for method in ("train_step", "compute_loss"):
            if method in vars(model) or getattr(type(model), method) is not getattr(keras.Model, method):
                raise ValueError(
                    f"{type(self).__name__} needs Keras's own {method}, "
                    f"but {type(model).__name__} overrides it"
                )
        synchronized = [
            layer.name for layer in model._flatten_layers() if getattr(layer, "synchronized", False)
        ]
        if synchronized and model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f"{type(self).__name__} evaluates the model inside conditions, where replicas can't "
                f"synchronize: got BatchNormalization {synchronized[0]!r} with synchronized=True"
            )
        # A weak reference: a strong one would make the model a part of the optimizer's checkpoint.
        self._model = weakref.ref(model)

    def train_step(self, model, data):
        """Runs Keras's train step on a batch that `apply` can read.

        Args:
            model: The model.
            data: Inputs, targets and weights, as Keras passes them.

        Returns:
            The metrics by name.
        """
        if self.compiled_model() is not model:
            raise ValueError(
                f"{type(self).__name__} must train the model that it was compiled with last, "
                f"{self.compiled_model().name!r}, got {model.name!r}: give each model an optimizer of its own"
            )
        # The state before the step, with the seeds that its dropout draws from.
        state = [tf.convert_to_tensor(v.value) for v in model.non_trainable_variables]
        self._batches.data = data, state
        try:
            return type(model).train_step(model, data)
        finally:
            self._batches.data = None

    def apply(self, grads, trainable_variables=None):
        """Turns gradients into a direction and applies it.

        Args:
            grads: This replica's gradients of the loss that is divided by the number of replicas.
            trainable_variables: Their variables.

        Raises:
            ValueError: If there is no batch, since `apply` was called outside `fit` and `train_on_batch`, or
                the trainable variables are not those the optimizer was built for.
        """
        model, data = self.compiled_model(), getattr(self._batches, "data", None)
        if data is None:
            raise ValueError(
                f"{type(self).__name__} needs the batch beside its gradients: train through fit or "
                "train_on_batch, or call optimizer.train_step(model, (x, y))"
            )
        variables = list(trainable_variables or model.trainable_variables)
        if not self.built:
            _build(self, variables)
        elif [id(v) for v in variables] != [id(v) for v in self._trainable_variables]:
            raise ValueError(
                f"the trainable variables must be those that {type(self).__name__} was built for, got "
                f"{len(variables)} variables, not the {len(self._trainable_variables)}: compile the model "
                "again with a new optimizer"
            )
        grads = [_dense(g, v) for g, v in zip(grads, variables, strict=True)]
        batch, state = data
        objective = Objective(model, *keras.utils.unpack_x_y_sample_weight(batch), training=True, state=state)
        direction = self.direction(objective, grads)
        averages = _averages(model, state)
        # Not every optimizer looks at the gradients: what the batch did to averages tells of it, too.
        sound = finite(grads) & tf.reduce_all([_stays_finite(v.value, old) for v, old in averages])
        grads_finite, accepted = tf.unstack(self.all_replicas([sound, sound & finite(direction)]))
        self._batches.accepted = accepted
        self._restore(averages, grads_finite)
        super().apply(select(accepted, direction), variables)

    def direction(self, objective, gradients):
        """Returns what takes the place of the gradients; the replicas' directions are summed.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: Dense gradients of this replica's share of the loss, one for each trainable variable.
        """
        raise NotImplementedError

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable against the direction.

        Args:
            gradient: The direction.
            variable: The variable.
            learning_rate: The rate of this step.
        """
        self.assign_sub(variable, keras.ops.cast(learning_rate, variable.dtype) * gradient)

    def add_state(self, name, shape=(), initializer="zeros", dtype=None):
        """Returns a variable that every replica assigns the same value to.

        Args:
            name: Its name.
            shape: Its shape.
            initializer: Its initializer, as in Keras.
            dtype: Its type; `floatx` by default.
        """
        return self.add_variable(shape, initializer, dtype, aggregation="only_first_replica", name=name)

    # Here too, since subclasses need them at many places.
    replicas, total = staticmethod(number), staticmethod(total)

    @classmethod
    def all_replicas(cls, flag):
        """Returns whether booleans are true on all replicas.

        Args:
            flag: A boolean tensor, or a list of boolean scalars.
        """
        return cls.total(tf.cast(flag, tf.int32)) >= cls.replicas()

    def _restore(self, averages, grads_finite):
        """Keeps a batch of undefined numbers out of averages, such as batch norm's."""
        for variable, value in averages:
            variable.assign(tf.where(grads_finite, tf.convert_to_tensor(variable.value), value))

    def _apply_weight_decay(self, variables):
        # As Keras does it, but for steps that are skipped.
        if self.weight_decay is None:
            return
        accepted, rate = self._batches.accepted, tf.convert_to_tensor(self.learning_rate)

        def decay(variable, rate):
            if self._use_weight_decay(variable):
                factors = [tf.cast(factor, variable.dtype) for factor in (self.weight_decay, rate)]
                variable.assign_sub(variable * factors[0] * factors[1])

        def decay_all(strategy, variables, rate):
            for variable in variables:
                strategy.extended.update(variable.value, decay, args=(rate,), group=False)

        merge_call = tf.__internal__.distribute.interim.maybe_merge_call
        rate = tf.where(accepted, rate, tf.zeros_like(rate))
        merge_call(decay_all, self._distribution_strategy, variables, rate)


def finite(tensors):
    """Returns whether all numbers of all tensors are finite, a boolean scalar.

    Args:
        tensors: A list of tensors.
    """
    # A sum is finite only if its terms are, but an overflow of finite terms must not reject a step.
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in tensors])


def select(flag, tensors, otherwise=None):
    """Returns the tensors if the flag is set, and others, zero by default, if it is not.

    Args:
        flag: A boolean scalar.
        tensors: A list of tensors.
        otherwise: A list of tensors of the same shapes.
    """
    # A condition hands them on as they are, where a choice by element copies them.
    return tf.cond(flag, lambda: list(tensors), lambda: otherwise or [tf.zeros_like(t) for t in tensors])


def _averages(model, state):
    """Pairs of a variable that the forward pass changes, such as batch norm's mean, and its value before."""
    weights = {id(v) for v in model.non_trainable_weights}
    pairs = zip(model.non_trainable_variables, state, strict=True)
    return [(v, value) for v, value in pairs if id(v) in weights and value.dtype.is_floating]


def _stays_finite(value, before):
    """Whether what was finite is so still; a mask may have had infinite entries from the start."""
    return tf.reduce_all(tf.math.is_finite(value) | ~tf.math.is_finite(before))


def _dense(gradient, variable):
    if gradient is None:
        return tf.zeros(variable.shape, variable.dtype)
    return tf.cast(tf.convert_to_tensor(gradient), variable.dtype)


def _attach(model, optimizer):
    """Makes `train_step` the optimizer's if it attaches to models, and Keras's otherwise."""
    if isinstance(vars(model).get("train_step"), _TrainStep):
        del vars(model)["train_step"]
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, ModelOptimizer):
        return
    if inner is not optimizer:
        raise ValueError(
            f"{type(inner).__name__} does not work with a scaled loss: use the dtype policy float32 or "
            "mixed_bfloat16, or compile with auto_scale_loss=False"
        )
    optimizer.attach(model)
    # Past Keras's attribute tracking, as a method would be.
    vars(model)["train_step"] = _TrainStep(optimizer, model)


class _TrainStep:
    """The train step of a model that is compiled with a `ModelOptimizer`."""

    def __init__(self, optimizer, model):
        self.optimizer, self.model = optimizer, weakref.ref(model)

    def __call__(self, data):
        return self.optimizer.train_step(self.model(), data)


def _attach_late(model):
    """Attaches the optimizer of a `compile` that was looked up before this module was imported.

    Python looks up `model.compile` first, and imports this module with the optimizer among its arguments.
    """
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, ModelOptimizer) and not isinstance(vars(model).get("train_step"), _TrainStep):
        _attach(model, optimizer)


def _build(optimizer, variables):
    with keras.name_scope(optimizer.name, caller=optimizer):
        optimizer.build(variables)


def _build_early(model):
    """Builds the optimizer before the train step is traced: variables made in a trace cost a second one."""
    optimizer = getattr(model, "optimizer", None)
    if not isinstance(optimizer, ModelOptimizer) or optimizer.built or not model.built:
        return
    if optimizer.compiled_model() is model:
        with model.distribute_strategy.scope():
            _build(optimizer, model.trainable_weights)


def _extend_keras():
    compiler, maker = (
        next(cls for cls in keras.Model.__mro__ if name in vars(cls))
        for name in ("compile", "make_train_function")
    )
    original_compile, original_make = compiler.compile, maker.make_train_function

    @functools.wraps(original_compile)
    def compile(self, *args, **kwargs):
        original_compile(self, *args, **kwargs)
        _attach(self, self.optimizer)

    @functools.wraps(original_make)
    def make_train_function(self, *args, **kwargs):
        _attach_late(self)
        _build_early(self)
        return original_make(self, *args, **kwargs)

    compiler.compile, maker.make_train_function = compile, make_train_function


_extend_keras()
