"""K-FAC's two guards against the noise of small batches, of which each can be switched off."""

import tensorflow as tf

from .. import replicas
from ..vectors import dot
from .damping import averaged_positions, noise_floors
from .signal import SignalFraction


class NoiseControl:
    """Multiplies steps by the fraction c of their slope that is signal, and bounds the damping of each block.

    Args:
        signal_memory: Decay rate of the averages in c, in [0, 1), or None for whole steps.
        bounds_damping: Whether the damping of each block is at least its |F| / (20 B).
        add_state: Function of a name that returns a new variable.
    """

    def __init__(self, signal_memory, bounds_damping, add_state):
        self.signal = None if signal_memory is None else SignalFraction(signal_memory, add_state)
        self.positions = add_state("positions") if bounds_damping else None

    def count_positions(self, weights, weight):
        """Adds a batch to the average number B of positions.

        Args:
            weights: This replica's sums of w and of w^2 for each output, [..., 2].
            weight: The weight of the batch in the average.
        """
        if self.positions is not None:
            self.positions.assign(averaged_positions(self.positions, replicas.total(weights), weight))

    def bounded(self, damping, preconditioners, states):
        """Returns the damping, raised to the smallest positive floor, and that of each block, [blocks].

        Args:
            damping: The damping lambda.
            preconditioners: The `Preconditioner`s.
            states: A state for each.
        """
        floors = tf.zeros([len(states)], damping.dtype)
        if self.positions is not None:
            floors = tf.cast(noise_floors(preconditioners, states, self.positions), damping.dtype)
        # A damping below all floors would have no effect, and no rejection would soon raise it above them.
        smallest = tf.reduce_min(tf.where(floors > 0, floors, tf.reduce_max(floors)))
        damping = tf.maximum(damping, smallest)
        return damping, tf.maximum(damping, floors)

    def fraction(self, batch, last_step):
        """Returns c for a batch, which also measures the last step; 1 for whole steps.

        Args:
            batch: The `Batch`.
            last_step: The last step, a tensor for each variable.
        """
        if self.signal is None:
            return 1.0
        return self.signal.measure(batch.gradients, last_step, batch.grads_finite, batch.relative_size)

    def note(self, batch, step, divergence, accepted):
        """Stores the quantities of a step by which the next batch measures it.

        Args:
            batch: The `Batch`.
            step: The step s, a tensor for each variable.
            divergence: s^T F s / 2.
            accepted: Whether the step is taken.
        """
        if self.signal is not None:
            self.signal.note(dot(batch.gradients, step), 2 * divergence, accepted, batch.grads_finite)
