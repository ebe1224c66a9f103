"""Selection of the weight matrices of a model, and penalties on them (Eq. 3.4.21)."""

import keras

from ..layers.weight_norm import WeightNormalization


def matrices(model):
    """Returns the weight matrices of a model, to which weight decay and penalties apply.

    These are the trainable variables with two axes or more, such as the kernels of dense and convolutional
    layers, recurrent kernels and embeddings, except those that a layer adds to its outputs as its `bias`.

    Args:
        model: A built `keras.Model`.
    """
    # Keras has no public way to list nested layers.
    biases = {id(getattr(layer, "bias", None)) for layer in model._flatten_layers()}
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
    for layer in model._flatten_layers():
        if isinstance(layer, WeightNormalization):
            layer.regularizer = penalty
            normalized.add(id(layer.kernel))
    for variable in matrices(model):
        if id(variable) not in normalized:
            variable.regularizer = penalty


def decay_matrices_only(optimizer, model):
    """Restricts an optimizer's weight decay to the weight matrices of a model.

    Args:
        optimizer: A Keras optimizer that is not built.
        model: A built `keras.Model`.
    """
    decayed = {id(v) for v in matrices(model)}
    others = [v for v in model.trainable_variables if id(v) not in decayed]
    if optimizer.weight_decay and others:
        optimizer.exclude_from_weight_decay(var_list=others)
