"""The damping that noise calls for: against Wiener's filter, dense matrices and the weights of the loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.kfac.blocks import blocks_of
from curvezoo.optimizers.kfac.damping import PRIOR, SHARE, first_damping, noise_floor
from curvezoo.optimizers.kfac.optimizer import KFAC
from curvezoo.optimizers.kfac.preconditioners import preconditioner_of

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


def test_the_floor_is_that_of_the_dense_matrix(fisher):
    preconditioners, states, dense = fisher
    found = noise_floor(preconditioners, states, tf.constant([0.5, 2.0]), tf.float64)
    norm = np.sqrt(sum(np.sum(block**2) for block in dense))
    np.testing.assert_allclose(found, 0.25 * norm / PRIOR, rtol=1e-12)
    mean = sum(map(np.trace, dense)) / sum(map(len, dense))
    assert float(first_damping(preconditioners, states, tf.constant(0.0, tf.float64))) == pytest.approx(
        SHARE * mean, rel=1e-12
    )
    assert float(first_damping(preconditioners, states, tf.constant(1e3, tf.float64))) == 1e3


def test_the_floor_filters_noise_best(fisher):
    """Distances of the variance PRIOR / |F| and a batch's noise: the squared error has no slope there."""
    preconditioners, states, dense = fisher
    noise, values = 0.01, np.concatenate([np.linalg.eigvalsh(block) for block in dense])
    variance = PRIOR / np.linalg.norm(values)
    damping = tf.Variable(
        noise_floor(preconditioners, states, tf.constant([noise, 1.0], tf.float64), tf.float64)
    )
    with tf.GradientTape() as tape:
        error = tf.reduce_sum((damping**2 * variance + noise * values) / (values + damping) ** 2)
    assert abs(tape.gradient(error, damping)) < 1e-10 * error / damping


def test_numbers_that_are_none_set_no_floor(fisher):
    preconditioners, states, _ = fisher
    states = [{name: np.inf * tensor for name, tensor in state.items()} for state in states]
    assert float(noise_floor(preconditioners, states, tf.constant([1.0, 1.0]), tf.float64)) == 0
    states = [{name: 0 * tensor for name, tensor in state.items()} for state in states]
    floor = noise_floor(preconditioners, states, tf.constant([0.0, 0.0]), tf.float64)
    assert float(floor) == 0 and float(first_damping(preconditioners, states, floor)) == 1


X, Y = RNG.normal(size=(32, 4, 5)), RNG.integers(0, 3, (32, 4))
WEIGHTS = RNG.uniform(0, 2, (32, 4))
# Examples of four positions each: n by hand.
CASES = {
    "mean": ({}, {}, 1 / 128),
    "sum": ({"reduction": "sum"}, {}, 1.0),
    "mean, every fourth": ({}, {"curvature_examples": 8}, 1 / 128),
    "sum, every fourth": ({"reduction": "sum"}, {"curvature_examples": 8}, 1.0),
    "weights": ({"weights": WEIGHTS}, {}, np.sum(WEIGHTS**2) / np.sum(WEIGHTS) / 128),
}


@pytest.mark.parametrize("case", CASES)
def test_noise_is_that_of_the_positions_weights(case, compiled):
    """The damping falls no lower, however well steps do on their batch; without a memory it does."""
    loss, settings, noise = CASES[case]
    loss = dict(loss)
    weights = loss.pop("weights", None)
    dampings = {}
    for memory in (None, 0.9):
        model = keras.Sequential([keras.Input((4, 5)), layers.Dense(3)])
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True, **loss)
        optimizer = KFAC(0.1, damping=1e-8, noise_memory=memory, **settings)
        model = compiled(optimizer, model, loss_of)
        model.train_on_batch(X, Y, sample_weight=weights)
        dampings[memory] = float(optimizer.damping)
    [state] = optimizer._states
    norm = np.linalg.norm(state["A"]) * np.linalg.norm(state["G"])
    assert dampings[0.9] == pytest.approx(noise * norm / PRIOR, rel=1e-6)
    assert dampings[None] < 0.1 * dampings[0.9]
