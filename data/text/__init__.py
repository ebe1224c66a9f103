"""Text: packed windows for language models and pairs of texts for translation, with their tokenizers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
