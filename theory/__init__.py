"""Closed-form results of the notes in NumPy and SciPy: counts, derivatives, propagation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "counting",
        "cumulants",
        "differential_entropy",
        "differentiation",
        "estimators",
        "fisher",
        "geometry",
        "information",
        "landauer",
        "maxent",
        "propagation",
        "sampling",
        "sequences",
        "sne",
        "transport",
    ],
)
