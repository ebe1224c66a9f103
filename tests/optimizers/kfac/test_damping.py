"""The noise floors of the damping, against Wiener's filter, dense matrices and the weights of the loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.kfac.damping import (
    FIRST,
    PRIOR,
    Damping,
    averaged_positions,
    first_damping,
    noise_floors,
)
from curvezoo.optimizers.kfac.optimizer import KFAC
from curvezoo.optimizers.kfac.preconditioners import preconditioner_of
from curvezoo.optimizers.layer_rules.blocks import blocks_of

pytestmark = pytest.mark.usefixtures("double_precision_rates")
RNG = np.random.default_rng(0)


@pytest.fixture
def fisher():
    """Preconditioners of a dense layer, a normalization and a scale, states for them, and the dense F."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2), layers.LayerNormalization(), layers.PReLU()]
    )
    preconditioners = [preconditioner_of(block) for block in blocks_of(model, "diagonal")]
    states, dense = [], []
    for preconditioner in preconditioners:
        roots = {name: RNG.normal(size=shape) for name, shape in preconditioner.block.shapes.items()}
        state = {name: root @ root.T if root.ndim == 2 else root**2 for name, root in roots.items()}
        kind = preconditioner.block.kind
        dense.append(
            {
                "kronecker": lambda s: np.kron(s["A"], s["G"]),
                "full": lambda s: s["F"],
                "diagonal": lambda s: np.diag(s["d"]),
            }[kind](state)
        )
        states.append({name: tf.constant(value) for name, value in state.items()})
    assert {p.block.kind for p in preconditioners} == {"kronecker", "full", "diagonal"}
    return preconditioners, states, dense


def test_first_damping_and_noise_floors_equal_those_of_the_dense_blocks(fisher):
    preconditioners, states, dense = fisher
    actual = noise_floors(preconditioners, states, tf.constant(32.0, tf.float64))
    np.testing.assert_allclose(actual, [np.linalg.norm(b) / (32 * PRIOR) for b in dense], rtol=1e-12)
    mean = sum(map(np.trace, dense)) / sum(map(len, dense))
    actual = first_damping(preconditioners, states, tf.float64)
    np.testing.assert_allclose(actual, FIRST * mean, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_noise_floors_minimize_the_filtered_error(scale, fisher):
    """The squared error of distances with variance PRIOR / |F| is stationary there, at any scale of the loss.

    A factor of the loss multiplies F and the weights, and leaves the distances unchanged.
    """
    preconditioners, states, dense = fisher
    weights = np.random.default_rng(1).uniform(0, 2, 32)
    weights /= np.sum(weights)
    states = [{n: t if n == "A" else scale * t for n, t in state.items()} for state in states]
    sums = tf.constant([np.sum(scale * weights), np.sum((scale * weights) ** 2)], tf.float64)
    positions = averaged_positions(tf.constant(0.0, tf.float64), sums, 1.0)
    floors = noise_floors(preconditioners, states, positions)
    for block, floor in zip(dense, tf.unstack(floors), strict=True):
        values, damping = np.linalg.eigvalsh(block), tf.Variable(floor)
        # The covariance of the gradient's noise is the sum of w^2 F_i, with F_i = F for each example.
        noise, variance = np.sum((scale * weights) ** 2) * values, PRIOR / np.linalg.norm(values)
        with tf.GradientTape() as tape:
            error = tf.reduce_sum((damping**2 * variance + noise) / (scale * values + damping) ** 2)
        assert abs(tape.gradient(error, damping)) < 1e-10 * error / damping


def test_the_damped_forms_are_those_of_a_diagonal_matrix():
    values, shapes = [0.5, 2.0, 0.25], [(3, 2), (2,), ()]
    vectors = [[RNG.normal(size=shape) for shape in shapes] for _ in range(2)]
    damping = Damping(tf.constant(0.25, tf.float64), [], [tf.constant(v, tf.float64) for v in values])
    actual = damping.forms([[tf.constant(part) for part in vector] for vector in vectors])
    plane = np.stack([np.concatenate([part.ravel() for part in vector]) for vector in vectors])
    diagonal = np.repeat(values, [6, 2, 1])
    np.testing.assert_allclose(actual, plane * diagonal @ plane.T, rtol=1e-12)


def test_the_number_of_positions_is_averaged():
    batch = tf.constant([1.0, 1 / 32], tf.float64)
    actual = averaged_positions(tf.constant(8.0, tf.float64), batch, 0.25)
    np.testing.assert_allclose(actual, 0.75 * 8 + 0.25 * 32, rtol=1e-12)
    for unusable in ([0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]):
        assert float(averaged_positions(actual, tf.constant(unusable, tf.float64), 0.25)) == float(actual)


def test_infinite_statistics_set_no_noise_floors(fisher):
    preconditioners, states, _ = fisher
    infinite = [{name: np.inf * tensor for name, tensor in state.items()} for state in states]
    for case, positions in ((infinite, 4.0), (states, 0.0)):
        floors = noise_floors(preconditioners, case, tf.constant(positions, tf.float64))
        np.testing.assert_array_equal(floors, np.zeros(len(states)))
    zeros = [{name: 0 * tensor for name, tensor in state.items()} for state in states]
    assert float(first_damping(preconditioners, zeros, tf.float64)) == 1


X, Y = RNG.normal(size=(32, 4, 5)), RNG.integers(0, 3, (32, 4))
SMOOTH = RNG.uniform(0, 1, (32, 4, 3))
WEIGHTS = RNG.uniform(0, 2, (32, 4))
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy
# Each example has four positions.
CASES = {
    "mean": (CROSS_ENTROPY(from_logits=True), Y, {}, 128),
    "sum": (CROSS_ENTROPY(from_logits=True, reduction="sum"), Y, {}, 128),
    "every fourth": (CROSS_ENTROPY(from_logits=True), Y, {"curvature_examples": 8}, 128),
    "every fourth of a sum": (
        CROSS_ENTROPY(from_logits=True, reduction="sum"),
        Y,
        {"curvature_examples": 8},
        128,
    ),
    "weights": (CROSS_ENTROPY(from_logits=True), Y, {}, np.sum(WEIGHTS) ** 2 / np.sum(WEIGHTS**2)),
    "mean squares": ("mse", SMOOTH, {}, 128),
    "pixels": (keras.losses.BinaryCrossentropy(from_logits=True), SMOOTH, {}, 128),
}


def last_damping(compiled, loss, y, memory, damping, steps, weights=None, **settings):
    """Trains a layer on one batch; returns the last damping in units of |F| / `PRIOR`."""
    model = keras.Sequential([keras.Input((4, 5)), layers.Dense(3)])
    optimizer = KFAC(0.1, damping, noise_memory=memory, adapt_every=1, **settings)
    model = compiled(optimizer, model, loss, run_eagerly=steps < 10)
    for _ in range(steps):
        model.train_on_batch(X, y, sample_weight=weights)
    [state] = optimizer._statistics.states
    return PRIOR * float(optimizer.damping) / (np.linalg.norm(state["A"]) * np.linalg.norm(state["G"]))


@pytest.mark.parametrize("case", CASES)
def test_the_damping_is_at_least_the_noise_floor(case, compiled):
    loss, y, settings, positions = CASES[case]
    weights = WEIGHTS if case == "weights" else None
    actual = last_damping(compiled, loss, y, 0.9, 1e-8, 2, weights, **settings)
    # The step may have changed it by a factor of 0.95.
    assert 0.94 < positions * actual < 1.06
    assert positions * last_damping(compiled, loss, y, None, 1e-8, 2, weights, **settings) < 0.01


def test_the_damping_falls_to_the_noise_floor_and_no_further(compiled):
    """The quadratic model of least squares is exact, so that the damping falls in each step."""
    actual = {memory: 128 * last_damping(compiled, "mse", SMOOTH, memory, 1.0, 200) for memory in (0.9, None)}
    assert 0.94 < actual[0.9] < 1.06 and actual[None] < 0.5, actual


def test_an_exact_quadratic_model_lowers_the_damping_after_the_first_step(compiled):
    """A whole step of least squares changes the loss as predicted; without s F s the ratio would be 1/2."""
    model = keras.Sequential([keras.Input((4, 5)), layers.Dense(3)])
    model = compiled(KFAC(damping=1e-6, noise_memory=None, adapt_every=1), model, "mse")
    model.train_on_batch(X, SMOOTH)
    assert float(model.optimizer.damping) < 0.99e-6


def test_a_short_last_batch_does_not_raise_the_damping(compiled):
    model = compiled(KFAC(0.1, damping=1e-8, adapt_every=1), keras.Sequential([layers.Dense(3)]))
    for _ in range(15):
        model.train_on_batch(X[:, 0], Y[:, 0])
    before = float(model.optimizer.damping)
    model.train_on_batch(X[:2, 0], Y[:2, 0])
    # The last batch alone would raise it by a factor of 16.
    assert float(model.optimizer.damping) < 1.5 * before


@pytest.mark.parametrize(("damping", "raised"), [(1e-6, False), (None, True)])
def test_a_given_constant_damping_has_no_noise_floor(damping, raised, compiled):
    optimizer = KFAC(0.1, damping=damping, adapt_every=None)
    model = compiled(optimizer, keras.Sequential([layers.Dense(3)]))
    # With one example of six inputs and three outputs F has rank 2: |F| / 20 exceeds a tenth of tr F / 18.
    model.train_on_batch(X[:1, 0], Y[:1, 0])
    [state] = optimizer._statistics.states
    norm = np.linalg.norm(state["A"]) * np.linalg.norm(state["G"])
    expected = norm / PRIOR if raised else damping
    assert float(optimizer.damping) == pytest.approx(expected, rel=1e-6)
