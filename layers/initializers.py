"""Initial weights that preserve the scale of signals or gradients in a ReLU network (Sec. 5.1.3).

A ReLU layer multiplies the second moment <X^2> of the activations by L_{n-1} Var(W) / 2 in the forward pass
and that of the gradients by L_n Var(W) / 2 in the backward pass, where L_n is the width of layer n. The
three schemes are Keras's `VarianceScaling` with an untruncated normal distribution, so that the closed forms
of `curvezoo.theory.propagation` apply exactly.

| scheme    | Var(W)                | equation | preserves                                           |
|-----------|-----------------------|----------|-----------------------------------------------------|
| `fan_in`  | 2 / L_{n-1}           | 5.1.10   | <X^2> of each activation                            |
| `fan_out` | 2 / L_n               | 5.1.11   | L_n <X^2>, the sum over a layer, and each gradient  |
| `fan_avg` | 2 / (L_n + L_{n-1})   | 5.1.12   | neither through ReLUs: both halve at equal widths   |
"""

import math

import keras

from .. import arguments

_NUMERATOR = {"fan_in": 2.0, "fan_out": 2.0, "fan_avg": 1.0}


def fan_in(gain=1.0, seed=None):
    """Returns the initializer with Var(W) = 2 gain^2 / L_{n-1}, which preserves <X^2> (Eq. 5.1.10).

    Args:
        gain: Factor on the standard deviation, such as `residual_gain(...)`.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        A `keras.initializers.VarianceScaling`.

    References:
        He et al., "Delving Deep into Rectifiers" (2015), arXiv:1502.01852.
    """
    return variance_scaling("fan_in", gain, seed)


def fan_out(gain=1.0, seed=None):
    """Returns the initializer with Var(W) = 2 gain^2 / L_n, which preserves gradients (Eq. 5.1.11).

    Args:
        gain: Factor on the standard deviation.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        A `keras.initializers.VarianceScaling`.

    References:
        He et al., "Delving Deep into Rectifiers" (2015), arXiv:1502.01852.
    """
    return variance_scaling("fan_out", gain, seed)


def fan_avg(gain=1.0, seed=None):
    """Returns the initializer with Var(W) = 2 gain^2 / (L_n + L_{n-1}), as in Keras's default (Eq. 5.1.12).

    `VarianceScaling` divides its `scale` by the mean fan (L_n + L_{n-1}) / 2, so the scale here is 1, not 2.

    Args:
        gain: Factor on the standard deviation.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        A `keras.initializers.VarianceScaling`.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010).
    """
    return variance_scaling("fan_avg", gain, seed)


def standard_deviation(shape, scheme="fan_in", gain=1.0):
    """Returns the standard deviation of a kernel's entries, the square root of Eqs. 5.1.10 to 5.1.12.

    Args:
        shape: Kernel shape, (inputs, outputs) or (height, width, channels in, channels out).
        scheme: `fan_in`, `fan_out` or `fan_avg`.
        gain: Factor on the standard deviation.

    Returns:
        A float.

    Raises:
        ValueError: If `scheme` is unknown, or `shape` has fewer than two axes.
    """
    check_scheme(scheme)
    if len(shape) < 2:
        raise ValueError(f"shape must have at least two axes, as a kernel has, got {tuple(shape)}")
    field = math.prod(shape[:-2])
    fans = {"fan_in": field * shape[-2], "fan_out": field * shape[-1]}
    fans["fan_avg"] = (fans["fan_in"] + fans["fan_out"]) / 2
    return gain * math.sqrt(_NUMERATOR[scheme] / fans[scheme])


def residual_gain(depth, sublayers):
    """Returns the gain L^(-1/(2m)) for each of the m weight layers in each of L residual branches.

    The product of the m gains is L^(-1/2), so each branch adds 1/L of the variance that it would add
    unscaled, and the variance grows by (1 + 1/L)^L < e instead of 2^L. The notes (end of Sec. 5.1.4) say to
    divide by a power of 1/sqrt(L), but the weights must be multiplied by it (docs/errata.md). Fixup instead
    starts the last layer of a branch at zero and bounds the change of the function in a gradient step. That
    leaves m - 1 layers to scale, hence its gain L^(-1/(2m-2)).

    Args:
        depth: Number L of residual blocks.
        sublayers: Number m of weight layers within a block.

    Returns:
        A float.

    Raises:
        ValueError: If either number is not a positive integer.

    References:
        Zhang, Dauphin and Ma, "Fixup Initialization" (2019), arXiv:1901.09321.
    """
    depth, sublayers = arguments.integer("depth", depth, 1), arguments.integer("sublayers", sublayers, 1)
    return depth ** (-1 / (2 * sublayers))


def variance_scaling(scheme, gain=1.0, seed=None):
    """Returns the initializer of a scheme by its name.

    Args:
        scheme: `fan_in`, `fan_out` or `fan_avg`.
        gain: Factor on the standard deviation.
        seed: Integer or `keras.random.SeedGenerator`.

    Returns:
        A `keras.initializers.VarianceScaling`.

    Raises:
        ValueError: If `scheme` is unknown.
    """
    return keras.initializers.VarianceScaling(
        scale=_NUMERATOR[check_scheme(scheme)] * gain**2,
        mode=scheme,
        distribution="untruncated_normal",
        seed=seed,
    )


def check_scheme(scheme):
    """Returns `scheme` after checking that it is one of the three."""
    return arguments.one_of("scheme", scheme, _NUMERATOR)
