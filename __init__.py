"""curvezoo: Kaplan's "Notes on Contemporary Machine Learning for Physicists" as working Keras 3 software.

The rooms load on first use, so that ``import curvezoo`` costs milliseconds and no TensorFlow:
``theory``, ``data``, ``layers``, ``losses``, ``optimizers``, ``publishing``, ``training``, ``zoo``,
``studies``, ``figures``.
"""

import lazy_loader

from . import registration as _registration

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_registration.install()
