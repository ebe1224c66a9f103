import keras
import pytest


@pytest.fixture(autouse=True)
def double_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
