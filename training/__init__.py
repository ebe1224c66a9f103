"""Training: recipes, strategies, runs, checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["checkpoints", "strategies"],
    submod_attrs={
        "recipe": ["Recipe"],
        "runs": ["train"],
        "strategies": ["make_strategy"],
    },
)
