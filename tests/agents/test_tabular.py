"""Oracles: sums over all paths and all policies, breadth-first search, published values, exact fractions."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from gymnasium.envs import toy_text
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.agents.tabular import FiniteMDP
from curvezoo.theory import trajectories

runs = settings(max_examples=60, deadline=None, derandomize=True)


def random_mdp(seed=0, states=4, actions=3, discount=0.9, ending=0.1, masked=False):
    """Returns a random process in which each step ends the episode with a probability up to `ending`."""
    rng = np.random.default_rng(seed)
    transitions = rng.dirichlet(np.full(states, 0.5), size=(states, actions))
    transitions *= 1 - ending * rng.random((states, actions, 1))
    allowed = rng.random((states, actions)) < 0.6 if masked else np.ones((states, actions), bool)
    allowed[np.arange(states), rng.integers(actions, size=states)] = True
    rewards = rng.normal(size=(states, actions))
    return FiniteMDP(transitions, rewards, discount, rng.dirichlet(np.ones(states)), allowed)


def random_policy(mdp, seed=1):
    policy = np.random.default_rng(seed).random(mdp.rewards.shape) * mdp.allowed
    return policy / policy.sum(axis=1, keepdims=True)


def all_policies(mdp):
    choices = [np.flatnonzero(row) for row in mdp.allowed]
    return [np.array(policy) for policy in itertools.product(*choices)]


@pytest.fixture(scope="module")
def frozen_lake():
    return FiniteMDP.from_gymnasium(toy_text.FrozenLakeEnv(), 0.95)


def layered():
    """Returns a process whose episodes end after 3 steps, and its tables with an absorbing state 6."""
    rng = np.random.default_rng(3)
    transitions, rewards = np.zeros((7, 2, 7)), np.zeros((7, 2, 7))
    for layer in range(3):
        for state in (2 * layer, 2 * layer + 1):
            following = [6] if layer == 2 else [2 * layer + 2, 2 * layer + 3, 6]
            transitions[state][:, following] = rng.dirichlet(np.ones(len(following)), size=2)
            rewards[state] = rng.normal(size=(2, 7))
    transitions[6, :, 6] = 1.0
    initial = np.array([0.4, 0.6, 0, 0, 0, 0, 0])
    going_on = transitions * (np.arange(7) != 6)
    mdp = FiniteMDP(going_on, np.sum(transitions * rewards, axis=-1), 0.8, initial)
    return mdp, transitions, rewards


@pytest.mark.equation("8.1.5")
@pytest.mark.equation("8.1.6")
def test_values_are_mean_returns_over_all_paths_from_a_state_and_an_action():
    mdp, transitions, rewards = layered()
    policy = random_policy(mdp)
    v, q = mdp.policy_values(policy)
    for state in range(2):
        paths = trajectories.enumerate_trajectories(transitions, rewards, np.eye(7)[state], policy, 3)
        returns = paths.returns(0.8)
        assert v[state] == pytest.approx(paths.mean(returns), rel=1e-12)
        for action in range(2):
            weights = paths.probabilities * (paths.actions[:, 0] == action)
            assert q[state, action] == pytest.approx(weights @ returns / weights.sum(), rel=1e-12)
    paths = trajectories.enumerate_trajectories(transitions, rewards, mdp.initial, policy, 3)
    assert mdp.expected_return(policy) == pytest.approx(paths.mean(paths.returns(0.8)), rel=1e-12)


def test_values_of_endless_episodes_are_sums_over_powers_of_the_transitions():
    mdp = random_mdp()
    policy = random_policy(mdp)
    chain, state = np.einsum("sa,sat->st", policy, mdp.transitions), np.eye(4)
    total = np.zeros(4)
    for t in range(500):
        total += 0.9**t * state @ np.sum(policy * mdp.rewards, axis=1)
        state = state @ chain
    v, q = mdp.policy_values(policy)
    np.testing.assert_allclose(v, total, rtol=1e-11)
    np.testing.assert_allclose(np.sum(policy * q, axis=1), v, rtol=1e-12)


@pytest.mark.equation("8.3.1")
@pytest.mark.parametrize("masked", [False, True])
def test_q_of_a_policy_solves_its_bellman_equation_written_as_sums(masked):
    mdp = random_mdp(masked=masked)
    policy = random_policy(mdp)
    q = mdp.policy_values(policy).q
    for s, a in zip(*np.nonzero(mdp.allowed), strict=True):
        mean = sum(
            mdp.transitions[s, a, following] * policy[following, action] * q[following, action]
            for following, action in zip(*np.nonzero(mdp.allowed), strict=True)
        )
        assert q[s, a] == pytest.approx(mdp.rewards[s, a] + 0.9 * mean, rel=1e-11)
    np.testing.assert_allclose(mdp.policy_bellman(policy, q), q, rtol=1e-11)
    assert np.all(np.isneginf(q[~mdp.allowed]))


@pytest.mark.equation("8.3.2")
@pytest.mark.parametrize("masked", [False, True])
def test_the_fixed_point_is_the_best_of_all_policies_in_every_state(masked):
    mdp = random_mdp(masked=masked)
    values = [mdp.policy_values(policy).q for policy in all_policies(mdp)]
    best = np.max(values, axis=0)
    for solution in (mdp.value_iteration(1e-12), mdp.policy_iteration()):
        np.testing.assert_allclose(solution.q, best, rtol=1e-10)
        np.testing.assert_allclose(mdp.policy_values(solution.policy).q, best, rtol=1e-10)
    np.testing.assert_allclose(mdp.bellman(best), best, rtol=1e-11)


def maximum_outside(mdp, q):
    """The printed right-hand side of Eq. 8.3.2: one action a' for all next states s'."""
    return mdp.rewards + mdp.discount * (mdp.transitions @ q).max(axis=-1)


def test_the_printed_maximum_outside_the_mean_undervalues_every_action():
    mdp = random_mdp(ending=0.0)
    q = np.zeros((4, 3))
    for _ in range(400):
        q = maximum_outside(mdp, q)
    np.testing.assert_allclose(maximum_outside(mdp, q), q, rtol=1e-12)
    best = np.max([mdp.policy_values(policy).q for policy in all_policies(mdp)], axis=0)
    assert np.all(q < best - 0.1)
    # For deterministic transitions there is one next state, and the order does not matter.
    certain = FiniteMDP(np.eye(4)[mdp.transitions.argmax(axis=-1)], mdp.rewards, 0.9)
    np.testing.assert_allclose(maximum_outside(certain, q), certain.bellman(q), rtol=1e-14)


@pytest.mark.equation("8.3.3")
def test_a_sweep_is_the_bellman_sum_with_the_maximum_for_each_next_state():
    mdp = random_mdp(masked=True)
    q = np.random.default_rng(5).normal(size=(4, 3))
    swept = mdp.bellman(q)
    for s, a in np.ndindex(4, 3):
        best = [
            max(q[following, action] for action in range(3) if mdp.allowed[following, action])
            for following in range(4)
        ]
        expected = mdp.rewards[s, a] + 0.9 * sum(mdp.transitions[s, a, i] * best[i] for i in range(4))
        assert swept[s, a] == (pytest.approx(expected, rel=1e-13) if mdp.allowed[s, a] else -np.inf)


@pytest.mark.equation("8.3.4")
@pytest.mark.equation("8.3.5")
@given(seed=st.integers(0, 10**6), discount=st.floats(0, 1), scale=st.floats(1e-3, 1e3))
@runs
def test_the_bellman_operator_is_a_contraction_by_gamma_in_the_maximum_norm(seed, discount, scale):
    mdp = random_mdp(seed, discount=discount)
    x, y = scale * np.random.default_rng(seed).standard_cauchy(size=(2, 4, 3))
    distance, change = np.abs(x - y).max(), np.abs(mdp.bellman(x) - mdp.bellman(y))
    assert change.max() <= discount * distance * (1 + 1e-12) + 1e-9 * scale
    # The two steps of Eq. 8.3.5: a mean is at most the maximum, and maxima differ at most as their arguments.
    gaps = np.abs(x.max(axis=1) - y.max(axis=1))
    means = mdp.transitions @ gaps
    assert np.all(change <= discount * means * (1 + 1e-12) + 1e-9 * scale)
    assert means.max() <= gaps.max() * (1 + 1e-12)
    assert gaps.max() <= distance
    # No smaller factor is a bound: where no episode ends, a constant is multiplied by gamma.
    endless = random_mdp(seed, discount=discount, ending=0.0)
    shifted = endless.bellman(x + scale) - endless.bellman(x)
    np.testing.assert_allclose(shifted, discount * scale, atol=1e-13 * np.abs(x).max() + 1e-12 * scale)


@pytest.mark.equation("8.3.6")
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=6))
@runs
def test_maxima_differ_by_at_most_the_largest_difference(pairs):
    f, g = np.transpose(pairs)
    if f.max() < g.max():
        f, g = g, f
    # In a loop without reward the Bellman operator is the maximum over actions.
    loop = FiniteMDP(np.ones((1, len(f), 1)), np.zeros((1, len(f))), 1.0)
    best_f, best_g = (loop.bellman(values[None])[0, 0] for values in (f, g))
    [at] = loop.greedy(f[None])
    assert best_f == f[at]
    assert best_f - best_g <= f[at] - g[at] <= np.abs(f - g).max()


def test_the_last_step_of_the_proof_is_an_inequality_and_not_the_printed_equation():
    f, g = np.array([1.0, 0.0]), np.array([0.5, -9.0])
    at_best = f[f.argmax()] - g[f.argmax()]
    assert at_best == 0.5
    assert np.abs(f - g).max() == 9.0


def test_the_contraction_needs_a_discount_below_one():
    # A loop without reward has every constant as a fixed point of T.
    loop = FiniteMDP(np.ones((1, 1, 1)), np.zeros((1, 1)), 1.0)
    for constant in (0.0, 7.0):
        assert loop.bellman(np.full((1, 1), constant)) == constant
    with pytest.raises(ValueError, match="discount must be below 1 where the episode may never end"):
        loop.policy_values([0])


@pytest.mark.parametrize("seed", range(4))
def test_the_errors_of_value_iteration_keep_their_bounds(seed):
    mdp = random_mdp(seed, ending=0.0)
    exact, q = mdp.policy_iteration().q, np.zeros((4, 3))
    first = np.abs(exact).max()
    for sweeps in range(1, 40):
        solution = mdp.value_iteration(0.0, max_sweeps=sweeps)
        q = mdp.bellman(q)
        np.testing.assert_array_equal(solution.q, q)
        error = np.abs(q - exact).max()
        assert error <= 0.9**sweeps * first * (1 + 1e-12)
        assert error <= solution.error_bound * (1 + 1e-12)
    finished = mdp.value_iteration(1e-6)
    assert np.abs(finished.q - exact).max() <= finished.error_bound <= 1e-6
    assert finished.differences[-2] > 1e-6 / 9 >= finished.differences[-1]


def test_value_iteration_on_a_cycle_does_not_converge_in_a_finite_number_of_sweeps():
    # One state, one action, reward 1, deterministic: Q_n = (1 - gamma^n) / (1 - gamma), in exact arithmetic.
    discount, q = Fraction(9, 10), Fraction(0)
    for n in range(1, 200):
        q = 1 + discount * q
        assert q == (1 - discount**n) / (1 - discount) < 1 / (1 - discount)
    loop = FiniteMDP(np.ones((1, 1, 1)), np.ones((1, 1)), 0.9)
    differences = loop.value_iteration(0.0, max_sweeps=50).differences
    np.testing.assert_allclose(differences, 0.9 ** np.arange(50), rtol=1e-12)


def test_value_iteration_without_cycles_is_exact_after_as_many_sweeps_as_steps():
    mdp, _, _ = layered()
    solution = mdp.value_iteration(0.0)
    assert len(solution.differences) == 4
    assert solution.differences[-1] == solution.error_bound == 0
    np.testing.assert_allclose(solution.q, mdp.policy_iteration().q, rtol=1e-13, atol=1e-15)


def test_the_greedy_policy_is_optimal_after_finitely_many_sweeps(frozen_lake):
    exact = frozen_lake.policy_iteration()
    early = frozen_lake.value_iteration(0.0, max_sweeps=60)
    assert np.abs(early.q - exact.q).max() > 1e-4
    best = frozen_lake.expected_return(exact.policy)
    assert frozen_lake.expected_return(early.policy) == pytest.approx(best, rel=1e-12)


def test_policy_iteration_improves_every_state_at_every_step_and_needs_few_steps(frozen_lake):
    for mdp in (frozen_lake, random_mdp(states=30, actions=5)):
        exact = mdp.value_iteration(1e-11)
        solution = mdp.policy_iteration()
        np.testing.assert_allclose(solution.q, exact.q, atol=2e-11)
        assert len(solution.differences) <= 8 < len(exact.differences)
        policy = random_policy(mdp)
        before = mdp.policy_values(policy)
        for _ in range(8):
            after = mdp.policy_values(mdp.greedy(before.q))
            assert np.all(after.v >= before.v - 1e-12)
            before = after
        np.testing.assert_allclose(before.v, solution.v, atol=1e-11)


@given(seed=st.integers(0, 10**6), discount=st.sampled_from([0.0, 0.5, 0.99, 0.99999]), masked=st.booleans())
@runs
def test_policy_iteration_ends_at_a_fixed_point_of_the_bellman_operator(seed, discount, masked):
    mdp = random_mdp(seed, discount=discount, ending=0.0, masked=masked)
    solution = mdp.policy_iteration()
    change = np.where(mdp.allowed, mdp.bellman(solution.q), 0) - np.where(mdp.allowed, solution.q, 0)
    assert np.abs(change).max() < 1e-10 * max(1, np.abs(solution.v).max())


def test_frozen_lake_is_won_with_its_known_probability_without_discount_or_time_limit():
    mdp = FiniteMDP.from_gymnasium(toy_text.FrozenLakeEnv(), 1.0)
    solution = mdp.value_iteration(1e-12)
    assert mdp.initial @ solution.v == pytest.approx(14 / 17, abs=1e-8)


def test_cliff_walking_takes_thirteen_steps():
    mdp = FiniteMDP.from_gymnasium(toy_text.CliffWalkingEnv(), 1.0)
    solution = mdp.value_iteration(0.0)
    assert mdp.initial @ solution.v == -13
    # Without a cycle of rewards, the walk is over after finitely many sweeps.
    assert solution.error_bound == 0


def shortest_rides(table):
    """Returns the number of steps to the end from each state of Taxi by breadth-first search backwards."""
    steps, frontier = {}, set()
    before = {}
    for s, a in itertools.product(table, range(6)):
        [(_, following, _, terminated)] = table[s][a]
        if terminated:
            frontier.add(s)
        else:
            before.setdefault(following, set()).add(s)
    distance = 1
    while frontier:
        steps.update(dict.fromkeys(frontier, distance))
        frontier = {s for following in frontier for s in before.get(following, ())} - steps.keys()
        distance += 1
    return steps


def test_taxi_values_are_twenty_minus_the_shortest_ride():
    environment = toy_text.TaxiEnv()
    mdp = FiniteMDP.from_gymnasium(environment, 1.0)
    solution = mdp.value_iteration(0.0)
    steps = shortest_rides(environment.P)
    first = np.flatnonzero(mdp.initial)
    assert len(first) == 300
    np.testing.assert_array_equal(solution.v[first], [21 - steps[s] for s in first])


def test_tables_read_from_an_environment_have_its_mean_rewards_and_no_steps_after_its_end():
    environment = toy_text.FrozenLakeEnv(map_name="8x8")
    mdp = FiniteMDP.from_gymnasium(environment, 0.9)
    for s, a in itertools.product(range(64), range(4)):
        outcomes = environment.P[s][a]
        assert mdp.rewards[s, a] == pytest.approx(sum(p * r for p, _, r, _ in outcomes), abs=1e-15)
        going_on = sum(p for p, _, _, terminated in outcomes if not terminated)
        assert mdp.transitions[s, a].sum() == pytest.approx(going_on, abs=1e-15)
    np.testing.assert_array_equal(mdp.initial, environment.initial_state_distrib)


ONES = np.ones((2, 1, 2)) / 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: FiniteMDP(ONES * 2, np.zeros((2, 1)), 0.9),
            r"transitions\[0, 0\] must sum to at most 1, got 2",
        ),
        (lambda: FiniteMDP(ONES, np.zeros((2, 2)), 0.9), r"transitions must have shape \(2, 2, 2\)"),
        (lambda: FiniteMDP(ONES, np.zeros((2, 1)), 1.2), r"discount must be in \[0, 1\], got 1.2"),
        (lambda: FiniteMDP(ONES, np.zeros((2, 1)), 0.9, [1.0, 1.0]), "initial must sum to 1"),
        (
            lambda: FiniteMDP(ONES, np.zeros((2, 1)), 0.9, allowed=np.array([[True], [False]])),
            r"allowed\[1\] must allow at least one action, got 0",
        ),
        (
            lambda: FiniteMDP(ONES, np.zeros((2, 1)), 0.9, allowed=np.ones((2, 1))),
            "allowed must hold Booleans",
        ),
        (lambda: random_mdp().policy_values([0, 1, 3, 0]), r"policy\[2\] must be below 3, got 3"),
        (lambda: random_mdp().policy_values(np.ones((4, 3))), r"policy\[0\] must sum to 1"),
        (lambda: random_mdp().bellman(np.zeros((4, 2))), r"q must have shape \(4, 3\), got \(4, 2\)"),
        (lambda: random_mdp().greedy(np.full((4, 3), np.nan)), r"q\[0, 0\] must be finite, got nan"),
        (lambda: random_mdp().value_iteration(-1.0), "tolerance must be"),
        (
            lambda: random_mdp().value_iteration(initial=np.full((4, 3), np.nan)),
            r"initial\[0, 0\] must be finite, got nan",
        ),
        (lambda: random_mdp().value_iteration(initial=np.zeros(3)), r"initial must have shape \(4, 3\)"),
        (lambda: FiniteMDP.from_gymnasium("FrozenLake-v1", 0.9), "must have a table P .* got str"),
        (lambda: FiniteMDP.from_gymnasium(toy_text.BlackjackEnv(), 0.9), "environment must have a table P"),
    ],
)
def test_bad_input_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_policy_with_an_action_that_is_not_allowed_is_an_error():
    mdp = FiniteMDP(np.zeros((1, 2, 1)), np.zeros((1, 2)), 0.9, allowed=np.array([[True, False]]))
    with pytest.raises(
        ValueError, match=r"policy\[0, 1\] must be 0 for an action that is not allowed, got 1"
    ):
        mdp.policy_values([1])


def test_value_iteration_goes_on_from_the_values_of_an_earlier_solution():
    mdp = random_mdp(masked=True)
    solution = mdp.value_iteration(1e-9)
    assert len(mdp.value_iteration(1e-8, initial=solution.q).differences) == 1
