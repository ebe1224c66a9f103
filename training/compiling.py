"""From a recipe to a compiled Keras model."""

import keras

from ..layers.normalization import BatchNormalization
from ..layers.weight_norm import WeightNormalization
from ..optimizers.keras_bridge.fused_batch_norm import fused_batch_norm
from ..optimizers.schedules import learning_rate_schedule

BatchNormalization.use_fused_kernel(fused_batch_norm)


def compiled_model(recipe, spec, steps_per_epoch, *, distributed=False):
    """Builds and compiles a recipe's model; call it in the strategy's scope.

    Args:
        recipe: The `Recipe`.
        spec: The data set's `Spec`.
        steps_per_epoch: Steps an epoch, for the schedule.
        distributed: Whether a strategy of several replicas runs it; XLA and several steps an
            execution are off then: Keras fails with them.

    Returns:
        A compiled `keras.Model` with a built optimizer, which decays kernels only.
    """
    model = recipe.build(spec, **recipe.model)
    penalize(model, recipe.l1, recipe.l2)
    model.compile(
        optimizer=make_optimizer(recipe, steps_per_epoch),
        loss=recipe.task.loss(recipe),
        metrics=recipe.task.metrics(),
        jit_compile=recipe.jit_compile and not distributed,
        steps_per_execution=1 if distributed else recipe.steps_per_execution,
    )
    if recipe.weight_decay:
        others = [v for v in model.trainable_variables if v.name != "kernel"]
        model.optimizer.exclude_from_weight_decay(var_list=others)
    model.optimizer.build(model.trainable_variables)
    return model


def make_optimizer(recipe, steps_per_epoch):
    """Returns the recipe's Keras optimizer.

    Args:
        recipe: The `Recipe`.
        steps_per_epoch: Steps an epoch, for the schedule.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    rate = learning_rate_schedule(
        recipe.schedule,
        recipe.learning_rate,
        recipe.epochs * steps_per_epoch,
        round(recipe.warmup * steps_per_epoch),
    )
    decay = recipe.weight_decay or None
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, weight_decay=decay)
    nesterov = recipe.momentum > 0
    return keras.optimizers.SGD(rate, recipe.momentum, nesterov=nesterov, weight_decay=decay)


def penalize(model, l1, l2):
    r"""Adds \(\lambda_1 \sum |W| + \lambda_2 \sum W^2\) over all kernels to a model's loss (Eq. 3.4.21).

    Where weights are normalised (Eq. 5.1.2), W is what the layer runs with, not what is stored.

    Args:
        model: A built `keras.Model`.
        l1: \(\lambda_1\).
        l2: \(\lambda_2\).
    """
    if not l1 and not l2:
        return
    penalty, wrapped = keras.regularizers.L1L2(l1, l2), set()
    # Keras has no public way to the layers inside layers.
    for layer in model._flatten_layers():
        if isinstance(layer, WeightNormalization):
            layer.regularizer = penalty
            wrapped.add(layer.kernel.path)
    for variable in model.trainable_variables:
        if variable.name == "kernel" and variable.path not in wrapped:
            variable.regularizer = penalty
