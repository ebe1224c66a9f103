"""The base class of all agents: experience, learning, acting, evaluation, and files.

Legend: N copies of the environment, O the shape of an observation, A the shape of an action.
"""

import abc
import collections
import dataclasses
import json
import time

import keras
import numpy as np
import tensorflow as tf

from .. import arguments
from ..losses.tensors import agree
from ..progress import Progress
from ..variables import assign, named_variables, state_of
from . import agent_files
from .environments import Environments
from .evaluation import evaluate
from .policies import is_convolved, prefers_xla
from .settings import ALGORITHMS

# Number of recent episodes in the running return.
_RECENT = 100


class Agent(abc.ABC):
    """Learns to act in an environment.

    Subclasses build their networks in `_build`, act in `_explore` and learn in `_iterate`.

    Args:
        environment: A Gymnasium id such as `CartPole-v1`, a `gymnasium.Env`, of which each copy is a deep
            copy, or a function that returns a new one at each call.
        settings: The algorithm's settings, such as `PPOSettings`; `None` for the defaults.
        copies: Copies of the environment that are stepped together.
        policy: Your own `keras.Model` from observations to the parameters of the actions; `None` for a fully
            connected network, or a convolutional one for images.
        seed: Seed of the weights, the episodes and all random draws.
        strategy: A `tf.distribute.MirroredStrategy` that shares each minibatch among its replicas.
        parallel: Whether each copy of the environment runs in a process of its own.
        **changes: Settings to change, by name.

    Raises:
        ValueError: If a setting is not valid, or the algorithm can't act in the environment's spaces.
    """

    settings_class: type

    def __init__(
        self,
        environment,
        settings=None,
        *,
        copies=1,
        policy=None,
        seed=0,
        strategy=None,
        parallel=False,
        **changes,
    ):
        settings = settings or self.settings_class()
        if not isinstance(settings, self.settings_class):
            raise ValueError(
                f"settings must be {self.settings_class.__name__}, got {type(settings).__name__}"
            )
        fields = {field.name for field in dataclasses.fields(settings)}
        for name in changes:
            arguments.one_of(f"setting of {type(self).__name__}", name, fields)
        self.settings = dataclasses.replace(settings, **changes)
        self.seed = arguments.seed("seed", seed)
        self.environment = environment
        self.environments = Environments(environment, copies, self.seed, parallel)
        _check_inputs(policy, self.environments.observation_space.shape)
        self.strategy = strategy or tf.distribute.get_strategy()
        keras.utils.set_random_seed(self.seed)
        self.random = np.random.default_rng(self.seed)
        self.steps = self.planned = 0
        self.returns = collections.deque(maxlen=_RECENT)
        self._running = np.zeros(copies)
        with self.strategy.scope():
            self._build(policy)

    @property
    def copies(self):
        """Number of copies of the environment."""
        return self.environments.copies

    @property
    def fraction(self):
        """The completed share of the steps that were planned, from 0 to 1, for schedules."""
        return min(1.0, self.steps / self.planned) if self.planned else 0.0

    def learn(self, steps, *, planned=None, progress=True, report=None):
        """Learns from further experience.

        Args:
            steps: Steps of experience, over all copies; rounded up to whole updates, for off-policy agents to
                about 250.
            planned: Total steps over which schedules run; `None` for the steps so far plus `steps`.
            progress: Whether to show a progress bar.
            report: A function of (steps in this call, logs) that is called after each update; learning stops
                if it returns `True`.

        Returns:
            The logs of each update, a list of dictionaries: `steps`, `return` (the mean of the last 100
            episodes, absent before the first has ended), `steps_per_second`, and the algorithm's own.

        Raises:
            ValueError: If `steps` is not positive, or a reward or an observation is not finite.
            ArithmeticError: If a loss is not finite.
        """
        begin, steps = self.steps, arguments.integer("steps", steps, 1)
        self.planned = self.steps + steps if planned is None else arguments.integer("planned", planned, 1)
        history, clock, before = [], time.perf_counter(), begin
        with Progress("step", steps, visible=progress, lines=False) as bar:
            while self.steps - begin < steps:
                logs = self._iterate()
                now = time.perf_counter()
                rate = (self.steps - before) / max(now - clock, 1e-9)
                clock, before = now, self.steps
                logs = {"steps": self.steps, "return": self.mean_return, **logs, "steps_per_second": rate}
                logs = {name: float(value) for name, value in logs.items() if value is not None}
                bad = next((name for name, value in logs.items() if not np.isfinite(value)), None)
                if bad:
                    raise ArithmeticError(f"{bad} is {logs[bad]} after {self.steps} steps; learning stopped")
                history.append(logs)
                bar.advance(min(self.steps - begin, steps), logs)
                if report is not None and report(self.steps - begin, logs):
                    break
        return history

    @property
    def mean_return(self):
        """Mean undiscounted return of the last 100 episodes; `None` before the first has ended."""
        return float(np.mean(self.returns)) if self.returns else None

    def act(self, observations, seed=0, deterministic=True):
        """Returns the policy's actions; see `Policy.act`."""
        return self.policy.act(observations, seed, deterministic)

    def evaluate(self, episodes=100, seed=0, deterministic=True):
        """Plays whole episodes with the current policy.

        Args:
            episodes: Number of episodes, each of which must end.
            seed: Seed of the first episode; episode i has seed + i.
            deterministic: Whether the best action is taken rather than a random one.

        Returns:
            An `Episodes` with the returns and lengths.
        """
        return evaluate(self.policy, self.environment, episodes, seed, deterministic)

    def state(self):
        """Returns all that further learning depends on, as arrays by name."""
        generator = json.dumps(self.random.bit_generator.state).encode()
        return {
            **state_of(self._variables()),
            **self._own_state(),
            "agent/steps": np.array([self.steps, self.planned]),
            "agent/generator": np.frombuffer(generator, "uint8"),
            "agent/returns": np.array(self.returns, "float64"),
            "agent/running": self._running.copy(),
            "agent/environments": self.environments.state(),
        }

    def restore(self, state):
        """Restores a state.

        Args:
            state: What `state` returned for an agent of the same algorithm, networks and environment.

        Raises:
            ValueError: If it is the state of another agent.
        """
        own = {name for name in state if name.startswith("agent/")}
        if not own >= {"agent/steps", "agent/environments"}:
            raise ValueError(f"state must be that of a {type(self).__name__}, but agent/steps is missing")
        assign(self._variables(), {name: value for name, value in state.items() if name not in own})
        self._restore_own(state)
        self.steps, self.planned = (int(number) for number in state["agent/steps"])
        self.random.bit_generator.state = json.loads(state["agent/generator"].tobytes())
        self.returns = collections.deque(state["agent/returns"].tolist(), maxlen=_RECENT)
        self._running = state["agent/running"].copy()
        if not self.environments.restore(state["agent/environments"], (self.seed + self.steps) % 2**31):
            self._begin_episodes()

    def save(self, folder):
        """Writes the agent to a folder: `agent.json` with its settings, `policy.keras` and `state.npz`.

        Args:
            folder: The folder, which must be new, empty, or hold nothing but an agent, which is replaced.

        Raises:
            ValueError: If the folder is a file or holds other files, which are kept.
        """
        described = {
            "algorithm": self.settings.algorithm,
            "environment": self.environment if isinstance(self.environment, str) else None,
            "copies": self.copies,
            "seed": self.seed,
            "settings": dataclasses.asdict(self.settings),
        }
        agent_files.write(folder, described, "policy.keras", self.policy, self.state())

    @classmethod
    def load(cls, folder, environment=None, **options):
        """Returns an agent that `save` wrote, with everything that further learning depends on.

        With the same `planned` number of steps it learns as if it had never stopped. Load only files that you
        trust: the state of the environments is a pickle, which can run any code.

        Args:
            folder: The folder.
            environment: The environment; `None` for the saved id.
            **options: Further arguments of the class that it had, such as `policy`, `strategy` or `executor`.

        Raises:
            ValueError: If the folder holds no agent, or one of another algorithm, or the agent learned in an
                object and `environment` is not given.
        """
        algorithm = cls.settings_class.algorithm
        described = agent_files.read_description(folder, algorithm)
        if environment is None and described["environment"] is None:
            raise ValueError("environment must be given, since the agent did not learn in one with an id")
        values = described["settings"]
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        agent = cls(
            described["environment"] if environment is None else environment,
            ALGORITHMS[algorithm](**values),
            copies=described["copies"],
            seed=described["seed"],
            **options,
        )
        agent.restore(agent_files.read_state(folder))
        return agent

    def _count(self, rewards, ended):
        """Adds a step of all copies to the number of steps and to the returns of the running episodes."""
        self.steps += self.copies
        self._running += rewards
        if ended.any():
            self.returns.extend(self._running[ended].tolist())
            self._running[ended] = 0.0

    def _anneal(self, fraction):
        """Sets the learning rates of a linear schedule after a share of the planned steps."""
        if self.settings.schedule == "linear":
            for optimizer, peak in self._optimizers():
                optimizer.learning_rate.assign(peak * (1 - fraction))

    def _optimizers(self):
        """Returns pairs of an optimizer and its initial learning rate."""
        return [(self.optimizer, self.settings.learning_rate)]

    def _begin_episodes(self):
        """Forgets what has been summed over episodes that can't go on."""
        self._running[:] = 0.0

    def _look(self):
        """Returns the arguments that all default networks share."""
        space, settings = self.environments.observation_space, self.settings
        largest = float(np.max(space.high))
        return {
            "hidden": settings.hidden,
            "activation": settings.activation,
            "largest": largest if 0 < largest < np.inf else 1.0,
        }

    def _key(self):
        """Returns a new random key, an int32 array [2]."""
        return self.random.integers(0, 2**31 - 1, 2, dtype=np.int32)

    def _program(self, function, signature=None):
        """Returns a function of tensors as a compiled program."""
        xla = prefers_xla(self.environments.observation_space.shape)
        return tf.function(function, input_signature=signature, autograph=False, jit_compile=xla)

    def _variables(self):
        """Returns the variables of all networks and their optimizers, by name."""
        named = {}
        for name, (model, optimizer) in self._networks().items():
            named |= named_variables(model, optimizer, name)
        return named

    def _own_state(self):
        """Returns further arrays of the state; names begin with `agent/`."""
        return {}

    def _restore_own(self, state):
        """Takes over what `_own_state` returned."""
        del state

    @abc.abstractmethod
    def _build(self, policy):
        """Makes the networks and optimizers, in the scope of the strategy."""

    @abc.abstractmethod
    def _networks(self):
        """Returns pairs of a network and its optimizer (or `None`), by name."""

    @abc.abstractmethod
    def _iterate(self):
        """Gathers experience and makes one update; returns its logs."""


def _check_inputs(policy, shape):
    """Raises a ValueError if the policy, or the default one, can't take observations of a shape."""
    if policy is None and len(shape) == 3 and not is_convolved(shape):
        raise ValueError(
            f"images of the default network must have at least 36x36 pixels, got {shape}; give a policy of "
            "your own"
        )
    inputs = getattr(policy, "input_shape", None)
    if policy is not None and hasattr(policy, "observation_shape"):
        inputs = (None, *policy.observation_shape)
    if not isinstance(inputs, tuple):
        return
    if not agree(inputs[1:], shape):
        raise ValueError(f"policy must take observations of shape {shape}, got a network for {inputs[1:]}")
