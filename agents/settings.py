"""The settings of each algorithm, with their defaults. This module does not import TensorFlow."""

import dataclasses
from typing import ClassVar

from .. import arguments

ACTIVATIONS = ("tanh", "relu", "elu", "silu")
SCHEDULES = ("constant", "linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of every algorithm.

    Args:
        discount: The discount gamma of Eq. 8.1.2, in [0, 1].
        learning_rate: Step size of Adam.
        hidden: Widths of the hidden layers of each network.
        activation: Of the hidden layers: `tanh`, `relu`, `elu` or `silu`.

    Raises:
        ValueError: If a value is not valid.
    """

    algorithm: ClassVar[str] = ""
    discount: float = 0.99
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"

    def __post_init__(self):
        arguments.unit_interval("discount", self.discount)
        arguments.positive_number("learning_rate", self.learning_rate)
        arguments.sizes("hidden", self.hidden)
        arguments.one_of("activation", self.activation, ACTIVATIONS)
        for field in dataclasses.fields(self):
            if field.type is bool:
                arguments.boolean(field.name, getattr(self, field.name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPolicySettings(Settings):
    """Settings of the algorithms that learn from the experience of the current policy alone.

    Args:
        rollout: Steps of each copy of the environment between updates.
        lam: The lambda of generalized advantage estimation (Eq. 8.2.12), in [0, 1].
        normalize_observations: Whether to scale observations to mean 0 and variance 1 by running statistics.
        normalize_rewards: Whether to divide rewards by the running standard deviation of the return.
        schedule: Of the learning rate: `constant`, or `linear`, which decays to zero over the planned steps.
        log_std: Initial log standard deviation of continuous actions.
        discount: As for `Settings`.
        learning_rate: As for `Settings`.
        hidden: As for `Settings`.
        activation: As for `Settings`.
    """

    rollout: int = 256
    lam: float = 0.95
    normalize_observations: bool = False
    normalize_rewards: bool = False
    schedule: str = "constant"
    log_std: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("rollout", self.rollout, 1)
        arguments.unit_interval("lam", self.lam)
        arguments.one_of("schedule", self.schedule, SCHEDULES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOSettings(OnPolicySettings):
    """Settings of proximal policy optimization (Sec. 8.5), besides those of `OnPolicySettings`.

    Args:
        surrogate: `clip`, Eq. 8.5.3, or `kl`, the surrogate with an adaptive penalty of the divergence.
        clip: The epsilon of Eq. 8.5.3.
        kl_target: Divergence, in nats, that the adaptive penalty aims at.
        kl_weight: Initial factor beta of the penalty.
        epochs: Passes over each rollout.
        minibatch: Steps of experience in each minibatch, over all copies.
        entropy: Factor of the entropy bonus.
        value_weight: Factor of the value function's squared error.
        value_clip: Largest change of a value in one update; `None` for no limit.
        gradient_norm: Largest norm of the gradient; `None` for no limit.
        normalize_advantages: Whether advantages are scaled to mean 0 and variance 1 in each minibatch.
    """

    algorithm: ClassVar[str] = "PPO"
    learning_rate: float = 3e-4
    schedule: str = "linear"
    surrogate: str = "clip"
    clip: float = 0.2
    kl_target: float = 0.01
    kl_weight: float = 1.0
    epochs: int = 10
    minibatch: int = 64
    entropy: float = 0.0
    value_weight: float = 0.5
    value_clip: float | None = None
    gradient_norm: float | None = 0.5
    normalize_advantages: bool = True

    def __post_init__(self):
        super().__post_init__()
        arguments.one_of("surrogate", self.surrogate, ("clip", "kl"))
        arguments.positive_number("clip", self.clip)
        arguments.positive_number("kl_target", self.kl_target)
        arguments.positive_number("kl_weight", self.kl_weight)
        arguments.integer("epochs", self.epochs, 1)
        arguments.integer("minibatch", self.minibatch, 1)
        arguments.nonnegative_number("entropy", self.entropy)
        arguments.nonnegative_number("value_weight", self.value_weight)
        for name in ("value_clip", "gradient_norm"):
            if getattr(self, name) is not None:
                arguments.positive_number(name, getattr(self, name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class VPGSettings(OnPolicySettings):
    """Settings of the vanilla policy gradient (Sec. 8.2), besides those of `OnPolicySettings`.

    Args:
        weights: What multiplies the gradients of the log-probabilities: `total`, the return of the episode
            (Eq. 8.2.3); `to_go`, that from this step on; or `advantages`, by a learned baseline (Eq. 8.2.12).
        value_steps: Steps of the value function on each rollout.
        value_learning_rate: Their step size.
        normalize_advantages: Whether the weights are scaled to mean 0 and variance 1.
    """

    algorithm: ClassVar[str] = "VPG"
    weights: str = "advantages"
    value_steps: int = 80
    value_learning_rate: float = 1e-3
    normalize_advantages: bool = True

    def __post_init__(self):
        super().__post_init__()
        arguments.one_of("weights", self.weights, ("total", "to_go", "advantages"))
        arguments.integer("value_steps", self.value_steps, 0)
        arguments.positive_number("value_learning_rate", self.value_learning_rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ACKTRSettings(VPGSettings):
    """Settings of the policy gradient by K-FAC (Sec. 8.5), besides those of `VPGSettings`.

    Args:
        learning_rate: K-FAC's rate, a dimensionless factor of the step that minimizes its quadratic model.
        kl_limit: Bound on the predicted mean divergence of a step (Eq. 8.5.1), in nats.
        damping: Initial damping of the Fisher matrix; `None` to measure it.
        inverse_every: Steps of the policy between inversions of the Kronecker factors.
    """

    algorithm: ClassVar[str] = "ACKTR"
    learning_rate: float = 1.0
    kl_limit: float = 0.01
    damping: float | None = None
    inverse_every: int = 5

    def __post_init__(self):
        super().__post_init__()
        arguments.positive_number("kl_limit", self.kl_limit)
        if self.damping is not None:
            arguments.positive_number("damping", self.damping)
        arguments.integer("inverse_every", self.inverse_every, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPOSettings(OnPolicySettings):
    """Settings of trust region policy optimization (Sec. 8.5), besides those of `OnPolicySettings`.

    Args:
        kl_limit: Bound on the mean divergence of a step (Eq. 8.5.1), in nats.
        damping: Added to the Fisher matrix.
        solver_steps: Iterations of conjugate gradients.
        backtracking: Factor by which the line search shortens a step.
        trials: Steps that the line search tries.
        value_epochs: Passes of the value function over each rollout.
        minibatch: Steps of experience in each of its minibatches.
    """

    algorithm: ClassVar[str] = "TRPO"
    kl_limit: float = 0.01
    damping: float = 0.1
    solver_steps: int = 10
    backtracking: float = 0.8
    trials: int = 10
    value_epochs: int = 10
    minibatch: int = 128

    def __post_init__(self):
        super().__post_init__()
        arguments.positive_number("kl_limit", self.kl_limit)
        arguments.nonnegative_number("damping", self.damping)
        arguments.integer("solver_steps", self.solver_steps, 1)
        arguments.number("backtracking", self.backtracking, 0, 1, "()")
        arguments.integer("trials", self.trials, 1)
        arguments.integer("value_epochs", self.value_epochs, 1)
        arguments.integer("minibatch", self.minibatch, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffPolicySettings(Settings):
    """Settings of the algorithms that learn from a replay buffer.

    Args:
        capacity: Steps that the buffer holds.
        warmup: Steps before the first update, with random actions.
        train_every: Steps of experience between updates, over all copies, rounded up to whole steps of all.
        updates: Gradient steps of each update.
        batch_size: Steps of experience in each gradient step.
        horizon: Steps of rewards in a target before the value of the state after them.
        prioritized: Exponent of the priorities in prioritized replay; 0 for uniform replay.
        importance: Initial exponent of its importance weights, which rises to 1 over the steps of `learn`.
        gradient_norm: Largest norm of the gradient; `None` for no limit.
        schedule: Of the learning rate: `constant`, or `linear`, which decays to zero over the planned steps.
    """

    activation: str = "relu"
    capacity: int = 100_000
    warmup: int = 1000
    train_every: int = 256
    updates: int = 128
    batch_size: int = 64
    horizon: int = 1
    prioritized: float = 0.0
    importance: float = 0.4
    gradient_norm: float | None = 10.0
    schedule: str = "constant"

    def __post_init__(self):
        super().__post_init__()
        arguments.one_of("schedule", self.schedule, SCHEDULES)
        for name in ("capacity", "warmup", "train_every", "updates", "batch_size", "horizon"):
            arguments.integer(name, getattr(self, name), 1)
        if self.batch_size > self.warmup:
            raise ValueError(f"batch_size must be at most warmup={self.warmup}, got {self.batch_size}")
        if self.warmup > self.capacity:
            raise ValueError(f"warmup must be at most capacity={self.capacity}, got {self.warmup}")
        arguments.nonnegative_number("prioritized", self.prioritized)
        arguments.unit_interval("importance", self.importance)
        if self.gradient_norm is not None:
            arguments.positive_number("gradient_norm", self.gradient_norm)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQNSettings(OffPolicySettings):
    """Settings of deep Q-learning (Sec. 8.3), besides those of `OffPolicySettings`.

    Args:
        double: Whether the online network chooses the action whose target value is taken (double DQN).
        target_every: Gradient steps between copies of the weights to the target network.
        exploration: Share of the steps of `learn` over which epsilon decays linearly.
        epsilon: Initial probability of a random action.
        final_epsilon: Final probability of a random action.
    """

    algorithm: ClassVar[str] = "DQN"
    learning_rate: float = 2.3e-3
    hidden: tuple[int, ...] = (256, 256)
    double: bool = False
    target_every: int = 128
    exploration: float = 0.16
    epsilon: float = 1.0
    final_epsilon: float = 0.04

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("target_every", self.target_every, 1)
        arguments.unit_interval("exploration", self.exploration)
        arguments.unit_interval("epsilon", self.epsilon)
        arguments.unit_interval("final_epsilon", self.final_epsilon)


@dataclasses.dataclass(frozen=True, kw_only=True)
class C51Settings(DQNSettings):
    """Settings of categorical distributional Q-learning, besides those of `DQNSettings`.

    Args:
        atoms: Number of atoms of the distribution of the return.
        low: Return of the first atom.
        high: Return of the last atom.
    """

    algorithm: ClassVar[str] = "C51"
    atoms: int = 51
    low: float = 0.0
    high: float = 100.0

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("atoms", self.atoms, 2)
        arguments.number("high", self.high, self.low, bounds="(]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class QRDQNSettings(DQNSettings):
    """Settings of Q-learning by quantile regression, besides those of `DQNSettings`.

    Args:
        quantiles: Number of quantiles of the return.
        kappa: Threshold of the Huber loss.
    """

    algorithm: ClassVar[str] = "QRDQN"
    quantiles: int = 25
    kappa: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        arguments.integer("quantiles", self.quantiles, 1)
        arguments.positive_number("kappa", self.kappa)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPGSettings(OffPolicySettings):
    """Settings of deep deterministic policy gradients (Sec. 8.3), besides those of `OffPolicySettings`.

    Args:
        actor_learning_rate: Step size of the policy; `learning_rate` is that of Q.
        polyak: Share of the online weights that the target networks take over in each gradient step.
        noise: Standard deviation of the exploration noise, in units of half the action's range.
    """

    algorithm: ClassVar[str] = "DDPG"
    hidden: tuple[int, ...] = (256, 256)
    train_every: int = 1
    updates: int = 1
    batch_size: int = 128
    actor_learning_rate: float = 1e-3
    polyak: float = 0.005
    noise: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        arguments.positive_number("actor_learning_rate", self.actor_learning_rate)
        arguments.number("polyak", self.polyak, 0, 1, "(]")
        arguments.nonnegative_number("noise", self.noise)


ALGORITHMS = {
    settings.algorithm: settings
    for settings in (
        PPOSettings,
        VPGSettings,
        ACKTRSettings,
        TRPOSettings,
        DQNSettings,
        C51Settings,
        QRDQNSettings,
        DDPGSettings,
    )
}
