"""Curvature of a loss as matrices that are never formed, and what can be read from products with them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
