"""Copies of a Gymnasium environment that are stepped together; the last observations of episodes are kept.

Legend: N copies, O the shape of an observation, A the shape of an action.
"""

import collections
import copy
import importlib
import pickle
import warnings
import weakref

import numpy as np

from .. import arguments

Step = collections.namedtuple("Step", ["observations", "next_observations", "rewards", "terminated", "ended"])
Step.__doc__ = """What one step of all copies returned.

Args:
    observations: From which the next action is chosen, [N, *O]; after an episode's end the first of the next.
    next_observations: To which the action led, [N, *O]; at an episode's end its last observation.
    rewards: float32, [N].
    terminated: Whether the episode has ended in a terminal state, whose value is zero, [N].
    ended: Whether it has ended at all, by termination or by a time limit, [N].
"""


# Ids of Atari games begin with this.
_ATARI = "ALE/"
# The environments that functions have returned, by their identity; some define equality and have no hash.
_RETURNED = weakref.WeakValueDictionary()


class Environments:
    """N copies of an environment, each of which begins a new episode in the step that ends one.

    A time limit does not make a state terminal, so that the two flags of Gymnasium stay apart.

    Args:
        environment: A Gymnasium id such as `CartPole-v1`, a `gymnasium.Env`, of which each copy is a deep
            copy, or a function without arguments that returns one.
        copies: Number of copies N.
        seed: Seed of the first episodes; copy i has seed + i.
        parallel: Whether each copy runs in a process of its own. Such copies have no `state`.

    Raises:
        ValueError: If the environment does not exist, a package that it needs is missing, or a first
            observation is not finite.
    """

    def __init__(self, environment, copies=1, seed=0, parallel=False):
        from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

        self.name = name_of(environment)
        count = arguments.integer("copies", copies, 1)
        make = maker(environment)
        kind = AsyncVectorEnv if arguments.boolean("parallel", parallel) else SyncVectorEnv
        self._copies = kind([make] * count, autoreset_mode=AutoresetMode.SAME_STEP)
        self.copies = count
        self.observation_space = self._copies.single_observation_space
        self.action_space = self._copies.single_action_space
        self._begin(arguments.seed("seed", seed))

    def step(self, actions):
        """Makes one step in each copy.

        Args:
            actions: [N, *A].

        Returns:
            The `Step`.

        Raises:
            ValueError: If a reward or an observation is not finite.
        """
        observations, rewards, terminated, truncated, info = self._copies.step(actions)
        ended = terminated | truncated
        reached = observations
        if ended.any():
            reached = observations.copy()
            for index in np.flatnonzero(ended):
                reached[index] = info["final_obs"][index]
            self._check("observation", observations)
        with np.errstate(over="ignore"):
            rewards = rewards.astype("float32")
        self._check("reward", rewards)
        self._check("observation", reached)
        self.observations = observations
        return Step(observations, reached, rewards, terminated, ended)

    def state(self):
        """Returns the state of all copies, their random generators included, as bytes in an array.

        Returns:
            A uint8 array; an empty one if the copies can't be pickled or run in other processes.
        """
        try:
            stored = pickle.dumps((self._kept_copies(), self.observations))
        except Exception:
            # Simulators raise errors of all kinds.
            stored = b""
        return np.frombuffer(stored, "uint8")

    def _kept_copies(self):
        """Returns the copies; a TypeError if a pickle of them would lose their state."""
        copies = getattr(self._copies, "envs", None)
        if copies is None:
            raise TypeError("they run in processes of their own")
        if any(_pickles_arguments_only(copy) for copy in copies):
            raise TypeError("their pickles hold no state")
        return list(copies)

    def restore(self, state, seed):
        """Restores a state.

        If it is empty, the copies run in other processes, or the environment's class is no longer where it
        was, as that of a script that another script imports, new episodes begin.

        Args:
            state: What `state` returned for copies of the same environment.
            seed: Seed of the new episodes.

        Returns:
            Whether the old episodes go on.
        """
        if state.size and hasattr(self._copies, "envs"):
            try:
                self._copies.envs, self.observations = pickle.loads(state.tobytes())
                return True
            except (AttributeError, ImportError) as error:
                text = f"new episodes begin, since the old ones can't be restored: {error}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
        self._begin(seed)
        return False

    def part(self, first, last):
        """Returns some of the copies in their present state, as bytes for another process.

        Args:
            first: The first copy.
            last: The copy after the last one.

        Raises:
            ValueError: If the copies can't be pickled.
        """
        try:
            copies = self._kept_copies()[first:last]
            return pickle.dumps((self.name, copies, self.observations[first:last]))
        except Exception as error:
            raise ValueError(f"copies of {self.name} can't be sent to an executor: {error}") from error

    def put(self, first, part):
        """Replaces copies by those of a part that has moved on.

        Args:
            first: The first copy of the part.
            part: What `part` of the copies returned, after further steps.
        """
        _, copies, observations = pickle.loads(part)
        own = list(self._copies.envs)
        own[first : first + len(copies)] = copies
        self._copies.envs = own
        self.observations = self.observations.copy()
        self.observations[first : first + len(copies)] = observations

    @classmethod
    def of_part(cls, part):
        """Returns copies that go on where a part was taken.

        Args:
            part: What `part` returned.
        """
        name, copies, observations = pickle.loads(part)
        # The constructor begins new episodes, in copies of its own.
        others = iter(pickle.loads(part)[1])
        unpacked = cls(lambda: next(others), len(copies))
        unpacked.name, unpacked._copies.envs, unpacked.observations = name, copies, observations
        return unpacked

    def close(self):
        """Frees the resources of the copies."""
        self._copies.close()

    def _begin(self, seed):
        """Begins new episodes in all copies."""
        self.observations = np.array(self._copies.reset(seed=seed)[0])
        self._check("observation", self.observations)

    def _check(self, what, values):
        # A sum is finite only if all of its terms are, but for terms that overflow together.
        if not np.isfinite(values.sum(dtype="float64")):
            bad = ~np.isfinite(values)
            if bad.any():
                raise ValueError(f"{what} of {self.name} must be finite, got {values[bad][0]}")


def _pickles_arguments_only(environment):
    """Returns whether a pickle of an environment is a new one, as those of MuJoCo and Box2D are."""
    from gymnasium.utils import EzPickle

    while True:
        if isinstance(environment, EzPickle):
            return True
        if not hasattr(environment, "env"):
            return False
        environment = environment.env


def name_of(environment):
    """Returns the id of an environment, or the name of its class or function, for messages and cards."""
    if isinstance(environment, str):
        return environment
    spec = getattr(environment, "spec", None)
    return spec.id if spec is not None else getattr(environment, "__name__", type(environment).__name__)


def packages_of(name):
    """Returns the names of the packages that make an environment: Gymnasium and its simulator.

    Args:
        name: A Gymnasium id.

    Raises:
        ValueError: If the environment does not exist.
    """
    import gymnasium

    if name.startswith(_ATARI):
        return ["gymnasium", "ale-py"]
    _check_id(name)
    entry = str(gymnasium.spec(name.rpartition(":")[2]).entry_point)
    return ["gymnasium", *(package for package in ("mujoco", "box2d") if f".{package}." in entry)]


def maker(environment, learning=True, **settings):
    """Returns a function that makes a copy of an environment with observations in one array.

    Observations that are not arrays (numbers, tuples, dictionaries) are flattened; discrete ones become
    one-hot. Atari games get the standard preprocessing: 84x84 gray images, four of them stacked.

    Args:
        environment: As for `Environments`.
        learning: Whether Atari games are played for learning, with the signs of the rewards and an episode
            for each life, or for their scores.
        **settings: Arguments of `gymnasium.make`, such as `render_mode`.

    Raises:
        ValueError: If the environment does not exist, its observations are of varying size, or a function
            returns the same environment twice.
    """
    import gymnasium

    if isinstance(environment, str):
        _check_id(environment)

    def make():
        if isinstance(environment, str):
            made = _made(environment, learning, settings)
        elif isinstance(environment, gymnasium.Env):
            made = _copied(environment)
        else:
            made = _returned(environment())
        space = made.observation_space
        if not space.is_np_flattenable:
            raise ValueError(f"observations must be of a space that flattens to one array, got {space}")
        if not gymnasium.spaces.flatdim(space):
            raise ValueError(f"observations must hold at least one number, got {space}")
        if not isinstance(space, gymnasium.spaces.Box) or not space.shape:
            made = gymnasium.wrappers.FlattenObservation(made)
        return made

    if not isinstance(environment, str) and not callable(environment):
        _require_environment(environment)
    return make


def _copied(environment):
    """Returns a deep copy of an environment."""
    try:
        return copy.deepcopy(environment)
    except Exception as error:
        name = name_of(environment)
        raise ValueError(
            f"environment must be a function that returns {name}, which can't be copied: {error}"
        ) from error


def _returned(made):
    """Returns what a function has made after checking that it is a new environment."""
    _require_environment(made)
    bare = made.unwrapped
    if id(bare) in _RETURNED:
        raise ValueError(
            "environment must return a new environment at each call, got the same one again; give the "
            "environment itself, of which each copy is a deep copy"
        )
    _RETURNED[id(bare)] = bare
    return made


def _require_environment(value):
    import gymnasium

    if not isinstance(value, gymnasium.Env):
        raise ValueError(
            "environment must be a Gymnasium id, a gymnasium.Env or a function that returns one, got "
            f"{arguments.described(value)}"
        )


def _check_id(name):
    import gymnasium

    if name.startswith(_ATARI):
        from . import atari

        atari.register(name)
    module, _, name = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError):
        known = sorted(gymnasium.registry)
        near = arguments.did_you_mean(name, known, 3)
        raise ValueError(
            f"environment must be the id of a Gymnasium environment, got {name!r}{near or '.'}"
            " Valid ids: gymnasium.registry"
        ) from None


def _made(name, learning, settings):
    """Makes an environment by its id; Atari games with their preprocessing."""
    import gymnasium

    try:
        if name.startswith(_ATARI):
            from . import atari

            return atari.make_game(name, learning, settings)
        if "mujoco" in packages_of(name):
            _warn_in_python()
        return gymnasium.make(name, **settings)
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise ValueError(f"{name} needs a package that is not installed: {error}") from error


def _warn_in_python():
    """Makes MuJoCo's warnings those of Python; it would write them to a file in the working directory."""
    import mujoco

    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_warn)


def _warn(text):
    warnings.warn(text, DeprecationWarning if "deprecated" in text else RuntimeWarning, stacklevel=2)
