"""Oracles: the exact values of the environments' tables, and hand-made environments with known values."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs import toy_text
from gymnasium.wrappers import TimeLimit
from scipy import integrate, stats

from curvezoo.agents.q_learning import indexed, q_learning
from curvezoo.agents.tabular import FiniteMDP


class Loop(gymnasium.Env):
    """One state and one action with the reward 1, which goes on forever or terminates at once."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(1)

    def __init__(self, terminates):
        self.terminates = terminates

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def step(self, action):
        return 0, 1.0, self.terminates, False, {}


class Arms(gymnasium.Env):
    """Left of state 0 leads to state 1, whose actions pay noise of mean -0.1; right ends with the reward 0.

    Observations and actions start at 1.
    """

    observation_space = gymnasium.spaces.Discrete(2, start=1)
    action_space = gymnasium.spaces.Discrete(8, start=1)

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state = 1
        return self.state, {"action_mask": np.arange(8) < 2}

    def step(self, action):
        if self.state == 2:
            assert 1 <= action <= 8
            return 2, self.rng.normal(-0.1, 1.0), True, False, {}
        assert action in (1, 2)
        self.state = 2 if action == 1 else 1
        return self.state, 0.0, action == 2, False, {}


class Sampled(gymnasium.Env):
    """A random process of 3 states and 2 actions; `mdp` has its tables."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        transitions = 0.9 * rng.dirichlet(np.ones(3), size=(3, 2))
        self.mdp = FiniteMDP(transitions, rng.normal(size=(3, 2)), 0.8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(3))
        return self.state, {}

    def step(self, action):
        reward, state = self.mdp.rewards[self.state, action], self.state
        cumulative = np.cumsum(self.mdp.transitions[state, action])
        following = int(np.searchsorted(cumulative, self.np_random.random(), side="right"))
        # What the probabilities lack to 1 ends the episode.
        self.state = following % 3
        return self.state, reward, following == 3, False, {}


def exact(environment, discount):
    mdp = FiniteMDP.from_gymnasium(environment, discount)
    return mdp, mdp.value_iteration(1e-10)


def test_q_learning_without_noise_has_the_exact_values_of_frozen_lake():
    environment = TimeLimit(toy_text.FrozenLakeEnv(is_slippery=False), 100)
    mdp, solution = exact(environment, 0.9)
    learned = q_learning(environment, 12_000, discount=0.9, learning_rate=1.0, final_epsilon=1.0, seed=0)
    seen = learned.visits > 0
    np.testing.assert_allclose(learned.q[seen], solution.q[seen], atol=1e-9)
    # 11 states are not terminal.
    assert seen.sum() == 44
    assert mdp.expected_return(learned.policy) == pytest.approx(
        mdp.expected_return(solution.policy), rel=1e-9
    )


def test_q_learning_drives_taxi_optimally_from_every_start():
    environment = TimeLimit(toy_text.TaxiEnv(), 200)
    mdp, solution = exact(environment, 0.95)
    # The start values are above all others, so that every useful action is tried without randomness.
    learned = q_learning(
        environment, 60_000, discount=0.95, learning_rate=1.0, epsilon=0.1, final_epsilon=0.1, initial=20.0
    )
    best = mdp.expected_return(solution.policy)
    assert mdp.expected_return(learned.policy) == pytest.approx(best, abs=0.05)
    # The returns of the last episodes are those of mostly optimal rides, those of the first are not.
    assert learned.returns[:20].mean() < -100
    assert learned.returns[-500:].mean() > 0


@pytest.mark.parametrize("double", [False, True])
def test_q_learning_converges_to_the_exact_values_of_a_random_process(double):
    environment = Sampled(seed=2)
    solution = environment.mdp.policy_iteration()
    learned = q_learning(
        environment,
        20_000,
        discount=0.8,
        learning_rate=1.0,
        learning_rate_power=0.7,
        final_epsilon=1.0,
        double=double,
    )
    spread = np.ptp(solution.q)
    assert np.abs(learned.q - solution.q).max() < 0.1 * spread
    assert np.abs(solution.q).max() > spread
    lost = solution.v - environment.mdp.policy_values(learned.policy).v
    assert np.all(lost < 0.05 * spread)


def test_a_time_limit_does_not_lower_the_value_of_going_on():
    limited = q_learning(TimeLimit(Loop(False), 3), 200, discount=0.8, learning_rate=1.0)
    assert limited.q[0, 0] == pytest.approx(1 / (1 - 0.8), rel=1e-9)
    assert set(limited.lengths) == {3}
    assert set(limited.returns) == {3.0}
    terminated = q_learning(Loop(True), 200, discount=0.8, learning_rate=1.0)
    assert terminated.q[0, 0] == 1
    assert len(terminated.returns) == 200


def test_the_maximum_is_biased_upwards_and_double_q_learning_is_not():
    single, double = (
        np.mean(
            [
                q_learning(
                    Arms(),
                    400,
                    discount=1.0,
                    learning_rate=1.0,
                    learning_rate_power=1.0,
                    final_epsilon=1.0,
                    double=each,
                    seed=seed,
                ).q[0, 0]
                for seed in range(60)
            ]
        )
        for each in (False, True)
    )
    # The exact value is -0.1; the largest of 8 averages of some 17 draws is about 0.3 on average.
    assert single > 0.1
    assert double < 0.0


def test_a_delayed_copy_of_the_table_has_the_same_bias_as_the_table():
    # The copy has the distribution of the table at an earlier step: errors of mean 0, whose maximum has not.
    errors = np.random.default_rng(0).normal(size=(200_000, 4))
    maximum = integrate.quad(lambda x: 4 * x * stats.norm.pdf(x) * stats.norm.cdf(x) ** 3, -9, 9)[0]
    assert errors.max(axis=1).mean() == pytest.approx(maximum, abs=0.01)
    assert maximum > 1
    # A second table with independent errors has none.
    other = np.random.default_rng(1).normal(size=errors.shape)
    chosen = np.take_along_axis(other, errors.argmax(axis=1)[:, None], axis=1)
    assert chosen.mean() == pytest.approx(0, abs=0.01)


def test_masked_actions_are_never_taken_and_numbers_may_start_at_one():
    learned = q_learning(Arms(), 300, discount=1.0, final_epsilon=1.0)
    assert learned.visits[0, 2:].sum() == 0
    np.testing.assert_array_equal(learned.allowed, [[True] * 2 + [False] * 6, [True] * 8])
    assert learned.act(1) in (1, 2)
    assert learned.act(1) == learned.policy[0] + 1


def test_equal_seeds_give_equal_tables():
    first, again, other = (q_learning(Arms(), 300, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.q, again.q)
    assert np.any(first.q != other.q)


def test_step_sizes_fall_with_the_number_of_updates():
    # With 1/n and without a next state, the value is the average of the rewards.
    environment = Arms()
    learned = q_learning(
        environment, 500, discount=0.0, learning_rate=1.0, learning_rate_power=1.0, final_epsilon=1.0
    )
    rng = np.random.default_rng(0)
    rewards = rng.normal(-0.1, 1.0, size=int(learned.visits[1].sum()))
    total = np.sum(learned.q[1] * learned.visits[1])
    assert total == pytest.approx(rewards.sum(), rel=1e-9)


def test_observations_of_tuples_and_arrays_are_numbered_without_gaps():
    spaces = gymnasium.spaces
    space = spaces.Tuple([spaces.Discrete(3, start=-1), spaces.MultiDiscrete([2, 2]), spaces.MultiBinary(2)])
    size, index = indexed(space)
    assert size == 3 * 4 * 4
    numbers = {
        index((a, np.array([b, c]), np.array([d, e])))
        for a in (-1, 0, 1)
        for b in (0, 1)
        for c in (0, 1)
        for d in (0, 1)
        for e in (0, 1)
    }
    assert numbers == set(range(size))
    learned = q_learning(toy_text.BlackjackEnv(), 3000, final_epsilon=1.0)
    # Another card is a bad idea with 20 points and a good one with 11.
    assert learned.act((20, 5, 0)) == 0
    assert learned.q.shape == (32 * 11 * 2, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"learning_rate_power": 2.0}, r"learning_rate_power must be in \[0, 1\], got 2.0"),
        ({"epsilon": -0.1}, "epsilon must be in"),
        ({"double": 1}, "double must be True or False, got 1"),
    ],
)
def test_bad_settings_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        q_learning(Loop(True), **{"steps": 1, **settings})


def test_continuous_spaces_are_errors():
    with pytest.raises(ValueError, match="observation_space must be discrete, got Box"):
        q_learning(gymnasium.make("CartPole-v1"), 1)


class Faulty(gymnasium.Env):
    """Returns a given observation and reward in its third step."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, observation, reward):
        self.faults, self.count = (observation, reward), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.count += 1
        observation, reward = self.faults if self.count == 3 else (1, 0.0)
        return observation, reward, False, False, {}


@pytest.mark.parametrize(
    ("observation", "reward", "message"),
    [
        (1, np.nan, "reward must be a finite number, got nan"),
        (1, -np.inf, "reward must be a finite number, got -inf"),
        (1, None, "reward must be a finite number, got None"),
        (3, 0.0, "observation must be from 0 to 2, got 3"),
        (-1, 0.0, "observation must be from 0 to 2, got -1"),
    ],
)
def test_what_an_environment_must_not_return_is_an_error(observation, reward, message):
    with pytest.raises(ValueError, match=message):
        q_learning(Faulty(observation, reward), 20)


def test_an_id_is_no_environment_object():
    with pytest.raises(ValueError, match=r"environment must be a gymnasium\.Env, got 'FrozenLake-v1'"):
        q_learning("FrozenLake-v1", 1)
