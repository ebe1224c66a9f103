"""Parameters and multiplications of layers, and their sum over a network (notes, section 1.4).

A layer y = W x costs one matrix product forward and two backward: dL/dW from dL/dy and x, and dL/dx from
dL/dy and W. All three have the same number of multiplications, so a backward pass costs about two forward
passes. This is a rule of thumb, because the first layer needs no derivative with respect to the data. The
exact count for the notes' two-layer net (Eq. 1.4.5) is D_2 D_1 + D_1 D_0 forward and
2 D_2 D_1 + D_1 D_0 backward.

Only the multiplications of matrix products and convolutions are counted. Biases, activations and
normalizations are of lower order and omitted. A multiply-add is one multiplication and two FLOPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

from ...arguments import boolean, integer


@dataclass(frozen=True)
class Count:
    """Parameters and multiplications of a layer or of a stack of layers.

    Args:
        parameters: Number of trainable weights and biases.
        forward: Multiplications of the forward pass.
        backward_weights: Multiplications of the derivatives with respect to the weights.
        backward_input: Multiplications of the derivatives with respect to the inputs.
    """

    parameters: int
    forward: int
    backward_weights: int
    backward_input: int

    @property
    def backward(self) -> int:
        """Multiplications of the whole backward pass."""
        return self.backward_weights + self.backward_input

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass, two for each multiplication."""
        return 2 * self.forward

    def __add__(self, other: Count) -> Count:
        return Count(
            self.parameters + other.parameters,
            self.forward + other.forward,
            self.backward_weights + other.backward_weights,
            self.backward_input + other.backward_input,
        )


def matrix_product(rows: int, inner: int, columns: int) -> int:
    """Returns the multiplications of a matrix product.

    Args:
        rows: Rows of the first matrix, [rows, inner].
        inner: Columns of the first matrix and rows of the second.
        columns: Columns of the second matrix, [inner, columns].

    Raises:
        ValueError: If a size is not an integer of at least 0.
    """
    return integer("rows", rows, 0) * integer("inner", inner, 0) * integer("columns", columns, 0)


def network(layers: list[Count], *, data_gradient: bool = False) -> Count:
    """Adds up the counts of a chain of layers; the first layer is applied to the data.

    Args:
        layers: Counts in forward order.
        data_gradient: Whether to include the derivative with respect to the data. Training does not need it,
            which saves one of the two backward products of the first layer.

    Returns:
        The sum. Its `backward` is exact, unlike the rule of thumb of twice its `forward`.

    Raises:
        ValueError: If there are no layers, or `data_gradient` is not a Boolean.
    """
    require_flags(data_gradient=data_gradient)
    if not layers:
        raise ValueError("layers must hold at least one Count, got none")
    total = reduce(add, layers)
    skipped = 0 if data_gradient else layers[0].backward_input
    return Count(total.parameters, total.forward, total.backward_weights, total.backward_input - skipped)


def require_positive(**sizes: int) -> list[int]:
    """Returns the sizes as Python integers, which cannot overflow, after checking that they are positive."""
    return [integer(name, size, 1) for name, size in sizes.items()]


def require_flags(**flags: bool) -> None:
    """Raises `ValueError` for a flag that is neither `True` nor `False`."""
    for name, flag in flags.items():
        boolean(name, flag)
