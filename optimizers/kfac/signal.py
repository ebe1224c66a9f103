r"""The fraction of a step's slope that is signal and not noise of its batch, measured by the next batch.

A step s down the gradient g of a batch of B examples predicts a change \(g^T s\) of the loss, to first order.
With the gradient G of all data, \(G^T s\) of it is signal, and the rest is noise of its batch that the
step fits. The noise of the next gradient g', at \(\theta + s\), is independent, so that on average
\(g'^T s - s^T F s = G^T s\) and

    c = <g'^T s - s^T F s> / <g^T s> = 1 / (1 + B_noise / B)

in the steps' own metric. B_noise gives the fraction of a batch of any other size. The step that lowers the
expected loss most is c times the one that would be best without noise: Eq. 4.5.6 with eps_max = 1. If F is
measured on a few examples, it is larger along their own step than the F of all examples, and c overestimates
the fraction.
"""

import tensorflow as tf

from ..vectors import dot

# The smallest fraction, since a step of zero would measure nothing.
SMALLEST = 0.01
# One measurement is at most this many times the slope, so that one extreme batch is soon forgotten.
LARGEST_RATIO = 10.0


class SignalFraction:
    """The running estimate of the fraction c.

    Args:
        memory: Decay rate of both averages, in [0, 1).
        add_state: Function of a name that returns a new variable.
    """

    def __init__(self, memory, add_state):
        self.memory = memory
        self._slope, self._curvature = add_state("last_slope"), add_state("last_curvature")
        self._slopes, self._signals = add_state("slopes"), add_state("signals")

    def measure(self, gradients, step, grads_finite, relative_size=1.0):
        """Adds the last step's measurement to the averages and returns c of this batch; 1 at first.

        Args:
            gradients: The gradient g' of the batch after the step.
            step: The last step s.
            grads_finite: Whether g' is finite.
            relative_size: B in units of the average batch size, at which c is measured.
        """
        signal = tf.cast(dot(gradients, step), self._slope.dtype) - self._curvature
        measured = grads_finite & (self._slope < 0) & ~tf.math.is_nan(signal)
        signal = tf.clip_by_value(signal, LARGEST_RATIO * self._slope, -LARGEST_RATIO * self._slope)
        for average, value in ((self._slopes, self._slope), (self._signals, signal)):
            average.assign(tf.where(measured, self.memory * average + value, average))
        fraction = tf.clip_by_value(tf.math.divide_no_nan(self._signals, self._slopes), SMALLEST, 1.0)
        fraction = tf.where(self._slopes < 0, fraction, tf.ones_like(fraction))
        signal = fraction * tf.cast(relative_size, fraction.dtype)
        return tf.math.divide_no_nan(signal, signal + 1 - fraction)

    def note(self, slope, curvature, taken, grads_finite):
        """Stores a step's quantities for the next measurement.

        Args:
            slope: g^T s.
            curvature: s^T F s.
            taken: Whether the step is taken.
            grads_finite: Whether g is finite; otherwise the previous step's quantities are kept.
        """
        for variable, value in ((self._slope, slope), (self._curvature, curvature)):
            value = tf.where(taken, tf.cast(value, variable.dtype), tf.zeros_like(variable.value))
            variable.assign(tf.where(grads_finite, value, variable))
