"""Cards, SavedModels, accounting of parameters and operations, measures, and the page about a model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["accounting", "cards", "files", "measures", "page", "saved_model"],
    submod_attrs={"accounting": ["account"], "saved_model": ["load"]},
)
