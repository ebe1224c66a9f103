"""The zoo: every model by name, with the recipe that trains it.

>>> from curvezoo import zoo
>>> zoo.names("softmax*")
['softmax_digits', 'softmax_mnist']
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
