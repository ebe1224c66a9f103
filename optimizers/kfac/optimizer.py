"""K-FAC: natural gradient with a Fisher matrix of Kronecker products, for any Keras model under `fit`.

Legend: B examples of a batch, P trainable numbers, m rows and n columns of a layer's matrix of weights.
"""

import math
from typing import Literal

import keras
import tensorflow as tf

from ... import arguments
from ..keras_bridge.attachment import finite, select
from ..layer_rules.blocks import FALLBACKS, blocks_of
from ..levenberg_marquardt import GOOD, POOR, adapted_damping, reduction_ratio
from ..objective import Objective
from ..schedules import LearningRate
from ..trials import TrialOptimizer
from ..vectors import ROUNDING, dot, precision, scaled, shifted
from .damping import averaged_positions, first_damping, noise_floor
from .preconditioners import preconditioner_of
from .quadratic import best_coefficients, fisher_forms
from .signal import SignalShare
from .statistics import draw, observe

FISHERS = ("sampled", "empirical")
# The first steps' statistics are few, and inverses of them age fast: these steps all add to them, and
# the inverses come at each power of two.
EARLY = 20
# The damping's factor after a rejected step.
REJECTED = 4.0
# The damping may change by this factor a step.
PATIENCE = 0.95
# Constant damping has a trial every so many steps too.
TRIED_EVERY = 10
# A step is tried whenever it comes if its divergence, or its change of the loss to first order, is above this
# share of the last trial's loss.
RISKY = 0.1


@keras.saving.register_keras_serializable("curvezoo")
class KFAC(TrialOptimizer):
    r"""Natural gradient, \(\delta\theta = -\epsilon (F + \lambda)^{-1} g\) (Eq. 4.6.17), layer by layer.

    For a layer with inputs a and gradients g of its pre-activations, F is taken for a Kronecker product,
    \(F \approx A \otimes G\) with A = E[a a^T] and G = E[g g^T], and one layer is independent of another.
    Then only matrices of a layer's width are inverted:

        A <- keep A + (1 - keep) E[a a^T]          G likewise, labels drawn from the model (Eq. 4.6.16)
        d  = (A + pi sqrt(lambda))^-1 grad W (G + sqrt(lambda) / pi)^-1
        s  = eps (mu v - alpha d),  theta <- theta + s,  v <- s

    with alpha and mu at each step the minimum of the quadratic model g^T s + s^T (F + lambda) s / 2 with the
    exact F on `curvature_examples`: the rate is dimensionless, and 1 is right. With `momentum` given,
    s = momentum v - eps k d instead, with a clip k <= 1.

    The damping follows Levenberg and Marquardt: every `adapt_every` steps the step is tried on its batch, and
    the change of the loss is compared with the model's. A step between is tried if it moves far: by a
    divergence, or a change of the loss to first order, of a tenth of the loss at the last trial. A step that
    is tried and would raise the loss is rejected, as is any that is not finite: weights stay as they are, and
    the damping is raised. A batch whose gradient is not finite is left out.

    Where batches are small, much of a step's slope g^T s is the noise of its own batch. The next batches'
    gradients, whose noise is another, tell which share is signal,

        c = <g'^T s - s^T F s> / <g^T s> = 1 / (1 + B_noise / B)

    and steps are c of the whole, the best under such noise (Eq. 4.5.6 with eps_max = 1). Where the F of a few
    examples is larger along their own step than that of all, c is above the share. c falls as the gradient
    does, in place of a learning rate's schedule. A step's own batch predicts noise as well as signal, so that
    the damping would fall too far: it stays above

        lambda >= |F| / (20 B)

    with the Frobenius norm of the averages, for a batch of B examples, or of positions that have each a loss.

    Layers: Dense, EinsumDense (so MultiHeadAttention), Conv1D to Conv3D, Embedding, SimpleRNN, LSTM and GRU
    by Kronecker products; scales and shifts of normalizations by full blocks, or diagonal ones above 512
    numbers; anything else by `fallback`. A layer that is called twice counts both calls; a variable of two
    layers is refused.

    A step costs a forward and backward pass of `curvature_examples` every `statistics_every` steps, two
    forward derivatives of them at each step, inverses of O(m^3 + n^3) every `inverse_every` steps, and
    products of O(m n (m + n)) at each: batches of at least the layers' width make the last ones small.

    Args:
        learning_rate: The eps above, dimensionless: a number of at least 0, a schedule or a callable.
        damping: The first lambda, in units of loss / theta^2, positive; None for a tenth of the mean
            eigenvalue of F, tr F / P, as the first batch has it. It is raised to the bound above.
        momentum: None to minimize over alpha and mu; or the momentum of fixed steps, in [0, 1).
        decay: Memory of the averages at each update of the statistics, in [0, 1). The first updates are
            averaged with equal weights.
        fisher: `sampled`, the Fisher matrix, or `empirical`, which takes the data's labels: cheaper by
            nothing, and not the Fisher (Eq. 4.6.18).
        eigenbasis: Whether to measure F's diagonal in the eigenbasis of A (x) G (EKFAC).
        curvature_examples: The largest number of examples for statistics and forward derivatives, evenly
            spaced in the batch: every k-th.
        statistics_every: Steps from one update of the averages to the next; the first 20 all have one.
        inverse_every: Steps from one inversion to the next. Others come after 1, 2, 4, 8 and 16 steps, and
            after a step that was rejected.
        adapt_every: Steps from one trial and change of the damping to the next; or None for constant damping
            with a trial every ten steps, but for the steps after a rejected one, in which the damping
            returns to its value. The bound of noise leaves a constant damping that is given alone.
        damping_bounds: The smallest and the largest damping.
        noise_memory: Memory of the averages in c, in [0, 1), some 1 / (1 - noise_memory) steps long; or None
            for whole steps and no bound of the damping. With `momentum` given, and where Keras clips, steps
            are whole, and the bound stays.
        kl_clip: Largest s^T F s / 2 of one step, about its KL divergence in units of the loss; None for none.
            With `momentum` given it bounds eps^2 d^T g / 2, about that of the step's new part.
        fallback: `diagonal`, or `raise` to refuse layers without a block of their own.
        seed: Seed of the drawn labels, an integer in [0, 2^31).
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
        learning_rate: LearningRate = 1.0,
        damping: float | None = None,
        momentum: float | None = None,
        decay: float = 0.95,
        fisher: Literal["sampled", "empirical"] = "sampled",
        eigenbasis: bool = False,
        curvature_examples: int = 256,
        statistics_every: int = 4,
        inverse_every: int = 20,
        adapt_every: int | None = 10,
        damping_bounds: tuple[float, float] = (1e-8, 1e8),
        noise_memory: float | None = 0.95,
        kl_clip: float | None = None,
        fallback: Literal["diagonal", "raise"] = "diagonal",
        seed: int = 0,
        name: str = "kfac",
        **kwargs,
    ):
        super().__init__(learning_rate, damping, damping_bounds, name, **kwargs)
        low, high = self.damping_bounds
        if damping is not None and not low <= self.initial_damping <= high:
            raise ValueError(f"damping must be None or within [{low:g}, {high:g}], got {damping!r}")
        if fisher not in FISHERS:
            raise ValueError(f"fisher must be one of {FISHERS}, got {fisher!r}")
        if fallback not in FALLBACKS:
            raise ValueError(f"fallback must be one of {FALLBACKS}, got {fallback!r}")
        self.momentum = None if momentum is None else arguments.fraction("momentum", momentum)
        self.decay = arguments.fraction("decay", decay)
        self.fisher, self.eigenbasis = fisher, bool(eigenbasis)
        self.curvature_examples = arguments.integer("curvature_examples", curvature_examples, 1)
        self.statistics_every = arguments.integer("statistics_every", statistics_every, 1)
        self.inverse_every = arguments.integer("inverse_every", inverse_every, 1)
        self.adapt_every = None if adapt_every is None else arguments.integer("adapt_every", adapt_every, 1)
        self.noise_memory = None if noise_memory is None else arguments.fraction("noise_memory", noise_memory)
        # Of other steps s^T F s is not known.
        others = self.clipnorm, self.clipvalue, self.global_clipnorm, momentum
        self._measures_signal = noise_memory is not None and all(value is None for value in others)
        self.kl_clip = None if kl_clip is None else float(arguments.positive("kl_clip", kl_clip, 0))
        self.fallback, self.seed = fallback, arguments.seed("seed", seed)

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
        """Makes the averages, the inverses and the last step.

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
                name: self.add_state(f"{p.block.layer.name}_{name}", shape, dtype=p.block.dtype.name)
                for name, shape in p.shapes.items()
            }
            for p in self._preconditioners
        ]
        self._velocity = [self.add_state(f"{v.name}_step", v.shape, dtype=v.dtype) for v in variables]
        self._stale, self._observed = self.add_state("stale"), self.add_state("observed")
        self._loss, self._first_damping = self.add_state("loss"), self.add_state("first_damping")
        if self.noise_memory is not None:
            self._positions = self.add_state("positions")
        if self._measures_signal:
            self._signal = SignalShare(self.noise_memory, self.add_state)

    def direction(self, objective, gradients):
        """Returns minus the step, divided among the replicas, or zero if it is rejected.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: Keras's gradients.
        """
        values, gradients = objective.values, self.total(gradients)
        grads_finite = finite(gradients)
        gradients = select(grads_finite, gradients)
        part = objective.subsample(math.ceil(self.curvature_examples / self.replicas()))
        damping = tf.cast(self._damping, precision(values))
        states, damping = self._update_states(part, damping, grads_finite)
        natural = self._precondition(gradients, states, damping)
        last = [tf.convert_to_tensor(velocity) for velocity in self._velocity]
        share = 1.0
        if self._measures_signal:
            share = tf.cast(self._signal.measure(gradients, last, grads_finite), damping.dtype)
        rate = share * tf.cast(self.learning_rate, damping.dtype)
        step, divergence = self._step(part, values, gradients, natural, last, damping, rate)
        decayed = self.with_decay(step, values, rate)
        accepted = self._judge(objective, part, gradients, decayed, divergence, damping, grads_finite)
        if self._measures_signal:
            self._signal.note(dot(gradients, step), 2 * divergence, accepted, grads_finite)
        kept = select(grads_finite, select(accepted, step), last)
        for velocity, s in zip(self._velocity, kept, strict=True):
            velocity.assign(s)
        return scaled(-1 / self.replicas(), select(accepted & grads_finite, decayed))

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
            "momentum": self.momentum,
            "decay": self.decay,
            "fisher": self.fisher,
            "eigenbasis": self.eigenbasis,
            "curvature_examples": self.curvature_examples,
            "statistics_every": self.statistics_every,
            "inverse_every": self.inverse_every,
            "adapt_every": self.adapt_every,
            "noise_memory": self.noise_memory,
            "kl_clip": self.kl_clip,
            "fallback": self.fallback,
            "seed": self.seed,
        }

    def _update_states(self, part, damping, grads_finite):
        """The preconditioners' states after this batch, kept for the next, and the damping."""
        step = self.iterations
        states = [{name: tf.convert_to_tensor(v) for name, v in state.items()} for state in self._states]
        observed = grads_finite & ((step % self.statistics_every == 0) | (step < EARLY))
        weight = tf.maximum(1 / (self._observed + 1), 1 - self.decay)
        share = self._share_of_inputs(part)

        def fresh():
            labels = part.y if self.fisher == "empirical" else self._draw
            return observe(self._preconditioners, part, labels, states, weight, self.replicas(), share)

        states, weights = tf.cond(observed, fresh, lambda: (states, tf.zeros([2], damping.dtype)))
        self._observed.assign_add(tf.cast(observed, self._observed.dtype))
        if self.replicas() > 1:
            # Once a step and outside of the condition, where collectives may not stand.
            for preconditioner, state in zip(self._preconditioners, states, strict=True):
                averages = self.total({name: state[name] for name in preconditioner.averaged})
                state.update({name: total / self.replicas() for name, total in averages.items()})
        damping = tf.where(damping > 0, damping, first_damping(self._preconditioners, states, damping.dtype))
        if self.noise_memory is not None:
            positions = averaged_positions(self._positions, self.total(weights), weight)
            self._positions.assign(positions)
            # A constant damping that was given is left alone.
            if self.adapt_every is not None or self.initial_damping is None:
                least = noise_floor(self._preconditioners, states, positions)
                damping = tf.maximum(damping, tf.cast(least, damping.dtype))
        damping = tf.clip_by_value(damping, *self.damping_bounds)
        unset = grads_finite & (self._first_damping == 0)
        first = tf.cast(damping, self._first_damping.dtype)
        self._first_damping.assign(tf.where(unset, first, self._first_damping))

        def refresh():
            pairs = zip(self._preconditioners, states, strict=True)
            return [p.refresh(s, tf.cast(damping, p.block.dtype)) for p, s in pairs]

        early = (step < EARLY) & (tf.bitwise.bitwise_and(step, step - 1) == 0)
        due = (step % self.inverse_every == 0) | early | (self._stale > 0)
        states = tf.cond(due, refresh, lambda: states)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self._states, states)
        return states, damping

    def _share_of_inputs(self, part):
        """This replica's weight in the mean over replicas of their means: none if it has no examples."""
        if self.replicas() == 1:
            return 1.0
        occupied = tf.cast(part.size > 0, tf.float32)
        return self.replicas() * occupied / tf.maximum(self.total(occupied), 1.0)

    def _draw(self, distribution, outputs):
        return draw(distribution, outputs, [tf.cast(self.iterations, tf.int32), self.seed])

    def _precondition(self, gradients, states, damping):
        """The natural gradient d."""
        gradient_of = {id(v): g for v, g in zip(self._trainable_variables, gradients, strict=True)}
        for p, state in zip(self._preconditioners, states, strict=True):
            matrix = p.block.matrix([gradient_of[id(v)] for v in p.block.variables])
            natural = p.precondition(matrix, state, tf.cast(damping, matrix.dtype))
            gradient_of.update(zip(map(id, p.block.variables), p.block.unmatrix(natural), strict=True))
        return [tf.cast(gradient_of[id(v)], v.dtype) for v in self._trainable_variables]

    def _step(self, part, values, gradients, natural, velocity, damping, rate):
        """The step s, with the learning rate in it, and its divergence s^T F s / 2."""
        if self.momentum is None:
            forms = self.total(fisher_forms(part, values, [natural, velocity], self._draw))
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
        return self.clipped([d + v for d, v in pairs]), divergence

    def _clip(self, divergence):
        """The factor of a step that bounds its divergence."""
        if self.kl_clip is None:
            return tf.ones_like(divergence)
        return tf.sqrt(self.kl_clip / tf.maximum(divergence, self.kl_clip))

    def _judge(self, objective, part, gradients, step, divergence, damping, grads_finite):
        """Whether the step is taken; adapts the damping."""
        values = objective.values
        due = self.iterations % (self.adapt_every or TRIED_EVERY) == 0
        linear_change = dot(gradients, step)
        # Where predictions are saturated they promise much, and have no divergence.
        risky = RISKY * tf.abs(tf.cast(self._loss, damping.dtype))
        tried = due | (tf.maximum(divergence, tf.abs(linear_change)) > risky)

        def measure():
            form = fisher_forms(part, values, [step], self._draw)[0, 0]
            found = [
                objective.loss(values),
                objective.loss(shifted(values, 1.0, step)),
                form,
                dot(step, step),
            ]
            return [tf.cast(number, damping.dtype) for number in found]

        nothing = [tf.zeros([], damping.dtype)] * 4
        *found, squared = tf.cond(tried, measure, lambda: nothing)
        before, after, form = self.total(found)
        rounding = ROUNDING * objective.resolution * tf.abs(before)
        measured = finite([before, after])
        accepted = finite(step) & (~tried | (measured & (after <= before + rounding)))
        predicted = linear_change + form / 2 + damping * squared / 2
        ratio = tf.where(
            tf.abs(predicted) > rounding, reduction_ratio(before, after, predicted), (POOR + GOOD) / 2
        )
        self._loss.assign(
            tf.where(tried & grads_finite & measured, tf.cast(before, self._loss.dtype), self._loss)
        )
        if self.adapt_every is not None:
            factor = min(PATIENCE ** -min(self.adapt_every, 100), REJECTED)
            kept = tf.where(due, adapted_damping(damping, ratio, factor, self.damping_bounds), damping)
        else:
            kept = tf.maximum(PATIENCE * damping, tf.cast(self._first_damping, damping.dtype))
        raised = tf.minimum(REJECTED * damping, self.damping_bounds[1])
        changed = tf.where(accepted, kept, raised)
        self._damping.assign(tf.where(grads_finite, changed, tf.cast(self._damping, damping.dtype)))
        self._stale.assign(tf.cast(grads_finite & ~accepted, self._stale.dtype))
        return accepted
