"""Update rules by gradients and by curvature, curvature itself, the noise scale, and schedules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "acceleration",
        "adaptive_batch",
        "attachment",
        "conjugate_gradient",
        "curvature",
        "evolution",
        "full_batch",
        "hessian_free",
        "kfac",
        "levenberg_marquardt",
        "natural_gradient",
        "newton",
        "noise_scale",
        "objective",
        "per_example",
        "quasi_newton",
        "rmsprop",
        "schedules",
        "taps",
    ],
    submod_attrs={
        "acceleration": ["Acceleration"],
        "adaptive_batch": ["AdaptiveBatch"],
        "attachment": ["ModelOptimizer"],
        "conjugate_gradient": ["ConjugateGradient"],
        "evolution": ["Evolution"],
        "hessian_free": ["HessianFree"],
        "kfac": ["KFAC"],
        "natural_gradient": ["NaturalGradient"],
        "newton": ["Newton"],
        "noise_scale": ["GradientNoiseScale"],
        "quasi_newton": ["BFGS", "LBFGS", "fit_lbfgs"],
        "rmsprop": ["RMSProp"],
        "schedules": ["learning_rate_schedule"],
    },
)
