"""The results of the notes for NumPy arrays: closed forms, exact sums and quadrature."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "characteristic",
        "conjugate_directions",
        "counting",
        "cumulants",
        "descent",
        "differential_entropy",
        "differentiation",
        "estimators",
        "families",
        "fisher",
        "geometry",
        "information",
        "landauer",
        "likelihood",
        "maxent",
        "natural_gradient",
        "noise_scale",
        "perplexity",
        "propagation",
        "quadrature",
        "quasi_newton",
        "rmsprop",
        "sampling",
        "sequences",
        "sne",
        "three_stage",
        "trade_off",
        "transport",
    ],
)
