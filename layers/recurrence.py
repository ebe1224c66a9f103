"""The loops over time of recurrent layers, with gradients of the weights in one matrix product.

Automatic differentiation of a loop adds h_(t-1)^T dz_t to the gradient of the recurrent weights in every
step. The gradients here store dz_t, the gradients of the pre-activations, of all steps and multiply once at
the end. Of the forward loop they keep the states, and for an LSTM the cells and the gates.

Legend: T time steps (the first axis in this module), B batch, H units.
"""

import keras
from keras import ops

# Blocks of columns in which the loops multiply by U: XLA runs independent products in parallel.
_PIECES = 2


def relu_recurrence(projected, recurrent_kernel, state):
    r"""Returns the states \(h_t = \text{ReLU}(z_t + h_{t-1} U)\) of all steps (Eq. 5.2.1).

    Args:
        projected: The inputs times their weights, plus the bias, \(z\), `[T, B, H]`.
        recurrent_kernel: \(U\), `[H, H]`.
        state: The state before the first step, \(h_0\), `[B, H]`.

    Returns:
        The states, `[T, B, H]`.
    """

    @ops.custom_gradient
    def loop(projected, kernel, first):
        pieces = ops.split(kernel, _PIECES, axis=1) if kernel.shape[1] % _PIECES == 0 else [kernel]

        def forward(state, z):
            state = ops.relu(z + _matmul(state, pieces))
            return state, state

        _, states = ops.scan(forward, first, projected)

        def gradient(*upstream, **_):
            [outer] = keras.tree.flatten(upstream)
            on = ops.cast(states > 0, states.dtype)
            transposed = ops.transpose(kernel)
            columns = ops.split(transposed, _PIECES, axis=1) if len(pieces) > 1 else [transposed]

            def backward(dz, step):
                outer_t, on_t = ops.split(step, 2, axis=-1)
                dz = (outer_t + _matmul(dz, columns)) * on_t
                return dz, dz

            steps = ops.concatenate([outer, on], axis=-1)
            _, dz = ops.scan(backward, ops.zeros_like(first), steps, reverse=True)
            before = _shifted(states, first)
            return dz, _weight_gradient(before, dz), ops.matmul(dz[0], transposed)

        return states, gradient

    return loop(projected, recurrent_kernel, state)


def lstm_recurrence(projected, recurrent_kernel, state, cell):
    r"""Returns the states and cells of all steps of an LSTM.

    \[ (i, f, g, o)_t = z_t + h_{t-1} U, \qquad c_t = \sigma(f_t) c_{t-1} + \sigma(i_t) \tanh g_t, \qquad
    h_t = \sigma(o_t) \tanh c_t \]

    Args:
        projected: The inputs times their weights, plus the bias, \(z\), `[T, B, 4H]`.
        recurrent_kernel: \(U\), `[H, 4H]`.
        state: The state before the first step, \(h_0\), `[B, H]`.
        cell: The cell before the first step, \(c_0\), `[B, H]`.

    Returns:
        The states and the cells, both `[T, B, H]`.
    """

    @ops.custom_gradient
    def loop(projected, kernel, first_state, first_cell):
        gate_kernels = ops.split(kernel, 4, axis=1)

        def forward(carry, z):
            h, c, _ = carry
            z = ops.split(z, 4, axis=-1)
            i, f, g, o = (
                z_k + ops.matmul(h, kernel_k) for z_k, kernel_k in zip(z, gate_kernels, strict=True)
            )
            i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
            c = f * c + i * g
            carry = (o * ops.tanh(c), c, ops.concatenate([i, f, g, o], axis=-1))
            return carry, carry

        # On TensorFlow, Keras's scan stacks only what has the structure of the carry: gates are part of it.
        unused = ops.zeros_like(projected[0])
        _, (h, c, gates) = ops.scan(forward, (first_state, first_cell, unused), projected)

        def gradient(*upstream, **_):
            outer_h, outer_c = keras.tree.flatten(upstream)
            before = _shifted(c, first_cell)
            transposed = ops.transpose(kernel)
            divisible = transposed.shape[1] % _PIECES == 0
            columns = ops.split(transposed, _PIECES if divisible else 1, axis=1)

            def backward(carry, t):
                dz, dc = carry  # of the following step, dc times its forget gate
                i, f, g, o = ops.split(gates[t], 4, axis=-1)
                tanh_c = ops.tanh(c[t])
                dh = outer_h[t] + _matmul(dz, columns)
                dc = outer_c[t] + dc + dh * o * (1 - tanh_c * tanh_c)
                slopes = g * i * (1 - i), before[t] * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o)
                dz = [d * slope for d, slope in zip((dc, dc, dc, dh), slopes, strict=True)]
                carry = ops.concatenate(dz, axis=-1), dc * f
                return carry, carry

            # Indices: Keras's scan on TensorFlow does not take several sequences of unknown length.
            last = ops.zeros_like(gates[0]), ops.zeros_like(first_cell)
            (_, dcell), (dz, _) = ops.scan(backward, last, ops.arange(ops.shape(c)[0]), reverse=True)
            dkernel = _weight_gradient(_shifted(h, first_state), dz)
            return dz, dkernel, ops.matmul(dz[0], transposed), dcell

        return (h, c), gradient

    return loop(projected, recurrent_kernel, state, cell)


def _matmul(x, columns):
    """The product with a matrix that is given in blocks of columns."""
    return ops.concatenate([ops.matmul(x, block) for block in columns], axis=-1)


def _shifted(states, first):
    """The states before each step."""
    return ops.concatenate([first[None], states[:-1]], axis=0)


def _next(values):
    """The values of the following step, zero after the last."""
    return ops.concatenate([values[1:], ops.zeros_like(values[:1])], axis=0)


def _weight_gradient(states, dz):
    """The sum over time and batch of the outer products of states and gradients."""
    states, dz = (ops.reshape(x, (-1, x.shape[-1])) for x in (states, dz))
    return ops.matmul(ops.transpose(states), dz)
