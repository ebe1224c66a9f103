"""Losses that models are fitted with, and scores that evaluate them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "binary",
        "calibration",
        "classification",
        "divergences",
        "f_divergences",
        "likelihood",
        "mixture",
        "priors",
        "regression",
    ],
    submod_attrs={
        "binary": ["BernoulliNLL"],
        "calibration": [
            "BrierDecomposition",
            "ReliabilityCurve",
            "brier_decomposition",
            "brier_score",
            "classification_scores",
            "expected_calibration_error",
            "fit_temperature",
            "reliability_curve",
            "wilson_interval",
        ],
        "classification": ["CategoricalNLL"],
        "divergences": [
            "Estimate",
            "f_divergence",
            "f_divergence_estimate",
            "jensen_shannon",
            "kl_divergence",
            "kl_estimate",
            "mutual_information",
            "wasserstein",
        ],
        "likelihood": ["NegativeLogLikelihood"],
        "mixture": ["MixtureNLL"],
        "priors": ["GaussianPrior", "LaplacePrior", "PowerPenalty"],
        "regression": ["CauchyNLL", "GaussianNLL", "Huber", "LaplaceNLL", "StudentTNLL"],
    },
)
