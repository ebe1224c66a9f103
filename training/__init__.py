"""Training, measuring and publishing: recipes, strategies, runs, checkpoints, reports, cards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["cards", "checkpoints", "figures", "publishing", "report", "strategies", "tasks"],
    submod_attrs={
        "accounting": ["account"],
        "gradient_check": ["gradient_check"],
        "publishing": ["load"],
        "recipe": ["Recipe"],
        "runs": ["train"],
        "strategies": ["make_strategy"],
    },
)
