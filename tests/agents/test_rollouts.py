import numpy as np
import pytest

from curvezoo.agents.environments import Environments
from curvezoo.agents.rollouts import RewardScale, collect, values_of


@pytest.fixture(scope="module")
def rollout(made):
    actions = iter(np.array([[0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 1], [0, 0]]))
    copies = Environments(made.Counter, 2)
    return collect(copies, lambda *_: next(actions), np.zeros((7, 2), "int32"), lambda actions: actions)


def test_a_rollout_holds_each_step_as_it_happened(rollout):
    np.testing.assert_array_equal(
        rollout.observations[..., 0].T, [[0, 1, 0, 1, 2, 3, 0], [0, 1, 2, 3, 0, 1, 0]]
    )
    np.testing.assert_array_equal(
        rollout.next_observations[..., 0].T, [[1, 2, 1, 2, 3, 4, 1], [1, 2, 3, 4, 1, 2, 1]]
    )
    np.testing.assert_array_equal(rollout.rewards, rollout.next_observations[..., 0])
    ended = [[0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1, 0]]
    np.testing.assert_array_equal(rollout.ended.T, ended)
    np.testing.assert_array_equal(rollout.terminated.T, [[*ended[0][:5], 0, 0], [0, 0, 0, 0, 0, 1, 0]])


def test_values_of_next_observations_are_those_of_each_one_by_itself(rollout):
    def value(observations):
        return 10.0 + observations[:, 0] ** 2

    now, following = values_of(rollout, value)
    np.testing.assert_array_equal(now, 10 + rollout.observations[..., 0] ** 2)
    expected = 10 + rollout.next_observations[..., 0] ** 2
    np.testing.assert_array_equal(following, np.where(rollout.terminated, 0, expected))


def test_rewards_are_divided_by_the_standard_deviation_of_all_returns_so_far():
    random = np.random.default_rng(0)
    rewards, ended = random.normal(3, 2, (40, 3)), random.random((40, 3)) < 0.2
    returns, running = [], np.zeros(3)
    for reward, end in zip(rewards, ended, strict=True):
        running = 0.9 * running + reward
        returns.append(running.copy())
        running[end] = 0
    scale = RewardScale(3, 0.9)
    for first, last in ((0, 15), (15, 40)):
        expected = rewards[first:last] / np.std(returns[:last])
        np.testing.assert_allclose(scale(rewards[first:last], ended[first:last]), expected, rtol=1e-7)


def test_a_scaled_reward_is_clipped_and_its_statistics_survive_a_restore():
    scale, again = RewardScale(1, 0.5), RewardScale(1, 0.5)
    rewards = np.ones((300, 1))
    rewards[-1] = 1e6
    assert scale(rewards, np.ones((300, 1), bool))[-1] == 10
    again.restore(scale.state())
    more = np.arange(4.0)[:, None], np.zeros((4, 1), bool)
    np.testing.assert_array_equal(scale(*more), again(*more))
