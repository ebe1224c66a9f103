"""The blocks of a model: each trainable variable in exactly one."""

import keras

from .convolution import convolution_blocks
from .dense import dense_blocks
from .diagonal import FallbackBlock
from .einsum import einsum_blocks
from .embedding import embedding_blocks
from .normalization import normalization_blocks
from .recurrent import recurrent_blocks

_KINDS = (
    dense_blocks,
    convolution_blocks,
    einsum_blocks,
    embedding_blocks,
    normalization_blocks,
    recurrent_blocks,
)
SUPPORTED = (
    "Dense, EinsumDense (and so MultiHeadAttention and GroupQueryAttention), Conv1D, Conv2D and Conv3D "
    "with groups=1, Embedding, BatchNormalization, LayerNormalization, GroupNormalization, RMSNormalization, "
    "SimpleRNN, LSTM, and GRU with reset_after; not subclasses that compute otherwise, nor a Wrapper's layer"
)
FALLBACKS = ("diagonal", "raise")


def blocks_of(model, fallback="diagonal"):
    """Splits a model's trainable variables into blocks by layer.

    A layer that is called several times is one block. Frozen variables have none. What no kind of block fits
    gets a `FallbackBlock`: other layers, weights that a model or a composite layer holds itself, and whatever
    is inside a `keras.layers.Wrapper`, which may compute with other weights than its layer's.

    Args:
        model: A built model, or a layer.
        fallback: `diagonal`, or `raise` for an error where a layer has no block of its own.

    Returns:
        A list of `Block`s, in the order of `model.trainable_variables`.

    Raises:
        ValueError: If the model is not built or has nothing to train, two layers hold one variable,
            `fallback` is unknown, or it is `raise` and a layer needs one.
    """
    if fallback not in FALLBACKS:
        raise ValueError(f"`fallback` must be one of {FALLBACKS}. Received: fallback={fallback!r}")
    order = {id(v): place for place, v in enumerate(model.trainable_variables)}
    if not model.built or not order:
        raise ValueError(f"The model {model.name!r} must be built and have trainable variables")
    owners, blocks = {}, []
    for layer, variables in _owners(model, set()):
        for variable in variables:
            other = owners.setdefault(id(variable), layer)
            if other is not layer:
                raise ValueError(
                    f"The layers {other.name!r} and {layer.name!r} share the variable {variable.path!r}, "
                    "whose curvature is that of neither: share one layer instead, and call it twice"
                )
        blocks += _layer_blocks(layer, variables, fallback)
    missing = [v for v in model.trainable_variables if id(v) not in owners]
    if missing:
        blocks += _fallback(model, missing, fallback)
    return sorted(blocks, key=lambda block: min(order[id(v)] for v in block.variables))


def _owners(layer, visited):
    """Yields layers with the trainable variables that they hold: themselves, or all that is in them."""
    if id(layer) in visited:
        return
    visited.add(id(layer))
    if isinstance(layer, keras.layers.Wrapper | keras.layers.RNN):
        if layer.trainable_variables:
            yield layer, layer.trainable_variables
        return
    own = [v for v in layer._trainable_variables if v.trainable]
    if own:
        yield layer, own
    for sublayer in layer._flatten_layers(include_self=False, recursive=False):
        yield from _owners(sublayer, visited)


def _layer_blocks(layer, variables, fallback):
    blocks = next((made for made in (kind(layer) for kind in _KINDS) if made is not None), [])
    covered = {id(v) for block in blocks for v in block.variables}
    left = [v for v in variables if id(v) not in covered]
    if not left:
        return blocks
    return blocks + _fallback(layer, left, fallback)


def _fallback(layer, variables, fallback):
    if fallback == "raise":
        raise ValueError(
            f"The layer {layer.name!r} ({type(layer).__name__}) has no block of its own: it needs "
            f"fallback='diagonal'. Supported: {SUPPORTED}"
        )
    return [FallbackBlock(layer, variables)]
