"""Exact counts of parameters and multiplications for any configuration (Secs. 1.4, 5.2 and 5.4)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
