import keras
import pytest


@pytest.fixture(autouse=True)
def double_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)


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
