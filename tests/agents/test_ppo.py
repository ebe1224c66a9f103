import keras
import numpy as np
import pytest

from curvezoo.agents import PPO, Policy
from curvezoo.agents.on_policy import explained_variance

SMALL = {"hidden": (8,), "rollout": 16, "minibatch": 32, "epochs": 2, "copies": 4}


def agent(made, **changes):
    return PPO(made.Signs, **{**SMALL, **changes})


def same_states(one, other):
    one, other = one.state(), other.state()
    assert one.keys() == other.keys()
    for name in one.keys() - {"agent/environments"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("surrogate", ["clip", "kl"])
def test_it_learns_which_action_is_rewarded(made, surrogate):
    learner = agent(made, surrogate=surrogate, learning_rate=0.02, seed=1)
    before = learner.evaluate(200).mean
    logs = learner.learn(2000, progress=False)
    # Chance is 0.5 with a standard error of 0.035; over ten seeds the result was 0.97 or more.
    assert learner.evaluate(200).mean > 0.85 > before + 0.1 or learner.evaluate(200).mean > 0.95
    assert logs[-1]["entropy"] < 0.5 < logs[0]["entropy"]


def test_it_learns_continuous_actions_within_their_bounds(made):
    learner = PPO(made.Target, **SMALL, learning_rate=0.02, normalize_observations=True, log_std=-0.5)
    before = learner.evaluate(100).mean
    learner.learn(4000, progress=False)
    # The best constant action has -1/3, the best policy 0.
    assert learner.evaluate(100).mean > -0.1
    assert before < -0.25


def test_a_saved_agent_learns_on_as_if_it_had_never_stopped(made, tmp_path):
    settings = {"surrogate": "kl", "normalize_observations": True, "normalize_rewards": True}
    whole, half = agent(made, **settings), agent(made, **settings)
    expected = whole.learn(320, progress=False)
    half.learn(128, planned=320, progress=False)
    half.save(tmp_path / "agent")
    again = PPO.load(tmp_path / "agent", made.Signs)
    logs = again.learn(192, planned=320, progress=False)
    same_states(whole, again)
    for row, other in zip(expected[-3:], logs, strict=True):
        assert row["return"] == other["return"] and row["kl"] == other["kl"]


def test_two_replicas_learn_what_one_learns(made, mirrored):
    one, two = agent(made), agent(made, strategy=mirrored)
    for learner in (one, two):
        learner.learn(64, progress=False)
    for weight, other in zip(one.policy.weights, two.policy.weights, strict=True):
        np.testing.assert_allclose(weight, other, atol=2e-5)
    assert np.abs(np.asarray(one.policy.weights[0]) - np.asarray(agent(made).policy.weights[0])).max() > 1e-3


def test_the_weight_of_the_penalty_follows_the_divergence(made):
    far = agent(made, surrogate="kl", kl_target=1e-9)
    assert [row["kl_weight"] for row in far.learn(192, progress=False)] == pytest.approx([1, 1.5, 2.25])
    near = agent(made, surrogate="kl", kl_target=10.0)
    assert [row["kl_weight"] for row in near.learn(192, progress=False)] == pytest.approx(
        [1, 1 / 1.5, 1 / 2.25]
    )


def test_learning_rates_fall_linearly_over_the_planned_steps(made):
    learner = agent(made, learning_rate=0.1)
    learner.learn(64 * 4, progress=False)
    assert float(learner.optimizer.learning_rate) == pytest.approx(0.1 * (1 - 3 / 4))
    learner.learn(64, planned=64 * 10, progress=False)
    assert float(learner.optimizer.learning_rate) == pytest.approx(0.1 * (1 - 4 / 10))


def test_your_own_network_is_the_policy(made):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    learner = agent(made, policy=network)
    before = network.get_weights()[0].copy()
    learner.learn(64, progress=False)
    assert isinstance(learner.policy, Policy) and learner.policy.network is network
    assert np.any(network.get_weights()[0] != before)


def test_returns_of_episodes_that_can_not_go_on_are_forgotten():
    learner = PPO("CartPole-v1", **SMALL)
    learner.learn(64, progress=False)
    state = learner.state()
    assert learner._running.any()
    learner.restore(state | {"agent/environments": np.zeros(0, "uint8")})
    assert not learner._running.any()


def test_an_agent_of_an_object_is_loaded_with_one(made, tmp_path):
    agent(made).save(tmp_path / "agent")
    with pytest.raises(ValueError, match="environment must be given, since the agent did not learn in one"):
        PPO.load(tmp_path / "agent")


def test_learning_stops_when_the_report_says_so(made):
    learner = agent(made)
    logs = learner.learn(640, progress=False, report=lambda done, row: done >= 128)
    assert len(logs) == 2 and learner.steps == 128


def test_explained_variance_is_one_for_perfect_values_and_zero_for_their_mean():
    target = np.array([1.0, 2.0, 4.0])
    assert explained_variance(target, target) == 1
    assert explained_variance(np.full(3, 7.0), target) == 0
    assert explained_variance(np.zeros(3), np.ones(3)) == 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"minibatch": 48}, r"minibatch must divide the 64 steps of a rollout .* got 48"),
        ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"),
        ({"clip": -1.0}, r"clip must be .*positive.* got -1"),
        ({"clipp": 0.1}, r"setting of PPO must be one of .*; did you mean 'clip'"),
        ({"surrogate": "max"}, r"surrogate must be one of clip, kl, got 'max'"),
        ({"copies": 0}, r"copies must be an integer of at least 1, got 0"),
    ],
)
def test_settings_that_are_not_valid_are_refused(made, changes, message):
    with pytest.raises(ValueError, match=message):
        agent(made, **changes)


def test_a_folder_of_another_algorithm_or_of_none_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match="folder must hold an agent, got"):
        PPO.load(tmp_path, made.Signs)
    agent(made).save(tmp_path / "agent")
    text = (tmp_path / "agent" / "agent.json").read_text()
    (tmp_path / "agent" / "agent.json").write_text(text.replace('"PPO"', '"DQN"'))
    with pytest.raises(ValueError, match="folder must hold an agent of PPO, got one of DQN"):
        PPO.load(tmp_path / "agent", made.Signs)


def test_a_diverged_loss_stops_learning_and_says_after_how_many_steps(made):
    learner = agent(made)
    learner.value.set_weights([np.full_like(w, np.nan) for w in learner.value.get_weights()])
    with pytest.raises((ArithmeticError, ValueError), match=r"after 64 steps|finite"):
        learner.learn(64, progress=False)


@pytest.mark.parametrize("shape", [(5,), (2, 4)])
def test_a_policy_for_other_observations_is_refused(shape):
    policy = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(
        ValueError, match=r"policy must take observations of shape \(4,\), got a network for \("
    ):
        PPO("CartPole-v1", policy=policy)
