"""Weight matrices, and the penalties and the weight decay that act on them (Eq. 3.4.21)."""

import keras

from ..layers.weight_norm import WeightNormalization
from ..optimizers.keras_bridge.internals import all_layers


def matrices(model):
    """Returns the weight matrices of a model, to which weight decay and penalties apply.

    These are the trainable variables with two axes or more, such as the kernels of dense and convolutional
    layers, recurrent kernels and embeddings, except those that a layer adds to its outputs as its `bias`.

    Args:
        model: A built `keras.Model`.
    """
    biases = {id(getattr(layer, "bias", None)) for layer in all_layers(model)}
    return [v for v in model.trainable_variables if len(v.shape) >= 2 and id(v) not in biases]


def penalize(model, l1, l2):
    r"""Adds \(\lambda_1 \sum |W| + \lambda_2 \sum W^2\) over all weight matrices to a model's loss (Eq.
    3.4.21).

    Where weights are normalized (Eq. 5.1.2), W is the normalized matrix that the layer applies, not the one
    that it stores.

    Args:
        model: A built `keras.Model`.
        l1: \(\lambda_1\).
        l2: \(\lambda_2\).
    """
    if not l1 and not l2:
        return
    penalty, normalized = keras.regularizers.L1L2(l1, l2), set()
    for layer in all_layers(model):
        if isinstance(layer, WeightNormalization):
            layer.regularizer = penalty
            normalized.add(id(layer.kernel))
    for variable in matrices(model):
        if id(variable) not in normalized:
            variable.regularizer = penalty


def make_optimizer(part, model, steps=1, warmup_steps=0):
    """Returns a recipe's optimizer for a model, which decays weight matrices only.

    Args:
        part: The recipe's `Optimizer`, not a full-batch one.
        model: A built `keras.Model`.
        steps: Steps of the whole run, for the schedule.
        warmup_steps: Steps of the linear rise.

    Returns:
        A Keras optimizer that is not built.
    """
    optimizer = part.make(steps, warmup_steps)
    decayed = {id(v) for v in matrices(model)}
    others = [v for v in model.trainable_variables if id(v) not in decayed]
    if optimizer.weight_decay and others:
        optimizer.exclude_from_weight_decay(var_list=others)
    return optimizer
