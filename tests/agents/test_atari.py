"""The preprocessing of Atari games, on a made game whose screens are known, and on real ones."""

import gymnasium
import numpy as np
import pytest

from curvezoo.agents import PPO
from curvezoo.agents.atari import Screens, area_weights
from curvezoo.agents.environments import Environments, maker

LIFE, LIVES = 40, 3


class Frames(gymnasium.Env):
    """Each frame is as bright as its number, and shows its upper and its lower half in turns.

    A frame has a reward of 2, every 40th costs one of three lives, and the last of them ends the game.
    """

    observation_space = gymnasium.spaces.Box(0, 255, (210, 160), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.number = 0
        return self.screen(), {"lives": LIVES}

    def step(self, action):
        self.number += 1
        lives = LIVES - self.number // LIFE
        return self.screen(), 2.0, lives == 0, False, {"lives": lives}

    def screen(self):
        rows = np.arange(210) // 105 == self.number % 2
        return np.where(rows[:, None], self.number, 0).repeat(160, axis=1).astype("uint8")


def brightness(observation):
    """Returns the brightness of each screen, in its upper and its lower half, [2, 4]."""
    assert observation.shape == (84, 84, 4) and observation.dtype == np.uint8
    assert np.all(observation == observation[:, :1])
    return observation[[0, -1], 0].astype(int)


@pytest.mark.parametrize("size, parts", [(210, 84), (160, 84), (5, 5), (7, 3)])
def test_pixels_are_averaged_over_equal_areas(size, parts):
    pixels = np.random.default_rng(0).random(size)
    # Each pixel is cut into as many pieces as there are parts.
    expected = pixels.repeat(parts).reshape(parts, size).mean(axis=1)
    np.testing.assert_allclose(area_weights(size, parts) @ pixels, expected, rtol=1e-5)


def test_an_observation_holds_the_screens_after_the_last_four_steps():
    game = Screens(Frames(), learning=True)
    first = brightness(game.reset(seed=0)[0])
    idle = first.max()
    assert 1 <= idle <= 30 and np.all(first == first[:, :1])
    seen = [brightness(game.step(0)[0]) for _ in range(4)]
    # Both halves are bright, since one of the last two frames shows each.
    halves = np.sort(np.stack(seen)[..., -1], axis=1)
    np.testing.assert_array_equal(halves, idle + 4 * np.arange(1, 5)[:, None] + [-1, 0])
    np.testing.assert_array_equal(seen[-1], np.stack([each[:, -1] for each in seen], axis=-1))
    np.testing.assert_array_equal(seen[0][:, :3], first[:, 1:])


def test_games_begin_with_different_numbers_of_idle_frames():
    game = Screens(Frames(), learning=True)
    counts = {brightness(game.reset(seed=seed)[0]).max() for seed in range(20)}
    assert len(counts) > 5


def played(game, steps):
    """Returns the steps' rewards, whether they terminated, and whether a new game began."""
    game.reset(seed=0)
    rewards, ends, begins = [], [], []
    for _ in range(steps):
        _, reward, terminated, _, _ = game.step(0)
        before = game.unwrapped.number
        if terminated:
            game.reset()
        rewards.append(reward)
        ends.append(terminated)
        begins.append(game.unwrapped.number < before)
    return rewards, ends, begins


def test_for_learning_rewards_are_signs_and_each_life_is_an_episode():
    rewards, ends, begins = played(Screens(Frames(), learning=True), 60)
    assert set(rewards) == {1.0}
    # The last of three lives ends the game.
    assert [begins[step] for step in np.flatnonzero(ends)][:3] == [False, False, True]


def test_for_its_score_a_game_is_played_to_its_end():
    rewards, ends, begins = played(Screens(Frames(), learning=False), 60)
    # The last step may have fewer than four frames.
    assert {reward for reward, end in zip(rewards, ends, strict=True) if not end} == {8.0}
    assert ends == begins and sum(ends) == 2


def test_a_seed_begins_a_new_game_in_the_middle_of_one():
    game = Screens(Frames(), learning=True)
    game.reset(seed=0)
    for _ in range(12):
        game.step(0)
    game.reset(seed=1)
    assert game.unwrapped.number <= 30


def test_games_of_the_arcade_learning_environment_lose_lives():
    pytest.importorskip("ale_py")
    game = maker("ALE/Breakout-v5")()
    observation, info = game.reset(seed=0)
    assert observation.shape == (84, 84, 4) and observation.max() > 0 and info["lives"] == 5
    for step in range(200):
        _, reward, terminated, _, info = game.step((1, 2, 3)[step % 3])
        assert reward in (0, 1)
        if terminated:
            break
    assert terminated and info["lives"] == 4
    assert game.reset()[1]["lives"] == 4
    score = maker("ALE/Breakout-v5", learning=False)()
    score.reset(seed=0)
    assert not any(score.step((1, 2, 3)[step % 3])[2] for step in range(60))


def test_copies_of_a_game_have_no_state_and_begin_again():
    pytest.importorskip("ale_py")
    copies = Environments("ALE/Pong-v5", 2, seed=3)
    first = copies.observations
    assert not np.array_equal(first[0], first[1])
    for _ in range(3):
        step = copies.step(np.array([2, 3]))
    assert step.observations.dtype == np.uint8 and np.any(step.observations != first)
    assert copies.state().size == 0
    assert copies.restore(copies.state(), 3) is False
    np.testing.assert_array_equal(copies.observations, first)


def test_an_agent_learns_from_screens_and_is_loaded(tmp_path):
    pytest.importorskip("ale_py")
    agent = PPO("ALE/Pong-v5", copies=2, rollout=8, minibatch=8, epochs=1, hidden=(16,), activation="relu")
    before = agent.policy.get_weights()
    (logs,) = agent.learn(16, progress=False)
    assert np.isfinite(logs["policy_loss"])
    assert all(np.any(new != old) for new, old in zip(agent.policy.get_weights(), before, strict=True))
    agent.save(tmp_path / "agent")
    loaded = PPO.load(tmp_path / "agent")
    screens = agent.environments.observations
    np.testing.assert_array_equal(loaded.policy(screens), agent.policy(screens))
    assert loaded.steps == 16
