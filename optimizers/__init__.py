"""First- and second-order optimizers, curvature matrices, the gradient noise scale, and schedules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "acceleration",
        "curvature",
        "evolution",
        "full_batch",
        "hessian_free",
        "keras_bridge",
        "kfac",
        "layer_rules",
        "levenberg_marquardt",
        "natural_gradient",
        "newton",
        "noise_scale",
        "objective",
        "rmsprop",
        "schedules",
        "trials",
    ],
    submod_attrs={
        "acceleration": ["Acceleration"],
        "evolution": ["Evolution"],
        "full_batch.conjugate_gradient": ["ConjugateGradient"],
        "full_batch.quasi_newton": ["BFGS", "LBFGS", "fit_lbfgs"],
        "hessian_free": ["HessianFree"],
        "keras_bridge.attachment": ["ModelOptimizer"],
        "keras_bridge.model_objective": ["ModelObjective"],
        "kfac": ["KFAC"],
        "natural_gradient": ["NaturalGradient"],
        "newton": ["Newton"],
        "noise_scale.adaptive_batch": ["AdaptiveBatch"],
        "noise_scale.callback": ["GradientNoiseScale"],
        "objective": ["Objective"],
        "rmsprop": ["RMSProp"],
        "schedules": ["learning_rate_schedule"],
    },
)
