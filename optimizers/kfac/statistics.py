"""First part of a K-FAC step: running averages of the factors of F, their inverses, and when each is due."""

import math

import tensorflow as tf

from .. import replicas
from ..vectors import precision
from .observation import observe

# The first statistics come from few examples, and their inverses soon become stale. Each of the first EARLY
# steps therefore updates the averages, and those whose number is a power of two also update the inverses.
EARLY = 20
# An inversion costs the third power of a factor's width, and a step's other operations at most the second.
# The interval of wider factors is therefore longer in proportion to their width.
WIDE = 1024


class Statistics:
    """The state of each layer's preconditioner.

    Args:
        preconditioners: The `Preconditioner`s, one for each block of F.
        decay: Decay rate of the averages at each update. The first updates are averaged with equal weights.
        update_every: Number of steps between updates of the averages.
        inverse_every: Number of steps between inversions of factors of up to `WIDE` rows.
        noise: The `NoiseControl`, which averages the number of positions of a batch.
        add_state: Function of a name, a shape and a type that returns a new variable.
    """

    def __init__(self, preconditioners, decay, update_every, inverse_every, noise, add_state):
        self.preconditioners, self.decay = preconditioners, decay
        self.update_every, self.inverse_every = update_every, inverse_every
        self.states = [
            {
                name: add_state(f"{p.block.variables[0].path}_{name}", shape, dtype=p.block.dtype.name)
                for name, shape in p.shapes.items()
            }
            for p in preconditioners
        ]
        self.updates, self.inverses_stale = add_state("statistics_updates"), add_state("inverses_stale")
        self.noise = noise
        # Indices of the preconditioners by the interval of their inversions.
        self._inverted_together = {}
        for index, preconditioner in enumerate(preconditioners):
            interval = inverse_every * _multiple_of_interval(preconditioner.shapes)
            self._inverted_together.setdefault(interval, []).append(index)

    def update(self, batch, labels):
        """Returns the states as tensors, with this batch in the averages if an update is due.

        Args:
            batch: The `Batch`.
            labels: Labels, or a function of the distribution and its parameters that draws them.
        """
        states = [{name: tf.convert_to_tensor(v) for name, v in state.items()} for state in self.states]
        scheduled = (batch.iteration % self.update_every == 0) | (batch.iteration < EARLY)
        due = batch.grads_finite & scheduled
        weight = tf.maximum(1 / (self.updates + 1), 1 - self.decay)
        # The few examples of a short last batch count as so many of another batch's.
        weight *= tf.cast(tf.minimum(batch.relative_size, 1), weight.dtype)
        share = _share_of_inputs(batch.examples)

        def updated():
            return observe(self.preconditioners, batch.examples, labels, states, weight, share)

        outputs = len(batch.examples.terms)
        unchanged = states, tf.zeros([outputs, 2], precision(batch.values))
        states, weights = tf.cond(due, updated, lambda: unchanged)
        self.updates.assign_add(tf.cast(due, self.updates.dtype))
        if replicas.number() > 1:
            # Once per step and outside of the condition, where collectives are not allowed.
            for preconditioner, state in zip(self.preconditioners, states, strict=True):
                sums = replicas.total({name: state[name] for name in preconditioner.averaged})
                state.update({name: tensor / replicas.number() for name, tensor in sums.items()})
        self.noise.count_positions(weights, weight)
        return states

    def invert(self, states, dampings, iteration):
        """Stores the states, and returns them with new inverses if these are due.

        Args:
            states: The states that `update` returned.
            dampings: The damping of each block at this step.
            iteration: The number of steps before this one.
        """

        early = (iteration < EARLY) & (tf.bitwise.bitwise_and(iteration, iteration - 1) == 0)
        unscheduled = early | (self.inverses_stale > 0)
        states = list(states)
        for interval, indices in self._inverted_together.items():

            def inverted(indices=indices):
                chosen = [(self.preconditioners[i], states[i], dampings[i]) for i in indices]
                return [p.refresh(s, tf.cast(d, p.block.dtype)) for p, s, d in chosen]

            def kept(indices=indices):
                return [states[i] for i in indices]

            due = (iteration % interval == 0) | unscheduled
            for i, state in zip(indices, tf.cond(due, inverted, kept), strict=True):
                states[i] = state
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self.states, states)
        return states

    def mark_stale(self, stale):
        """Makes an inversion due at the next step if `stale`, regardless of `inverse_every`."""
        self.inverses_stale.assign(tf.cast(stale, self.inverses_stale.dtype))

    def natural_gradient(self, gradients, variables, states, dampings):
        """Returns (F + lambda)^-1 g, a tensor for each variable.

        Args:
            gradients: The gradient g, a tensor for each variable.
            variables: The trainable variables.
            states: The states with their inverses.
            dampings: The damping of each block.
        """
        gradient_of = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        for p, state, damping in zip(self.preconditioners, states, dampings, strict=True):
            matrix = p.block.matrix([gradient_of[id(v)] for v in p.block.variables])
            natural = p.precondition(matrix, state, tf.cast(damping, matrix.dtype))
            gradient_of.update(zip(map(id, p.block.variables), p.block.unmatrix(natural), strict=True))
        return [tf.cast(gradient_of[id(v)], v.dtype) for v in variables]


def _multiple_of_interval(shapes):
    """The width of the widest matrix in units of `WIDE`, rounded up."""
    widths = [shape[0] for shape in shapes.values() if len(shape) == 2 and shape[0] == shape[1]]
    return max(math.ceil(width / WIDE) for width in [*widths, 1])


def _share_of_inputs(examples):
    """This replica's weight in the mean over replicas of their means: zero if it has no examples."""
    if replicas.number() == 1:
        return 1.0
    occupied = tf.cast(examples.size > 0, tf.float32)
    return replicas.number() * occupied / tf.maximum(replicas.total(occupied), 1.0)
