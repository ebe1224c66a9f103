"""Layers that a model never calls, or calls inside control flow."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.unrecorded import unrecorded_layers


class Branches(keras.Model):
    """Calls one layer directly, one in a loop and one in a condition, and one never."""

    def __init__(self):
        super().__init__()
        self.direct, self.looped = layers.Dense(3, name="direct"), layers.Dense(3, "tanh", name="looped")
        self.conditional, self.idle = layers.Dense(3, name="conditional"), layers.Dense(3, name="idle")

    def build(self, shape):
        for layer in (self.direct, self.looped, self.conditional, self.idle):
            layer.build((None, 3))

    def call(self, x):
        x = self.direct(x)
        _, x = tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, self.looped(x)), (0, x))
        return tf.cond(tf.reduce_sum(x) > -1e9, lambda: self.conditional(x), lambda: x)


@pytest.fixture
def branches():
    model = Branches()
    model(tf.zeros((2, 3)))
    return model


def test_layers_in_control_flow_and_uncalled_layers_are_found(branches):
    before = branches.get_weights()
    found = unrecorded_layers(branches, branches.layers)
    assert [layer.name for layer in found] == ["looped", "conditional", "idle"]
    assert all("call" not in vars(layer) for layer in branches.layers)
    for old, new in zip(before, branches.get_weights(), strict=True):
        assert (old == new).all()


def test_they_are_found_inside_a_model_of_inputs_and_outputs(branches):
    inputs = keras.Input((3,))
    head = layers.Dense(2)
    model = keras.Model(inputs, head(branches(inputs)))
    found = unrecorded_layers(model, [*branches.layers, head])
    assert [layer.name for layer in found] == ["looped", "conditional", "idle"]


def test_a_model_that_cannot_be_traced_has_none():
    class Broken(keras.Model):
        def build(self, shape):
            self.dense = layers.Dense(2)
            self.dense.build(shape)

        def call(self, x):
            raise TypeError("no symbolic tensors")

    model = Broken()
    model.build((None, 2))
    assert unrecorded_layers(model, model.layers) == []
