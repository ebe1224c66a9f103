"""K-FAC: natural gradient with a Fisher matrix of Kronecker products, for any Keras model under `fit`.

Legend: B examples of a batch, P trainable numbers, m rows and n columns of a layer's matrix of weights.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ...theory import arguments
from .. import taps
from ..attachment import ModelOptimizer, finite, kept_if
from ..levenberg_marquardt import GOOD, POOR, ROUNDING, adapted_damping, dot, reduction_ratio, scaled, shifted
from ..objective import Objective
from .blocks import blocks_of
from .preconditioners import preconditioner_of
from .quadratic import best_coefficients, fisher_forms

FISHERS, FALLBACKS = ("sampled", "empirical"), ("diagonal", "raise")
# The first damping, in units of the mean eigenvalue of F.
SHARE = 0.1
# Inverses of the first steps' statistics age fast.
EARLY = 3
# A rejected step costs a batch, so that damping which is wrong by orders of magnitude must grow fast.
REJECTED = 4.0
# A step of this divergence, or change of the loss to first order, is tried first whenever it comes.
RISKY = 1.0


@keras.saving.register_keras_serializable("curvezoo")
class KFAC(ModelOptimizer):
    r"""Natural gradient, \(\delta\theta = -\epsilon (F + \lambda)^{-1} g\) (Eq. 4.6.17), layer by layer.

    For a layer with inputs a and gradients g of its pre-activations, F is taken for a Kronecker product,
    \(F \approx A \otimes G\) with A = E[a a^T] and G = E[g g^T], and one layer is independent of another.
    Then only matrices of a layer's width are inverted:

        A <- keep A + (1 - keep) E[a a^T]          G likewise, labels drawn from the model (Eq. 4.6.16)
        d  = (A + pi sqrt(lambda))^-1 grad W (G + sqrt(lambda) / pi)^-1
        s  = mu v - alpha d,  theta <- theta + eps s,  v <- eps s

    with alpha and mu at each step the minimum of the quadratic model g^T s + s^T (F + lambda) s / 2 with the
    exact F on `curvature_examples`: the rate is dimensionless, 1 is right, and nothing need be tuned but the
    learning rate's schedule where batches are small and noise must be averaged at the end. With `momentum`
    given, s = momentum v - d c instead, with c <= 1 a clip on the divergence of one step.

    The damping follows Levenberg and Marquardt: every `adapt_every` steps the change of the batch's loss is
    compared with the model's. A step that would raise the loss of its batch then is rejected, as is any
    step that is not finite: weights stay as they are, and the damping is raised. So is a step between that
    moves far: by a divergence, or a change of the loss to first order, of 1 in units of the loss. A batch
    whose gradient is not finite is left out.

    Layers: Dense, EinsumDense (so MultiHeadAttention), Conv1D to Conv3D, Embedding, SimpleRNN, LSTM and GRU
    by Kronecker products; scales and shifts of normalizations by full blocks; anything else by `fallback`. A
    layer that is called twice counts both calls; a variable of two layers is refused.

    A step costs a forward and backward pass of `curvature_examples` every `statistics_every` steps, two
    forward derivatives of them at each step, inverses of O(m^3 + n^3) every `inverse_every` steps, and
    products of O(m n (m + n)) at each: batches of at least the layers' width make the last ones small.

    Args:
        learning_rate: The eps above, dimensionless: a number of at least 0, a schedule or a callable.
        damping: The first lambda, in units of loss / theta^2, positive; None for a tenth of the mean
            eigenvalue of F, tr F / P, as the first batch has it.
        momentum: None to minimize over alpha and mu; or the momentum of fixed steps, in [0, 1).
        decay: Memory of the averages at each update of the statistics, in [0, 1). The first updates are
            averaged with equal weights.
        fisher: `sampled`, the Fisher matrix, or `empirical`, which takes the data's labels: cheaper by
            nothing, and not the Fisher (Eq. 4.6.18).
        eigenbasis: Whether to measure F's diagonal in the eigenbasis of A (x) G (EKFAC).
        curvature_examples: Number of the batch's first examples for statistics and forward derivatives.
        statistics_every: Steps from one update of the averages to the next.
        inverse_every: Steps from one inversion to the next.
        adapt_every: Steps from one change of the damping to the next, or None for constant damping.
        damping_bounds: The smallest and the largest damping.
        kl_clip: Largest s^T F s / 2 of one step, about its KL divergence in units of the loss; None for none.
        fallback: `diagonal`, or `raise` to refuse layers without a block of their own.
        seed: Seed of the drawn labels.
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping acts on the step s; weight decay is part of the
            step that is tried, and not of v.

    Raises:
        ValueError: If an argument is outside the above. On `compile`: if the loss has no distribution, or the
            model's layers are not supported.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> model.compile(KFAC(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> x, y = keras.ops.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), keras.ops.array([0, 1, 2])
        >>> history = model.fit(x, y, epochs=60, verbose=0)
        >>> history.history["loss"][-1] < 0.05
        True

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 4.6.
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature" (2015),
        arXiv:1503.05671. Grosse and Martens (2016), arXiv:1602.01407 (convolutions). Ba, Grosse and Martens,
        "Distributed second-order optimization using Kronecker-factored approximations" (2017) (the clip).
        George et al. (2018), arXiv:1806.03884 (the eigenbasis).
    """

    def __init__(
        self,
        learning_rate=1.0,
        damping=None,
        momentum=None,
        decay=0.95,
        fisher="sampled",
        eigenbasis=False,
        curvature_examples=512,
        statistics_every=2,
        inverse_every=10,
        adapt_every=5,
        damping_bounds=(1e-8, 1e8),
        kl_clip=None,
        fallback="diagonal",
        seed=0,
        name="kfac",
        **kwargs,
    ):
        super().__init__(learning_rate, name, **kwargs)
        low, high = arguments.interval("damping_bounds", damping_bounds)
        if not 0 < low < high < float("inf"):
            raise ValueError(f"damping_bounds must be finite and positive, got {damping_bounds!r}")
        if damping is not None and not low <= arguments.finite("damping", damping, 0) <= high:
            raise ValueError(f"damping must be None or within [{low:g}, {high:g}], got {damping!r}")
        for argument, value in {"decay": decay, "momentum": momentum or 0.0}.items():
            if not 0 <= arguments.finite(argument, value, 0) < 1:
                raise ValueError(f"{argument} must be in [0, 1), got {value!r}")
        if fisher not in FISHERS:
            raise ValueError(f"fisher must be one of {FISHERS}, got {fisher!r}")
        if fallback not in FALLBACKS:
            raise ValueError(f"fallback must be one of {FALLBACKS}, got {fallback!r}")
        self.initial_damping = None if damping is None else float(damping)
        self.damping_bounds = float(low), float(high)
        self.momentum = None if momentum is None else float(momentum)
        self.decay, self.fisher, self.eigenbasis = float(decay), fisher, bool(eigenbasis)
        self.curvature_examples = arguments.integer("curvature_examples", curvature_examples, 1)
        self.statistics_every = arguments.integer("statistics_every", statistics_every, 1)
        self.inverse_every = arguments.integer("inverse_every", inverse_every, 1)
        self.adapt_every = None if adapt_every is None else arguments.integer("adapt_every", adapt_every, 1)
        self.kl_clip = None if kl_clip is None else float(arguments.positive("kl_clip", kl_clip, 0))
        self.fallback, self.seed = fallback, arguments.integer("seed", seed, 0)

    @property
    def damping(self):
        """The current damping lambda: a variable, and the first value before there is one."""
        return self._damping if self.built else self.initial_damping

    def attach(self, model):
        """Binds the optimizer to a model; `compile` calls it.

        Args:
            model: The model that is compiled.

        Raises:
            ValueError: If the loss has no distribution, or the model's layers are not supported.
        """
        super().attach(model)
        Objective(model, None).require_distribution()
        if model.built:
            blocks_of(model, self.fallback)

    def build(self, variables):
        """Makes the averages, the inverses, the last step and the damping.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        blocks = blocks_of(self.compiled_model(), self.fallback)
        self._preconditioners = [preconditioner_of(block, self.eigenbasis) for block in blocks]
        self._states = [
            {
                name: self.add_state(f"{p.block.layer.name}_{name}", shape, dtype=p.block.variables[0].dtype)
                for name, shape in p.shapes.items()
            }
            for p in self._preconditioners
        ]
        self._velocity = [self.add_state(f"{v.name}_step", v.shape, dtype=v.dtype) for v in variables]
        # Zero until it is measured.
        first = keras.initializers.Constant(self.initial_damping or 0.0)
        self._damping = self.add_state("damping", initializer=first)
        self._stale = self.add_state("stale")

    def direction(self, objective, gradients):
        """Returns minus the step, divided among the replicas, or zero if it is rejected.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: Keras's gradients.
        """
        values, gradients = objective.values, self.total(gradients)
        computable = finite(gradients)
        gradients = kept_if(computable, gradients)
        part = objective.first(self.curvature_examples)
        damping = tf.cast(self._damping, values[0].dtype)
        states, damping = self._update_states(part, damping)
        natural = self._precondition(gradients, states, damping)
        step, divergence = self._step(part, values, gradients, natural, damping)
        decayed = self._with_decay(step, values)
        accepted = self._judge(objective, part, gradients, decayed, divergence, damping, computable)
        last = [tf.convert_to_tensor(velocity) for velocity in self._velocity]
        kept = kept_if(computable, kept_if(accepted, step), last)
        for velocity, s in zip(self._velocity, kept, strict=True):
            velocity.assign(s)
        return scaled(-1 / self.replicas(), kept_if(accepted & computable, decayed))

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable; the rate is in the step already.

        Args:
            gradient: Minus the step.
            variable: The variable.
            learning_rate: Unused.
        """
        self.assign_sub(variable, gradient)

    def get_config(self):
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "damping": self.initial_damping,
            "momentum": self.momentum,
            "decay": self.decay,
            "fisher": self.fisher,
            "eigenbasis": self.eigenbasis,
            "curvature_examples": self.curvature_examples,
            "statistics_every": self.statistics_every,
            "inverse_every": self.inverse_every,
            "adapt_every": self.adapt_every,
            "damping_bounds": list(self.damping_bounds),
            "kl_clip": self.kl_clip,
            "fallback": self.fallback,
            "seed": self.seed,
        }

    def _update_states(self, part, damping):
        """The preconditioners' states after this batch, kept for the next, and the damping."""
        step = self.iterations
        states = [{name: tf.convert_to_tensor(v) for name, v in state.items()} for state in self._states]
        states = tf.cond(
            step % self.statistics_every == 0, lambda: self._observe(part, states), lambda: states
        )
        if self.replicas() > 1:
            # Once a step and outside of the condition, where collectives may not stand.
            for preconditioner, state in zip(self._preconditioners, states, strict=True):
                averages = self.total({name: state[name] for name in preconditioner.averaged})
                state.update({name: total / self.replicas() for name, total in averages.items()})
        damping = tf.where(damping > 0, damping, self._measured_damping(states, damping.dtype))

        def refresh():
            pairs = zip(self._preconditioners, states, strict=True)
            return [p.refresh(s, tf.cast(damping, p.block.dtype)) for p, s in pairs]

        due = (step % self.inverse_every == 0) | (step < EARLY) | (self._stale > 0)
        states = tf.cond(due, refresh, lambda: states)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self._states, states)
        return states, damping

    def _measured_damping(self, states, dtype):
        """A share of the mean eigenvalue of F; any number will do where F is zero."""
        traces = [p.trace(s) for p, s in zip(self._preconditioners, states, strict=True)]
        mean = tf.add_n([tf.cast(t, dtype) for t in traces])
        mean /= sum(math.prod(v.shape) for v in self._trainable_variables)
        return tf.where(mean > 0, tf.clip_by_value(SHARE * mean, *self.damping_bounds), 1.0)

    def _observe(self, part, states):
        """The states after one more batch of this replica's."""
        distribution, values = part.distribution, part.values
        blocks = [p.block for p in self._preconditioners]
        tapped = [block.layer for block in blocks if block.differentiates == "calls"]
        with tf.GradientTape() as tape, taps.record(tapped, tape) as records:
            tape.watch(values)
            outputs = part.outputs(values)
            weights = distribution.scale(outputs) * part.position_weights(outputs)
            labels = part.y if self.fisher == "empirical" else self._draw(distribution, outputs)
            loss = tf.reduce_sum(tf.sqrt(weights) * distribution.nll(labels, outputs))
        value_of = {id(v): value for v, value in zip(self._trainable_variables, values, strict=True)}
        calls = [records.get(block.layer, []) for block in blocks]
        points = [
            [call.preactivation for call in called]
            if block.differentiates == "calls"
            else [value_of[id(v)] for v in block.variables]
            for block, called in zip(blocks, calls, strict=True)
        ]
        updates = tf.cast(self.iterations // self.statistics_every, loss.dtype)
        weight = tf.maximum(1 / (updates + 1), 1 - self.decay)
        quadruples = zip(self._preconditioners, states, calls, tape.gradient(loss, points), strict=True)
        return [p.observe(state, *seen, weight, self.replicas()) for p, state, *seen in quadruples]

    def _draw(self, distribution, outputs):
        """Labels that the model deems likely; the same ones however the batch is split among replicas."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        size = tf.shape(outputs)[0]
        # Noise belongs to a place in the batch: those of the replicas before are drawn too, and left.
        copies = tf.concat([[replica + 1], tf.ones([len(outputs.shape) - 1], tf.int32)], 0)
        seed = tf.stack([tf.cast(self.iterations, tf.int32), self.seed])
        # Of undefined probabilities, labels may be drawn that do not exist, and end the program.
        outputs = tf.where(tf.math.is_finite(outputs), outputs, tf.zeros_like(outputs))
        return distribution.sample(tf.tile(outputs, copies), seed)[replica * size :]

    def _precondition(self, gradients, states, damping):
        """The natural gradient d."""
        gradient_of = {id(v): g for v, g in zip(self._trainable_variables, gradients, strict=True)}
        for p, state in zip(self._preconditioners, states, strict=True):
            matrix = p.block.matrix([gradient_of[id(v)] for v in p.block.variables])
            natural = p.precondition(matrix, state, tf.cast(damping, matrix.dtype))
            gradient_of.update(zip(map(id, p.block.variables), p.block.unmatrix(natural), strict=True))
        return [gradient_of[id(v)] for v in self._trainable_variables]

    def _step(self, part, values, gradients, natural, damping):
        """The step s, with the learning rate in it, and its divergence s^T F s / 2."""
        velocity = [tf.convert_to_tensor(v) for v in self._velocity]
        rate = tf.cast(self.learning_rate, damping.dtype)
        if self.momentum is None:
            forms = self.total(fisher_forms(part, values, [natural, velocity]))
            along, again = tf.unstack(rate * best_coefficients(gradients, natural, velocity, forms, damping))
            coefficients = tf.stack([along, again])
            divergence = tf.tensordot(coefficients, tf.linalg.matvec(forms, coefficients), 1) / 2
            clip = self._clip(divergence)
            along, again, divergence = clip * along, clip * again, clip**2 * divergence
        else:
            # F d is about g.
            divergence = rate**2 * dot(gradients, natural) / 2
            clip = self._clip(divergence)
            along, again = -rate * clip, tf.constant(self.momentum, rate.dtype)
            # That of a steady direction, whose steps add up.
            divergence *= clip**2 / (1 - self.momentum) ** 2
        pairs = zip(scaled(along, natural), scaled(again, velocity), strict=True)
        return super()._clip_gradients([d + v for d, v in pairs]), divergence

    def _clip(self, divergence):
        """The factor of a step that bounds its divergence."""
        if self.kl_clip is None:
            return tf.ones_like(divergence)
        return tf.sqrt(self.kl_clip / tf.maximum(divergence, self.kl_clip))

    def _with_decay(self, step, values):
        if self.weight_decay is None:
            return step
        rates = [
            self.learning_rate * self.weight_decay * self._use_weight_decay(v)
            for v in self._trainable_variables
        ]
        return [s - tf.cast(r, v.dtype) * v for s, r, v in zip(step, rates, values, strict=True)]

    def _judge(self, objective, part, gradients, step, divergence, damping, computable):
        """Whether the step is taken; adapts the damping."""
        accepted = finite(step)
        if self.adapt_every is None:
            kept = damping
        else:
            due = self.iterations % self.adapt_every == 0
            values = objective.values

            def measure():
                form = fisher_forms(part, values, [step])[0, 0]
                return [objective.loss(values), objective.loss(shifted(values, 1.0, step)), form]

            nothing = [tf.zeros([], damping.dtype)] * 3
            promised = dot(gradients, step)
            # Where predictions are saturated they promise much, and have no divergence.
            tried = due | (tf.maximum(divergence, tf.abs(promised)) > RISKY)
            measured = tf.cond(tried, lambda: [tf.cast(t, damping.dtype) for t in measure()], lambda: nothing)
            before, after, form = self.total(measured)
            rounding = ROUNDING * np.finfo(damping.dtype.as_numpy_dtype).eps * tf.abs(before)
            accepted &= ~tried | (after <= before + rounding)
            predicted = form / 2 + tf.cond(
                tried, lambda: promised + damping * dot(step, step) / 2, lambda: nothing[0]
            )
            ratio = tf.where(
                tf.abs(predicted) > rounding, reduction_ratio(before, after, predicted), (POOR + GOOD) / 2
            )
            adapted = adapted_damping(damping, ratio, 0.95**-self.adapt_every, self.damping_bounds)
            kept = tf.where(due, adapted, damping)
        raised = tf.minimum(REJECTED * damping, self.damping_bounds[1])
        changed = tf.where(accepted, kept, raised)
        self._damping.assign(tf.where(computable, changed, tf.cast(self._damping, damping.dtype)))
        self._stale.assign(tf.cast(computable & ~accepted, self._stale.dtype))
        return accepted

    def _clip_gradients(self, grads):
        # Done before the step was tried.
        return grads

    def _apply_weight_decay(self, variables):
        # In the step already.
        pass
