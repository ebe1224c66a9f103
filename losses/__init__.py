"""Likelihoods and scores: the losses that models are fitted with, and the numbers that judge them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["calibration", "classification"],
    submod_attrs={
        "calibration": [
            "ReliabilityCurve",
            "brier_score",
            "classification_scores",
            "expected_calibration_error",
            "fit_temperature",
            "reliability_curve",
            "wilson_interval",
        ],
        "classification": ["CategoricalNLL"],
    },
)
