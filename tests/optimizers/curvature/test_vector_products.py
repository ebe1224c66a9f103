"""Products for softmax regression against the closed forms of its matrices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from curvezoo.optimizers import curvature

RNG = np.random.default_rng(0)
X, Y, V = RNG.normal(size=(6, 3)), RNG.integers(0, 4, 6), RNG.normal(size=12)


@pytest.fixture
def model(double_precision_rates):
    # A single product takes less time than compiling.
    tf.config.run_functions_eagerly(True)
    yield keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, use_bias=False)])
    tf.config.run_functions_eagerly(False)


def closed_form(model):
    """(Fisher, empirical Fisher), with rows and columns in the order of the kernel [3, 4]."""
    p = softmax(X @ model.get_weights()[0], axis=1)
    scores = np.eye(4)[Y] - p
    fisher = sum(np.kron(np.outer(x, x), np.diag(q) - np.outer(q, q)) for x, q in zip(X, p, strict=True))
    empirical = sum(np.kron(np.outer(x, x), np.outer(s, s)) for x, s in zip(X, scores, strict=True))
    return fisher / len(X), empirical / len(X)


@pytest.mark.parametrize("name", ["hessian", "gauss_newton", "fisher", "empirical_fisher"])
@pytest.mark.parametrize("batch_size", [4, 256])
def test_products_are_those_of_the_matrix(name, batch_size, model):
    function = getattr(curvature, f"{name}_vector_product")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fisher, empirical = closed_form(model)
    expected = (empirical if name == "empirical_fisher" else fisher) @ V
    np.testing.assert_allclose(function(model, (X, Y), V, loss, batch_size=batch_size), expected, atol=1e-14)
    with pytest.raises(ValueError, match=r"vector must have shape \(12,\), got shape \(3,\)"):
        function(model, (X, Y), V[:3], loss)
