"""Oracles: the sums of the definitions, written out for every step, and exact values of Markov chains."""

import numpy as np
import pytest

from curvezoo.theory import returns


def rollout(seed, steps=12, environments=3, kinds=(0, 1, 2), odds=(0.6, 0.2, 0.2)):
    """Returns the arguments of the advantages; steps go on, terminate or are truncated (0, 1, 2)."""
    rng = np.random.default_rng(seed)
    rewards, values, final = rng.normal(size=(3, steps, environments))
    kind = rng.choice(kinds, size=rewards.shape, p=odds)
    next_values = np.where(kind == 0, np.append(values[1:], final[-1:], axis=0), final)
    return {
        "rewards": rewards,
        "values": values,
        "next_values": next_values,
        "terminated": kind == 1,
        "ended": kind > 0,
    }


def k_step(data, t, n, k, discount):
    """Returns A_t^(k) of Eq. 8.2.11 and whether the episode or the arrays end before k rewards."""
    total = -data["values"][t, n]
    for length in range(k):
        now = t + length
        total += discount**length * data["rewards"][now, n]
        last = data["ended"][now, n] or now == len(data["rewards"]) - 1
        if last or length == k - 1:
            bootstrap = 0.0 if data["terminated"][now, n] else data["next_values"][now, n]
            return total + discount ** (length + 1) * bootstrap, bool(last)


def each_step(data, function):
    steps, environments = data["rewards"].shape
    return np.array([[function(t, n) for n in range(environments)] for t in range(steps)])


@pytest.mark.equation("8.1.2")
@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_the_return_is_the_discounted_sum_and_the_first_reward_to_go(discount):
    rewards = np.random.default_rng(0).normal(size=(7, 4))
    expected = [sum(discount**t * r for t, r in enumerate(column)) for column in rewards.T]
    result = returns.discounted_return(rewards, discount)
    np.testing.assert_allclose(result, expected, rtol=1e-13)
    first = returns.rewards_to_go(rewards, np.zeros((7, 4), bool), discount)[0]
    np.testing.assert_allclose(result, first, rtol=1e-13)
    assert returns.discounted_return(np.zeros(0), discount) == 0


def test_a_finite_horizon_misses_at_most_gamma_to_the_t_of_the_largest_return():
    whole = 1 / (1 - 0.9)
    for horizon in (1, 10, 50):
        missing = whole - returns.discounted_return(np.ones(horizon), 0.9)
        assert missing == pytest.approx(0.9**horizon * whole, rel=1e-12)


@pytest.mark.equation("8.2.8")
@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_rewards_to_go_are_the_sums_until_the_end_of_each_episode(discount):
    data, last = rollout(1), np.array([10.0, -20.0, 30.0])

    def brute_force(t, n, tail):
        total, weight = 0.0, 1.0
        for reward, ended in zip(data["rewards"][t:, n], data["ended"][t:, n], strict=True):
            total, weight = total + weight * reward, weight * discount
            if ended:
                return total
        return total + weight * tail[n]

    for given, tail in ((None, np.zeros(3)), (last, last)):
        result = returns.rewards_to_go(data["rewards"], data["ended"], discount, given)
        expected = each_step(data, lambda t, n, tail=tail: brute_force(t, n, tail))
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.equation("8.2.11")
@pytest.mark.parametrize("steps", [1, 2, 5, 100])
def test_k_step_advantages_are_k_rewards_and_the_value_after_them(steps):
    data = rollout(2)
    result = returns.k_step_advantages(**data, discount=0.8, steps=steps)
    expected = each_step(data, lambda t, n: k_step(data, t, n, steps, 0.8)[0])
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.equation("8.2.12")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("discount", "lam"), [(0.9, 0.7), (1.0, 0.95), (0.5, 0.1), (1.0, 0.0)])
def test_generalized_advantages_are_the_weighted_sum_of_all_k_step_advantages(seed, discount, lam):
    data = rollout(seed)

    def brute_force(t, n):
        total, k = 0.0, 1
        while True:
            advantage, last = k_step(data, t, n, k, discount)
            if last:
                # All longer ones are the same, and the weights from k on sum to lambda^(k - 1).
                return total + lam ** (k - 1) * advantage
            total += (1 - lam) * lam ** (k - 1) * advantage
            k += 1

    result = returns.generalized_advantages(**data, discount=discount, lam=lam)
    np.testing.assert_allclose(result, each_step(data, brute_force), rtol=1e-11, atol=1e-13)


def test_lambda_zero_is_one_step_and_lambda_one_is_rewards_to_go_minus_values():
    data = rollout(3)
    zero, one = (returns.generalized_advantages(**data, discount=0.9, lam=lam) for lam in (0.0, 1.0))
    np.testing.assert_allclose(zero, returns.k_step_advantages(**data, discount=0.9, steps=1), rtol=1e-14)
    np.testing.assert_allclose(one, returns.k_step_advantages(**data, discount=0.9, steps=12), atol=1e-13)
    terminal = rollout(3, kinds=(0, 1), odds=(0.7, 0.3))
    one = returns.generalized_advantages(**terminal, discount=0.9, lam=1.0)
    to_go = returns.rewards_to_go(terminal["rewards"], terminal["ended"], 0.9, terminal["next_values"][-1])
    np.testing.assert_allclose(one, to_go - terminal["values"], atol=1e-13)


def test_a_truncated_episode_counts_the_value_it_reached_and_a_terminated_one_does_not():
    common = {"rewards": np.ones((2, 1)), "values": np.zeros((2, 1)), "next_values": np.full((2, 1), 10.0)}
    ended = np.array([[True], [True]])
    truncated = returns.generalized_advantages(**common, terminated=~ended, ended=ended, discount=0.5, lam=1)
    terminated = returns.generalized_advantages(**common, terminated=ended, ended=ended, discount=0.5, lam=1)
    np.testing.assert_array_equal(truncated, [[6.0], [6.0]])
    np.testing.assert_array_equal(terminated, [[1.0], [1.0]])


def test_nothing_flows_across_the_end_of_an_episode():
    data = rollout(4)
    end = int(np.flatnonzero(data["ended"][:, 0])[0])
    changed = {name: array.copy() for name, array in data.items()}
    for name in ("rewards", "values", "next_values"):
        changed[name][end + 1 :, 0] += 100.0
    for function, setting in (
        (returns.generalized_advantages, {"lam": 0.9}),
        (returns.k_step_advantages, {"steps": 4}),
    ):
        before, after = (function(**each, discount=0.9, **setting) for each in (data, changed))
        np.testing.assert_array_equal(after[: end + 1, 0], before[: end + 1, 0])
        np.testing.assert_array_equal(after[:, 1:], before[:, 1:])
        assert np.all(after[end + 1 :, 0] != before[end + 1 :, 0])


def chain(values_of_learner, discount, steps, seed=0, runs=20_000):
    """Returns the arguments of the advantages for a chain of two states that never ends, started in 0."""
    rng = np.random.default_rng(seed)
    stay = np.array([0.7, 0.6])
    states = np.zeros((steps + 1, runs), int)
    for t in range(steps):
        states[t + 1] = np.where(rng.random(runs) < stay[states[t]], states[t], 1 - states[t])
    transitions = np.array([[0.7, 0.3], [0.4, 0.6]])
    exact = np.linalg.solve(np.eye(2) - discount * transitions, [1.0, -1.0])
    never = np.zeros((steps, runs), bool)
    data = {
        "rewards": np.array([1.0, -1.0])[states[:-1]],
        "values": values_of_learner(exact)[states[:-1]],
        "next_values": values_of_learner(exact)[states[1:]],
        "terminated": never,
        "ended": never,
    }
    return data, exact


def test_longer_advantages_have_less_bias_and_more_variance():
    wrong = np.array([0.0, 3.0])
    data, exact = chain(lambda values: values + wrong, 0.9, 40)
    # With the true values, each advantage has mean 0; with V(s_t) known, only the last value is biased.
    first = [returns.k_step_advantages(**data, discount=0.9, steps=k)[0] for k in (1, 2, 4, 40)]
    transitions = np.array([[0.7, 0.3], [0.4, 0.6]])
    for advantages, k in zip(first, (1, 2, 4, 40), strict=True):
        bias = 0.9**k * (np.linalg.matrix_power(transitions, k) @ wrong)[0]
        assert abs(advantages.mean() - bias) < 5 * advantages.std() / np.sqrt(advantages.size)
    variances = [advantages.var() for advantages in chain_advantages(exact)]
    assert variances == sorted(variances)


def chain_advantages(exact):
    data, _ = chain(lambda values: values, 0.9, 40, seed=1)
    return [returns.k_step_advantages(**data, discount=0.9, steps=k)[0] for k in (1, 2, 4, 40)]


def test_one_environment_needs_no_axis():
    data = rollout(5)
    whole = returns.generalized_advantages(**data, discount=0.9, lam=0.8)
    single = returns.generalized_advantages(
        **{name: array[:, 1] for name, array in data.items()}, discount=0.9, lam=0.8
    )
    np.testing.assert_array_equal(single, whole[:, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        ({"lam": -0.1}, r"lam must be in \[0, 1\], got -0.1"),
        ({"values": np.zeros((3, 2))}, r"rewards and values must have the same shape"),
        ({"rewards": np.full((12, 3), np.nan)}, r"rewards\[0, 0\] must be finite, got nan"),
        ({"ended": np.full((12, 3), 0.5)}, r"ended\[0, 0\] must be True or False, got 0.5"),
        ({"terminated": np.ones((12, 3), bool)}, r"ended\[\d+, \d\] must be True where terminated"),
    ],
)
def test_bad_input_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        returns.generalized_advantages(**{**rollout(0), "discount": 0.9, "lam": 0.9, **changes})


def test_bad_steps_and_last_values_are_errors():
    data = rollout(0)
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        returns.k_step_advantages(**data, discount=0.9, steps=0)
    with pytest.raises(ValueError, match=r"last_values must have shape \(3,\), got \(12, 3\)"):
        returns.rewards_to_go(data["rewards"], data["ended"], 0.9, data["values"])
    with pytest.raises(ValueError, match="rewards must have at least one step"):
        returns.rewards_to_go(np.zeros((0, 3)), np.zeros((0, 3), bool), 0.9)
