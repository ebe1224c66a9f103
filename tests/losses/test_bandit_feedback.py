"""Oracles: sums over all actions in NumPy, with the Jacobian of SciPy's softmax, in float64.

B examples, D inputs, K labels. The model is a linear map [D, K], whose gradients are taken with TensorFlow.
"""

import itertools

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from curvezoo.losses import BanditPolicyGradient, BanditQLoss, CategoricalNLL
from curvezoo.losses import bandit_feedback as bandit

tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("takes gradients with TensorFlow", allow_module_level=True)

B, D, K = 5, 3, 4
RNG = np.random.default_rng(0)
X, WEIGHTS = RNG.normal(size=(B, D)), RNG.normal(size=(D, K))
LABELS = np.array([0, 1, 2, 3, 1])
# Rewards of all labels, also of labels that are partly right, as the notes allow.
REWARDS = {"one label": np.eye(K)[LABELS], "several labels": RNG.uniform(size=(B, K))}
P = softmax(X @ WEIGHTS, axis=1)
UNIFORM = np.full((B, K), 1 / K)
# d p_y / d a_j = p_y ([y = j] - p_j) and d log p_y / d a_j = [y = j] - p_j, [B, K (y), K (j)].
SLOPE_LOG = np.eye(K) - P[:, None, :]
SLOPE = P[:, :, None] * SLOPE_LOG


def through_model(logit_gradients):
    """The gradient with respect to the weights, [D, K], from those with respect to the logits, [B, K]."""
    return X.T @ logit_gradients


def gradient(loss):
    """The gradient of a function of the logits, summed over examples, by automatic differentiation."""
    weights = tf.Variable(WEIGHTS)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(loss(tf.constant(X) @ weights))
    return tape.gradient(value, weights).numpy()


def expected(loss, probabilities, rewards):
    """The mean gradient over actions, by the sum over the K actions, which all examples take in turn."""
    total = np.zeros((D, K))
    for action in range(K):
        actions = np.full(B, action)
        weight = probabilities[:, action]
        total += gradient(lambda a, n=actions, w=weight: w * loss(a, n, rewards[np.arange(B), n]))
    return total


def supervised(rewards):
    """Minus the gradient of sum_y R log p, [D, K]."""
    return -through_model(np.einsum("by,byj->bj", rewards, SLOPE_LOG))


def accuracy(rewards):
    """Minus the gradient of the expected reward sum_y R p, [D, K]."""
    return -through_model(np.einsum("by,byj->bj", rewards, SLOPE))


def weighted(weights):
    """The surrogate with the weights [B, K] of the actions."""
    return lambda a, n, r: bandit.policy_gradient_surrogate(a, n, r, weights[np.arange(B), n])


either_reward = pytest.mark.parametrize("kind", REWARDS)


@pytest.mark.equation("8.4.1")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_supervised_loss_is_minus_the_rewards_times_log_probabilities(smoothing):
    rewards = (1 - smoothing) * np.eye(K)[LABELS] + smoothing / K
    loss = CategoricalNLL(smoothing, reduction=None, dtype="float64")(LABELS, X @ WEIGHTS)
    np.testing.assert_allclose(loss, -(rewards * log_softmax(X @ WEIGHTS, axis=1)).sum(axis=1), rtol=1e-12)


@pytest.mark.equation("8.4.2")
def test_without_exploration_the_greedy_action_is_the_most_probable_label():
    behavior = bandit.behavior(X @ WEIGHTS, 0.0, greedy=True)
    np.testing.assert_array_equal(behavior, np.eye(K)[P.argmax(axis=1)])
    for seed in range(20):
        np.testing.assert_array_equal(bandit.draw_actions(behavior, seed), P.argmax(axis=1))


@either_reward
def test_the_argmax_policy_has_not_the_gradient_of_the_policy(kind):
    rewards = REWARDS[kind]
    greedy = np.eye(K)[P.argmax(axis=1)]
    found = expected(bandit.policy_gradient_surrogate, greedy, rewards)
    # The printed policy learns from its own choice alone, and not at all from an image that it has wrong.
    np.testing.assert_allclose(found, supervised(greedy * rewards), atol=1e-12)
    assert np.abs(found - accuracy(rewards)).max() > 0.1
    drawn = expected(bandit.policy_gradient_surrogate, P, rewards)
    np.testing.assert_allclose(drawn, accuracy(rewards), atol=1e-12)


@pytest.mark.equation("8.4.3")
def test_the_surrogate_is_minus_the_reward_times_the_log_probability_of_the_action():
    actions, rewards = np.array([3, 1, 2, 0, 1]), REWARDS["several labels"]
    seen = rewards[np.arange(B), actions]
    found = bandit.policy_gradient_surrogate(X @ WEIGHTS, actions, seen)
    np.testing.assert_allclose(found, -seen * np.log(P[np.arange(B), actions]), rtol=1e-12)
    weighted_ = bandit.policy_gradient_surrogate(X @ WEIGHTS, actions, seen - 0.3, 0.7)
    np.testing.assert_allclose(weighted_, -0.7 * (seen - 0.3) * np.log(P[np.arange(B), actions]), rtol=1e-12)


@pytest.mark.equation("8.4.4")
@either_reward
def test_random_labels_give_the_supervised_gradient_divided_by_their_number(kind):
    rewards = REWARDS[kind]
    found = expected(bandit.policy_gradient_surrogate, UNIFORM, rewards)
    np.testing.assert_allclose(found, supervised(rewards) / K, atol=1e-12)
    # As printed, without 1 / n_L, both would be equal.
    assert np.abs(found - supervised(rewards)).max() > 0.1


@pytest.mark.equation("8.4.5")
@either_reward
def test_the_supervised_gradient_sums_rewards_times_slopes_of_log_probabilities(kind):
    rewards = REWARDS[kind]
    # The sum over all labels, each with the weight 1.
    found = expected(bandit.policy_gradient_surrogate, np.ones((B, K)), rewards)
    np.testing.assert_allclose(found, supervised(rewards), atol=1e-12)
    if kind == "one label":
        nll = CategoricalNLL(reduction=None, dtype="float64")
        np.testing.assert_allclose(gradient(lambda a: nll(LABELS, a)), supervised(rewards), atol=1e-12)


@pytest.mark.equation("8.4.6")
@either_reward
def test_labels_drawn_from_the_policy_give_the_gradient_of_the_expected_accuracy(kind):
    rewards = REWARDS[kind]
    found = expected(bandit.policy_gradient_surrogate, P, rewards)
    np.testing.assert_allclose(found, accuracy(rewards), atol=1e-12)
    sum_of_probabilities = gradient(lambda a: -tf.reduce_sum(rewards * tf.nn.softmax(a), axis=1))
    np.testing.assert_allclose(found, sum_of_probabilities, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@either_reward
def test_importance_weights_are_unbiased_and_without_them_the_gradients_mix(kind, epsilon):
    rewards, behavior = REWARDS[kind], np.asarray(bandit.behavior(X @ WEIGHTS, epsilon))
    np.testing.assert_allclose(behavior, (1 - epsilon) * P + epsilon / K, rtol=1e-12)
    policy = expected(weighted(P / behavior), behavior, rewards)
    np.testing.assert_allclose(policy, accuracy(rewards), atol=1e-12)
    likelihood = expected(weighted(1 / behavior), behavior, rewards)
    np.testing.assert_allclose(likelihood, supervised(rewards), atol=1e-12)
    mixed = expected(bandit.policy_gradient_surrogate, behavior, rewards)
    mixture = (1 - epsilon) * accuracy(rewards) + epsilon / K * supervised(rewards)
    np.testing.assert_allclose(mixed, mixture, atol=1e-12)


@pytest.mark.equation("8.4.7")
def test_the_q_loss_is_half_the_squared_error_of_the_chosen_value():
    actions, rewards = np.array([3, 1, 2, 0, 1]), REWARDS["several labels"]
    seen = rewards[np.arange(B), actions]
    found = bandit.q_loss(X @ WEIGHTS, actions, seen)
    np.testing.assert_allclose(found, (seen - P[np.arange(B), actions]) ** 2 / 2, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@either_reward
def test_the_expected_q_gradient_sums_errors_times_slopes_of_the_values(kind, epsilon):
    rewards, behavior = REWARDS[kind], np.asarray(bandit.behavior(X @ WEIGHTS, epsilon, greedy=True))
    found = expected(bandit.q_loss, behavior, rewards)
    exact = through_model(np.einsum("by,by,byj->bj", behavior, P - rewards, SLOPE))
    np.testing.assert_allclose(found, exact, atol=1e-12)
    brier = gradient(lambda a: tf.reduce_sum((tf.nn.softmax(a) - rewards) ** 2, axis=1))
    if epsilon == 1:
        np.testing.assert_allclose(found, brier / (2 * K), atol=1e-12)
    else:
        assert np.abs(found - brier / (2 * K)).max() > 0.01


def test_only_the_q_loss_learns_from_a_label_that_is_wrong():
    wrong = np.zeros(B)
    policy = gradient(lambda a: bandit.policy_gradient_surrogate(a, LABELS, wrong))
    np.testing.assert_array_equal(policy, np.zeros((D, K)))
    q = gradient(lambda a: bandit.q_loss(a, LABELS, wrong))
    slope = P[np.arange(B), LABELS, None] * SLOPE[np.arange(B), LABELS]
    np.testing.assert_allclose(q, through_model(slope), atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_the_mean_reward_of_the_other_examples_is_an_unbiased_baseline(epsilon):
    logits, labels = (X @ WEIGHTS)[:2], LABELS[:2]
    p, behavior = P[:2], (1 - epsilon) * P[:2] + epsilon / K
    mean, exact, other = np.zeros((2, K)), -SLOPE[[0, 1], labels], np.zeros((2, K))
    for actions in itertools.product(range(K), repeat=2):
        actions, rows = np.array(actions), np.arange(2)
        rewards = (actions == labels).astype(float)
        baseline = np.asarray(bandit.leave_one_out_mean(rewards))
        np.testing.assert_array_equal(baseline, rewards[::-1])
        probability = np.prod(behavior[rows, actions])
        weights = (p / behavior)[rows, actions]
        for total, subtracted in ((mean, baseline), (other, rewards.mean())):
            variable = tf.Variable(logits)
            with tf.GradientTape() as tape:
                loss = bandit.policy_gradient_surrogate(variable, actions, rewards - subtracted, weights)
            total += probability * tape.gradient(loss, variable).numpy()
    np.testing.assert_allclose(mean, exact, atol=1e-12)
    # The mean of all rewards contains the example's own, and halves the gradient of two.
    np.testing.assert_allclose(other, exact / 2, atol=1e-12)
    assert float(bandit.leave_one_out_mean(np.array([1.0]))[0]) == 0


def test_actions_have_the_frequencies_of_their_probabilities():
    probabilities = np.array([0.0, 0.1, 0.0, 0.65, 0.25, 0.0])
    draws = 20_000
    actions = np.asarray(bandit.draw_actions(np.tile(probabilities, (draws, 1)), seed=1))
    counts = np.bincount(actions, minlength=6)
    assert np.all(counts[probabilities == 0] == 0)
    deviations = np.sqrt(draws * probabilities * (1 - probabilities))
    assert np.all(np.abs(counts - draws * probabilities) <= 5 * deviations)


EXACT = {
    "policy": (BanditPolicyGradient(0.3, seed=0, reduction=None, dtype="float64"), accuracy),
    "baseline": (
        BanditPolicyGradient(0.3, baseline="batch", seed=1, reduction=None, dtype="float64"),
        accuracy,
    ),
    "likelihood": (
        BanditPolicyGradient(0.3, "likelihood", seed=2, reduction=None, dtype="float64"),
        supervised,
    ),
    "unweighted": (
        BanditPolicyGradient(0.3, None, seed=3, reduction=None, dtype="float64"),
        lambda rewards: 0.7 * accuracy(rewards) + 0.3 / K * supervised(rewards),
    ),
    "q": (
        BanditQLoss(0.3, seed=4, reduction=None, dtype="float64"),
        lambda rewards: through_model(
            np.einsum("by,by,byj->bj", 0.7 * np.eye(K)[P.argmax(1)] + 0.3 / K, P - rewards, SLOPE)
        ),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_mean_gradient_of_many_draws_is_the_exact_one(name):
    loss, exact = EXACT[name]
    draws = 20_000
    logits = tf.Variable(np.repeat(X @ WEIGHTS, draws, axis=0))
    with tf.GradientTape() as tape:
        losses = loss(np.repeat(LABELS, draws), logits)
    samples = tape.gradient(losses, logits).numpy().reshape(B, draws, K)
    found = through_model(samples.mean(axis=1))
    deviations = np.sqrt((X**2).T @ samples.var(axis=1) / draws)
    assert np.all(np.abs(found - exact(REWARDS["one label"])) < 5 * deviations)
    assert 5 * deviations.max() < 0.2 * np.abs(found).max()


def test_losses_are_those_of_the_actions_that_the_generator_draws():
    state = keras.random.SeedGenerator(7)
    loss = BanditQLoss(0.5, seed=7, reduction=None, dtype="float64")
    for _ in range(3):
        actions = bandit.draw_actions(bandit.behavior(X @ WEIGHTS, 0.5, greedy=True), state)
        rewards = (np.asarray(actions) == LABELS).astype(float)
        exact = bandit.q_loss(X @ WEIGHTS, actions, rewards)
        np.testing.assert_allclose(loss(LABELS, X @ WEIGHTS), exact, rtol=1e-12)


def test_the_state_of_the_generator_repeats_the_actions():
    loss = BanditPolicyGradient(0.5, seed=5, reduction=None)
    [state] = loss.variables
    before = state.numpy()
    first = loss(LABELS, X @ WEIGHTS).numpy()
    assert not np.array_equal(state.numpy(), before)
    others = [loss(LABELS, X @ WEIGHTS).numpy() for _ in range(5)]
    assert any(not np.array_equal(first, other) for other in others)
    state.assign(before)
    np.testing.assert_array_equal(loss(LABELS, X @ WEIGHTS), first)


def test_extreme_logits_have_finite_losses_and_gradients():
    logits = tf.Variable(np.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]], "float32"))
    for epsilon, loss in itertools.product((0.0, 1.0), (BanditPolicyGradient, BanditQLoss)):
        made = loss(epsilon, seed=0)
        for _ in range(5):
            with tf.GradientTape() as tape:
                value = made(np.array([1, 2]), logits)
            assert np.isfinite(value) and np.all(np.isfinite(tape.gradient(value, logits)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: BanditPolicyGradient(0.5, baseline="batch", seed=1),
        lambda: BanditPolicyGradient(0.5, "likelihood", seed=1),
        lambda: BanditQLoss(0.5, seed=1),
    ],
)
def test_a_label_that_minus_infinity_excludes_has_no_gradient(make):
    logits = keras.Variable(np.tile([0.3, -0.2, -np.inf], (30, 1)), dtype="float64")
    with tf.GradientTape() as tape:
        loss = make()(np.zeros(30, int), logits.value)
    gradient = tape.gradient(loss, logits.value).numpy()
    assert np.isfinite(loss) and np.all(np.isfinite(gradient))
    assert np.any(gradient[:, 0]) and not np.any(gradient[:, 2])


def test_configurations_rebuild_the_losses():
    for loss in (
        BanditPolicyGradient(0.2, baseline="batch", seed=3),
        BanditQLoss(0.4, name="q", dtype="float64"),
    ):
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert BanditPolicyGradient(0.2, baseline="batch", seed=3).get_config() == {
        "name": "bandit_policy_gradient",
        "reduction": "sum_over_batch_size",
        "dtype": "float32",
        "epsilon": 0.2,
        "seed": 3,
        "weighting": "policy",
        "baseline": "batch",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 1.5}, r"epsilon must be in \[0, 1\], got 1\.5"),
        ({"weighting": "none"}, "weighting must be one of policy, likelihood, None, got 'none'"),
        ({"baseline": 0.5}, r"baseline must be one of None, batch, got 0\.5"),
        ({"weighting": "likelihood"}, r"epsilon must be positive for weighting='likelihood', got 0\.0"),
        (
            {"weighting": None, "baseline": "batch"},
            "baseline must be None unless weighting='policy', got 'batch'",
        ),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        BanditPolicyGradient(**settings)


def test_labels_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r"labels of shape \(4,\) for logits of shape \(5, 4\)"):
        BanditQLoss()(LABELS[:4], X @ WEIGHTS)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1, 1j, True, None])
def test_probabilities_of_exploration_outside_of_the_unit_interval_are_named(bad):
    with pytest.raises(ValueError, match=r"epsilon must be a number in \[0, 1\], got"):
        bandit.behavior(np.zeros((1, 2)), bad)
    with pytest.raises(ValueError, match="greedy must be True or False, got 'yes'"):
        bandit.behavior(np.zeros((1, 2)), 0.5, "yes")
