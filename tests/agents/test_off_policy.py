"""Oracles: the same learning without interruption, and one device."""

import keras
import numpy as np
import pytest

from curvezoo.agents import DDPG, DQN, Policy
from curvezoo.agents.actions import CategoricalActions
from curvezoo.agents.off_policy import twin

SMALL = {"hidden": (8,), "warmup": 100, "batch_size": 16, "capacity": 300, "copies": 2}
AGENTS = {
    "dqn": (
        DQN,
        "CartPole-v1",
        {"train_every": 50, "updates": 7, "prioritized": 0.6, "schedule": "linear", "target_every": 10},
    ),
    "ddpg": (DDPG, "Pendulum-v1", {"train_every": 10, "updates": 2}),
}


@pytest.mark.parametrize("name", AGENTS)
def test_learning_after_save_and_load_is_that_without_interruption(name, tmp_path):
    kind, environment, settings = AGENTS[name]
    agent = kind(environment, **SMALL, **settings)

    def report(steps, logs):
        if steps == 250:
            agent.save(tmp_path / "agent")

    logs = agent.learn(750, report=report, progress=False)
    loaded = kind.load(tmp_path / "agent")
    assert loaded.steps == 250
    again = loaded.learn(500, planned=750, progress=False)
    for one, two in zip(logs[-len(again) :], again, strict=True):
        assert {**one, "steps_per_second": 0} == {**two, "steps_per_second": 0}
    assert list(agent.returns) == list(loaded.returns)
    state, other = agent.state(), loaded.state()
    assert state.keys() == other.keys()
    assert {"agent/replay/observations", "agent/gradient_steps", "agent/generator"} <= set(state)
    for each in state.keys() - {"agent/environments"}:
        assert np.array_equal(state[each], other[each]), each
    observations = agent.environments.observations
    assert np.array_equal(agent.act(observations), loaded.act(observations))


def test_rewards_of_cut_off_episodes_are_stored_without_an_end():
    agent = DDPG("Pendulum-v1", **SMALL | {"capacity": 1000, "warmup": 1000})
    agent.learn(500, progress=False)
    stored = agent.replay.state()
    # Pendulum has a time limit of 200 steps and no terminal states.
    assert len(agent.returns) == 2 and not stored["terminated"].any()
    following, first = stored["next_observations"][398:400], stored["observations"][400:402]
    assert not np.allclose(following, first, atol=1e-3)
    assert np.array_equal(stored["next_observations"][:398], stored["observations"][2:400])


def test_two_replicas_learn_what_one_device_does(mirrored):
    agents = []
    for strategy in (None, mirrored):
        settings = {**SMALL, "train_every": 50, "updates": 3, "prioritized": 0.6, "gradient_norm": 0.5}
        agent = DQN("CartPole-v1", strategy=strategy, target_every=2, **settings)
        agent.learn(250, progress=False)
        agents.append(agent)
    one, two = (agent.state() for agent in agents)
    for name in one.keys() - {"agent/environments", "agent/generator"}:
        assert np.allclose(one[name], two[name], rtol=1e-3, atol=1e-5), name
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 2 replicas, got 15"):
        DQN("CartPole-v1", strategy=mirrored, batch_size=15)


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_a_target_network_has_layers_that_keras_can_not_read_from_a_file():
    inner = keras.Sequential([keras.Input((3,)), Doubled(), keras.layers.Dense(4)])
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Lambda(lambda x: x + 1),
            inner,
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected, copy = network(x), twin(network)
    np.testing.assert_array_equal(copy(x), expected)
    assert not copy.trainable_variables and len(network.trainable_variables) == 6
    for weight in network.weights:
        weight.assign(weight + 1)
    np.testing.assert_array_equal(copy(x), expected)


def test_a_policy_of_other_actions_gives_its_network_only():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    agent = DQN("CartPole-v1", policy=Policy(network, CategoricalActions(2)), **SMALL)
    assert agent.policy.network is network
    assert agent.policy.actions.get_config()["kind"] == "values"
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match=r"policy must have outputs of shape \(2,\)"):
        DQN("CartPole-v1", policy=Policy(wide, CategoricalActions(5)), **SMALL)
