"""Results of the notes as functions of arrays: closed forms, exact sums and quadrature in NumPy and SciPy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
