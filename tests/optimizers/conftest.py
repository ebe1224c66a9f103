import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.keras_bridge import taps


@pytest.fixture
def double_precision_rates():
    """Learning rates have the default type, and weights that of the default policy."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def train(optimizer, epochs=3, model=None, dtype=None, **compiled):
    """Trains a small classifier with an embedding, or the given model; returns it and its losses."""
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(0, 10, (64, 4)), rng.integers(0, 3, 64)
    if model is None:
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Embedding(10, 4, dtype=dtype), keras.layers.Flatten(dtype=dtype)]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, dtype=dtype)])
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compiled)
    history = model.fit(tokens, labels, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model, history.history["loss"]


@pytest.fixture
def fit():
    return train


def tanh_network(*middle, regularizer=None):
    """A classifier of six numbers, with the given layers in the middle."""
    keras.utils.set_random_seed(3)
    first = keras.layers.Dense(8, "tanh", kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((6,)), first, *middle, keras.layers.Dense(3)])
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def labelled_examples(seed, n):
    """Inputs and labels that the network can learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    return x, np.argmax(x[:, :3] + rng.normal(size=(n, 3)), axis=1).astype("int32")


@pytest.fixture
def network():
    return tanh_network


@pytest.fixture
def labelled():
    return labelled_examples


def normal(shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


@pytest.fixture
def random_values():
    """A function of (shape, seed) that returns a float64 tensor of standard normal values."""
    return normal


def example_losses(outputs):
    """A loss [B] for each example that is nonlinear in every output and weighs them differently."""
    weights = normal(outputs.shape[1:], seed=5)
    return tf.reduce_sum(tf.sin(outputs) * weights, list(range(1, len(outputs.shape))))


@pytest.fixture
def losses_of():
    return example_losses


def sources(block, calls):
    if block.differentiates == "variables":
        return [v.value for v in block.variables]
    return [call.preactivation for call in calls]


def recorded(blocks, call, loss=example_losses):
    """Runs `call()`; returns each block's calls with the gradients of the summed loss, and the outputs."""
    with tf.GradientTape(persistent=True) as tape:
        with taps.record({block.layer for block in blocks}, tape) as records:
            outputs = call()
        total = tf.reduce_sum(loss(outputs))
    pairs = [
        (records[block.layer], tape.gradient(total, sources(block, records[block.layer]))) for block in blocks
    ]
    return pairs, outputs


@pytest.fixture
def record_blocks():
    return recorded
