"""Cards, SavedModels, accounting of parameters and operations, measures, and the page about a model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
