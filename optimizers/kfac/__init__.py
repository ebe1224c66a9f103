"""Kronecker-factored curvature: preconditioners of the Fisher matrix's blocks, and the optimizer K-FAC."""

import lazy_loader

# Importing K-FAC fails at once, with one clear message, where Keras does not support it.
from .. import keras_bridge  # noqa: F401

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "acceptance",
        "batch",
        "damping",
        "observation",
        "optimizer",
        "preconditioners",
        "quadratic",
        "signal",
        "statistics",
        "step",
    ],
    submod_attrs={"optimizer": ["KFAC"]},
)
