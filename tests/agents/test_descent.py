import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.agents.descent import descend
from curvezoo.optimizers import replicas

ROWS = np.array([[1.0, 2.0], [3.0, -4.0], [5.0, 0.0], [-1.0, 6.0]], "float32")


def stepped(strategy, limit):
    """The weights after a step of rate 1 from zero, along the mean of the rows."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        model.set_weights([np.zeros((2, 1))])
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)

    @tf.function
    def step(rows):
        def replica(rows):
            [part] = replicas.own_rows([rows], len(ROWS) // replicas.number())
            descend(optimizer, [tf.reduce_mean(part, axis=0)[:, None]], model.trainable_variables, limit)

        strategy.run(replica, (rows,))

    step(tf.constant(ROWS))
    return model.get_weights()[0][:, 0]


@pytest.mark.parametrize("limit, expected", [(None, [-2.0, -1.0]), (0.5, [-1 / 5**0.5, -0.5 / 5**0.5])])
def test_a_step_is_that_of_the_mean_of_all_replicas_examples(mirrored, limit, expected):
    for strategy in (tf.distribute.get_strategy(), mirrored):
        np.testing.assert_allclose(stepped(strategy, limit), expected, rtol=1e-6)
