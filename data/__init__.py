"""Data sets in fixed training, validation and test splits, each epoch a function of (seed, epoch).

`names()` and `spec(name)` import nothing heavy; `load(name)` returns the `Splits` to train on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
