"""Runs of agents: killed and resumed, measured, exported and played."""

import json

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.publishing import cards, saved_model
from curvezoo.training import Reinforcement, checkpoints, runs
from curvezoo.training.learner import Resources
from curvezoo.training.parts import Algorithm, Environment
from curvezoo.zoo import playing

SETTINGS = {"steps": 768, "reports": 3, "agents": 2, "rollout": 32, "hidden": (8,), "epochs": 2}
Q_LEARNER = {
    "prioritized": 0.6,
    "schedule": "linear",
    "horizon": 2,
    "hidden": (8,),
    "warmup": 100,
    "capacity": 400,
    "batch_size": 16,
    "train_every": 50,
    "updates": 5,
    "target_every": 10,
}


@pytest.fixture(scope="module", autouse=True)
def few_episodes():
    patch = pytest.MonkeyPatch()
    patch.setattr("curvezoo.publishing.measures.returns.EPISODES", 4)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents") / "whole"
    return zoo.train("ppo_cartpole", folder, progress=False, **SETTINGS)


def test_a_killed_run_resumes_to_the_agents_of_an_uninterrupted_one(run, kill_training, tmp_path):
    folder = kill_training("ppo_cartpole", SETTINGS, tmp_path / "killed", after=2)
    again = zoo.train("ppo_cartpole", folder, resume=True, progress=False)
    one, other = (checkpoints.read(checkpoints.latest(f / "checkpoints"))[0] for f in (run.folder, folder))
    assert one.keys() == other.keys()
    for name in one:
        if not name.endswith("environments"):
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert again.scores == run.scores


def test_restored_q_learners_go_on_with_their_replay():
    recipe = Reinforcement(
        name="dqn_cartpole",
        section="8.3",
        summary="",
        agent=Algorithm("DQN", Q_LEARNER),
        environment=Environment("CartPole-v1", copies=2),
        steps=900,
        agents=2,
        reports=3,
    )
    whole = recipe.learner(Resources(None))
    whole.train(0, Reports())
    expected = whole.state()
    assert {"0/agent/replay/priorities", "1/agent/replay/observations"} <= expected.keys()
    # In the middle of the first agent, and of the second.
    for reports in (1, 5):
        killed, again = (recipe.learner(Resources(None)) for _ in range(2))
        killed.train(0, Reports(reports))
        again.restore(killed.state())
        again.train(reports, Reports())
        state = again.state()
        assert state.keys() == expected.keys()
        for name in expected:
            if not name.endswith("environments"):
                np.testing.assert_array_equal(state[name], expected[name], err_msg=name)


def test_reports_before_the_end_of_the_first_episode_have_no_return_and_a_finite_state():
    # An episode of the pendulum has 200 steps.
    recipe = Reinforcement(
        name="ppo_pendulum",
        section="8.5",
        summary="",
        agent=Algorithm("PPO", {"rollout": 16, "minibatch": 16, "hidden": (8,)}),
        environment=Environment("Pendulum-v1"),
        steps=32,
        agents=1,
        reports=2,
    )
    learner, again = (recipe.learner(Resources(None)) for _ in range(2))
    learner.train(0, Reports())
    np.testing.assert_array_equal(learner.state()["curve"], [[16, 0, 0], [32, 0, 0]])
    again.restore(learner.state())
    np.testing.assert_array_equal(again._curve, [[16, np.nan], [32, np.nan]])


class Reports:
    """The callback of a run that stops after a number of reports."""

    def __init__(self, last=None):
        self.left = last

    def __call__(self, logs):
        self.left = None if self.left is None else self.left - 1
        return self.left == 0

    def step(self, done, steps, logs):
        pass


def test_the_scores_are_those_of_the_published_policies(run):
    scores = zoo.evaluate(run.folder)
    assert {key: scores[key] for key in run.scores} == run.scores
    assert scores["episodes"] == 8
    means = [scores["return_mean_0"], scores["return_mean_1"]]
    assert scores["return_mean"] == pytest.approx(np.mean(means))
    card = cards.read(run.folder / "model")
    assert card["data"]["name"] == "CartPole-v1" and card["recipe"]["agent"]["name"] == "PPO"
    assert card["seeds"] == [0, 1]


def test_every_policy_of_the_saved_model_acts_as_its_keras_model(run):
    loaded = tf.saved_model.load(str(run.folder / "model"))
    for suffix, name in (("", ""), ("_agent_1", "agent_1")):
        inputs, outputs = saved_model.golden(run.folder / "model", f"act{suffix}")
        act = getattr(loaded, f"act{suffix}")
        np.testing.assert_array_equal(act(*map(tf.constant, inputs)), outputs)
        policy = saved_model.load(run.folder, name)
        np.testing.assert_array_equal(policy.act(inputs[0]), outputs)


def test_the_curve_has_the_steps_and_returns_of_each_agent(run):
    assert [row["steps"] for row in run.history] == [256, 512, 768] * 2
    assert [row["agent"] for row in run.history] == [0] * 3 + [1] * 3
    page = (run.folder / "report.html").read_text()
    assert "Learning curves" in page


def test_an_animation_lasts_as_long_as_its_episode(run, tmp_path):
    from PIL import Image, ImageSequence

    returns = playing.play(run.folder, out=tmp_path / "play.gif", seed=3)
    with Image.open(tmp_path / "play.gif") as animation:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(animation)]
    # CartPole has 50 frames a second, of which every other one is shown; equal ones are merged.
    assert sum(durations) == 40 * -(-int(returns[0]) // 2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"out": "play.txt"}, "format of the animation must be one of .gif, .mp4, got '.txt'"),
        ({"out": "nowhere/play.gif"}, "the folder of nowhere/play.gif must exist"),
        ({"out": "play.gif", "agent": 2}, "agent must be an integer from 0 to 1, got 2"),
        ({"out": "play.gif", "episodes": 0}, "episodes must be an integer of at least 1, got 0"),
    ],
)
def test_options_of_play_are_checked(run, options, message):
    with pytest.raises(ValueError, match=message):
        playing.play(run.folder, **options)


def test_only_agents_play():
    with pytest.raises(ValueError, match="name must be that of an agent, got 'mlp_digits'"):
        playing.play("mlp_digits", out="play.gif")


def test_settings_are_read_by_their_dotted_keys_and_restored_from_a_card(run):
    recipe = zoo.recipe("ppo_cartpole").override({"agent.clip": "0.1", "copies": "4", "steps": "1024"})
    assert recipe.agent.make_settings().clip == 0.1 and recipe.environment.copies == 4
    again = zoo.recipe("ppo_cartpole").restored(json.loads(json.dumps(recipe.settings())))
    assert again.settings() == recipe.settings()
    other = recipe.override({"agent": "DQN"})
    assert other.agent.make_settings().double is False


@pytest.mark.parametrize(
    "change, message",
    [
        ({"agent": "PPPO"}, "algorithm must be one of .*; did you mean 'PPO'"),
        ({"clip": "-1"}, "clip must be"),
        ({"discount": "2"}, r"discount must be in \[0, 1\], got 2"),
        ({"reports": "0"}, "reports must be an integer from 1"),
        ({"agents": "0"}, "agents must be an integer of at least 1"),
    ],
)
def test_settings_that_are_not_valid_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        zoo.recipe("ppo_cartpole").override(change)


def test_an_algorithm_that_can_not_act_in_the_environment_says_so(tmp_path):
    recipe = Reinforcement(
        name="dqn_pendulum",
        section="8.3",
        summary="",
        agent=Algorithm("DQN"),
        environment=Environment("Pendulum-v1"),
    )
    with pytest.raises(ValueError, match=r"action space of DQN must be a Discrete, got Box"):
        runs.train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "run.json").exists()
