"""Tokenizers: characters, words and byte-level byte-pair encoding, each stored as JSON."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
