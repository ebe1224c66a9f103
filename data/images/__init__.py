"""Image sets: scikit-learn's digits, TensorFlow Datasets and a user's own images, in fixed splits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
