"""curvezoo: Kaplan's "Notes on Contemporary Machine Learning for Physicists" as working Keras 3 software.

Importing curvezoo takes milliseconds and imports neither Keras nor TensorFlow. Its packages load on first
use: ``theory``, ``data``, ``layers``, ``losses``, ``optimizers``, ``agents``, ``publishing``, ``training``,
``zoo``, ``studies`` and ``figures``. Keras finds their classes by name, so ``keras.models.load_model`` reads
models that use them.
"""

import lazy_loader

from . import registration as _registration

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_registration.install()
