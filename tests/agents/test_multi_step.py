import numpy as np
import pytest

from curvezoo.agents.environments import Step
from curvezoo.agents.multi_step import MultiStep

COPIES, STEPS, DISCOUNT = 3, 60, 0.9


def experience(seed=0):
    """Random steps whose observations are numbers of the copy and the step."""
    random = np.random.default_rng(seed)
    for time in range(STEPS):
        ended = random.random(COPIES) < 0.2
        terminated = ended & (random.random(COPIES) < 0.5)
        now = 1000.0 * np.arange(COPIES)[:, None] + time
        yield (
            now,
            np.arange(COPIES) + time,
            Step(None, now + 0.5, random.normal(size=COPIES), terminated, ended),
        )


def joined(horizon, steps, begin=0):
    join = MultiStep(COPIES, horizon, DISCOUNT, np.zeros(1), 0)
    return join, [join.add(*step) for step in steps]


def by_definition(horizon, steps):
    """One experience for each step of each copy that completes its horizon, as loops over them."""
    rows = []
    for copy in range(COPIES):
        for first in range(len(steps)):
            observations, actions, _ = steps[first]
            reward = 0.0
            for index, (_, _, step) in enumerate(steps[first : first + horizon]):
                reward += DISCOUNT**index * step.rewards[copy]
                if step.ended[copy] or index + 1 == horizon:
                    end = step.next_observations[copy, 0], step.terminated[copy], DISCOUNT ** (index + 1)
                    rows.append((observations[copy, 0], actions[copy], reward, *end))
                    break
    return sorted(rows)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_each_step_begins_one_experience_with_the_rewards_of_its_horizon(horizon):
    steps = list(experience())
    _, completed = joined(horizon, steps)
    rows = sorted(
        (o[0], a, r, n[0], t, d) for parts in completed for o, a, r, n, t, d in zip(*parts, strict=True)
    )
    np.testing.assert_allclose(np.array(rows, float), np.array(by_definition(horizon, steps), float))


def test_one_step_is_the_step_itself():
    step = next(iter(experience()))
    _, [(observations, actions, rewards, reached, terminated, discounts)] = joined(1, [step])
    np.testing.assert_array_equal(observations, step[0])
    np.testing.assert_array_equal(actions, step[1])
    np.testing.assert_array_equal(rewards, step[2].rewards)
    np.testing.assert_array_equal(reached, step[2].next_observations)
    np.testing.assert_array_equal(terminated, step[2].terminated)
    np.testing.assert_array_equal(discounts, DISCOUNT)


def test_a_restored_state_completes_the_same_experiences():
    steps = list(experience())
    join, _ = joined(4, steps[:30])
    again = MultiStep(COPIES, 4, DISCOUNT, np.zeros(1), 0)
    again.restore(join.state())
    for step in steps[30:]:
        for array, other in zip(join.add(*step), again.add(*step), strict=True):
            np.testing.assert_array_equal(array, other)


def test_the_horizon_must_be_positive():
    with pytest.raises(ValueError, match="horizon must be an integer of at least 1, got 0"):
        MultiStep(COPIES, 0, DISCOUNT, np.zeros(1), 0)
