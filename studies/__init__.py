"""Measurements of many runs that a user makes on a model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["noise_scale", "optimizer_comparison"],
    submod_attrs={"gradient_check": ["gradient_check"]},
)
