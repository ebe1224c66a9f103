"""Small environments whose returns are known."""

import gymnasium
import numpy as np


class Signs(gymnasium.Env):
    """One step: reward 1 for the action that names the sign of the first of two random numbers."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.np_random.standard_normal(2).astype("float32")
        return self.seen, {}

    def step(self, action):
        reward = float(action == (self.seen[0] > 0))
        return np.zeros(2, "float32"), reward, True, False, {}


class Counter(gymnasium.Env):
    """Counts its steps; action 1 terminates the episode, and the fourth step truncates it."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, "float32"), {}

    def step(self, action):
        self.count += 1
        return np.full(1, self.count, "float32"), float(self.count), action == 1, self.count == 4, {}


class Target(gymnasium.Env):
    """One step: the reward is minus the squared distance of a continuous action from a random number."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.np_random.uniform(-1, 1, 1).astype("float32")
        return self.seen, {}

    def step(self, action):
        assert np.all(np.abs(action) <= 2)
        return np.zeros(1, "float32"), -float((action[0] - self.seen[0]) ** 2), True, False, {}


class Broken(Counter):
    """A `Counter` whose second step returns what is not finite: a reward, or an observation."""

    def __init__(self, what):
        self.what = what

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        if self.count == 2 and self.what == "reward":
            reward = np.nan
        if self.count == 2 and self.what == "observation":
            observation = np.full(1, np.inf, "float32")
        return observation, reward, terminated, truncated, info
