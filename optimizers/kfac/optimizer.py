"""K-FAC: natural gradient with a Fisher matrix of Kronecker products, for any Keras model under `fit`.

Legend: B examples of a batch, P trainable parameters, m rows and n columns of a layer's matrix of weights.
"""

import math
from typing import Literal

import keras
import tensorflow as tf

from ... import arguments
from ..layer_rules.blocks import FALLBACKS, blocks_of, recordable_blocks
from ..schedules import LearningRate
from ..trials import TrialOptimizer
from ..vectors import finite, scaled, select
from .acceptance import Acceptance
from .approximations import log_approximations
from .batch import Batch
from .noise_control import NoiseControl
from .observation import draw
from .preconditioners import preconditioner_of
from .statistics import Statistics
from .step import StepRule

FISHERS = ("sampled", "empirical")
# By default F is measured on every fourth example, but at least and at most on these numbers of examples.
EVERY, FEWEST, MOST = 4, 64, 256
# The weight of a new batch in the average batch size.
SIZE_WEIGHT = 0.05


@keras.saving.register_keras_serializable("curvezoo")
class KFAC(TrialOptimizer):
    r"""Natural gradient, \(\delta\theta = -\epsilon (F + \lambda)^{-1} g\) (Eq. 4.6.17), layer by layer.

    For a layer with inputs a and gradients g with respect to its pre-activations, F is approximated by a
    Kronecker product, \(F \approx A \otimes G\) with A = E[a a^T] and G = E[g g^T], and different layers are
    taken to be independent. Then only matrices of a layer's width are inverted:

        A <- decay A + (1 - decay) E[a a^T]        G likewise, labels drawn from the model (Eq. 4.6.16)
        d  = (A + pi sqrt(lambda))^-1 grad W (G + sqrt(lambda) / pi)^-1
        s  = eps (mu v - alpha d),  theta <- theta + s,  v <- s

    At each step alpha and mu minimize the quadratic model g^T s + s^T (F + lambda) s / 2 with the exact F of
    `curvature_examples`; the rate eps is therefore dimensionless and should be 1. If `momentum` is given,
    s = momentum v - eps k d instead, with a clip k <= 1.

    The damping follows the Levenberg-Marquardt rule: every `adapt_every` steps, the change of the batch's
    loss under the step is evaluated and compared with the model's prediction (a trial). Large steps are also
    tried: those whose divergence or linear loss change exceeds half the loss at the last trial. A step that
    raises the loss in a trial is rejected, as is any non-finite step: the weights keep their values, and
    the damping rises. A batch whose gradient is not finite is ignored.

    In small batches, much of a step's slope g^T s is noise of its own batch. The gradients of the next
    batches, whose noise is independent, measure the fraction that is signal,

        c = <g'^T s - s^T F s> / <g^T s> = 1 / (1 + B_noise / B)

    and steps are multiplied by c, which is optimal under such noise (Eq. 4.5.6 with eps_max = 1). A batch of
    another size than the average, such as the last one of an epoch, has its own c, with the same B_noise, and
    counts less in the statistics if it is shorter. If F is measured on a few examples, it is larger along
    their own step than the F of all examples, and c overestimates the fraction. As the gradient shrinks, c
    decreases, which replaces a learning-rate schedule.
    A step fits the noise of its own batch as well as the signal, so that trials on this batch alone would let
    the damping fall too far. The damping of each block of F is therefore bounded from below:

        lambda_l = max(lambda, |F_l| / (20 B))

    with the Frobenius norm of the averages, for a batch of B examples, or of B positions with a loss each.

    Layers: Dense, EinsumDense (and so MultiHeadAttention), Conv1D to Conv3D, Embedding, SimpleRNN, LSTM and
    GRU have Kronecker products; scales and shifts of normalizations have full blocks, or diagonal ones above
    512 entries; all other variables are treated according to `fallback`, as are layers that the model never
    calls, or calls inside a TensorFlow loop or condition. In a very wide layer, the factor of the wide axis
    is diagonal (`max_factor_size`). The log names all layers with a coarser block. The block of a layer that
    is called twice includes both calls; a variable shared by two layers is not supported.

    A step costs a forward and backward pass of `curvature_examples` every `statistics_every` steps, two
    forward derivatives of them at each step, a forward pass of the batch for each trial, inverses of
    O(m^3 + n^3) every `inverse_every` steps, and products of O(m n (m + n)) at each step, which are small if
    batches are at least as large as the layers are wide.

    Args:
        learning_rate: The eps above, dimensionless: a number of at least 0, a schedule or a callable.
        damping: The initial lambda, in units of loss / theta^2, positive; None for a tenth of the mean
            eigenvalue of F, tr F / P, of the first batch. It is raised to the lower bound above.
        momentum: None to minimize the model over alpha and mu; or a fixed momentum, in [0, 1), which learns
            more in a long training on small batches, with a rate that falls to zero and a `kl_clip`
            (docs/optimizers.md).
        decay: Decay rate of the averages at each update of the statistics, in [0, 1). The first updates are
            averaged with equal weights.
        fisher: `sampled`, the Fisher matrix; or `empirical`, which uses the data's labels: same cost, but not
            the Fisher matrix (Eq. 4.6.18).
        eigenbasis: Whether to measure F's diagonal in the eigenbasis of A (x) G (EKFAC).
        curvature_examples: The maximum number of examples for statistics and forward derivatives, evenly
            spaced in the batch; None for a quarter of the batch, but at least 64 and at most 256.
        statistics_every: Number of steps between updates of the averages; each of the first 20 steps also
            updates them.
        inverse_every: Number of steps between inversions, for each 1,024 rows of a layer's wider factor or
            part of them; inverses are also updated after 1, 2, 4, 8 and 16 steps, and after a rejected step.
        adapt_every: Number of steps between trials that adapt the damping; or None for constant damping with
            a trial every ten steps. A rejected step raises a constant damping temporarily.
        damping_bounds: The smallest and the largest damping.
        noise_memory: Decay rate of the averages in c, in [0, 1), over about 1 / (1 - noise_memory) steps; or
            None for whole steps. With `momentum` or Keras's clipping, c is not used.
        noise_floor: Whether the damping has the lower bound above; None for yes, unless `noise_memory` is
            None or the damping is given and constant. A classifier of dense features learned faster without
            it, but softmax regression on MNIST, whose pixels are mostly dark, diverged (docs/results.md).
        kl_clip: The maximum s^T F s / 2 of a step, approximately its KL divergence in units of the loss; None
            for no limit. With `momentum` it bounds eps^2 d^T g / 2, approximately the divergence of the new
            part of the step.
        fallback: `diagonal`, or `raise` to reject layers without a block of their own.
        max_factor_size: A factor A or G with more rows than this is replaced by its diagonal, whose inverse
            is free; None for no limit. At 2,000 units both reach the same loss in about the same time
            (docs/results.md).
        skip_layers: Names of layers that get a diagonal block, with the layers inside them, although they
            have a rule.
        seed: Seed of the drawn labels, an integer in [0, 2^31).
        name: Name of the optimizer.
        **kwargs: As in `keras.optimizers.Optimizer`. Clipping acts on the step s; weight decay is part of the
            step that is evaluated, and not of v.

    Raises:
        ValueError: If an argument is out of range. On `compile`: if the loss has no distribution, or the
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

    needs_distribution = True

    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        damping: float | None = None,
        momentum: float | None = None,
        decay: float = 0.95,
        fisher: Literal["sampled", "empirical"] = "sampled",
        eigenbasis: bool = False,
        curvature_examples: int | None = None,
        statistics_every: int = 4,
        inverse_every: int = 20,
        adapt_every: int | None = 10,
        damping_bounds: tuple[float, float] = (1e-8, 1e8),
        noise_memory: float | None = 0.95,
        noise_floor: bool | None = None,
        kl_clip: float | None = None,
        fallback: Literal["diagonal", "raise"] = "diagonal",
        max_factor_size: int | None = 2048,
        skip_layers: tuple[str, ...] = (),
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
        if curvature_examples is not None:
            curvature_examples = arguments.integer("curvature_examples", curvature_examples, 1)
        self.curvature_examples = curvature_examples
        self.statistics_every = arguments.integer("statistics_every", statistics_every, 1)
        self.inverse_every = arguments.integer("inverse_every", inverse_every, 1)
        self.adapt_every = None if adapt_every is None else arguments.integer("adapt_every", adapt_every, 1)
        self.noise_memory = None if noise_memory is None else arguments.fraction("noise_memory", noise_memory)
        self.noise_floor = None if noise_floor is None else arguments.boolean("noise_floor", noise_floor)
        self.kl_clip = None if kl_clip is None else float(arguments.positive("kl_clip", kl_clip, 0))
        self.fallback, self.seed = fallback, arguments.seed("seed", seed)
        if max_factor_size is not None:
            max_factor_size = arguments.integer("max_factor_size", max_factor_size, 1)
        if not isinstance(skip_layers, tuple | list) or not all(isinstance(n, str) for n in skip_layers):
            raise ValueError(f"skip_layers must be a tuple of names of layers, got {skip_layers!r}")
        self.max_factor_size, self.skip_layers = max_factor_size, tuple(skip_layers)

    def attach(self, model):
        """Binds the optimizer to a model; `compile` calls it.

        Args:
            model: The model that is compiled.

        Raises:
            ValueError: If the loss has no distribution, or the model's layers are not supported.
        """
        super().attach(model)
        if model.built:
            self._blocks(model)

    def build(self, variables):
        """Creates the variables of the three parts of a step.

        Args:
            variables: The trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        model = self.compiled_model()
        blocks = recordable_blocks(model, self._blocks(model), self.fallback)
        log_approximations(self.name, blocks)
        # s^T F s, and so the signal, is known only for steps that minimize the quadratic model.
        modified = self.momentum, self.clipnorm, self.clipvalue, self.global_clipnorm
        divergence_is_exact = all(value is None for value in modified)
        signal_memory = self.noise_memory if divergence_is_exact else None
        self._noise = NoiseControl(signal_memory, self._bounds_damping(), self.add_state)
        self._statistics = Statistics(
            [preconditioner_of(block, self.eigenbasis) for block in blocks],
            self.decay,
            self.statistics_every,
            self.inverse_every,
            self._noise,
            self.add_state,
        )
        self._mean_size = self.add_state("mean_batch_size")
        self._step_rule = StepRule(self._trainable_variables, self.momentum, self.kl_clip, self._noise, self)
        self._acceptance = Acceptance(
            self._damping,
            self.damping_bounds,
            self.adapt_every,
            divergence_is_exact and self.weight_decay is None,
            self._noise,
            self.batch_loss,
            self.add_state,
        )

    def direction(self, objective, gradients):
        """Returns minus the step, divided by the number of replicas, or zero if it is rejected.

        Args:
            objective: The `Objective` of this replica's batch.
            gradients: Keras's gradients.
        """
        gradients = self.total(gradients)
        grads_finite = finite(gradients)
        batch = Batch(
            objective,
            examples=objective.subsample(self._count_of_examples(objective.size)),
            values=objective.values,
            gradients=select(grads_finite, gradients),
            grads_finite=grads_finite,
            iteration=self.iterations,
            draw=self._draw,
            relative_size=self._relative_size(objective.size, grads_finite),
        )
        statistics, variables = self._statistics, self._trainable_variables

        states = statistics.update(batch, self._draw if self.fisher == "sampled" else batch.examples.targets)
        damping = self._acceptance.damping_for(batch, statistics, states)
        states = statistics.invert(states, damping.of_blocks, batch.iteration)
        natural = statistics.natural_gradient(batch.gradients, variables, states, damping.of_blocks)

        proposal = self._step_rule.propose(batch, natural, damping, self.learning_rate)
        step = self.with_decay(proposal.step, batch.values, proposal.rate)

        accepted = self._acceptance.judge(batch, step, proposal.divergence, damping)
        statistics.mark_stale(grads_finite & ~accepted)
        self._step_rule.remember(batch, proposal, accepted)
        return scaled(-1 / self.replicas(), select(accepted & grads_finite, step))

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable; the step already contains the rate.

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
            "noise_floor": self.noise_floor,
            "kl_clip": self.kl_clip,
            "fallback": self.fallback,
            "max_factor_size": self.max_factor_size,
            "skip_layers": list(self.skip_layers),
            "seed": self.seed,
        }

    def _blocks(self, model):
        return blocks_of(model, self.fallback, self.max_factor_size, self.skip_layers)

    def _bounds_damping(self):
        if self.noise_floor is not None:
            return self.noise_floor
        is_given = self.adapt_every is None and self.initial_damping is not None
        return self.noise_memory is not None and not is_given

    def _count_of_examples(self, size):
        """The maximum number of this replica's examples for the curvature.

        Args:
            size: The number of this replica's examples, an integer or a tensor.
        """
        if self.curvature_examples is not None:
            return math.ceil(self.curvature_examples / self.replicas())
        fewest, most = (math.ceil(count / self.replicas()) for count in (FEWEST, MOST))
        count = -(-size // EVERY)
        if tf.is_tensor(size):
            return tf.clip_by_value(count, fewest, most)
        return min(max(count, fewest), most)

    def _relative_size(self, size, grads_finite):
        """The number of examples of all replicas in units of its running average, which it also updates."""
        size = self.total(tf.cast(size, self._mean_size.dtype))
        mean = tf.where(self._mean_size > 0, self._mean_size, size)
        updated = mean + SIZE_WEIGHT * (size - mean)
        self._mean_size.assign(tf.where(grads_finite, updated, self._mean_size))
        return tf.math.divide_no_nan(size, mean)

    def _draw(self, distribution, predictions):
        return draw(distribution, predictions, [tf.cast(self.iterations, tf.int32), self.seed])
