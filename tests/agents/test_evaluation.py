import gymnasium
import numpy as np
import pytest

from curvezoo.agents import evaluate


class Constant:
    """A policy that always takes the same action."""

    def __init__(self, action):
        self.action = action

    def act(self, observations, seed, deterministic):
        return np.full(len(observations), self.action)


def test_each_episode_is_played_once_from_its_own_seed():
    played = evaluate(Constant(1), "CartPole-v1", 130, seed=5)
    environment = gymnasium.make("CartPole-v1")
    for number in (0, 1, 99, 100, 129):
        environment.reset(seed=5 + number)
        length = 1
        while not environment.step(1)[2]:
            length += 1
        assert played.lengths[number] == played.returns[number] == length


def test_means_are_over_episodes_and_not_over_steps(made):
    played = evaluate(Constant(0), made.Counter, 3)
    np.testing.assert_array_equal(played.returns, [10, 10, 10])
    np.testing.assert_array_equal(played.lengths, [4, 4, 4])
    assert played.mean == 10 and played.std == 0


def test_rewards_that_are_not_finite_are_refused(made):
    with pytest.raises(ValueError, match=r"returns.* must be finite, got nan"):
        evaluate(Constant(0), lambda: made.Broken("reward"), 1)


@pytest.mark.parametrize("episodes", [0, 1.5])
def test_the_number_of_episodes_is_checked(episodes):
    with pytest.raises(ValueError, match="episodes must be an integer of at least 1"):
        evaluate(Constant(0), "CartPole-v1", episodes)
