"""Newton steps against dense Hessians, and their behavior at saddles."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers.newton import Newton

PURE = {"damping": 0.0, "adaptive": False, "monotone": False}

pytestmark = pytest.mark.usefixtures("double_precision_rates")


def data(examples=40, inputs=3, outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(examples, inputs)), rng.normal(size=(examples, outputs))


def network(widths=(), inputs=3, outputs=2, **kwargs):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(w, "tanh") for w in widths] + [keras.layers.Dense(outputs, **kwargs)]
    return keras.Sequential([keras.Input((inputs,)), *layers])


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def trajectory(model, optimizer, x, y, steps=1, loss="mse"):
    """The parameters [steps + 1, P] after each step on all data."""
    values = [flat(model.get_weights())]
    model.compile(optimizer, loss)
    for _ in range(steps):
        model.train_on_batch(x, y)
        values.append(flat(model.get_weights()))
    return np.array(values)


def gradient_and_hessian(model, x, y, loss):
    """Gradient and Hessian by differentiating twice in reverse mode."""
    variables = model.trainable_variables
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = loss(y, model(x)) + sum(model.losses)
        g = tf.concat([tf.reshape(part, [-1]) for part in inner.gradient(value, variables)], 0)
    rows = outer.jacobian(g, variables)
    return g.numpy(), np.concatenate([r.numpy().reshape(len(g), -1) for r in rows], axis=1)


@pytest.mark.equation("4.1.2")
@pytest.mark.parametrize("dense_limit", [500, 0], ids=["dense", "krylov"])
@pytest.mark.parametrize("saddle_free", [False, True])
def test_a_step_divides_by_the_eigenvalues_of_the_hessian(saddle_free, dense_limit):
    (x, y), model = data(), network((4,), kernel_regularizer=keras.regularizers.L2(0.01))
    g, hessian = gradient_and_hessian(model, x, y, keras.losses.MeanSquaredError())
    eigenvalues, vectors = np.linalg.eigh(hessian)
    assert eigenvalues[0] < -1e-2
    divisor = (np.abs(eigenvalues) if saddle_free else eigenvalues) + 1e-3
    expected = -0.5 * vectors @ (vectors.T @ g / divisor)
    settings = {**PURE, "damping": 1e-3, "steps": len(g), "dense_limit": dense_limit}
    start, end = trajectory(model, Newton(0.5, saddle_free=saddle_free, **settings), x, y)
    np.testing.assert_allclose(end - start, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_krylov_step_minimizes_the_model_in_its_space():
    (x, y), model = data(), network()
    g, hessian = gradient_and_hessian(model, x, y, keras.losses.MeanSquaredError())
    space = np.linalg.qr(np.stack([g, hessian @ g, hessian @ hessian @ g], axis=1))[0]
    expected = -space @ np.linalg.solve(space.T @ hessian @ space, space.T @ g)
    start, end = trajectory(model, Newton(**PURE, steps=3, dense_limit=0), x, y)
    np.testing.assert_allclose(end - start, expected, rtol=0, atol=1e-10)


@pytest.mark.equation("4.1.3")
@pytest.mark.parametrize("rate", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("dense_limit", [500, 0])
def test_the_distance_on_a_quadratic_falls_by_one_minus_the_rate(rate, dense_limit):
    (x, y), model = data(), network()
    optimum = flat(np.split(np.linalg.lstsq(np.c_[x, np.ones(len(x))], y)[0], [3]))
    path = trajectory(model, Newton(rate, **PURE, dense_limit=dense_limit), x, y, 3) - optimum
    for n in range(1, 4):
        np.testing.assert_allclose(path[n], (1 - rate) ** n * path[0], rtol=0, atol=1e-10)


def saddle():
    """The loss (a b - 1)^2 of a product of two weights, with its saddle at a = b = 0."""
    first, second = (
        keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(value))
        for value in (0.25, 0.125)
    )
    return keras.Sequential([keras.Input((1,)), first, second]), np.ones((1, 1)), np.ones((1, 1))


def test_saddle_free_leaves_the_saddle_that_newton_goes_to():
    at_saddle = trajectory(saddle()[0], Newton(**PURE), *saddle()[1:], 8)[-1]
    np.testing.assert_allclose(at_saddle, 0.0, atol=1e-8)
    assert np.prod(
        trajectory(saddle()[0], Newton(saddle_free=True, **PURE), *saddle()[1:], 20)[-1]
    ) == pytest.approx(1)
    # Rejected steps raise the damping, which leads the plain rule away from the saddle, too.
    assert np.prod(trajectory(saddle()[0], Newton(), *saddle()[1:], 60)[-1]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("saddle_free", [False, True])
def test_with_large_damping_it_equals_gradient_descent(saddle_free):
    x, y = data()
    settings = {**PURE, "damping": 1e8, "saddle_free": saddle_free}
    newton = trajectory(network((4,)), Newton(1e8 * 0.1, **settings), x, y, 5)
    descent = trajectory(network((4,)), keras.optimizers.SGD(0.1), x, y, 5)
    np.testing.assert_allclose(newton, descent, rtol=0, atol=1e-7)


def test_directions_of_zero_curvature_are_left_unchanged():
    # With one logit more than needed the Hessian is singular, and no damping hides it.
    x, _ = data()
    y = (x[:, 0] + np.random.default_rng(1).normal(size=len(x)) > 0).astype(int)
    path = trajectory(network(), Newton(**PURE), x, y, 8, CategoricalNLL())
    g, _ = gradient_and_hessian(model := network(), x, y, CategoricalNLL())
    assert np.abs(g).max() > 0.1
    model.set_weights([path[-1][:6].reshape(3, 2), path[-1][6:]])
    assert np.abs(gradient_and_hessian(model, x, y, CategoricalNLL())[0]).max() < 1e-10
    shift = path[:, :6].reshape(-1, 3, 2).sum(-1)
    np.testing.assert_allclose(shift, shift[:1].repeat(len(shift), 0), atol=1e-8)


@pytest.mark.parametrize("dense_limit", [1000, 0])
def test_it_trains_digits_in_fewer_steps_than_sgd(dense_limit):
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    x, y = load_digits(return_X_y=True)
    x, y, scores = x[:600].astype("float32") / 16, y[:600], {}
    for name, make in {
        "newton": lambda: Newton(saddle_free=True, dense_limit=dense_limit),
        "sgd": lambda: keras.optimizers.SGD(0.5),
    }.items():
        model = network((8,), 64, 10)
        model.compile(make(), CategoricalNLL())
        model.fit(x, y, batch_size=len(x), epochs=15, verbose=0)
        scores[name] = model.evaluate(x, y, verbose=0)
    assert scores["newton"] < 0.5 and scores["newton"] < 0.4 * scores["sgd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"dense_limit": -1}, "dense_limit must be an integer of at least 0, got -1"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Newton(**arguments)
