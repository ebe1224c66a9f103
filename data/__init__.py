"""Data sets in fixed training, validation and test splits, each epoch a function of (seed, epoch).

`names()` lists images, texts and pairs of texts; `load(name)` returns the `Splits` to train on.
Looking up the `spec(name)` of an image set imports nothing heavy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
