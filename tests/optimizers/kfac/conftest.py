import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.keras_bridge import taps


@pytest.fixture(autouse=True)
def double_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)


def normal(shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def example_losses(outputs):
    """A loss [B] for each example that is not linear in any output, and treats no two alike."""
    weights = normal(outputs.shape[1:], seed=5)
    return tf.reduce_sum(tf.sin(outputs) * weights, list(range(1, len(outputs.shape))))


def sources(block, calls):
    if block.differentiates == "variables":
        return [v.value for v in block.variables]
    return [call.preactivation for call in calls]


def recorded(blocks, call, training=None, loss=example_losses):
    """Runs `call()`; returns each block's calls with the gradients of the summed loss."""
    with tf.GradientTape(persistent=True) as tape:
        with taps.record({block.layer for block in blocks}, tape) as records:
            outputs = call()
        total = tf.reduce_sum(loss(outputs))
    found = [
        (records[block.layer], tape.gradient(total, sources(block, records[block.layer]))) for block in blocks
    ]
    return found, outputs


@pytest.fixture
def record_blocks():
    return recorded


@pytest.fixture
def random_values():
    return normal


@pytest.fixture
def losses_of():
    return example_losses


def compiled_model(optimizer, model=None, loss=None, **settings):
    """Compiles a model, by default a small classifier, to run step by step."""
    keras.utils.set_random_seed(1)
    if model is None:
        layers = keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)
        model = keras.Sequential([keras.Input((5,)), *layers])
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **{"run_eagerly": True, **settings})
    return model


@pytest.fixture
def compiled():
    return compiled_model
