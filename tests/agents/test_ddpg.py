"""Oracles: a one-step environment whose best action is known, and the definitions."""

import gymnasium
import numpy as np
import pytest

from curvezoo.agents import DDPG

BEST = 2.2


class Target(gymnasium.Env):
    """Episodes of one step with the reward 1 - (a - 2.2)^2 for an action a in [-1, 3]."""

    action_space = gymnasium.spaces.Box(-1, 3, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, "float32"), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.ones(1, "float32"), 1 - float(action[0] - BEST) ** 2, True, False, {}


@pytest.fixture(scope="module")
def agent():
    agent = DDPG(
        Target,
        copies=10,
        hidden=(16,),
        activation="tanh",
        learning_rate=0.01,
        actor_learning_rate=0.003,
        capacity=2000,
        warmup=500,
        train_every=250,
        updates=500,
        batch_size=32,
        schedule="linear",
    )
    agent.learn(2000, progress=False)
    return agent


def test_the_policy_finds_the_best_action_and_q_its_value(agent):
    observation = np.ones(1, "float32")
    action = agent.act(observation)
    # The middle of the range, where an untrained policy acts, is 1.
    assert abs(action[0] - BEST) < 0.15
    for each in (0.5, 1.0, 2.2):
        scaled = np.array([[(each + 1) / 2 - 1]], "float32")
        value = float(agent.critic([observation[None], scaled])[0, 0])
        assert abs(value - (1 - (each - BEST) ** 2)) < 0.3
    assert agent.evaluate(3).mean > 0.95


def test_exploration_adds_noise_in_units_of_half_the_range(agent):
    observations = np.ones((4000, 1), "float32")
    many = DDPG(Target, copies=4000, hidden=(), capacity=4000, noise=0.2)
    actions = many._explored(observations)
    assert abs(actions.std() - 0.2) < 0.01
    assert abs(actions.mean() - float(many.policy(observations[:1])[0, 0])) < 0.015
    assert np.allclose(many._bounded(actions), 1 + 2 * actions, atol=1e-6)
    random = many._random_actions()
    assert abs(random.mean()) < 0.05 and abs(random.std() - 1 / np.sqrt(3)) < 0.02


def test_targets_are_running_averages(agent):
    pairs = agent._followed()
    before = [[weight.numpy() + 1 for weight in target.weights] for _, target in pairs]
    for (_, target), weights in zip(pairs, before, strict=True):
        target.set_weights(weights)
    agent._follow(7)
    for (online, target), old in zip(pairs, before, strict=True):
        for weight, follower, previous in zip(online.weights, target.weights, old, strict=True):
            expected = 0.005 * weight.numpy() + 0.995 * previous
            assert np.allclose(follower.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_updates_are_traced_once(agent):
    assert agent._update.experimental_get_tracing_count() == 1


def test_discrete_actions_are_rejected_with_the_algorithms_that_fit():
    message = (
        "must be a bounded one-dimensional Box of floats, got Disc.*use PPO, TRPO, VPG, DQN, C51 or QRDQN"
    )
    with pytest.raises(ValueError, match=message):
        DDPG("CartPole-v1")
