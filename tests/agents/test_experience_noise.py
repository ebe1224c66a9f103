"""Oracles: gradients of single steps computed by hand, and the exact moments of a bandit's gradient.

Legend: K actions.
"""

import gymnasium
import numpy as np
import pytest

from curvezoo.agents import DQN, PPO, VPG, noise_scale

REWARDS = np.array([0.0, 1.0, 3.0])
LINEAR = {"hidden": (), "copies": 4, "rollout": 16, "minibatch": 32}


class Arms(gymnasium.Env):
    """A bandit: one step, whose reward is that of the arm; the observation is always 1."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, "float32"), {}

    def step(self, action):
        return np.ones(1, "float32"), REWARDS[action], True, False, {}


def bandit(**changes):
    """An agent that prefers the first arm, whose values are zero, so that its weights are the rewards."""
    agent = PPO(Arms, **{**LINEAR, "normalize_advantages": False, **changes})
    agent.policy.set_weights([np.array([[0.5, 0.0, -0.5]], "float32"), np.zeros(3, "float32")])
    agent.value.set_weights([np.zeros((1, 1), "float32"), np.zeros(1, "float32")])
    return agent


def gradients_of_steps(agent, batch):
    """Returns -w (e_a - pi) (s, 1)^T of a linear softmax policy for each step, [B, P]."""
    logits = np.asarray(agent.policy(batch.observations), "float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    slopes = probabilities - np.eye(logits.shape[1])[np.asarray(batch.actions)]
    inputs = np.concatenate([batch.observations, np.ones((len(slopes), 1))], axis=1)
    return (batch.advantages[:, None, None] * inputs[:, :, None] * slopes[:, None]).reshape(len(slopes), -1)


@pytest.mark.parametrize("segment", [1, 4, 16])
def test_one_rollout_gives_the_noise_scale_of_gradients_computed_by_hand(segment):
    agent = PPO("CartPole-v1", **LINEAR, normalize_advantages=False, lam=0.9, seed=3)
    state = agent.state()
    rows = [gradients_of_steps(agent, agent._batch(agent._rollout())) for _ in range(2)]
    agent.restore(state)
    # Steps of one copy follow one another at a distance of the number of copies.
    parts = [g.reshape(16 // segment, segment, 4, -1).mean(axis=1).reshape(64 // segment, -1) for g in rows]
    norms = [sum_of_squares(part) for part in parts]
    measured = noise_scale(agent, rollouts=2, segment=segment)
    signal, noise = np.mean(norms, axis=0)
    assert measured.squared_norm == pytest.approx(signal, rel=1e-3, abs=1e-5)
    assert measured.trace == pytest.approx(segment * noise, rel=1e-3)


def sum_of_squares(gradients):
    """Returns the unbiased |G|^2 and tr Sigma of gradients, [M, P]."""
    trace = np.trace(np.cov(gradients.T))
    return np.array([gradients.mean(axis=0) @ gradients.mean(axis=0) - trace / len(gradients), trace])


@pytest.mark.equation("4.5.9")
def test_the_noise_scale_of_a_bandit_is_that_of_its_exact_moments():
    agent = bandit(rollout=256)
    probabilities = np.exp([0.5, 0.0, -0.5]) / np.exp([0.5, 0.0, -0.5]).sum()
    steps = REWARDS[:, None] * (np.eye(3) - probabilities)
    mean = probabilities @ steps
    trace = probabilities @ (steps**2).sum(axis=1) - mean @ mean
    measured = noise_scale(agent, rollouts=32)
    # Kernel and bias have the same gradients; their ratio does not change.
    assert measured.noise_scale == pytest.approx(trace / (mean @ mean), abs=4 * measured.standard_error)
    assert measured.standard_error < 0.1 * measured.noise_scale
    assert measured.trace == pytest.approx(2 * trace, rel=0.1)


def test_steps_of_one_step_episodes_are_independent():
    agent = bandit(rollout=64)
    single, joined = (noise_scale(agent, rollouts=32, segment=segment) for segment in (1, 8))
    error = np.hypot(single.standard_error, joined.standard_error)
    assert joined.noise_scale == pytest.approx(single.noise_scale, abs=4 * error)


def test_a_constant_in_normalized_weights_makes_no_difference():
    agent = bandit(normalize_advantages=True)
    before = noise_scale(agent, rollouts=2)
    agent.value.set_weights([np.full((1, 1), 5, "float32"), np.zeros(1, "float32")])
    assert noise_scale(agent, rollouts=2).trace == pytest.approx(before.trace, rel=1e-4)


def test_measuring_does_not_change_what_the_agent_learns():
    settings = {"copies": 2, "rollout": 16, "hidden": (4,), "weights": "total", "normalize_rewards": True}
    one, other = (VPG("CartPole-v1", **settings, value_steps=2) for _ in range(2))
    for agent in (one, other):
        agent.learn(64, planned=128, progress=False)
    noise_scale(one, rollouts=3)
    for agent in (one, other):
        agent.learn(64, planned=128, progress=False)
    state, expected = one.state(), other.state()
    for name in expected.keys() - {"agent/environments"}:
        np.testing.assert_array_equal(state[name], expected[name], err_msg=name)


def test_a_gaussian_policy_is_measured_in_pieces():
    agent = PPO("Pendulum-v1", copies=2, rollout=8, minibatch=16, hidden=(4,))
    assert noise_scale(agent, rollouts=2).trace > 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rollouts": 1}, "rollouts must be an integer of at least 2, got 1"),
        ({"segment": 3}, "segment must divide the 16 steps of a rollout, got 3"),
        ({"segment": 64}, "segment must be an integer from 1 to 32, got 64"),
    ],
)
def test_arguments_that_are_not_valid_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        noise_scale(bandit(), **change)


def test_an_agent_that_learns_from_a_buffer_is_refused():
    with pytest.raises(ValueError, match="agent must be a VPG, PPO, TRPO or ACKTR, got a DQN"):
        noise_scale(DQN(Arms, hidden=()))
