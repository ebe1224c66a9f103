"""Optimizers that see the model and the batch, under Keras's own `compile` and `fit`.

Keras passes only gradients to an optimizer. Curvature also needs the distribution of the outputs,
activations, or the loss at another point. Importing this module therefore extends `compile`, which then
attaches a `ModelOptimizer` to the model. The attached `train_step` stores its batch before it runs, so that
`apply` has the model, the batch and the gradients at the same time. Everything else remains Keras's own: the
loop, the forward pass, metrics, callbacks, strategies, clipping, weight decay and checkpoints.
"""

import threading
import weakref

import keras
import tensorflow as tf

from ... import arguments
from ..replicas import number, total
from ..vectors import finite, select
from . import patches
from .compiled_objective import OWN_OBJECTIVE, CompiledObjective, has_own_objective, objective_of
from .internals import all_layers, build_layers, update_variables


class ModelOptimizer(keras.optimizers.Optimizer):
    """Base class of the optimizers whose update depends on more than the gradient.

    A subclass implements `direction`, which replaces the gradient in `update_step`; the default `update_step`
    subtracts the learning rate times the direction. It creates its state with `add_state` in `build`, so that
    checkpoints contain it.

    A step whose gradient or direction is not finite on some replica is skipped on all of them: the direction
    is zero and no weight decay is applied. If the gradient is not finite, moving averages such as those of
    batch normalization are also restored to their values before the batch.

    Args:
        learning_rate: As in `keras.optimizers.Optimizer`.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping and weight decay act on the direction.

    Attributes:
        needs_distribution: Whether `compile` rejects losses that are not a negative log-likelihood.
        direction_is_final: Whether `direction` returns a direction that is already clipped, by `clip`.
        direction_is_decayed: Whether the direction already contains the weight decay.

    Raises:
        ValueError: If `gradient_accumulation_steps` or `loss_scale_factor` is given, or the rate is negative.
    """

    needs_distribution = False
    direction_is_final = False
    direction_is_decayed = False

    def __init__(self, learning_rate, name, **kwargs):
        for argument in ("gradient_accumulation_steps", "loss_scale_factor"):
            if kwargs.get(argument) is not None:
                raise ValueError(
                    f"{argument} must be None for {type(self).__name__}, got {kwargs[argument]!r}: "
                    "each direction is computed from a single batch"
                )
        if not callable(learning_rate):
            learning_rate = float(arguments.nonnegative("learning_rate", learning_rate, 0))
        super().__init__(learning_rate, name=name, **kwargs)
        self._model = None
        self._batches = threading.local()
        self._state_names = set()

    # A method, because Keras saves all attributes of an optimizer and would recurse into a property.
    def compiled_model(self):
        """Returns the compiled model.

        Raises:
            ValueError: If there is none.
        """
        model = None if self._model is None else self._model()
        if model is None:
            raise ValueError(
                f"{type(self).__name__} needs a model: pass it to compile(optimizer=...). A model that "
                "trains others, such as a GAN, compiles each of them with an optimizer of its own and calls "
                "its train_step (docs/optimizers.md, Several outputs, several optimizers)"
            )
        return model

    def build(self, variables):
        """Creates the optimizer's variables; a subclass adds its own for `self._trainable_variables`.

        Args:
            variables: The trainable variables. Keras's HDF5 loader passes none; the model's are
                then used.
        """
        if not self.built:
            super().build(list(variables) or self.compiled_model().trainable_variables)

    def attach(self, model):
        """Binds the optimizer to a model; `compile` calls it.

        Args:
            model: The model that is compiled.

        Raises:
            ValueError: If the model overrides `train_step` or `compute_loss` without a `curvature_objective`,
                if the compiled loss is not a negative log-likelihood and the optimizer needs one, or if a
                batch norm is synchronized among replicas.
        """
        self._require_known_loss(model)
        synchronized = [layer.name for layer in all_layers(model) if getattr(layer, "synchronized", False)]
        if synchronized and model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f"{type(self).__name__} evaluates the model inside conditions, where replicas can't "
                f"synchronize: got BatchNormalization {synchronized[0]!r} with synchronized=True"
            )
        # A strong reference would make the model part of the optimizer's checkpoint.
        self._model = weakref.ref(model)

    def _require_known_loss(self, model):
        """Raises ValueError unless the loss of the model's train step is known, with its distribution."""
        for method in ("train_step", "compute_loss"):
            overridden = getattr(type(model), method) is not getattr(keras.Model, method)
            if method in vars(model) or (overridden and not has_own_objective(model)):
                raise ValueError(
                    f"{type(self).__name__} needs Keras's own {method}, but {type(model).__name__} overrides "
                    f"it: give the model a method {OWN_OBJECTIVE}(self, **batch) that returns its loss as a "
                    "curvezoo.optimizers.ModelObjective (docs/optimizers.md, A loss of your own)"
                )
        if self.needs_distribution and not has_own_objective(model):
            CompiledObjective(model, None).require_distribution()

    def train_step(self, model, data):
        """Runs the model's train step on a batch that `apply` can read.

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
        # In the first trace, the layers may not have been called yet, and the state is not complete.
        if not all(layer.built for layer in all_layers(model)):
            build_layers(model, keras.utils.unpack_x_y_sample_weight(data)[0])
        # The state before the step contains the seeds from which its dropout draws.
        state = [tf.convert_to_tensor(v.value) for v in model.non_trainable_variables]
        self._batches.data = data, state
        try:
            return type(model).train_step(model, data)
        finally:
            self._batches.data = self._batches.loss = None

    def scale_loss(self, loss):
        """Returns the loss unchanged, and keeps it for `batch_loss`; Keras's train step calls it.

        Args:
            loss: This replica's share of the loss of the batch, with regularization.
        """
        self._batches.loss = loss
        return super().scale_loss(loss)

    def batch_loss(self, objective):
        """Returns the loss at the current values: that of Keras's train step, or evaluated for another one.

        Args:
            objective: The `Objective` of this replica's batch.
        """
        loss = getattr(self._batches, "loss", None)
        known = loss is not None and type(objective.model).train_step is keras.Model.train_step
        return loss if known else objective.loss(objective.values)

    def apply(self, grads, trainable_variables=None):
        """Turns gradients into a direction and applies it.

        Args:
            grads: This replica's gradients of the loss divided by the number of replicas.
            trainable_variables: Their variables.

        Raises:
            ValueError: If there is no batch, because `apply` was called outside `fit` and `train_on_batch`,
                or the trainable variables are not those that the optimizer was built for.
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
                f"the trainable variables must be the {len(self._trainable_variables)} that "
                f"{type(self).__name__} was built for, got {len(variables)}, not all of them the same: "
                "compile the model again with a new optimizer"
            )
        grads = [_dense(g, v) for g, v in zip(grads, variables, strict=True)]
        batch, state = data
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        objective = objective_of(model, x, y, sample_weight, training=True, state=state)
        direction = self.direction(objective, grads)
        averages = _averages(model, state)
        # Some optimizers get no gradients, so that averages must also be checked for a non-finite batch.
        batch_finite = finite(grads) & tf.reduce_all([_stays_finite(v.value, old) for v, old in averages])
        flags = [batch_finite, batch_finite & finite(direction)]
        batch_finite, accepted = tf.unstack(self.all_replicas(flags))
        self._batches.accepted = accepted
        _restore(averages, batch_finite)
        super().apply(select(accepted, direction), variables)

    def direction(self, objective, gradients):
        """Returns the tensors that replace the gradients; Keras sums them over the replicas.

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
        """Returns a new variable that every replica assigns the same value to.

        Args:
            name: Its name. A number is appended if the name is taken, since HDF5 files need unique names.
            shape: Its shape.
            initializer: Its initializer, as in Keras.
            dtype: Its type; `floatx` by default.
        """
        unique, count = name.replace("/", "_"), 1
        while unique in self._state_names:
            count += 1
            unique = f"{name}_{count}".replace("/", "_")
        self._state_names.add(unique)
        return self.add_variable(shape, initializer, dtype, aggregation="only_first_replica", name=unique)

    def add_states(self, variables, name):
        """Returns a new variable of the shape and type of each given variable.

        Args:
            variables: The variables.
            name: A suffix that is appended to the variables' names.
        """
        return [self.add_state(f"{v.path}_{name}", v.shape, dtype=v.dtype) for v in variables]

    def clip(self, tensors):
        """Returns tensors clipped as Keras clips gradients.

        Args:
            tensors: A list of tensors, one for each trainable variable.
        """
        return super()._clip_gradients(tensors)

    def decay_factors(self):
        """Returns the weight decay of each trainable variable, zero for excluded ones, in units of theta."""
        return [self.weight_decay * self._use_weight_decay(v) for v in self._trainable_variables]

    # These are also methods, since subclasses use them in many places.
    replicas, total = staticmethod(number), staticmethod(total)

    @classmethod
    def all_replicas(cls, flag):
        """Returns whether booleans are true on all replicas.

        Args:
            flag: A boolean tensor, or a list of boolean scalars.
        """
        return cls.total(tf.cast(flag, tf.int32)) >= cls.replicas()

    def _clip_gradients(self, grads):
        return grads if self.direction_is_final else super()._clip_gradients(grads)

    def _apply_weight_decay(self, variables):
        # Keras's rule, except for skipped steps.
        if self.weight_decay is None or self.direction_is_decayed:
            return
        accepted, rate = self._batches.accepted, tf.convert_to_tensor(self.learning_rate)

        def decay(variable, rate):
            if self._use_weight_decay(variable):
                factors = [tf.cast(factor, variable.dtype) for factor in (self.weight_decay, rate)]
                variable.assign_sub(variable * factors[0] * factors[1])

        rate = tf.where(accepted, rate, tf.zeros_like(rate))
        update_variables(self._distribution_strategy, decay, variables, rate)


def _averages(model, state):
    """Pairs of a variable that the forward pass changes, such as batch norm's mean, and its value before."""
    weights = {id(v) for v in model.non_trainable_weights}
    pairs = zip(model.non_trainable_variables, state, strict=True)
    return [(v, value) for v, value in pairs if id(v) in weights and value.dtype.is_floating]


def _stays_finite(value, before):
    """Whether entries that were finite still are; a mask may contain infinite entries from the start."""
    return tf.reduce_all(tf.math.is_finite(value) | ~tf.math.is_finite(before))


def _restore(averages, batch_finite):
    """Restores averages such as those of batch normalization after a non-finite batch."""
    for variable, value in averages:
        variable.assign(tf.where(batch_finite, tf.convert_to_tensor(variable.value), value))


def _dense(gradient, variable):
    if gradient is None:
        return tf.zeros(variable.shape, variable.dtype)
    return tf.cast(tf.convert_to_tensor(gradient), variable.dtype)


class _TrainStep:
    """The train step of a model that is compiled with a `ModelOptimizer`."""

    def __init__(self, optimizer, model):
        self.optimizer, self.model = optimizer, weakref.ref(model)

    def __call__(self, data):
        return self.optimizer.train_step(self.model(), data)


def _is_attached(model):
    return isinstance(vars(model).get("train_step"), _TrainStep)


def _attach(model):
    """Gives the model its optimizer's `train_step` if that is a `ModelOptimizer`, else restores its own."""
    optimizer = model.optimizer
    if _is_attached(model):
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
    # Bypass Keras's attribute tracking, which would not track a method either.
    vars(model)["train_step"] = _TrainStep(optimizer, model)


def _prepare(model):
    """Attaches and builds the optimizer before the train step is traced.

    Python looks up `model.compile` before it evaluates the arguments, one of which may import this module;
    the optimizer is then not attached yet. Variables created inside a trace would require a second one.
    """
    optimizer = getattr(model, "optimizer", None)
    if not isinstance(optimizer, ModelOptimizer):
        return
    if not _is_attached(model):
        _attach(model)
    _require_one_strategy(optimizer, model)
    if not optimizer.built and model.built and optimizer.compiled_model() is model:
        with model.distribute_strategy.scope():
            _build(optimizer, model.trainable_weights)


def _require_one_strategy(optimizer, model):
    """Raises ValueError if the model or the optimizer was made outside the strategy that trains the model."""
    strategy, kind = model.distribute_strategy, type(optimizer).__name__
    created_here = strategy.extended.variable_created_in_scope
    if not all(created_here(v.value) for v in model.variables):
        made = "the model's weights were created outside it"
    elif optimizer._distribution_strategy.num_replicas_in_sync > 1 and not created_here(
        optimizer.iterations.value
    ):
        made = "the optimizer was created in the scope of another strategy"
    else:
        return
    raise ValueError(
        f"fit must run under the strategy in whose scope the model and {kind} were created, got "
        f"{type(strategy).__name__.strip('_')} (replicas: {strategy.num_replicas_in_sync}), but {made}: "
        "build and compile the model inside strategy.scope()"
    )


def _build(optimizer, variables):
    with keras.name_scope(optimizer.name, caller=optimizer):
        optimizer.build(variables)


patches.install(after_compile=_attach, before_train_function=_prepare)
