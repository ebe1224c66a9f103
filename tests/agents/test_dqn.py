"""Oracles: value iteration, and targets computed by hand."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.agents import C51, DQN, QRDQN
from curvezoo.agents.replay import Batch

LENGTH, DISCOUNT, REWARD = 5, 0.8, 0.02


class Chain(gymnasium.Env):
    """Five states in a row; a step to the right of the last one ends the episode with a reward of 1.

    A step to the left of the first state stays there, with a small reward. After three steps the episode is
    cut off, which does not change the values.
    """

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(0, 1, (LENGTH,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = int(self.np_random.integers(LENGTH)), 0
        return self.observed(), {}

    def step(self, action):
        self.time += 1
        reward, self.place = transition(self.place, int(action))
        terminated = self.place == LENGTH
        return self.observed(), reward, terminated, self.time >= 3 and not terminated, {}

    def observed(self):
        # The terminal state looks like one with a value, which must not count.
        return np.eye(LENGTH, dtype="float32")[min(self.place, LENGTH - 1)]


def transition(place, action):
    """Returns the reward and the next place; the place `LENGTH` is terminal."""
    if action == 1:
        return float(place == LENGTH - 1), place + 1
    return REWARD * (place == 0), max(place - 1, 0)


def optimal_values():
    """Returns Q* by value iteration, [LENGTH, 2]."""
    values = np.zeros((LENGTH + 1, 2))
    for _ in range(200):
        best = values.max(axis=1)
        for place in range(LENGTH):
            for action in (0, 1):
                reward, following = transition(place, action)
                values[place, action] = reward + DISCOUNT * best[following]
    return values[:-1]


# A linear network of one-hot states is a table, and a random policy visits all of it.
TABLE = {
    "hidden": (),
    "discount": DISCOUNT,
    "learning_rate": 0.05,
    "schedule": "linear",
    "capacity": 1000,
    "warmup": 250,
    "train_every": 250,
    "updates": 1000,
    "batch_size": 32,
    "target_every": 20,
    "final_epsilon": 1.0,
}
AGENTS = {
    "dqn": (DQN, {}),
    "double_prioritized": (DQN, {"double": True, "prioritized": 0.6}),
    "c51": (C51, {"low": 0.0, "high": 1.2, "atoms": 25, "learning_rate": 0.2}),
    "qr_dqn": (QRDQN, {"quantiles": 3}),
}


@pytest.fixture(scope="module", params=AGENTS)
def learned(request):
    """An agent that has learned the chain from random actions."""
    kind, settings = AGENTS[request.param]
    agent = kind(Chain, copies=5, **TABLE | settings)
    agent.learn(1000, progress=False)
    return agent


def values_of(agent):
    return agent.actions.values(agent.policy(np.eye(LENGTH, dtype="float32"))).numpy()


def test_values_learned_from_random_actions_are_those_of_value_iteration(learned):
    exact = optimal_values()
    # A time limit that counted as an end, for one step in three, would take 0.1 from the first values.
    assert np.abs(values_of(learned) - exact).max() < 0.03
    assert exact.max() == 1 and exact[0, 1] > 0.4


def test_the_learned_policy_walks_to_the_end(learned):
    assert learned.act(np.eye(LENGTH, dtype="float32")).tolist() == [1] * LENGTH
    assert learned.evaluate(20).mean > 0.3


def test_updates_are_traced_once(learned):
    assert learned._update.experimental_get_tracing_count() == 1


@pytest.fixture(scope="module")
def linear():
    """Agents with and without double Q-learning, with weights that choose different actions."""
    agents = [DQN(Chain, hidden=(), double=double, discount=0.5, target_every=10) for double in (False, True)]
    for agent in agents:
        kernel = np.zeros((LENGTH, 2), "float32")
        kernel[0], kernel[1] = (1, 3), (2, -1)
        agent.policy.set_weights([kernel, np.zeros(2, "float32")])
        kernel[0], kernel[1] = (7, 4), (-5, 6)
        agent.target.set_weights([kernel, np.zeros(2, "float32")])
    return agents


def test_targets_agree_with_a_computation_by_hand(linear):
    states = np.eye(LENGTH, dtype="float32")[[0, 1, 0]]
    rewards, ends = np.array([1, 2, 3], "float32"), np.array([0, 0, 1], "float32")
    batch = Batch(states, np.zeros(3, "int32"), rewards, states, ends, np.full(3, 0.5, "float32"), None)
    plain, double = (agent._targets(batch).numpy() for agent in linear)
    # The largest target values are 7 and 6; the online network chooses those of 4 and -5.
    assert plain.tolist() == [4.5, 5.0, 3.0]
    assert double.tolist() == [3.0, -0.5, 3.0]


def test_the_target_network_is_a_copy_from_every_tenth_gradient_step(linear):
    agent = linear[0]
    before = [weight.numpy() for weight in agent.target.weights]
    agent._follow(9)
    assert all(np.array_equal(*pair) for pair in zip(before, agent.target.weights, strict=True))
    agent._follow(20)
    pairs = list(zip(agent.policy.weights, agent.target.weights, strict=True))
    assert all(np.array_equal(*pair) for pair in pairs)
    agent.target.set_weights(before)


def test_epsilon_decays_linearly_over_the_share_of_exploration(linear):
    agent = linear[0]
    agent.planned = 1000
    epsilons = []
    for agent.steps in (0, 80, 160, 900):
        epsilons.append(agent.epsilon)
    assert np.allclose(epsilons, [1.0, 0.52, 0.04, 0.04])
    agent.steps = agent.planned = 0


def test_a_random_action_has_probability_epsilon():
    agent = DQN(Chain, copies=2000, hidden=(), epsilon=0.3, capacity=2000, exploration=1.0)
    agent.policy.set_weights([np.zeros((LENGTH, 2), "float32"), np.array([0, 1], "float32")])
    agent.planned = 1
    # Half of the random actions are the best one.
    assert abs(np.mean(agent._explored(agent.environments.observations) == 0) - 0.15) < 0.04


@pytest.mark.parametrize("kind", [DQN, C51, QRDQN])
def test_continuous_actions_are_rejected_with_the_algorithms_that_fit(kind):
    message = rf"action space of {kind.__name__} must be a Discrete, got Box.*use PPO, TRPO, VPG or DDPG"
    with pytest.raises(ValueError, match=message):
        kind("Pendulum-v1")


def test_settings_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match="capacity must be at least the 9 copies, got 8"):
        DQN(Chain, copies=9, capacity=8, warmup=8, batch_size=2, hidden=())
    with pytest.raises(ValueError, match="schedule must be one of constant, linear, got 'cosine'"):
        DQN(Chain, schedule="cosine")
    with pytest.raises(ValueError, match="policy must have outputs of shape"):
        inputs = tf.keras.Input((LENGTH,))
        DQN(Chain, policy=tf.keras.Model(inputs, tf.keras.layers.Dense(3)(inputs)))
