"""The loops over time of recurrent layers, with gradients of the weights in one matrix product.

Automatic differentiation of a loop adds h_(t-1)^T dz_t to the gradient of the recurrent weights in every
step. The gradients here store dz_t, the gradients of the pre-activations, of all steps and multiply once at
the end. The derivatives of the elementwise functions are computed for all steps at once, before the backward
loop, which is left with little more than the product dz_t U^T.

Legend: T time steps (the first axis in this module), B batch, H units.
"""

import keras
from keras import ops

# XLA runs independent products in parallel, and one small product less well on several threads.
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
            h, c = carry[:2]
            z = ops.split(z, 4, axis=-1)
            i, f, g, o = (
                z_k + ops.matmul(h, kernel_k) for z_k, kernel_k in zip(z, gate_kernels, strict=True)
            )
            i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
            c = f * c + i * g
            carry = (o * ops.tanh(c), c, i, f, g, o)
            return carry, carry

        # On TensorFlow, Keras's scan stacks only what has the structure of the carry: gates are part of it.
        unused = ops.zeros_like(first_state)
        _, (h, c, i, f, g, o) = ops.scan(forward, (first_state, first_cell, *[unused] * 4), projected)

        def gradient(*upstream, **_):
            outer_h, outer_c = keras.tree.flatten(upstream)
            tanh_c = ops.tanh(c)
            cell_by_state = o * (1 - tanh_c * tanh_c)
            before = _shifted(c, first_cell)
            # Derivatives of c_t with respect to the pre-activations of i, f and g, of h_t to that of o.
            slopes = ops.concatenate(
                [g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o)], axis=-1
            )
            transposed, units = ops.transpose(kernel), kernel.shape[0]
            divisible = transposed.shape[1] % _PIECES == 0
            columns = ops.split(transposed, _PIECES if divisible else 1, axis=1)

            def backward(carry, step):
                dh, dc = carry  # of the following step
                slopes_next, *step = ops.split(step, [4 * units, 5 * units, 6 * units, 7 * units], axis=-1)
                f_next, outer_h_t, outer_c_t, cell_by_state_t = step
                dz_next = slopes_next * ops.concatenate([dc, dc, dc, dh], axis=-1)
                dh = outer_h_t + _matmul(dz_next, columns)
                dc = outer_c_t + f_next * dc + cell_by_state_t * dh
                return (dh, dc), (dh, dc)

            # One tensor: Keras's scan on TensorFlow does not take several sequences of unknown length.
            steps = [_next(slopes), _next(f), outer_h, outer_c, cell_by_state]
            steps = ops.concatenate(steps, axis=-1)
            zeros = ops.zeros_like(first_state)
            _, (dh, dc) = ops.scan(backward, (zeros, zeros), steps, reverse=True)
            dz = slopes * ops.concatenate([dc, dc, dc, dh], axis=-1)
            dkernel = _weight_gradient(_shifted(h, first_state), dz)
            return dz, dkernel, ops.matmul(dz[0], transposed), dc[0] * f[0]

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
