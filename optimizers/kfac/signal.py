r"""How much of a step's slope is signal and not the noise of its batch: the next batch's gradient tells.

A step s down the gradient g of a batch of B examples promises \(g^T s\) to first order. Of it
\(G^T s\) is true, with the gradient G of all data, and the rest is noise that the batch was fitted to. The
next gradient g', at \(\theta + s\), has noise of its own, so that on average \(g'^T s - s^T F s = G^T s\) and

    c = <g'^T s - s^T F s> / <g^T s> = 1 / (1 + B_noise / B)

in the steps' own metric. The step that lowers the expected loss most is c times the one that would be best
without noise: Eq. 4.5.6 with eps_max = 1. Where F is that of a few examples, it is larger along their own
step than the F of all, and c is above the share.
"""

import tensorflow as tf

from ..vectors import dot

# The least share: a step of nothing would measure nothing.
LEAST = 0.01
# One measurement is at most so many times the slope: one wild batch is forgotten soon.
WILD = 10.0


class SignalShare:
    """The share c, measured along a training.

    Args:
        memory: Memory of both averages, in [0, 1).
        add_state: Function of a name that returns a variable.
    """

    def __init__(self, memory, add_state):
        self.memory = memory
        self._slope, self._curved = add_state("slope"), add_state("curved")
        self._slopes, self._signals = add_state("slopes"), add_state("signals")

    def measure(self, gradients, step, grads_finite):
        """Takes the last step's measurement into the averages, and returns c, 1 at first.

        Args:
            gradients: The gradients g' of the batch after the step.
            step: The last step s.
            grads_finite: Whether g' is finite.
        """
        signal = tf.cast(dot(gradients, step), self._slope.dtype) - self._curved
        measured = grads_finite & (self._slope < 0) & ~tf.math.is_nan(signal)
        signal = tf.clip_by_value(signal, WILD * self._slope, -WILD * self._slope)
        for average, value in ((self._slopes, self._slope), (self._signals, signal)):
            average.assign(tf.where(measured, self.memory * average + value, average))
        share = tf.clip_by_value(tf.math.divide_no_nan(self._signals, self._slopes), LEAST, 1.0)
        return tf.where(self._slopes < 0, share, tf.ones_like(share))

    def note(self, slope, curvature, taken, grads_finite):
        """Remembers a step for the next measurement.

        Args:
            slope: g^T s.
            curvature: s^T F s.
            taken: Whether the step is taken.
            grads_finite: Whether g is finite; otherwise the step before is remembered.
        """
        for variable, value in ((self._slope, slope), (self._curved, curvature)):
            value = tf.where(taken, tf.cast(value, variable.dtype), tf.zeros_like(variable.value))
            variable.assign(tf.where(grads_finite, value, variable))
