import gymnasium
import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from curvezoo.agents import DQN, VPG
from curvezoo.agents.actions import (
    CategoricalActions,
    DeterministicActions,
    GaussianActions,
    ValuedActions,
    actions_of,
)
from curvezoo.agents.policies import Policy, network, normalizer_of, policy_network

KEY = tf.constant([3, 4])


def test_sampled_categories_have_the_probabilities_of_the_softmax():
    logits = np.array([0.5, -1.0, 2.0])
    drawn = CategoricalActions(3).sample(tf.tile(np.float32(logits[None]), [40_000, 1]), KEY).numpy()
    expected = np.exp(logits) / np.exp(logits).sum() * 40_000
    assert scipy.stats.chisquare(np.bincount(drawn, minlength=3), expected).pvalue > 1e-4


def test_gaussian_actions_have_scipys_density_and_their_moments():
    actions = GaussianActions([-1.0, -1.0], [1.0, 1.0])
    outputs = np.array([[0.3, -2.0, np.log(0.5), 0.2]])
    drawn = actions.sample(tf.tile(outputs, [20_000, 1]), KEY).numpy()
    density = scipy.stats.multivariate_normal([0.3, -2.0], np.diag(np.exp(2 * outputs[0, 2:])))
    np.testing.assert_allclose(
        actions.distribution(outputs).log_prob(drawn[:50]), density.logpdf(drawn[:50]), rtol=1e-10
    )
    errors = np.exp(outputs[0, 2:]) / np.sqrt(20_000)
    assert np.all(np.abs(drawn.mean(axis=0) - outputs[0, :2]) < 5 * errors)
    np.testing.assert_array_equal(actions.greedy(outputs.astype("float32")), np.float32([[0.3, -1.0]]))


def test_values_are_means_of_quantiles_and_of_atoms():
    random = np.random.default_rng(0)
    quantiles, logits = random.normal(size=(5, 3, 4)), random.normal(size=(5, 3, 4)).astype("float32")
    support = np.array([-1.0, 0.0, 2.0, 5.0])
    np.testing.assert_allclose(ValuedActions(3, "quantiles").values(quantiles), quantiles.mean(axis=-1))
    values = ValuedActions(3, "atoms", support).values(logits)
    expected = scipy.special.softmax(logits, axis=-1) @ support
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    greedy = ValuedActions(3, "atoms", support).greedy(logits)
    np.testing.assert_array_equal(greedy, expected.argmax(axis=1))


def test_deterministic_actions_span_the_bounds():
    actions = DeterministicActions([-2.0, 0.0], [2.0, 10.0])
    np.testing.assert_allclose(
        actions.greedy(np.float32([[-1, -1], [0, 0.5], [1, 1]])), [[-2, 0], [0, 7.5], [2, 10]]
    )


@pytest.fixture(scope="module")
def policy():
    keras.utils.set_random_seed(0)
    actions = GaussianActions([-0.1] * 2, [0.1] * 2)
    return Policy(policy_network((3,), actions, (8,), "tanh", normalize=True, log_std=-0.5), actions)


def test_a_saved_policy_acts_as_before(policy, tmp_path):
    observations = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    policy.normalizer().update(observations)
    policy.save(tmp_path / "policy.keras")
    loaded = keras.models.load_model(tmp_path / "policy.keras")
    for deterministic in (True, False):
        expected = policy.act(observations, 7, deterministic)
        np.testing.assert_array_equal(loaded.act(observations, 7, deterministic), expected)
        np.testing.assert_array_equal(policy.act(observations[0], 7, deterministic).shape, (2,))
    assert np.abs(expected).max() <= np.float32(0.1)


def test_random_actions_differ_between_seeds_and_greedy_ones_do_not(policy):
    observations = np.ones((4, 3), "float32")
    assert np.any(policy.act(observations, 1, False) != policy.act(observations, 2, False))
    np.testing.assert_array_equal(policy.act(observations, 1), policy.act(observations, 2))


@pytest.mark.parametrize(
    "observations, message",
    [
        (np.zeros((2, 4)), r"observations must have shape \(3,\).* got \(2, 4\)"),
        (np.float32([[0, np.nan, 0]]), r"observations\[0, 1\] must be finite, got nan"),
    ],
)
def test_observations_of_another_shape_or_not_finite_are_refused(policy, observations, message):
    with pytest.raises(ValueError, match=message):
        policy.act(observations)


def test_a_network_with_the_wrong_number_of_outputs_is_refused():
    with pytest.raises(
        ValueError, match=r"policy must have outputs of shape \(3,\) for its actions, got \(2,\)"
    ):
        Policy(network((4,), 2, (8,), "tanh", 1.0), CategoricalActions(3))


@pytest.mark.parametrize(
    "actions, outputs, wanted",
    [
        (CategoricalActions(2), (2, 3), r"\(2,\)"),
        (GaussianActions([-1.0], [1.0]), 1, r"\(2,\)"),
        (ValuedActions(2), (2, 5), r"\(2,\)"),
        (ValuedActions(2, "quantiles"), 2, r"\(2, None\)"),
        (ValuedActions(2, "atoms", [0.0, 1.0, 2.0]), 2, r"\(2, 3\)"),
        (ValuedActions(2, "atoms", [0.0, 1.0, 2.0]), (2, 5), r"\(2, 3\)"),
    ],
)
def test_outputs_of_another_shape_than_the_actions_need_are_refused(actions, outputs, wanted):
    with pytest.raises(ValueError, match=f"policy must have outputs of shape {wanted} for its actions"):
        Policy(network((4,), outputs, (), "tanh", 1.0), actions)
    assert Policy(network((4,), (2, 7), (), "tanh", 1.0), ValuedActions(2, "quantiles")).built


def test_spaces_that_an_algorithm_can_not_act_in_are_refused():
    from gymnasium import spaces

    assert actions_of(spaces.Discrete(3), True, "PPO").size == 3
    with pytest.raises(ValueError, match=r"action space of DQN must be a Discrete, got Box"):
        actions_of(spaces.Box(-1, 1, (2,)), False, "DQN")
    with pytest.raises(ValueError, match=r"must be a Discrete or a one-dimensional Box of floats, got Multi"):
        actions_of(spaces.MultiBinary(2), True, "PPO")
    with pytest.raises(
        ValueError, match=r"must be a Discrete or a one-dimensional Box of floats, got Box\(0, 9"
    ):
        actions_of(spaces.Box(0, 9, (2,), np.uint8), True, "PPO")


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_network_without_known_shapes_is_refused():
    with pytest.raises(ValueError, match=r"has one output, got Subclassed"):
        Policy(Subclassed(), CategoricalActions(3))
    with pytest.raises(ValueError, match=r"begins with one keras\.Input and has one output, got Sequential"):
        Policy(keras.Sequential([keras.layers.Dense(3)]), CategoricalActions(3))
    inputs = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(ValueError, match=r"begins with one keras\.Input and has one output, got Functional"):
        Policy(keras.Model(inputs, keras.layers.Dense(3)(inputs[0] + inputs[1])), CategoricalActions(3))


class Pixels(gymnasium.Env):
    """One step with a random image of a given shape and largest value, and the reward 1."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, shape, largest):
        kind = "uint8" if largest == 255 else "float32"
        self.observation_space = gymnasium.spaces.Box(0, largest, shape, kind)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, True, False, {}


def test_images_that_the_default_network_can_not_take_are_refused():
    for kind in (VPG, DQN):
        with pytest.raises(
            ValueError, match=r"must have at least 36x36 pixels, got \(7, 7, 3\); give a policy"
        ):
            kind(Pixels((7, 7, 3), 255))
    with pytest.raises(ValueError, match="normalize_observations must be False for images"):
        network((40, 40, 3), 2, (8,), "tanh", 1.0, normalize=True)


def test_observations_in_rows_and_columns_are_normalized_one_by_one():
    model = network((2, 3), 2, (4,), "tanh", 1.0, normalize=True)
    examples = np.random.default_rng(0).normal(size=(50, 2, 3)).astype("float32")
    layer = normalizer_of(model)
    layer.update(examples.reshape(50, -1))
    np.testing.assert_allclose(layer.mean, examples.reshape(50, 6).mean(axis=0), rtol=1e-4, atol=1e-6)


def test_a_policy_of_ones_own_for_small_images_needs_no_other_network():
    layers = keras.layers
    policy = keras.Sequential(
        [keras.Input((5, 5, 2)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)]
    )
    agent = VPG(Pixels((5, 5, 2), 1.0), policy=policy, rollout=8, value_steps=200, value_learning_rate=0.01)
    # The return is 1 from everywhere.
    assert agent.learn(8, progress=False)[0]["return"] == 1
    images = np.random.default_rng(0).random((20, 5, 5, 2), np.float32)
    np.testing.assert_allclose(agent.value(images), 1, atol=0.3)


@pytest.mark.parametrize("largest", [1.0, 255.0])
def test_pixels_are_divided_by_the_largest_value_of_their_space(largest):
    agent = DQN(Pixels((40, 40, 1), largest), hidden=(4,))
    (scale,) = (layer for layer in agent.policy.network.layers if isinstance(layer, keras.layers.Rescaling))
    assert scale.scale == 1 / largest
