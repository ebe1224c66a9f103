"""Style transfer: a picture with the content of one image and the style of another (section 5.3)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
