"""Natural-gradient steps against dense Fisher matrices, and their invariance under reparametrization."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from curvezoo.losses import CategoricalNLL, LaplaceNLL
from curvezoo.optimizers.natural_gradient import NaturalGradient

EXACT = {"damping": 0.0, "monotone": False, "steps": 300, "tolerance": 1e-10}

pytestmark = pytest.mark.usefixtures("double_precision_rates")


def data(examples=40, inputs=3, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(examples, inputs)), rng.integers(0, classes, examples)


def network(widths=(), inputs=3, outputs=4, activation="tanh", bias=True):
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Dense(w, activation, use_bias=bias) for w in widths]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs, use_bias=bias)])


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def step(model, optimizer, x, y, loss=None, steps=1, eager=False):
    """Takes steps on all data; returns the change of the parameters as one vector."""
    before = flat(model.get_weights())
    model.compile(optimizer, loss or CategoricalNLL(), run_eagerly=eager)
    model.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, verbose=0)
    return flat(model.get_weights()) - before


def jacobian(model, x):
    """Derivatives [B, D, P] of the outputs."""
    with tf.GradientTape() as tape:
        outputs = model(x)
    parts = tape.jacobian(outputs, model.trainable_variables)
    return np.concatenate([p.numpy().reshape(*outputs.shape, -1) for p in parts], axis=-1)


def softmax(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def gradient_and_fisher(model, x, y):
    """By Eq. 4.6.16 itself, a sum over all examples and labels of the scores' outer products."""
    jac, p = jacobian(model, x), softmax(model(x).numpy())
    scores = jac - np.einsum("bk,bkp->bp", p, jac)[:, None]  # of each label, [B, K, P]
    fisher = np.einsum("bk,bkp,bkq->pq", p, scores, scores) / len(x)
    return -scores[np.arange(len(x)), y].mean(0), fisher


@pytest.mark.equation("4.6.17")
@pytest.mark.parametrize("damping", [1e-3, 0.5])
@pytest.mark.parametrize("widths", [(), (5,)], ids=["softmax regression", "mlp"])
def test_a_step_solves_the_dense_fisher_system(widths, damping):
    (x, y), model = data(), network(widths)
    g, fisher = gradient_and_fisher(model, x, y)
    expected = -0.7 * np.linalg.solve(fisher + damping * np.eye(len(g)), g)
    taken = step(model, NaturalGradient(0.7, **{**EXACT, "damping": damping}), x, y)
    np.testing.assert_allclose(taken, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_one_step_of_conjugate_gradients_is_the_best_multiple_of_the_gradient():
    (x, y), model = data(), network()
    g, fisher = gradient_and_fisher(model, x, y)
    expected = -(g @ g) / (g @ fisher @ g + 0.1 * g @ g) * g
    taken = step(model, NaturalGradient(1.0, **{**EXACT, "damping": 0.1, "steps": 1}), x, y)
    np.testing.assert_allclose(taken, expected, rtol=1e-7)


def test_a_deep_linear_network_takes_the_gauss_newton_step():
    x, _ = data()
    y = np.random.default_rng(1).normal(size=(len(x), 2))
    model = network((3, 2), outputs=2, activation="linear", bias=False)
    jac, rest = jacobian(model, x), model(x).numpy() - y
    # Keras averages over the two outputs as well.
    matrix = 2 / rest.size * np.einsum("bkp,bkq->pq", jac, jac)
    g = 2 / rest.size * np.einsum("bk,bkp->p", rest, jac)
    expected = -np.linalg.solve(matrix + 1e-2 * np.eye(len(g)), g)
    taken = step(model, NaturalGradient(1.0, **{**EXACT, "damping": 1e-2}), x, y, "mse")
    np.testing.assert_allclose(taken, expected, rtol=0, atol=1e-8)


def test_units_of_the_inputs_do_not_matter():
    (x, y), predictions = data(), []
    for units in (np.ones(3), np.array([1e-2, 1.0, 1e2])):
        model = network()
        kernel, bias = model.get_weights()
        model.set_weights([kernel / units[:, None], bias])
        step(model, NaturalGradient(0.5, **EXACT), x * units, y, steps=3)
        predictions.append(softmax(model(x * units).numpy()))
    np.testing.assert_allclose(*predictions, rtol=1e-6)


@keras.saving.register_keras_serializable("test_natural_gradient")
class Reparametrized(keras.layers.Layer):
    """Logits x K in other coordinates Phi: K = sinh(Phi), or K = M Phi with a matrix M."""

    def __init__(self, kernel, mix=None, **kwargs):
        super().__init__(**kwargs)
        start = np.arcsinh(kernel) if mix is None else np.linalg.solve(mix, kernel.ravel())
        self.phi = self.add_weight(shape=start.shape, initializer=lambda shape, dtype: start, dtype="float64")
        self.mix, self.size = mix, kernel.shape

    def call(self, x):
        if self.mix is None:
            return x @ keras.ops.sinh(self.phi)
        return x @ keras.ops.reshape(keras.ops.matmul(self.mix, self.phi), self.size)


def logits_after(optimizer, coordinates, kernel, x, y, steps):
    if coordinates == "plain":
        layer = keras.layers.Dense(
            kernel.shape[1], use_bias=False, kernel_initializer=lambda s, dtype: kernel
        )
    else:
        rng = np.random.default_rng(2)
        mix = np.linalg.qr(rng.normal(size=(kernel.size,) * 2))[0] * np.linspace(0.5, 2.0, kernel.size)
        mix = mix if coordinates == "linear" else None
        layer = Reparametrized(kernel, mix)
    model = keras.Sequential([keras.Input((x.shape[1],)), layer])
    step(model, optimizer, x, y, steps=steps)
    return softmax(model(x).numpy())


def test_linear_reparametrization_changes_nothing():
    x, y = data()
    kernel = np.random.default_rng(3).normal(size=(3, 4))

    def difference(make):
        plain, mixed = (logits_after(make(), c, kernel, x, y, 3) for c in ("plain", "linear"))
        return np.abs(plain - mixed).max()

    assert difference(lambda: NaturalGradient(0.5, **EXACT)) < 1e-6
    assert difference(lambda: keras.optimizers.SGD(0.1)) > 1e-2


def order(difference, rate):
    """The power of eps with which a difference falls, measured by halving eps."""
    return np.log2(difference(rate) / difference(rate / 2))


@pytest.mark.parametrize("rule", ["natural", "sgd"])
def test_nonlinear_reparametrization_matters_at_second_order_only(rule):
    x, y = data()
    kernel = np.random.default_rng(3).normal(size=(3, 4))

    def difference(rate):
        make = keras.optimizers.SGD if rule == "sgd" else lambda rate: NaturalGradient(rate, **EXACT)
        plain, curved = (logits_after(make(rate), c, kernel, x, y, 1) for c in ("plain", "sinh"))
        return np.abs(plain - curved).max()

    assert order(difference, 0.02) == pytest.approx(1 if rule == "sgd" else 2, abs=0.1)


@pytest.mark.parametrize("rule", ["natural", "sgd"])
def test_rescaling_relu_layers_matters_at_second_order_only(rule):
    x, y = data(80)

    def difference(rate):
        predictions = []
        for scale in (1.0, 4.0):
            model = network((4,), activation="relu")
            w1, b1, w2, b2 = model.get_weights()
            model.set_weights([scale * w1, scale * b1, w2 / scale, b2])
            optimizer = keras.optimizers.SGD(rate) if rule == "sgd" else NaturalGradient(rate, **EXACT)
            step(model, optimizer, x, y)
            predictions.append(softmax(model(x).numpy()))
        return np.abs(np.subtract(*predictions)).max()

    assert order(difference, 2e-3) == pytest.approx(1 if rule == "sgd" else 2, abs=0.15)


def test_momentum_sums_directions():
    (x, y), model = data(), network()
    velocity, theta = 0.0, flat(model.get_weights())
    copy = network()
    for _ in range(3):
        g, fisher = gradient_and_fisher(copy, x, y)
        velocity = 0.5 * velocity + np.linalg.solve(fisher + 0.1 * np.eye(len(g)), g)
        theta = theta - 0.2 * velocity
        copy.set_weights([theta[:12].reshape(3, 4), theta[12:]])
    step(model, NaturalGradient(0.2, momentum=0.5, **{**EXACT, "damping": 0.1}), x, y, steps=3)
    np.testing.assert_allclose(flat(model.get_weights()), theta, rtol=0, atol=1e-8)


def test_kl_limit_bounds_the_divergence_of_a_step():
    (x, y), model = data(), network((5,))
    g, fisher = gradient_and_fisher(model, x, y)
    settings = {**EXACT, "damping": 1e-3}
    taken = step(model, NaturalGradient(1.0, kl_limit=1e-3, **settings), x, y)
    assert taken @ fisher @ taken / 2 == pytest.approx(1e-3, rel=1e-6)
    free = np.linalg.solve(fisher + 1e-3 * np.eye(len(g)), -g)
    np.testing.assert_allclose(taken / np.linalg.norm(taken), free / np.linalg.norm(free), atol=1e-7)
    # The momentum of the next step is that of the shortened step.
    model = network((5,))
    first = step(model, NaturalGradient(1.0, kl_limit=1e-3, momentum=0.5, **settings), x, y)
    g, fisher = gradient_and_fisher(model, x, y)
    u = 0.5 * first - np.linalg.solve(fisher + 1e-3 * np.eye(len(g)), g)
    before = flat(model.get_weights())
    model.train_on_batch(x, y)
    expected = u * np.sqrt(1e-3 / (u @ fisher @ u / 2))
    np.testing.assert_allclose(flat(model.get_weights()) - before, expected, rtol=1e-6)
    # A short step is unchanged.
    optimizers = (NaturalGradient(0.01, kl_limit=limit, damping=0.1) for limit in (1.0, None))
    a, b = (step(network((5,)), optimizer, x, y, eager=True) for optimizer in optimizers)
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_warm_start_continues_the_last_solution():
    (x, y), model = data(), network((5,))
    g, fisher = gradient_and_fisher(model, x, y)
    exact = np.linalg.solve(fisher + 0.1 * np.eye(len(g)), g)

    def error(warm_start):
        # At a rate of zero the linear system stays the same.
        optimizer = NaturalGradient(0.0, damping=0.1, steps=4, warm_start=warm_start)
        step(model, optimizer, x, y, steps=30)
        return np.linalg.norm(flat([v.numpy() for v in optimizer._solutions]) - exact) / np.linalg.norm(exact)

    assert error(1.0) < 0.1 * error(1e-9)


def test_the_sampled_fisher_averages_to_the_exact_one():
    x, y = data(20)
    x, y = np.tile(x, (200, 1)), np.tile(y, 200)
    settings = {**EXACT, "damping": 0.1}
    exact, sampled = (
        step(network(), NaturalGradient(1.0, fisher=f, **settings), x, y) for f in ("exact", "sampled")
    )
    # With 4,000 labels the entries of F have relative errors of 1 to 2 %.
    assert 1e-6 < np.linalg.norm(sampled - exact) / np.linalg.norm(exact) < 0.1


def test_a_distribution_without_closed_form_is_sampled():
    x, _ = data()
    y = x[:, :2] - x[:, 1:]
    model = network(outputs=2)
    model.compile(NaturalGradient(fisher="sampled"), LaplaceNLL())
    losses = model.fit(x, y, epochs=15, batch_size=len(x), verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.5
    model.compile(NaturalGradient(), LaplaceNLL())
    with pytest.raises(ValueError, match="sampled"):
        model.fit(x, y, verbose=0)


def test_a_batch_with_nan_is_skipped_with_sampled_labels():
    """No labels are drawn from undefined probabilities, which would end the program."""
    (x, y), model = data(), network()
    step(model, NaturalGradient(fisher="sampled"), x, y)
    before = model.get_weights()
    model.train_on_batch(np.where(np.arange(len(x))[:, None] == 3, np.nan, x), y)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_it_trains_digits_in_fewer_steps_than_sgd():
    (x, y), scores = load_digits(return_X_y=True), {}
    x = x / 16
    for name, make in {"natural": NaturalGradient, "sgd": lambda: keras.optimizers.SGD(0.1)}.items():
        model = network((32,), 64, 10, "relu")
        model.compile(make(), CategoricalNLL())
        model.fit(x[:1024], y[:1024], batch_size=128, epochs=4, verbose=0)
        scores[name] = model.evaluate(x[1024:], y[1024:], verbose=0)
    assert scores["natural"] < 0.35 and scores["natural"] < 0.3 * scores["sgd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"warm_start": 1.5}, r"warm_start must be in \[0, 1\], got 1.5"),
        ({"fisher": "empirical"}, "fisher must be one of exact, sampled, got 'empirical'"),
        ({"kl_limit": 0.0}, "kl_limit must be positive, got 0"),
        ({"tolerance": -1.0}, "tolerance must not be negative"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        NaturalGradient(**arguments)


@pytest.mark.parametrize("loss", ["mae", keras.losses.CategoricalHinge()])
def test_compile_refuses_a_loss_without_a_distribution(loss):
    with pytest.raises(ValueError, match="loss must be the negative log-likelihood"):
        network().compile(NaturalGradient(), loss)
