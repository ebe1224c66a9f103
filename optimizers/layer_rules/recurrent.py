"""Rule for SimpleRNN, LSTM, GRU and ReLURNN, unrolled: each time step is a position.

The rows a of the input kernel are x_t, those of the recurrent kernel are h_(t-1), and those of the one kernel
of a ReLURNN are both, concatenated. The bias is a row of the input kernel's matrix. A GRU has a bias for each
kernel in one variable, which is a block of its own.
"""

import tensorflow as tf

from ..keras_bridge import taps
from .kronecker import KroneckerBlock
from .support import trainable
from .vector import VectorBlock


class RecurrentBlock(KroneckerBlock):
    """One kernel of a recurrent layer, and optionally its bias.

    Args:
        layer: The recurrent layer.
        kernel: The kernel.
        bias: The bias, or `None`.
        role: `kernel` or `recurrent_kernel`.
    """

    def __init__(self, layer, kernel, bias, role):
        super().__init__(layer, kernel, bias, tuple(kernel.shape), role)

    def rows(self, call, gradient):
        """Returns the inputs or states, and the gradients, of one time step."""
        return call.inputs[:, tf.newaxis], gradient[:, tf.newaxis]


class RecurrentBiasBlock(VectorBlock):
    """The bias of a recurrent layer without its kernels; [2, n] in a GRU.

    Args:
        layer: The recurrent layer.
        bias: The bias.
    """

    def __init__(self, layer, bias):
        super().__init__(layer, [bias])
        self.roles = (taps.KERNEL, taps.RECURRENT_KERNEL)[: len(bias.shape)]

    def contributions(self, calls, gradients):
        """Returns the sums of g over the time steps, for each kernel."""
        sums = [sum(self.tensor(g) for _, g in self.pairs(calls, gradients, role)) for role in self.roles]
        return [[tf.concat(sums, 1)]]


def recurrent_blocks(layer):
    """Returns the blocks of a recurrent layer, or `None` if `taps` cannot record its kernels separately.

    Args:
        layer: The layer; see `taps.recurrent_cell` for the supported ones.
    """
    cell = taps.recurrent_cell(layer)
    if cell is None:
        return None
    kernel, recurrent, bias = (trainable(v) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    bias_in_matrix = bias is not None and kernel is not None and len(bias.shape) == 1
    blocks = []
    if kernel is not None:
        blocks.append(RecurrentBlock(layer, kernel, bias if bias_in_matrix else None, taps.KERNEL))
    if recurrent is not None:
        blocks.append(RecurrentBlock(layer, recurrent, None, taps.RECURRENT_KERNEL))
    if bias is not None and not bias_in_matrix:
        blocks.append(RecurrentBiasBlock(layer, bias))
    return blocks
