"""Names in the log the layers whose block of F is coarser than a Kronecker product of two full factors."""

import logging

from ..layer_rules.diagonal import FallbackBlock

_LOGGER = logging.getLogger(__name__)


def log_approximations(name, blocks):
    """Logs one warning for all diagonal factors that `max_factor_size` causes, and one for all fallbacks.

    Args:
        name: The optimizer's name.
        blocks: The `Block`s of the model.
    """
    wide = [
        f"{factor} of {block.layer.name!r} ({block.factor_sizes[factor]:,} rows)"
        for block in blocks
        if block.kind == "kronecker"
        for factor in sorted(block.diagonal)
    ]
    if wide:
        _LOGGER.warning(
            "%s replaces factors by their diagonals, see max_factor_size: %s", name, ", ".join(wide)
        )
    layers = dict.fromkeys(block.layer for block in blocks if isinstance(block, FallbackBlock))
    if layers:
        names = ", ".join(f"{layer.name!r} ({type(layer).__name__})" for layer in layers)
        _LOGGER.warning("%s uses a diagonal Fisher matrix for the layers %s", name, names)
