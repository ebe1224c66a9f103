"""K-FAC's steps against dense algebra, its statistics against exact ones, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.curvature import products
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.kfac import statistics
from curvezoo.optimizers.kfac.optimizer import KFAC

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 5)), RNG.integers(0, 3, 32)


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def dense_fisher(objective):
    values = objective.values
    sizes = [int(np.prod(v.shape)) for v in values]
    rows = []
    for unit in np.eye(sum(sizes)):
        tangents = [tf.reshape(p, v.shape) for p, v in zip(tf.split(unit, sizes), values, strict=True)]
        rows.append(flat(products.fisher_product(objective, values, tangents)))
    return np.array(rows)


def gradient_of(objective):
    values = objective.values
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = objective.loss(values)
    return tape.gradient(loss, values), loss


def factors(optimizer):
    return [{name: np.array(v.value) for name, v in state.items()} for state in optimizer._statistics.states]


def natural(optimizer, gradient, damping):
    """(A + pi sqrt(lambda))^-1 M (G + sqrt(lambda) / pi)^-1 of the dense layers, by dense inverses."""
    pieces = []
    for state, kernel, bias in zip(factors(optimizer), gradient[::2], gradient[1::2], strict=True):
        a, g, root = state["A"], state["G"], np.sqrt(damping)
        balance = np.sqrt(np.trace(a) / len(a) / (np.trace(g) / len(g)))
        left = np.linalg.inv(a + balance * root * np.eye(len(a)))
        right = np.linalg.inv(g + root / balance * np.eye(len(g)))
        found = left @ np.vstack([kernel, bias]) @ right
        pieces += [found[:-1], found[-1]]
    return flat(pieces)


DECAY = keras.optimizers.schedules.ExponentialDecay(0.75, 1, 0.5)
STEPS = {
    "best": {},
    "best, clipped": {"kl_clip": 1e-3},
    "schedule": {"learning_rate": DECAY},
    "few examples": {"curvature_examples": 10},
    "sum": {"curvature_examples": 10, "damping": 20.0},
    "momentum": {"momentum": 0.9, "learning_rate": 0.1},
    "momentum, clipped": {"momentum": 0.9, "kl_clip": 1e-3},
}


@pytest.mark.equation("4.6.17")
@pytest.mark.parametrize("case", STEPS)
def test_steps_are_those_of_dense_algebra(case, compiled):
    """Four steps: the factors are the optimizer's own, the Fisher matrix and the rest are computed anew."""
    settings = {"damping": 0.5, "inverse_every": 1, "noise_memory": None, **STEPS[case]}
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="sum" if case == "sum" else "sum_over_batch_size"
    )
    model = compiled(KFAC(**settings), loss=loss)
    optimizer, velocity, damping = model.optimizer, 0.0, settings["damping"]
    for step in range(4):
        objective = CompiledObjective(model, X, Y)
        gradient, _ = gradient_of(objective)
        # Of 32 examples with at most 10 every fourth is taken.
        rows = slice(None, None, 4 if "curvature_examples" in settings else 1)
        fisher = dense_fisher(CompiledObjective(model, X[rows], Y[rows])) * (4 if case == "sum" else 1)
        before = flat(objective.values)
        model.train_on_batch(X, Y)
        g, d = flat(gradient), natural(optimizer, gradient, damping)
        velocity = velocity * np.ones_like(d)
        rate = settings.get("learning_rate", 1.0)
        rate = 0.75 * 0.5**step if rate is DECAY else rate
        if "momentum" in settings:
            clip = min(1, np.sqrt(settings.get("kl_clip", np.inf) / (rate**2 * g @ d / 2)))
            velocity = 0.9 * velocity - rate * clip * d
        else:
            plane = np.stack([d, velocity], 1)[:, : 1 + (step > 0)]
            model_matrix = fisher + damping * np.eye(len(d))
            velocity = -rate * plane @ np.linalg.solve(plane.T @ model_matrix @ plane, plane.T @ g)
            divergence = velocity @ fisher @ velocity / 2
            velocity *= min(1, np.sqrt(settings.get("kl_clip", np.inf) / divergence))
        np.testing.assert_allclose(flat(objective.values) - before, velocity, rtol=1e-8, atol=1e-11)
        assert np.abs(velocity).max() > 1e-4
        damping = float(optimizer.damping.value)


def test_clipping_and_decay_make_the_step_that_is_tried(compiled):
    changes = {}
    for name, options in {
        "plain": {},
        "clipped": {"global_clipnorm": 0.02},
        "decayed": {"weight_decay": 0.5},
    }.items():
        optimizer = KFAC(0.5, damping=0.1, **options)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model = compiled(optimizer)
        before = model.get_weights()
        model.train_on_batch(X, Y)
        changes[name] = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
    # The next step begins with the last one, in which there is no decay.
    for step, plain in zip(optimizer._step_rule.last_step, changes["plain"], strict=True):
        np.testing.assert_allclose(step, plain, rtol=1e-9)
    length = np.linalg.norm(flat(changes["plain"]))
    assert length > 0.04
    np.testing.assert_allclose(flat(changes["clipped"]), 0.02 / length * flat(changes["plain"]), rtol=1e-9)
    for plain, decayed, weight in zip(changes["plain"], changes["decayed"], before, strict=True):
        rate = 0.25 if weight.ndim == 2 else 0.0
        np.testing.assert_allclose(decayed, plain - rate * weight, rtol=0, atol=1e-12)


def test_xla_takes_the_same_steps(compiled):
    """With the labels of the data: XLA draws others from the same seed."""
    settings = {"damping": 0.1, "curvature_examples": 10, "fisher": "empirical"}
    plain, compiled_by_xla = (
        compiled(KFAC(0.5, **settings), run_eagerly=False, jit_compile=jit) for jit in (False, True)
    )
    for _ in range(3):
        losses = [model.train_on_batch(X, Y) for model in (plain, compiled_by_xla)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for a, b in zip(plain.get_weights(), compiled_by_xla.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_constant_damping_returns_after_a_rejected_step(compiled):
    model = compiled(KFAC(0.5, damping=0.1, adapt_every=None))
    model.train_on_batch(X, Y)
    assert float(model.optimizer.damping.value) == 0.1
    weights = model.get_weights()
    # So far a step raises the loss of its batch, and is tried since it promises much.
    model.optimizer.learning_rate = 1e4
    model.train_on_batch(X, Y)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.damping.value) == pytest.approx(0.4)
    model.optimizer.learning_rate = 0.1
    for _ in range(40):
        model.train_on_batch(X, Y)
    assert float(model.optimizer.damping.value) == 0.1


def test_constant_damping_looks_at_the_loss_every_ten_steps(compiled):
    """What counts as a far step is a share of the loss as it is now, and not of the first one."""
    model = compiled(KFAC(0.1, adapt_every=None))
    for _ in range(10):
        model.train_on_batch(X, Y)
    loss = model.evaluate(X, Y, batch_size=len(X), verbose=0)
    model.train_on_batch(X, Y)
    assert float(model.optimizer._acceptance.last_loss.value) == pytest.approx(loss, rel=1e-6)


def test_a_loss_that_overflows_is_no_reason_to_move(compiled):
    """The square of a large number is infinite in single precision, its slope is not."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model = compiled(KFAC(), model, "mse")
    x = np.linspace(-1, 1, 8, dtype="float32")[:, None]
    model.train_on_batch(x, x)
    before, loss = model.get_weights(), float(model.optimizer._acceptance.last_loss.value)
    model.optimizer.iterations.assign(20)
    model.train_on_batch(x, 1e20 + x)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer._acceptance.last_loss.value) == loss


def white_labels(self, distribution, outputs):
    """Labels of a unit Gaussian whose noise has the covariance 1 in the batch at hand, exactly."""
    noise = np.linalg.qr(np.random.default_rng(5).normal(size=outputs.shape))[0] * np.sqrt(len(outputs))
    return tf.stop_gradient(outputs + noise)


@pytest.mark.parametrize(("eigenbasis", "damping"), [(False, 1e-16), (True, 1e-3)])
def test_in_deep_linear_nets_it_is_block_gauss_newton(eigenbasis, damping, monkeypatch, compiled):
    """Under squared errors g does not depend on a, so that each block of F is A (x) G, and so its inverse.

    The eigenbasis damps as the block does, and two factors do so in the limit of no damping only.
    """
    monkeypatch.setattr(KFAC, "_draw", white_labels)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2), layers.Dense(3), layers.Dense(4)])
    optimizer = KFAC(damping=damping, damping_bounds=(1e-30, 1), eigenbasis=eigenbasis, adapt_every=None)
    targets = RNG.normal(size=(32, 4))
    compiled(optimizer, model, "mse")
    objective = CompiledObjective(model, X, targets)
    # The dense layer from 2 to 3 has a singular G: rank 2 comes through it.
    gradient, _ = gradient_of(objective)
    fisher = dense_fisher(objective)
    optimizer.build(model.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch(values := objective.values)
        outputs = objective.outputs(values)
        loss = objective.data_loss(outputs)
    kept, damped = optimizer._statistics, tf.constant(damping, tf.float64)
    states = kept.update(objective, optimizer._draw, optimizer.iterations, tf.constant(True))
    states = kept.invert(states, damped, optimizer.iterations)
    found = kept.natural_gradient(gradient, model.trainable_variables, states, damped)
    start = 0
    for index, state in enumerate(factors(optimizer)):
        size = len(state["A"]) * len(state["G"])
        block = fisher[start : start + size, start : start + size]
        np.testing.assert_allclose(np.kron(state["A"], state["G"]), block, rtol=1e-10, atol=1e-13)
        g = flat(gradient[2 * index : 2 * index + 2])
        if eigenbasis:
            expected, tolerance = np.linalg.solve(block + damping * np.eye(size), g), 1e-8
        else:
            expected, tolerance = np.linalg.pinv(block, rcond=1e-9, hermitian=True) @ g, 1e-6
        natural = flat(found[2 * index : 2 * index + 2])
        np.testing.assert_allclose(natural, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
        start += size
    assert start == len(fisher) and loss > 0


def exact_factors(model, x):
    """A and G of two dense layers and softmax, labels averaged in closed form."""
    (w, b), (v, c) = (layer.get_weights() for layer in model.layers)
    h = np.tanh(x @ w + b)
    p = np.array(tf.nn.softmax(h @ v + c))
    output = [np.diag(q) - np.outer(q, q) for q in p]
    back = [(1 - u**2)[:, None] * v for u in h]
    a = [np.concatenate([t, np.ones((len(x), 1))], 1) for t in (x, h)]
    g = [sum(j @ f @ j.T for j, f in zip(back, output, strict=True)) / len(x), sum(output) / len(x)]
    return [t.T @ t / len(x) for t in a], g


def test_sampled_factors_are_unbiased(compiled):
    """3,200 labels at fixed weights: within 10 % of the closed form; those of the data are elsewhere."""
    model = compiled(KFAC(0.0, decay=0.999, statistics_every=1, inverse_every=1000, adapt_every=None))
    model.run_eagerly = False
    before = model.get_weights()
    model.fit(np.tile(X, (100, 1)), np.tile(Y, 100), batch_size=32, shuffle=False, verbose=0)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    for state, a, g in zip(factors(model.optimizer), *exact_factors(model, X), strict=True):
        np.testing.assert_allclose(state["A"], a, rtol=1e-10)
        assert np.linalg.norm(state["G"] - g) < 0.1 * np.linalg.norm(g)


@pytest.mark.equation("4.6.18")
def test_the_empirical_fisher_takes_the_labels_of_the_data(compiled):
    model = compiled(KFAC(0.0, fisher="empirical", adapt_every=None))
    score = np.array(tf.nn.softmax(model(X))) - np.eye(3)[Y]
    model.train_on_batch(X, Y)
    found, exact = factors(model.optimizer)[1]["G"], exact_factors(model, X)[1][1]
    np.testing.assert_allclose(found, score.T @ score / 32, rtol=1e-10)
    assert np.linalg.norm(found - exact) > 0.3 * np.linalg.norm(exact)


def test_each_thing_is_done_as_often_as_it_says(monkeypatch, compiled):
    monkeypatch.setattr(statistics, "EARLY", 5)
    model = compiled(KFAC(0.1, statistics_every=3, inverse_every=7, adapt_every=5))
    optimizer, last = model.optimizer, None
    for step in range(16):
        model.train_on_batch(X, Y)
        now = {**factors(optimizer)[0], "damping": float(optimizer.damping.value)}
        if last is not None:
            changed = {name for name in now if not np.array_equal(now[name], last[name])}
            expected = {"damping"} if step % 5 == 0 else set()
            expected |= {"G"} if step % 3 == 0 or step < 5 else set()
            # In the first five steps at the powers of two, too.
            expected |= {"A_inverse", "G_inverse"} if step in (1, 2, 4, 7, 14) else set()
            # A is the same in each batch of the same examples.
            assert changed - {"A"} == expected, step
        last = now


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_a_step_that_raises_the_loss_is_rejected(momentum, compiled):
    """At a hundred times the best rate: weights stay to the last bit and the damping is four times higher."""
    model = compiled(KFAC(100.0, damping=1e-2, momentum=momentum))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    np.testing.assert_allclose(float(model.optimizer.damping.value), 4e-2, rtol=1e-6)
    assert not any(np.any(v.numpy()) for v in model.optimizer._step_rule.last_step)
    model.optimizer.learning_rate = 0.1
    losses = [model.train_on_batch(X, Y) for _ in range(3)]
    assert losses[2] < losses[0]


def test_far_steps_are_tried_whenever_they_come(compiled):
    """Not only every 1,000 steps, at which the damping adapts."""
    model = compiled(KFAC(0.5, damping=1e-3, adapt_every=1000))
    model.train_on_batch(X, Y)
    before = model.get_weights()
    model.optimizer.learning_rate = 1000.0
    model.train_on_batch(X, Y)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(("due", "adapt_every"), [(21, 5), (40, None)])
def test_a_batch_of_undefined_numbers_leaves_no_trace(due, adapt_every, compiled):
    model = compiled(KFAC(0.5, weight_decay=0.01, adapt_every=adapt_every))
    model.train_on_batch(X, Y)
    before = model.get_weights(), [v.numpy() for v in model.optimizer.variables[1:]]
    # Neither statistics nor inverses are due in one of the steps, and both in the other.
    model.optimizer.iterations.assign(due)
    model.train_on_batch(np.where(np.arange(32)[:, None] == 3, np.nan, X), Y)
    after = model.get_weights(), [v.numpy() for v in model.optimizer.variables[1:]]
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old, new, strict=True):
            np.testing.assert_array_equal(a, b)
    losses = [model.train_on_batch(X, Y) for _ in range(3)]
    assert losses[2] < losses[0]


def test_what_cannot_be_served_is_refused_by_compile(compiled):
    with pytest.raises(ValueError, match=r"negative log-likelihood of a distribution, got .*supported are"):
        compiled(KFAC(), loss="mae")
    with pytest.raises(ValueError, match="must be compiled with a loss, got loss=None"):
        keras.Sequential([keras.Input((5,)), layers.Dense(3)]).compile(KFAC())


def test_the_config_rebuilds_it():
    settings = {
        "learning_rate": 0.5,
        "damping": 2.0,
        "momentum": 0.8,
        "decay": 0.9,
        "fisher": "empirical",
        "eigenbasis": True,
        "curvature_examples": 7,
        "statistics_every": 3,
        "inverse_every": 4,
        "adapt_every": None,
        "damping_bounds": [1e-3, 10.0],
        "noise_memory": None,
        "kl_clip": 0.1,
        "fallback": "raise",
        "seed": 5,
        "name": "k",
    }
    optimizer = KFAC(**settings)
    config = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)).get_config()
    assert config == optimizer.get_config()
    assert {name: config[name] for name in settings} == settings


INVALID = {
    "learning_rate": -1,
    "damping": 0,
    "momentum": 1,
    "decay": -0.1,
    "fisher": "exact",
    "curvature_examples": 0,
    "statistics_every": 1.5,
    "inverse_every": 0,
    "adapt_every": 0,
    "damping_bounds": (1, 0.1),
    "noise_memory": 1,
    "kl_clip": 0,
    "fallback": "none",
    "seed": -1,
}


@pytest.mark.parametrize("argument", INVALID)
def test_invalid_arguments_are_named(argument):
    with pytest.raises(ValueError, match=argument):
        KFAC(**{argument: INVALID[argument]})


def test_the_first_damping_is_a_share_of_the_mean_eigenvalue(compiled):
    """A tenth of tr F / P, which for Kronecker factors is tr A tr G; measured once there is a gradient."""
    optimizer = KFAC(adapt_every=None)
    model = compiled(optimizer)
    model.train_on_batch(np.nan * X, Y)
    assert optimizer.damping.numpy() == 0
    optimizer.iterations.assign(0)
    model.train_on_batch(X, Y)
    mean = sum(np.trace(s["A"]) * np.trace(s["G"]) for s in factors(optimizer)) / model.count_params()
    np.testing.assert_allclose(optimizer.damping.numpy(), 0.1 * mean, rtol=1e-12)
