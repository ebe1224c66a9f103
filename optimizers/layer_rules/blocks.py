"""The rules by kind of layer, and the blocks of a model: each trainable variable is in exactly one."""

import keras

from ... import arguments
from ..keras_bridge.internals import all_layers, own_variables, recomputes_activations, sublayers
from ..keras_bridge.unrecorded import unrecorded_layers
from .convolution import convolution_blocks
from .dense import dense_blocks
from .diagonal import FallbackBlock
from .einsum import einsum_blocks
from .embedding import embedding_blocks
from .normalization import normalization_blocks
from .recurrent import recurrent_blocks

# The first rule that does not return `None` for a layer applies.
LAYER_RULES = (
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
    "SimpleRNN, ReLURNN, LSTM, and GRU with reset_after; but no subclass that overrides their computation, "
    "and no layer inside a Wrapper or inside one that recomputes its activations"
)
FALLBACKS = ("diagonal", "raise")


def blocks_of(model, fallback="diagonal", max_factor_size=None, skip_layers=()):
    """Returns the blocks of a model's trainable variables, by layer.

    A layer that is called several times is one block. Variables that no rule covers get a `FallbackBlock`:
    those of other layers, those that a model or a composite layer owns directly, those inside a
    `keras.layers.Wrapper`, which may compute with weights other than its layer's, and those inside a layer
    that recomputes its activations in the backward pass, where the taps do not see them.

    Args:
        model: A built model, or a layer.
        fallback: `diagonal`, or `raise` for an error where a rule is missing.
        max_factor_size: Kronecker factors with more rows are replaced by their diagonals; None for no limit.
        skip_layers: Names of layers whose variables, and those of the layers inside them, get a
            `FallbackBlock` in any case.

    Returns:
        A list of `Block`s, in the order of `model.trainable_variables`.

    Raises:
        ValueError: If the model is not built or has no trainable variables, two layers share a variable,
            `fallback` is unknown, it is `raise` and a rule is missing, or there is no layer of a name in
            `skip_layers`.
    """
    if fallback not in FALLBACKS:
        raise ValueError(f"fallback must be one of {', '.join(map(repr, FALLBACKS))}, got {fallback!r}")
    order = {id(v): place for place, v in enumerate(model.trainable_variables)}
    if not model.built or not order:
        raise ValueError(f"model must be built and have trainable variables, got {model.name!r}")
    skipped = _layers_inside(model, skip_layers)
    owners, blocks = {}, []
    for layer, variables in owned_variables(model):
        for variable in variables:
            other = owners.setdefault(id(variable), layer)
            if other is not layer:
                raise ValueError(
                    f"The layers {other.name!r} and {layer.name!r} share the variable {variable.path!r}, "
                    "which is not supported: share one layer instead, and call it twice"
                )
        if id(layer) in skipped:
            blocks.append(FallbackBlock(layer, variables))
        else:
            blocks += _blocks_or_fallback(layer, variables, fallback)
    without_owner = [v for v in model.trainable_variables if id(v) not in owners]
    if without_owner:
        blocks += _fallback(model, without_owner, fallback)
    for block in blocks:
        if block.kind == "kronecker":
            block.max_factor_size = max_factor_size
    return sorted(blocks, key=lambda block: min(order[id(v)] for v in block.variables))


def recordable_blocks(model, blocks, fallback="diagonal"):
    """Returns blocks with a `FallbackBlock` for each layer whose calls cannot be recorded.

    These are layers that the model never calls, or calls inside a TensorFlow loop, condition or function.

    Args:
        model: The model.
        blocks: Its blocks.
        fallback: As in `blocks_of`.

    Raises:
        ValueError: If there is such a layer and `fallback` is `raise`.
    """
    tapped = dict.fromkeys(block.layer for block in blocks if block.differentiates == "calls")
    layers = unrecorded_layers(model, tapped)
    if layers and fallback == "raise":
        raise ValueError(
            f"The layer {layers[0].name!r} ({type(layers[0]).__name__}) is never called, or only inside a "
            "TensorFlow loop, condition or function: it needs fallback='diagonal'"
        )
    missing = set(map(id, layers))
    return [
        FallbackBlock(block.layer, block.variables) if id(block.layer) in missing else block
        for block in blocks
    ]


def rule_blocks(layer):
    """Returns the blocks of a layer by the rule of its kind, an empty list if there is none.

    Args:
        layer: A built layer.
    """
    return next((blocks for rule in LAYER_RULES if (blocks := rule(layer)) is not None), [])


def owned_variables(model):
    """Returns (layer, trainable variables) for each layer that owns some.

    Wrappers, recurrent layers and layers that recompute their activations own all variables inside them.

    Args:
        model: A built model, or a layer.
    """
    return list(_owned_variables(model, set()))


def _owned_variables(layer, visited):
    if id(layer) in visited:
        return
    visited.add(id(layer))
    if isinstance(layer, keras.layers.Wrapper | keras.layers.RNN) or recomputes_activations(layer):
        if layer.trainable_variables:
            yield layer, layer.trainable_variables
        return
    own = [v for v in own_variables(layer) if v.trainable]
    if own:
        yield layer, own
    for sublayer in sublayers(layer):
        yield from _owned_variables(sublayer, visited)


def _layers_inside(model, names):
    """Returns the ids of the layers with the given names and of those inside them."""
    layers = [layer for layer in all_layers(model) if layer.trainable_variables]
    names = arguments.distinct_names("skip_layers", names, dict.fromkeys(layer.name for layer in layers))
    return {id(inner) for layer in layers if layer.name in names for inner in all_layers(layer)}


def _blocks_or_fallback(layer, variables, fallback):
    """Returns the blocks of a layer's variables that have statistics."""
    blocks = rule_blocks(layer)
    if any(block.kind is None for block in blocks):
        blocks = []
    covered = {id(v) for block in blocks for v in block.variables}
    uncovered = [v for v in variables if id(v) not in covered]
    return blocks + _fallback(layer, uncovered, fallback) if uncovered else blocks


def _fallback(layer, variables, fallback):
    if fallback == "raise":
        raise ValueError(
            f"The layer {layer.name!r} ({type(layer).__name__}) has no block of its own: it needs "
            f"fallback='diagonal'. Supported: {SUPPORTED}"
        )
    return [FallbackBlock(layer, variables)]
