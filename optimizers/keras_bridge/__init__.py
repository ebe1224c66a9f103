"""Everything that touches Keras's internals: optimizers attached to models, recorded layers, kernels."""

import lazy_loader

from .requirements import check

check()

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "attachment",
        "batch_callback",
        "compiled_objective",
        "fused_batch_norm",
        "internals",
        "model_objective",
        "patches",
        "requirements",
        "stateless",
        "taps",
    ],
    submod_attrs={"patches": ["unpatched"]},
)
