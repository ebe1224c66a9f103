"""Rules for each kind of layer: its blocks of the Fisher matrix and its per-example gradient norms.

A rule is a function of a layer that returns the layer's `Block`s, or `None` for layers of another kind.
`blocks.LAYER_RULES` lists the rules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
