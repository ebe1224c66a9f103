"""Image sets: scikit-learn's digits, TensorFlow Datasets and a user's own images, in fixed splits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["augmentation", "corruption"],
    submod_attrs={
        "arrays": ["from_arrays"],
        "folder": ["from_folder"],
        "loading": ["load", "provenance"],
        "specs": ["Spec", "names", "spec"],
    },
)
