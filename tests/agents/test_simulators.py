"""Environments of Box2D and MuJoCo, whose copies can't be pickled."""

import numpy as np
import pytest

from curvezoo.agents import PPO
from curvezoo.agents.environments import Environments, maker

SMALL = {"copies": 2, "rollout": 32, "minibatch": 32, "epochs": 2, "hidden": (8,)}
NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}
# Id, package, shape of an observation, and number of a policy's outputs.
SIMULATORS = {
    "box2d": ("LunarLander-v3", "Box2D", (8,), 4, {}),
    "mujoco": ("HalfCheetah-v5", "mujoco", (17,), 12, NORMALIZED),
}


@pytest.fixture(scope="module", params=SIMULATORS)
def simulated(request, tmp_path_factory):
    """An agent that has learned a little, and the one that was loaded from its files."""
    name, package, shape, outputs, settings = SIMULATORS[request.param]
    pytest.importorskip(package)
    agent = PPO(name, **SMALL, **settings)
    assert agent.environments.observations.shape == (2, *shape) and agent.actions.size == outputs
    agent.learn(128, planned=256, progress=False)
    folder = tmp_path_factory.mktemp("agents") / "agent"
    agent.save(folder)
    return agent, PPO.load(folder)


def test_a_loaded_agent_has_all_but_the_running_episodes(simulated):
    agent, loaded = simulated
    one, other = agent.state(), loaded.state()
    assert one.keys() == other.keys() and one["agent/environments"].size == 0
    for name in one.keys() - {"agent/running", "agent/scale"}:
        np.testing.assert_array_equal(other[name], one[name], err_msg=name)
    # Count, mean and squares of the returns are kept; the returns of the running episodes are forgotten.
    np.testing.assert_array_equal(other["agent/scale"][2:], one["agent/scale"][2:])
    assert not other["agent/running"].any() and not other["agent/scale"][:2].any()


def test_a_loaded_agent_begins_new_episodes_and_learns_on(simulated):
    agent, loaded = simulated
    expected = Environments(agent.environment, 2, agent.seed + agent.steps).observations
    np.testing.assert_array_equal(loaded.environments.observations, expected)
    assert np.any(agent.environments.observations != expected)
    (logs,) = loaded.learn(64, planned=256, progress=False)
    assert logs["steps"] == 192 and np.isfinite(logs["kl"])


def test_whole_episodes_are_played(simulated):
    agent, _ = simulated
    played = agent.evaluate(1)
    assert np.isfinite(played.mean) and 20 < played.lengths[0] <= 1000


def test_mujoco_writes_no_file_of_warnings(tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    maker("HalfCheetah-v5")().close()
    assert not list(tmp_path.iterdir())
