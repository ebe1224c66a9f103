"""How signals and gradients scale through a deep ReLU network at initialization (Secs. 5.1.3 and 5.1.4).

Averages <.> are over the random weights. L_n is the width of layer n and X_n its activations. The weights of
a layer are independent and symmetric around zero, with variance Var(W_n).

Two steps in the derivation of Eq. 5.1.9 are wrong (docs/errata.md). Var(ReLU(h)) is not Var(h) / 2 but
(1/2 - 1/(2 pi)) Var(h), because the mean of a ReLU is not zero. The neglected <X_{n-1}>^2 is not small
either: it is 1/pi of <X_{n-1}^2>. The quantity that obeys the final form exactly is the second moment,

    <X_n^2> = (L_{n-1} Var(W_n) <X_{n-1}^2> + Var(b_n)) / 2,

so Eq. 5.1.10 preserves <X^2>, not Var(X). With zero bias the two errors cancel from the second layer on,
where Var(X) = (1 - 1/pi) <X^2> in every layer. The first layer,
whose inputs have zero mean, loses this factor.
"""

import numpy as np

from .. import arguments

_SCHEMES = ("fan_in", "fan_out", "fan_avg")


def variance_of_product(mean_a, variance_a, mean_b, variance_b):
    """Returns the variance of the product of two independent random variables A and B, Eq. 5.1.7.

    Args:
        mean_a: Mean <A>.
        variance_a: Variance Var(A).
        mean_b: Mean <B>.
        variance_b: Variance Var(B).

    Returns:
        Var(AB) = Var(A) <B>^2 + <A>^2 Var(B) + Var(A) Var(B).

    Raises:
        ValueError: If a mean is not finite, or a variance is negative or not finite.
    """
    mean_a, mean_b = arguments.finite("mean_a", mean_a), arguments.finite("mean_b", mean_b)
    variance_a = arguments.nonnegative("variance_a", variance_a)
    variance_b = arguments.nonnegative("variance_b", variance_b)
    return variance_a * mean_b**2 + mean_a**2 * variance_b + variance_a * variance_b


def relu_second_moment(variance):
    """Returns <ReLU(x)^2> = Var(x) / 2 for any x symmetric around zero, Eq. 5.1.8.

    Args:
        variance: Variance Var(x).

    Raises:
        ValueError: If a variance is negative or not finite.
    """
    return arguments.nonnegative("variance", variance) / 2


def relu_mean(variance):
    """Returns <ReLU(x)> = sqrt(Var(x) / (2 pi)) for Gaussian x of mean zero.

    Args:
        variance: Variance Var(x).

    Raises:
        ValueError: If a variance is negative or not finite.
    """
    return np.sqrt(arguments.nonnegative("variance", variance) / (2 * np.pi))


def relu_variance(variance):
    """Returns Var(ReLU(x)) = (1/2 - 1/(2 pi)) Var(x) for Gaussian x of mean zero; Eq. 5.1.9 has 1/2.

    Args:
        variance: Variance Var(x).

    Raises:
        ValueError: If a variance is negative or not finite.
    """
    return (1 / 2 - 1 / (2 * np.pi)) * arguments.nonnegative("variance", variance)


def weight_variance(widths, scheme, gain=1.0):
    """Returns the Var(W) of each layer, Eq. 5.1.10 (`fan_in`), 5.1.11 (`fan_out`) or 5.1.12 (`fan_avg`).

    Args:
        widths: Widths L_0 (the inputs), L_1, ..., L_N.
        scheme: `fan_in`, `fan_out` or `fan_avg`.
        gain: Factor on the standard deviation.

    Returns:
        An array of N variances.

    Raises:
        ValueError: If `scheme` is unknown, or a width or the gain is not positive and finite.
    """
    widths, gain = _check_widths(widths), arguments.positive_number("gain", gain)
    fans = {"fan_in": widths[:-1], "fan_out": widths[1:], "fan_avg": widths[:-1] + widths[1:]}
    if scheme not in fans:
        raise ValueError(f"scheme must be one of {_SCHEMES}, got {scheme!r}")
    return 2 * gain**2 / fans[scheme]


def forward_second_moment(widths, weight_variances, inputs=1.0, bias_variance=0.0):
    """Returns <X_n^2> by depth, Eq. 5.1.9 corrected: (L_{n-1} Var(W_n) <X_{n-1}^2> + Var(b)) / 2.

    Args:
        widths: Widths L_0 (the inputs), L_1, ..., L_N.
        weight_variances: Variances Var(W_1), ..., Var(W_N).
        inputs: Second moment <X_0^2>.
        bias_variance: Variance Var(b), the same for all layers.

    Returns:
        An array of N + 1 second moments, starting with that of the inputs.

    Raises:
        ValueError: If the number of variances does not match the widths, a width is not positive, or another
            number is negative or not finite.
    """
    widths, variances = _check_layers(widths, weight_variances)
    bias_variance = arguments.nonnegative_number("bias_variance", bias_variance)
    moments = [arguments.nonnegative_number("inputs", inputs)]
    for width, variance in zip(widths[:-1], variances, strict=True):
        moments.append((width * variance * moments[-1] + bias_variance) / 2)
    return np.array(moments)


def gradient_second_moment(widths, weight_variances, outputs=1.0):
    """Returns <(dLoss/dX_n)^2> by depth: that of layer n - 1 is L_n Var(W_n) / 2 times that of layer n.

    The transposed matrix sums over L_n units, half of which pass the ReLU: L_{n-1} of Eq. 5.1.9 becomes L_n.

    Args:
        widths: Widths L_0 (the inputs), L_1, ..., L_N.
        weight_variances: Variances Var(W_1), ..., Var(W_N).
        outputs: Second moment <(dLoss/dX_N)^2>.

    Returns:
        An array of N + 1 second moments, starting with that of the inputs.

    Raises:
        ValueError: As in `forward_second_moment`.
    """
    widths, variances = _check_layers(widths, weight_variances)
    outputs = arguments.nonnegative_number("outputs", outputs)
    return forward_second_moment(widths[::-1], variances[::-1], outputs)[::-1]


def relative_variance(widths):
    """Returns Var(|X_n|^2) / <|X_n|^2>^2 over draws of Gaussian weights, for a fixed input.

    Each unit has <ReLU(h)^4> / <ReLU(h)^2>^2 = (3/2) / (1/4) = 6, so layer n multiplies <|X|^4> / <|X|^2>^2
    by 1 + 5 / L_n. No choice of Var(W) keeps a single network near the average if it is much deeper than
    wide.

    Args:
        widths: Widths L_0 (the inputs), L_1, ..., L_N.

    Returns:
        An array of N + 1 relative variances, starting with zero for the inputs.

    Raises:
        ValueError: If a width is not positive.

    References:
        Hanin, "Which neural net architectures give rise to exploding and vanishing gradients?" (2018),
        arXiv:1801.03744.
    """
    widths = _check_widths(widths)
    return np.concatenate([[0.0], np.cumprod(1 + 5 / widths[1:]) - 1])


def residual_second_moment(blocks, gain=1.0, sublayers=2):
    """Returns <X^2> of the residual stream X + F(X), relative to its input, by depth (Eq. 5.1.15).

    F(X) is uncorrelated with X. With fan_in weights of gain a in each of its m matrices, its second moment is
    a^(2m) times that of X, so every block multiplies the second moment by 1 + a^(2m). Gradients grow in the
    same way from the last block to the first.

    Args:
        blocks: Number of residual blocks.
        gain: Factor a on the standard deviation of each matrix.
        sublayers: Number m of matrices in a block.

    Returns:
        An array of blocks + 1 ratios, after 0, 1, ... blocks.

    Raises:
        ValueError: If `blocks` is not an integer of at least 0, `sublayers` is not one of at least 1, or
            `gain` is negative or not finite.
    """
    blocks, sublayers = arguments.integer("blocks", blocks, 0), arguments.integer("sublayers", sublayers, 1)
    gain = arguments.nonnegative_number("gain", gain)
    return (1 + gain ** (2 * sublayers)) ** np.arange(blocks + 1.0)


def residual_growth(depth, strength=1.0):
    """Returns (1 + c / L)^L, the growth of <X^2> through L residual blocks that each add the fraction c / L.

    Args:
        depth: Number L of blocks.
        strength: Second moment c of F(X) relative to that of X, before it is scaled by 1 / L.

    Returns:
        The growth, below its limit e^c. Without the scaling it would be (1 + c)^L.

    Raises:
        ValueError: If `depth` is not positive, or `strength` is negative or not finite.
    """
    depth = arguments.positive_number("depth", depth)
    strength = arguments.nonnegative_number("strength", strength)
    return np.exp(depth * np.log1p(strength / depth))


def _check_widths(widths):
    widths = arguments.finite("widths", widths, ndim=1)
    if len(widths) < 2 or np.any(widths < 1):
        raise ValueError(f"widths must be two or more positive numbers, got {widths}")
    return widths


def _check_layers(widths, weight_variances):
    widths, variances = _check_widths(widths), arguments.nonnegative("weight_variances", weight_variances)
    if variances.shape != (len(widths) - 1,):
        raise ValueError(
            f"weight_variances must have shape ({len(widths) - 1},), one variance per layer, "
            f"got {variances.shape}"
        )
    return widths, variances
