"""Kronecker-factored curvature: blocks of the Fisher matrix by layer, their inverses, and the optimizer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "block",
        "blocks",
        "convolution",
        "dense",
        "diagonal",
        "einsum",
        "embedding",
        "kronecker",
        "normalization",
        "optimizer",
        "preconditioners",
        "quadratic",
        "recurrent",
        "support",
        "vector",
    ],
    submod_attrs={"block": ["Block"], "blocks": ["blocks_of"], "optimizer": ["KFAC"]},
)
