r"""Losses of style transfer: what two pictures share in a network's features (section 5.3).

Gatys et al. describe a picture by the features F of a trained convolutional network. The features at each
position are its content, and the correlations of the channels over all positions are its style.

Legend: B batch, H height, W width, C channels, M = H W positions.

Symbols: Gatys et al. have features F^l_ik with the channel i first and the position k second, N_l channels
(C here) and M_l positions (M here).
"""

import keras
from keras import ops

from .. import arguments
from . import tensors


def gram(features):
    r"""Returns the Gram matrix of the channels, averaged over positions.

    With x_m the features at position m,

    \[G_{ij} = \frac{1}{M} \sum_m x_{mi} x_{mj}.\]

    It does not change if positions are permuted. Gatys et al. use the sum, M G; with the mean, pictures of
    different sizes have Gram matrices of one scale.

    Args:
        features: Features, [B, H, W, C].

    Returns:
        Symmetric, positive semidefinite matrices, [B, C, C].

    Raises:
        ValueError: If `features` are not floating-point or do not have four axes.

    Example:
        >>> gram([[[[1.0, 2.0]], [[3.0, 4.0]]]]).numpy().tolist()  # 2 positions, 2 channels
        [[[5.0, 7.0], [7.0, 10.0]]]

    References:
        Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), arXiv:1508.06576, Eq. 3.
    """
    features = _four_axes("features", features)
    _, height, width, channels = ops.shape(features)
    rows = ops.reshape(features, (-1, height * width, channels))  # [B, M, C]
    count = ops.cast(height * width, features.dtype)
    return ops.matmul(ops.transpose(rows, (0, 2, 1)), rows) / count


def style_loss(features, target):
    r"""Returns the squared distance of the Gram matrices to those of a style.

    \[E = \frac{1}{4 C^2} \sum_{ij} (G_{ij} - A_{ij})^2\]

    This is E_l of Gatys et al., who have 4 N_l^2 M_l^2 in the denominator because their G and A are sums over
    the M_l positions.

    Args:
        features: Features of the picture in one layer, [B, H, W, C].
        target: Gram matrices A of the style in the same layer, [B, C, C] or [1, C, C]; see `gram`.

    Returns:
        The loss of each picture, [B].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes do not match.

    References:
        Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), arXiv:1508.06576, Eq. 4.
    """
    features, target = _four_axes("features", features), _at_least_float32("target", target)
    channels = features.shape[-1]
    if tuple(target.shape[1:]) != (channels, channels):
        raise ValueError(
            f"target must have shape [B, {channels}, {channels}] for features of {channels} channels, got "
            f"{tuple(target.shape)}"
        )
    _check_pairs(features, target)
    return ops.sum(ops.square(gram(features) - target), axis=(1, 2)) / (4 * channels**2)


def content_loss(features, target):
    r"""Returns half the squared distance of the features to those of a content, position by position.

    \[L = \frac{1}{2} \sum_{mi} (F_{mi} - P_{mi})^2\]

    Args:
        features: Features F of the picture in one layer, [B, H, W, C].
        target: Features P of the content in the same layer, of the same height, width and channels.

    Returns:
        The loss of each picture, [B].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes do not match.

    References:
        Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), arXiv:1508.06576, Eq. 1.
    """
    features, target = _four_axes("features", features), _four_axes("target", target)
    if tuple(features.shape[1:]) != tuple(target.shape[1:]):
        raise ValueError(
            f"features and target must have the same shape, got {tuple(features.shape)} and "
            f"{tuple(target.shape)}"
        )
    _check_pairs(features, target)
    return ops.sum(ops.square(features - target), axis=(1, 2, 3)) / 2


def total_variation(images, power=2.0):
    r"""Returns the mean of \(|\Delta|^p\) over neighbors in a column plus that over neighbors in a row.

    Squares (p = 2) have a continuous gradient, as line searches need it. With p = 1 sharp edges cost no more
    than gradual ones.

    Args:
        images: Images, [B, H, W, C], with H and W of at least 2.
        power: The exponent p, at least 1.

    Returns:
        The total variation of each image, [B].

    Raises:
        ValueError: If `images` are not floating-point, do not have four axes or are too small, or `power` is
            below 1.

    References:
        Mahendran and Vedaldi, "Understanding deep image representations by inverting them" (2015), Eq. 3.
    """
    power = arguments.number("power", power, 1)
    images = _four_axes("images", images)
    if min(images.shape[1:3]) < 2:
        raise ValueError(f"images must be at least 2 pixels high and wide, got {tuple(images.shape)}")
    vertical = images[:, 1:] - images[:, :-1]
    horizontal = images[:, :, 1:] - images[:, :, :-1]
    return sum(ops.mean(_magnitude(each, power), axis=(1, 2, 3)) for each in (vertical, horizontal))


def _magnitude(differences, power):
    return ops.square(differences) if power == 2 else ops.power(ops.abs(differences), power)


def _four_axes(name, value):
    value = _at_least_float32(name, value)
    tensors.axes(name, value, "[B, H, W, C]")
    return value


def _at_least_float32(name, value):
    """Returns floating-point numbers in a dtype in which sums over positions do not overflow."""
    value = tensors.floating(**{name: value})
    return ops.cast(value, keras.backend.result_type(value.dtype, "float32"))


def _check_pairs(features, target):
    """Checks that there is one target for each picture or for all; one picture would repeat itself."""
    given, wanted = features.shape[0], target.shape[0]
    if given is not None and wanted is not None and wanted not in (1, given):
        raise ValueError(f"target must have a first axis of length 1 or {given}, got {wanted}")
