"""Multiplications and parameters of fully connected and convolutional networks (notes, section 1.4).

Legend: B batch, D features, H height, W width, C channels, R kernel rows, S kernel columns.
"""

from __future__ import annotations

from itertools import pairwise
from numbers import Number

from ...arguments import one_of
from .count import Count, matrix_product, network, require_flags, require_positive


def dense(inputs: int, outputs: int, *, bias: bool = True, batch: int = 1) -> Count:
    """Counts the parameters and multiplications of a fully connected layer, W x + b of Eq. 1.1.1.

    Args:
        inputs: Features D_in.
        outputs: Features D_out.
        bias: Whether the layer has a bias.
        batch: Examples B.

    Returns:
        The `Count`: D_in D_out + D_out parameters and B D_in D_out multiplications for each of the three
        matrix products.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    inputs, outputs, batch = require_positive(inputs=inputs, outputs=outputs, batch=batch)
    require_flags(bias=bias)
    products = matrix_product(batch, inputs, outputs)
    return Count(inputs * outputs + bias * outputs, products, products, products)


def convolution(
    size: tuple[int, int],
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    *,
    strides: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    padding: str = "valid",
    groups: int = 1,
    bias: bool = True,
    batch: int = 1,
    count_padding: bool = True,
) -> Count:
    """Counts the parameters and multiplications of a two-dimensional convolution.

    With `groups=in_channels` the convolution is depthwise.

    Args:
        size: Height H and width W of the input.
        in_channels: Channels C_in, a multiple of `groups`.
        out_channels: Channels C_out, a multiple of `groups`.
        kernel: Rows R and columns S of the kernel.
        strides: Steps along H, W.
        dilation: Spacing of the kernel's taps along H, W.
        padding: `valid` or `same`.
        groups: Independent groups of channels.
        bias: Whether the layer has a bias.
        batch: Examples B.
        count_padding: Count products with padded zeros, as TensorFlow and the papers do. `False` omits them,
            as XLA does.

    Returns:
        The `Count`. The forward pass and the derivatives with respect to the kernel and to the input pair the
        same taps with the same pixels: each has B T_H T_W C_in C_out / groups multiplications with
        T_H = H_out R and T_W = W_out S, minus the taps on padding if those are not counted.

    Raises:
        ValueError: If a size is not positive, the groups do not divide the channels, the padding is
            unknown, or the kernel is larger than a `valid` input.
    """
    kernel, strides, dilation = (_pair(value) for value in (kernel, strides, dilation))
    in_channels, out_channels, groups, batch = require_positive(
        in_channels=in_channels, out_channels=out_channels, groups=groups, batch=batch
    )
    require_flags(bias=bias, count_padding=count_padding)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide in_channels and out_channels, got groups={groups}, "
            f"in_channels={in_channels}, out_channels={out_channels}"
        )
    taps = [
        _taps(*axis, padding=padding, count_padding=count_padding)
        for axis in zip(size, kernel, strides, dilation, strict=True)
    ]
    products = batch * taps[0] * taps[1] * in_channels * out_channels // groups
    parameters = kernel[0] * kernel[1] * in_channels * out_channels // groups + bias * out_channels
    return Count(parameters, products, products, products)


def output_length(
    length: int, kernel: int, stride: int = 1, dilation: int = 1, padding: str = "valid"
) -> int:
    """Returns the length of the output of a convolution or pooling layer along one axis.

    Args:
        length: Length of the input.
        kernel: Number of taps of the kernel.
        stride: Step between positions.
        dilation: Spacing of the taps.
        padding: `valid`, floor((length - extent) / stride) + 1 positions with
            extent = dilation (kernel - 1) + 1; or `same`, ceil(length / stride).

    Raises:
        ValueError: If a size is not positive, the padding is unknown, or a `valid` kernel does not fit.
    """
    require_positive(length=length, kernel=kernel, stride=stride, dilation=dilation)
    one_of("padding", padding, ("valid", "same"))
    if padding == "same":
        return -(-length // stride)
    extent = dilation * (kernel - 1) + 1
    if extent > length:
        raise ValueError(f"kernel must fit into a 'valid' input, got extent {extent} for length {length}")
    return (length - extent) // stride + 1


def perceptron(widths: list[int], *, bias: bool = True, batch: int = 1, data_gradient: bool = False) -> Count:
    """Counts the parameters and multiplications of a fully connected net, Eqs. 1.1.2 and 1.4.5.

    Eq. 1.4.5 is the case of two layers.

    Args:
        widths: Features D_0 (the data), D_1, ..., D_L (the outputs).
        bias: Whether the layers have biases.
        batch: Examples B.
        data_gradient: Whether to include the derivative with respect to the data.

    Returns:
        The `Count`. For D_0, D_1, D_2: D_2 D_1 + D_1 D_0 forward, 2 D_2 D_1 + D_1 D_0 backward.

    Raises:
        ValueError: If there are fewer than two widths, or one is not a positive integer.
    """
    if len(widths) < 2:
        raise ValueError(f"widths must hold the width of the data and of at least one layer, got {widths}")
    layers = [dense(*pair, bias=bias, batch=batch) for pair in pairwise(widths)]
    return network(layers, data_gradient=data_gradient)


def _taps(length, kernel, stride, dilation, *, padding, count_padding):
    """Counts the pairs of an output position and a kernel tap along one axis."""
    outputs = output_length(length, kernel, stride, dilation, padding)
    if count_padding or padding == "valid":
        return outputs * kernel
    padded = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - length, 0)
    starts = range(-(padded // 2), -(padded // 2) + outputs * stride, stride)
    return sum(0 <= start + tap * dilation < length for start in starts for tap in range(kernel))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, Number) else tuple(value)
