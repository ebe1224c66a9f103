import keras
import numpy as np
import pytest


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
