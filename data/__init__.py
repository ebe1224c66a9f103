"""Image sets: scikit-learn's digits, TensorFlow Datasets and your own arrays, split once, shuffled by key.

`names()` and `spec(name)` cost no TensorFlow; `load(name)` gives the `Splits` to train on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
