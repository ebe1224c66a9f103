"""Training: recipes and their parts, learners, runs, strategies, checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["checkpoints", "learner", "parts", "settings", "strategies"],
    submod_attrs={
        "learner": ["EarlyStopping", "Learner", "Resources"],
        "recipe": ["Recipe"],
        "runs": ["Run", "train"],
        "strategies": ["make_strategy"],
        "supervised": ["Supervised"],
    },
)
