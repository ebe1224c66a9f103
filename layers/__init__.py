"""Keras layers and initializers: blocks, normalization, residuals, sampling; any Keras backend."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "block",
        "conv",
        "dense",
        "initializers",
        "normalization",
        "residual",
        "sampling",
        "scale",
        "unit_variance",
        "weight_norm",
    ],
    submod_attrs={
        "block": ["AffineBlock"],
        "conv": ["ConvBlock"],
        "dense": ["DenseBlock"],
        "initializers": [
            "fan_avg",
            "fan_in",
            "fan_out",
            "residual_gain",
            "standard_deviation",
            "variance_scaling",
        ],
        "normalization": [
            "BatchNormalization",
            "activation_normalization",
            "batch_normalization",
            "layer_normalization",
        ],
        "residual": ["ResidualBlock", "ResidualDense"],
        "sampling": ["GaussianSampling", "GumbelSoftmax", "StraightThrough"],
        "scale": ["GlobalScale"],
        "unit_variance": ["UnitVarianceConv2D", "UnitVarianceDense"],
        "weight_norm": ["WeightNormalization"],
    },
)
