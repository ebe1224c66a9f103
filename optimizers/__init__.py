"""First- and second-order optimizers, curvature matrices, the gradient noise scale, and schedules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
