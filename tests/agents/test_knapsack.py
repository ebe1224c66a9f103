"""Oracles: all subsets of items, and the recursion of dynamic programming."""

import itertools

import numpy as np
import pytest

from curvezoo.agents.knapsack import TAKE, Knapsack, KnapsackEnvironment
from curvezoo.agents.q_learning import q_learning


def random_problem(seed, items=7, largest=9, capacity=15):
    rng = np.random.default_rng(seed)
    return Knapsack(rng.integers(0, largest, items), rng.integers(0, 20, items), capacity)


def brute_force(problem):
    subsets = np.array(list(itertools.product([0, 1], repeat=problem.items)))
    return max(subsets[subsets @ problem.weights <= problem.capacity] @ problem.values)


def dynamic_programming(problem):
    """Returns the largest value for each capacity, item after item."""
    best = np.zeros(problem.capacity + 1)
    for weight, value in zip(problem.weights, problem.values, strict=True):
        for capacity in range(problem.capacity, weight - 1, -1):
            best[capacity] = max(best[capacity], best[capacity - weight] + value)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_value_iteration_is_dynamic_programming_and_the_best_of_all_subsets(seed):
    problem = random_problem(seed)
    value, chosen = problem.solve()
    assert value == brute_force(problem) == dynamic_programming(problem)[-1]
    assert problem.values[chosen].sum() == value
    assert problem.weights[chosen].sum() <= problem.capacity
    assert len(set(chosen)) == len(chosen)


def test_the_values_of_the_first_item_are_those_of_dynamic_programming_for_every_capacity():
    problem = random_problem(3)
    solution = problem.as_mdp().value_iteration(0.0)
    first = solution.v[problem.state(0, 0) : problem.state(0, problem.capacity) + 1]
    np.testing.assert_array_equal(first, dynamic_programming(problem))
    # One sweep for each item, and one that changes nothing.
    assert len(solution.differences) <= problem.items + 1
    assert solution.error_bound == 0
    iterated = problem.as_mdp().policy_iteration()
    np.testing.assert_allclose(iterated.v, solution.v, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_sets_of_items_as_states_give_the_same_value_with_more_states(seed):
    problem = random_problem(seed, items=6)
    sets = problem.as_mdp_of_sets()
    solution = sets.value_iteration(0.0)
    assert solution.v[0] == brute_force(problem)
    assert solution.error_bound == 0
    assert sets.states == 2**6


def test_a_larger_problem_takes_capacity_times_items_states():
    problem = random_problem(0, items=14, capacity=20)
    assert problem.as_mdp().states == 14 * 21
    assert problem.solve()[0] == dynamic_programming(problem)[-1] == brute_force(problem)


def test_greed_by_value_per_weight_is_not_optimal():
    problem = Knapsack([5, 3, 3], [10, 5.5, 5.5], 6)
    assert problem.solve() == (11.0, [1, 2])


def test_the_environment_pays_what_the_table_says_and_masks_what_does_not_fit():
    problem = random_problem(5)
    mdp, environment = problem.as_mdp(), KnapsackEnvironment(problem)
    rng = np.random.default_rng(0)
    for _ in range(50):
        state, info = environment.reset()
        assert mdp.initial[state] == 1
        for item in range(problem.items):
            np.testing.assert_array_equal(info["action_mask"], mdp.allowed[state])
            action = int(rng.choice(np.flatnonzero(info["action_mask"])))
            following, reward, terminated, truncated, info = environment.step(action)
            assert reward == mdp.rewards[state, action]
            assert not truncated
            assert terminated == (item == problem.items - 1)
            assert mdp.transitions[state, action].sum() == (not terminated)
            assert terminated or mdp.transitions[state, action, following] == 1
            assert environment.observation_space.contains(following)
            state = following


def test_q_learning_fills_the_knapsack_optimally():
    problem = random_problem(8, items=5, capacity=8)
    learned = q_learning(
        KnapsackEnvironment(problem), 4000, discount=1.0, learning_rate=1.0, final_epsilon=1.0, seed=0
    )
    assert learned.q[problem.state(0, problem.capacity)].max() == brute_force(problem)
    assert np.all(learned.returns <= brute_force(problem))


@pytest.mark.parametrize(
    ("weights", "values", "capacity", "message"),
    [
        ([1.5], [1.0], 3, r"weights\[0\] must be an integer of at least 0, got 1.5"),
        ([1], [-1.0], 3, r"values\[0\] must not be negative, got -1"),
        ([1, 2], [1.0], 3, "weights and values must have the same shape"),
        ([1], [1.0], -3, "capacity must be an integer of at least 0, got -3"),
        ([], [], 3, "values must have at least one item"),
    ],
)
def test_bad_problems_are_errors(weights, values, capacity, message):
    with pytest.raises(ValueError, match=message):
        Knapsack(weights, values, capacity)


def test_taking_what_does_not_fit_and_too_many_sets_are_errors():
    environment = KnapsackEnvironment(Knapsack([5], [1.0], 3))
    environment.reset()
    with pytest.raises(ValueError, match="action must be 0, since the item does not fit, got 1"):
        environment.step(TAKE)
    with pytest.raises(ValueError, match="action must be one of 0, 1, got 2"):
        environment.step(2)
    with pytest.raises(ValueError, match="items must be an integer from 1 to 8, got 9"):
        random_problem(0, items=9).as_mdp_of_sets()


def test_a_problem_is_solved_in_memory_of_items_times_capacity():
    # The table of transitions would have 2 (50 * 1001)^2 entries.
    problem = random_problem(1, items=50, capacity=1000)
    value, chosen = problem.solve()
    assert value == pytest.approx(dynamic_programming(problem)[-1], rel=1e-12)
    assert problem.values[chosen].sum() == pytest.approx(value, rel=1e-12)
    assert problem.weights[chosen].sum() <= 1000
