import keras
import pytest


@pytest.fixture
def double_precision_rates():
    """The learning rate is a variable of the default type, and so are weights by the default policy."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
