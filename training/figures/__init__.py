"""Pictures of the notes' ideas, of trainings and of trained models, each a `matplotlib.figure.Figure`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "calibration",
        "classification",
        "cumulants",
        "curves",
        "denoising",
        "descent",
        "differentiation",
        "divergences",
        "estimators",
        "geometry",
        "information",
        "landauer",
        "maxent",
        "natural_gradient",
        "noise_scale",
        "optimizer_comparison",
        "propagation",
        "robust_regression",
        "sampling",
        "sne",
        "style",
        "trade_off",
        "transport",
    ],
    submod_attrs={
        "classification": ["confusion_matrix", "reliability_diagram", "worst_mistakes"],
        "curves": ["loss_curves"],
        "style": ["data_uri"],
    },
)
