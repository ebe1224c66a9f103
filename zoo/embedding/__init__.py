"""Embeddings: words and documents as vectors, from counts and a truncated singular value decomposition."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
