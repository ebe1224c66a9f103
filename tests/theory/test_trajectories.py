"""Oracles: products and sums written out, powers of transition matrices, and complex-step derivatives."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses.policy import policy_gradient_loss
from curvezoo.theory import trajectories

STATES, ACTIONS, STEPS, DISCOUNT = 2, 2, 3, 0.8
RNG = np.random.default_rng(7)
TRANSITIONS = RNG.dirichlet(np.ones(STATES), size=(STATES, ACTIONS))
REWARDS = RNG.normal(size=(STATES, ACTIONS, STATES)) + 1
INITIAL = np.array([0.3, 0.7])
LOGITS = RNG.normal(size=(STATES, ACTIONS))
EXPECTED = np.sum(TRANSITIONS * REWARDS, axis=-1)


def softmax(logits):
    """The softmax of real or complex logits."""
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


def expected_return(logits, discount=DISCOUNT, steps=STEPS):
    """Returns J by powers of the transition matrix, for real or complex logits."""
    policy = softmax(logits)
    chain = np.einsum("sa,sat->st", policy, TRANSITIONS)
    state, total = INITIAL.astype(policy.dtype), 0.0
    for t in range(steps):
        total = total + discount**t * state @ np.sum(policy * EXPECTED, axis=1)
        state = state @ chain
    return total


def derivative(function, logits=LOGITS):
    """Returns the gradient by complex steps, exact to rounding."""
    gradient = np.empty(logits.shape)
    for index in np.ndindex(logits.shape):
        shifted = logits.astype(complex)
        shifted[index] += 1e-30j
        gradient[index] = function(shifted).imag / 1e-30
    return gradient


@pytest.fixture(scope="module")
def paths():
    policy = trajectories.softmax_policy(LOGITS)
    return trajectories.enumerate_trajectories(TRANSITIONS, REWARDS, INITIAL, policy, STEPS)


@pytest.mark.equation("8.1.3")
def test_a_path_has_the_product_of_its_probabilities_and_all_paths_sum_to_one(paths):
    assert len(paths.probabilities) == STATES * (STATES * ACTIONS) ** STEPS
    assert paths.probabilities.sum() == pytest.approx(1, abs=1e-14)
    policy = softmax(LOGITS)
    for states, actions, probability in zip(paths.states, paths.actions, paths.probabilities, strict=True):
        product = INITIAL[states[0]]
        for t in range(STEPS):
            product *= policy[states[t], actions[t]] * TRANSITIONS[states[t], actions[t], states[t + 1]]
        assert probability == pytest.approx(product, rel=1e-13)
    chain = np.einsum("sa,sat->st", policy, TRANSITIONS)
    last = [paths.mean(paths.states[:, -1] == state) for state in range(STATES)]
    np.testing.assert_allclose(last, INITIAL @ np.linalg.matrix_power(chain, STEPS), rtol=1e-13)


@pytest.mark.equation("8.1.1")
def test_rewards_depend_on_state_action_and_next_state_and_their_mean_has_the_same_return(paths):
    s, a, following = paths.states[:, :-1], paths.actions, paths.states[:, 1:]
    np.testing.assert_array_equal(paths.rewards, REWARDS[s, a, following])
    averaged = np.broadcast_to(EXPECTED[..., None], REWARDS.shape)
    other = trajectories.enumerate_trajectories(TRANSITIONS, averaged, INITIAL, paths.policy, STEPS)
    assert other.mean(other.returns()) == pytest.approx(paths.mean(paths.returns()), rel=1e-13)
    assert other.mean(other.returns() ** 2) != pytest.approx(paths.mean(paths.returns() ** 2), rel=1e-3)


@pytest.mark.equation("8.1.4")
@pytest.mark.parametrize("discount", [0.0, DISCOUNT, 1.0])
def test_the_mean_over_all_paths_is_the_expected_return_of_linear_algebra(paths, discount):
    assert paths.mean(paths.returns(discount)) == pytest.approx(expected_return(LOGITS, discount), rel=1e-13)


def test_the_printed_sum_has_a_reward_that_the_printed_paths_do_not_determine(paths):
    # One more reward, r_T, needs a_T and s_{T+1}: the mean over the paths of T steps is not a number of them.
    longer = trajectories.enumerate_trajectories(TRANSITIONS, REWARDS, INITIAL, paths.policy, STEPS + 1)
    assert longer.rewards.shape[1] == STEPS + 1
    difference = longer.mean(longer.returns(DISCOUNT)) - paths.mean(paths.returns(DISCOUNT))
    assert difference == pytest.approx(
        expected_return(LOGITS, steps=STEPS + 1) - expected_return(LOGITS), rel=1e-12
    )
    same = np.all(longer.states[:, : STEPS + 1] == paths.states[0], axis=1)
    same &= np.all(longer.actions[:, :STEPS] == paths.actions[0], axis=1)
    assert len(np.unique(longer.rewards[same, STEPS])) > 1


@pytest.mark.equation("8.2.1")
@pytest.mark.parametrize("discount", [DISCOUNT, 1.0])
def test_the_policy_gradient_is_the_mean_of_return_times_summed_scores(paths, discount):
    returns = np.repeat(paths.returns(discount)[:, None], STEPS, axis=1)
    exact = derivative(lambda logits: expected_return(logits, discount))
    np.testing.assert_allclose(paths.gradient(returns).mean, exact, rtol=1e-12)


def test_the_score_of_a_single_step_does_not_give_the_policy_gradient(paths):
    exact = derivative(expected_return)
    returns = paths.returns(DISCOUNT)[:, None]
    single = [paths.gradient(returns * np.eye(STEPS)[t]).mean for t in range(STEPS)]
    assert min(np.abs(each - exact).max() for each in single) > 0.1 * np.abs(exact).max()
    np.testing.assert_allclose(np.sum(single, axis=0), exact, rtol=1e-12)


def surrogate(paths, returns, logits=LOGITS):
    """Returns the mean over paths of the loss of policy gradients, summed over steps, and its gradient."""
    logits, places = tf.constant(logits), np.stack([paths.states[:, :-1], paths.actions], axis=-1)
    # The loss is a mean over all N T steps.
    weights = places[..., 0].size * np.repeat((paths.probabilities * returns)[:, None], STEPS, axis=1)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_probs = tf.gather_nd(tf.nn.log_softmax(logits), places)
        loss = policy_gradient_loss(log_probs, tf.constant(weights))
    return float(loss), tape.gradient(loss, logits).numpy()


@pytest.mark.equation("8.2.2")
def test_the_surrogate_has_the_gradient_of_minus_j_and_another_second_derivative(paths):
    returns = paths.returns(DISCOUNT)
    value, gradient = surrogate(paths, returns)
    log_probs = np.log(softmax(LOGITS))[paths.states[:, :-1], paths.actions].sum(axis=1)
    assert value == pytest.approx(-paths.mean(returns * log_probs), rel=1e-12)
    np.testing.assert_allclose(gradient, -derivative(expected_return), rtol=1e-12)
    # Central differences of exact gradients, in one direction. The paths are those of the old logits.
    shift = 1e-4 * np.eye(STATES * ACTIONS)[0].reshape(STATES, ACTIONS)
    second_j, second_surrogate = (
        (function(LOGITS + shift) - function(LOGITS - shift)) / 2e-4
        for function in (
            lambda logits: derivative(expected_return, logits),
            lambda logits: surrogate(paths, returns, logits)[1],
        )
    )
    assert np.abs(second_surrogate + second_j).max() > 0.1 * np.abs(second_j).max()


@pytest.mark.equation("8.2.3")
def test_the_mean_over_a_batch_of_paths_estimates_the_policy_gradient(paths):
    batch, exact = 50_000, derivative(expected_return)
    returns = np.repeat(paths.returns(DISCOUNT)[:, None], STEPS, axis=1)
    variance = paths.gradient(returns).variance
    counts = np.random.default_rng(0).multinomial(batch, paths.probabilities)
    drawn = dataclasses.replace(paths, probabilities=counts / batch)
    estimate = drawn.gradient(returns).mean
    np.testing.assert_allclose(surrogate(drawn, returns[:, 0])[1], -estimate, rtol=1e-11, atol=1e-13)
    error = np.sum((estimate - exact) ** 2)
    # The squared error has the mean variance / batch.
    assert 0 < error < 10 * variance / batch
    assert np.sum(exact**2) > 100 * variance / batch


@pytest.mark.equation("8.2.4")
def test_rewards_of_the_past_contribute_zero_and_those_of_the_future_do_not(paths):
    scores = paths.scores()
    for t, earlier in itertools.product(range(STEPS), range(STEPS)):
        product = paths.mean(scores[:, t] * paths.rewards[:, earlier, None, None])
        if earlier < t:
            np.testing.assert_allclose(product, 0, atol=1e-15)
        else:
            assert np.abs(product).max() > 1e-5


def conditional_scores(paths, t, earlier):
    """Yields P(S_t'), R(S_t') and the mean of the score at t for each (s_t', a_t', s_t'+1)."""
    scores = paths.scores()[:, t]
    for s, a, following in np.ndindex(REWARDS.shape):
        chosen = (paths.states[:, earlier] == s) & (paths.actions[:, earlier] == a)
        chosen &= paths.states[:, earlier + 1] == following
        weights = paths.probabilities * chosen
        yield weights.sum(), REWARDS[s, a, following], np.tensordot(weights / weights.sum(), scores, 1)


def joint_probabilities(t, earlier):
    """Returns P(S_t') P(S_t|S_t') for t' < t by powers of the transition matrix, [s', a', s'', s, a]."""
    policy = softmax(LOGITS)
    chain = np.einsum("sa,sat->st", policy, TRANSITIONS)
    state = INITIAL @ np.linalg.matrix_power(chain, earlier)
    first = (state[:, None] * policy)[..., None] * TRANSITIONS
    following = np.linalg.matrix_power(chain, t - earlier - 1)[..., None] * policy
    return first[..., None, None] * following


@pytest.mark.equation("8.2.5")
def test_the_mean_factors_into_conditional_means_in_either_order_of_time(paths):
    states, actions = paths.states, paths.actions
    for t, earlier in ((1, 0), (2, 0), (2, 1)):
        joint = np.zeros((STATES, ACTIONS, STATES, STATES, ACTIONS))
        place = states[:, earlier], actions[:, earlier], states[:, earlier + 1], states[:, t], actions[:, t]
        np.add.at(joint, place, paths.probabilities)
        np.testing.assert_allclose(joint, joint_probabilities(t, earlier), rtol=1e-12)
    for t, earlier in itertools.product(range(STEPS), range(STEPS)):
        direct = paths.mean(paths.scores()[:, t] * paths.rewards[:, earlier, None, None])
        factored = sum(p * reward * score for p, reward, score in conditional_scores(paths, t, earlier))
        np.testing.assert_allclose(factored, direct, atol=1e-14)


@pytest.mark.equation("8.2.6")
def test_the_mean_score_is_zero_given_the_past_and_not_given_the_future(paths):
    for t, earlier in itertools.product(range(STEPS), range(STEPS)):
        means = [score for _, _, score in conditional_scores(paths, t, earlier)]
        if earlier < t:
            np.testing.assert_allclose(means, 0, atol=1e-14)
        else:
            assert np.abs(means).max() > 1e-3


@pytest.mark.equation("8.2.7")
def test_any_baseline_of_the_state_leaves_the_policy_gradient_unchanged(paths):
    to_go = paths.rewards_to_go(DISCOUNT)
    baselines = np.random.default_rng(0).normal(scale=10, size=(STEPS, STATES))
    weights = to_go - baselines[np.arange(STEPS), paths.states[:, :-1]]
    exact = derivative(expected_return)
    np.testing.assert_allclose(paths.gradient(weights).mean, exact, rtol=1e-11)
    # A baseline may depend on time and state, but not on the action.
    weights = to_go - baselines[paths.actions, paths.states[:, :-1]]
    assert np.abs(paths.gradient(weights).mean - exact).max() > 0.1


@pytest.mark.equation("8.2.8")
def test_rewards_to_go_have_the_mean_of_total_returns_and_less_variance(paths):
    for discount in (DISCOUNT, 1.0):
        total = np.repeat(paths.returns(discount)[:, None], STEPS, axis=1)
        whole, to_go = paths.gradient(total), paths.gradient(paths.rewards_to_go(discount))
        np.testing.assert_allclose(to_go.mean, whole.mean, rtol=1e-12)
        assert to_go.variance < 0.9 * whole.variance


def test_rewards_to_go_can_have_more_variance_than_total_returns():
    # The rewards are 1 and -1 whatever the agent does: each total return is 0.
    transitions = np.zeros((3, 2, 3))
    transitions[0, :, 1] = transitions[1:, :, 2] = 1.0
    rewards = np.zeros((3, 2, 3))
    rewards[0], rewards[1] = 1.0, -1.0
    paths = trajectories.enumerate_trajectories(transitions, rewards, np.eye(3)[0], np.full((3, 2), 0.5), 2)
    whole = paths.gradient(np.repeat(paths.returns()[:, None], 2, axis=1))
    to_go = paths.gradient(paths.rewards_to_go())
    np.testing.assert_allclose([whole.mean, to_go.mean], 0, atol=1e-15)
    assert whole.variance == 0
    assert to_go.variance == pytest.approx(0.5, abs=1e-15)


def values_of_time(policy):
    """Returns Q_t(s, a) and V_t(s) of a policy with STEPS - t steps to go, by backward recursion."""
    v, result = np.zeros(STATES), []
    for _ in range(STEPS):
        q = EXPECTED + TRANSITIONS @ v
        v = np.sum(policy * q, axis=1)
        result.insert(0, (q, v))
    return result


@pytest.mark.equation("8.2.9")
def test_q_is_the_mean_of_the_rewards_to_go_given_state_and_action(paths):
    to_go, unconditional = paths.rewards_to_go(), []
    for t, (q, _) in enumerate(values_of_time(paths.policy)):
        for s, a in np.ndindex(STATES, ACTIONS):
            weights = paths.probabilities * ((paths.states[:, t] == s) & (paths.actions[:, t] == a))
            assert weights @ to_go[:, t] / weights.sum() == pytest.approx(q[s, a], rel=1e-12)
        unconditional.append(paths.mean(to_go[:, t]))
        # Without the condition, as printed, the mean is one number for all states and actions.
        assert np.abs(q - unconditional[-1]).max() > 0.1


@pytest.mark.equation("8.2.10")
def test_advantages_give_the_policy_gradient_with_less_variance_than_returns(paths):
    values = values_of_time(paths.policy)
    visited = paths.states[:, :-1]
    q, v = (np.stack([each[part] for each in values]) for part in (0, 1))
    times = np.arange(STEPS)
    returns = paths.gradient(paths.rewards_to_go())
    advantages = paths.gradient(q[times, visited, paths.actions] - v[times, visited])
    sampled = paths.gradient(paths.rewards_to_go() - v[times, visited])
    exact = derivative(lambda logits: expected_return(logits, discount=1.0))
    for estimate in (advantages, sampled, returns):
        np.testing.assert_allclose(estimate.mean, exact, rtol=1e-11)
    assert advantages.variance < sampled.variance < returns.variance


def test_the_value_is_not_the_baseline_of_least_variance():
    # One state, two arms with rewards 0 and 1: b = sum_a |score|^2 pi r / sum_a |score|^2 pi is better.
    policy = np.array([[0.9, 0.1]])
    transitions, rewards = np.ones((1, 2, 1)), np.array([[[0.0], [1.0]]])
    paths = trajectories.enumerate_trajectories(transitions, rewards, [1.0], policy, 1)
    variances = [paths.gradient(paths.rewards - baseline).variance for baseline in (0.1, 0.9, 50.0, 0.0)]
    assert variances[1] == pytest.approx(0, abs=1e-15)
    assert variances[1] < variances[0] < variances[3] < variances[2]


def test_discounting_from_each_step_on_is_not_the_gradient_of_the_discounted_return(paths):
    powers = DISCOUNT ** np.arange(STEPS)
    exact = derivative(expected_return)
    biased = paths.gradient(paths.rewards_to_go(DISCOUNT) / powers).mean
    assert np.abs(biased - exact).max() > 0.1 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transitions": TRANSITIONS / 2}, r"transitions\[0, 0\] must sum to 1"),
        ({"initial": [0.5, 0.2]}, "initial must sum to 1"),
        ({"rewards": np.zeros((2, 2))}, r"rewards must have shape \(2, 2, 2\)"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"steps": 20}, "steps must give at most 500000 trajectories, got 20"),
    ],
)
def test_bad_input_is_an_error(changes, message):
    good = {
        "transitions": TRANSITIONS,
        "rewards": REWARDS,
        "initial": INITIAL,
        "policy": softmax(LOGITS),
        "steps": 2,
    }
    with pytest.raises(ValueError, match=message):
        trajectories.enumerate_trajectories(**{**good, **changes})


def test_weights_of_the_wrong_shape_are_an_error(paths):
    with pytest.raises(ValueError, match=r"weights must have shape \(128, 3\), got \(128, 1\)"):
        paths.gradient(paths.returns()[:, None])
