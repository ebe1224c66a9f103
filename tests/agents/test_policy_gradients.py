"""Vanilla policy gradient, trust region and K-FAC agents on tiny environments.

Legend: T steps, N copies.
"""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.agents import ACKTR, TRPO, VPG
from curvezoo.agents.rollouts import Rollout

SMALL = {"copies": 2, "rollout": 16, "hidden": (8,)}
TINY = {
    VPG: {**SMALL, "weights": "total", "value_steps": 3, "normalize_observations": True},
    TRPO: {**SMALL, "minibatch": 16, "value_epochs": 2, "schedule": "linear"},
    ACKTR: {**SMALL, "value_steps": 3, "normalize_rewards": True},
}


class Bandit(gymnasium.Env):
    """A contextual bandit: the reward is 1 for the arm that the context shows, and 0 for the others."""

    observation_space = gymnasium.spaces.Box(0, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.arm = self.np_random.integers(3)
        return np.eye(3, dtype="float32")[self.arm], {}

    def step(self, action):
        return np.eye(3, dtype="float32")[self.arm], float(action == self.arm), True, False, {}


def weights_of(kind, rollouts, discount):
    """Returns the weights of rollouts that follow one another, with V(s) = s for one-number states."""
    agent = VPG.__new__(VPG)
    agent.settings = VPG.settings_class(weights=kind, discount=discount)
    copies = rollouts[0].rewards.shape[1]
    agent._past = np.stack([np.zeros(copies), np.ones(copies)])
    return [
        agent._weights(r, r.rewards, r.observations[..., 0], r.next_observations[..., 0], np.zeros(1))
        for r in rollouts
    ]


def rollouts(steps=24, copies=2, parts=3):
    """Returns one long run, cut into parts; episodes terminate or reach a time limit."""
    rng = np.random.default_rng(0)
    rewards, values, reached = rng.normal(size=(3, steps, copies))
    ended = rng.random((steps, copies)) < 0.2
    terminated = ended & (rng.random((steps, copies)) < 0.5)
    reached[:-1] = np.where(ended[:-1], reached[:-1], values[1:])
    whole = values[..., None], reached[..., None], np.zeros((steps, copies)), rewards, terminated, ended
    return [Rollout(*arrays) for arrays in zip(*(np.split(a, parts) for a in whole), strict=True)]


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_totals_and_rewards_to_go_match_sums_over_each_episode_across_rollouts(discount):
    parts = rollouts()
    total, to_go = (weights_of(kind, parts, discount) for kind in ("total", "to_go"))
    rewards, ended, terminated = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("rewards", "ended", "terminated")
    )
    reached = np.concatenate([p.next_observations[..., 0] for p in parts])
    length = len(parts[0].rewards)
    for t in range(len(rewards)):
        for n in range(2):
            start = t
            while start and not ended[start - 1, n]:
                start -= 1
            stop = t
            while not ended[stop, n] and (stop + 1) % length:
                stop += 1
            tail = 0.0 if terminated[stop, n] else discount ** (stop + 1 - start) * reached[stop, n]
            expected = sum(discount ** (k - start) * rewards[k, n] for k in range(start, stop + 1)) + tail
            actual = total[t // length][t % length, n]
            assert actual == pytest.approx(expected, rel=1e-9)
            before = sum(discount ** (k - start) * rewards[k, n] for k in range(start, t))
            rest = (expected - before) / discount ** (t - start)
            assert to_go[t // length][t % length, n] == pytest.approx(rest, rel=1e-7, abs=1e-9)


@pytest.fixture(scope="module", params=[VPG, TRPO, ACKTR], ids=lambda kind: kind.__name__)
def resumed(request, tmp_path_factory):
    """An agent that learned in one piece, the same one in two with a file between them, and its logs."""
    kind, folder = request.param, tmp_path_factory.mktemp("agents") / "agent"
    whole = kind("CartPole-v1", seed=3, **TINY[kind])
    logs = whole.learn(160, progress=False)
    part = kind("CartPole-v1", seed=3, **TINY[kind])
    part.learn(96, planned=160, progress=False)
    part.save(folder)
    other = kind.load(folder)
    other.learn(64, planned=160, progress=False)
    return whole, other, logs


def test_learning_after_a_restart_is_bit_identical(resumed):
    whole, other, _ = resumed
    expected, actual = whole.state(), other.state()
    assert expected.keys() == actual.keys()
    for name in expected:
        if name != "agent/environments":
            np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def test_the_programs_are_traced_once_and_the_policy_changes(resumed):
    whole, _, logs = resumed
    for program in (whole._improve, whole._fit_value):
        assert program.experimental_get_tracing_count() == 1
    assert all(0 < abs(update["kl"]) < 0.05 for update in logs)
    if isinstance(whole, TRPO):
        assert all(update["kl"] <= whole.settings.kl_limit for update in logs)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (VPG, {"weights": "to_go", "learning_rate": 0.03, "value_steps": 5}),
        (TRPO, {"kl_limit": 0.05, "minibatch": 64, "value_epochs": 1}),
        (ACKTR, {"kl_limit": 0.05, "value_steps": 5}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_agents_learn_a_contextual_bandit(kind, settings):
    agent = kind(Bandit, copies=4, rollout=32, hidden=(8,), seed=0, **settings)
    agent.learn(128 * 40, progress=False)
    # A policy that ignores the context earns 1/3.
    assert agent.evaluate(200).mean > 0.95


def test_the_learning_rate_of_k_fac_shortens_its_first_step():
    weights = []
    # Longer steps are cut to a trust region.
    for rate in (0.2, 0.05):
        agent = ACKTR("CartPole-v1", learning_rate=rate, schedule="linear", seed=1, **SMALL)
        before = agent.policy.get_weights()
        agent.learn(32, planned=320, progress=False)
        weights.append([new - old for new, old in zip(agent.policy.get_weights(), before, strict=True)])
    for whole, part in zip(*weights, strict=True):
        np.testing.assert_allclose(part, whole / 4, rtol=1e-3, atol=1e-6)


def test_a_gaussian_policy_makes_a_step_within_its_trust_region():
    agent = TRPO("Pendulum-v1", minibatch=32, value_epochs=1, **SMALL)
    before = agent.policy.get_weights()
    (logs,) = agent.learn(32, progress=False)
    assert 0 < logs["kl"] <= 0.01
    assert all(np.any(new != old) for new, old in zip(agent.policy.get_weights(), before, strict=True))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (TRPO, {"minibatch": 24}, "minibatch must divide the 32 steps of a rollout .16 of each of 2 copies"),
        (VPG, {"weights": "returns"}, "weights must be one of total, to_go, advantages|weights"),
        (ACKTR, {"kl_limit": 0}, "kl_limit must be"),
        (ACKTR, {"damping": -1.0}, "damping must be"),
        (TRPO, {"backtracking": 1.0}, "backtracking must be"),
    ],
)
def test_invalid_settings_are_named(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind("CartPole-v1", **{**SMALL, **settings})


def test_several_replicas_are_refused():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    strategy_of_two = type("Two", (), {"num_replicas_in_sync": 2, "scope": strategy.scope})()
    with pytest.raises(ValueError, match="strategy of VPG must have one replica, got 2"):
        VPG("CartPole-v1", strategy=strategy_of_two, **SMALL)
