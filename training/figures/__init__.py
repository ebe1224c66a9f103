"""Pictures of trainings and of trained models, each a `matplotlib.figure.Figure`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["classification", "curves", "differentiation", "propagation", "style"],
    submod_attrs={
        "classification": ["confusion_matrix", "reliability_diagram", "worst_mistakes"],
        "curves": ["loss_curves"],
        "style": ["data_uri"],
    },
)
