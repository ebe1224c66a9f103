"""K-FAC's steps and statistics against dense algebra and closed forms, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.curvature import products
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.kfac import statistics as statistics_module
from curvezoo.optimizers.kfac.batch import Batch
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


def softmax_fisher(weights, x):
    """The Fisher matrix of two dense layers, tanh and softmax, from the closed form of the Jacobian."""
    w, b, v, c = weights
    h = np.tanh(x @ w + b)
    p = np.array(tf.nn.softmax(h @ v + c))
    inner = np.einsum("bh,hk->bkh", 1 - h**2, v)
    outer = np.broadcast_to(np.eye(3), (len(x), 3, 3))
    parts = np.einsum("bi,bkh->bkih", x, inner), inner, np.einsum("bh,bkl->bkhl", h, outer), outer
    jacobian = np.concatenate([part.reshape(len(x), 3, -1) for part in parts], -1)
    curvature = np.einsum("bk,kl->bkl", p, np.eye(3)) - np.einsum("bk,bl->bkl", p, p)
    return np.einsum("bki,bkl,blj->ij", jacobian, curvature, jacobian) / len(x)


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
        a, g = (np.diag(factor) if factor.ndim == 1 else factor for factor in (state["A"], state["G"]))
        root = np.sqrt(damping)
        balance = np.sqrt(np.trace(a) / len(a) / (np.trace(g) / len(g)))
        left = np.linalg.inv(a + balance * root * np.eye(len(a)))
        right = np.linalg.inv(g + root / balance * np.eye(len(g)))
        actual = left @ np.vstack([kernel, bias]) @ right
        pieces += [actual[:-1], actual[-1]]
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
    "wide inputs": {"max_factor_size": 5},
    "wide outputs": {"max_factor_size": 3},
}


@pytest.mark.equation("4.6.17")
@pytest.mark.parametrize("case", STEPS)
def test_steps_equal_those_of_dense_algebra(case, compiled):
    """Recomputes four steps with the Kronecker factors of the optimizer and the exact Fisher matrix."""
    settings = {"damping": 0.5, "inverse_every": 1, "noise_memory": None, **STEPS[case]}
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="sum" if case == "sum" else "sum_over_batch_size"
    )
    model = compiled(KFAC(**settings), loss=loss)
    optimizer, velocity, damping = model.optimizer, 0.0, settings["damping"]
    for step in range(4):
        objective = CompiledObjective(model, X, Y)
        gradient, _ = gradient_of(objective)
        # A limit of 10 of 32 examples selects every fourth one.
        rows = slice(None, None, 4 if "curvature_examples" in settings else 1)
        fisher = softmax_fisher(model.get_weights(), X[rows]) * (32 if case == "sum" else 1)
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


def test_clipping_and_decay_are_part_of_the_tried_step(compiled):
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
    # The stored last step contains no decay.
    for step, plain in zip(optimizer._step_rule.last_step, changes["plain"], strict=True):
        np.testing.assert_allclose(step, plain, rtol=1e-9)
    length = np.linalg.norm(flat(changes["plain"]))
    assert length > 0.04
    np.testing.assert_allclose(flat(changes["clipped"]), 0.02 / length * flat(changes["plain"]), rtol=1e-9)
    for plain, decayed, weight in zip(changes["plain"], changes["decayed"], before, strict=True):
        rate = 0.25 if weight.ndim == 2 else 0.0
        np.testing.assert_allclose(decayed, plain - rate * weight, rtol=0, atol=1e-12)


def test_xla_takes_the_same_steps(compiled):
    """Uses the labels of the data, because XLA draws different labels from the same seed."""
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
    # Such a long step raises the loss of its batch, which is evaluated because of the predicted change.
    model.optimizer.learning_rate = 1e4
    model.train_on_batch(X, Y)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.damping.value) == pytest.approx(0.4)
    model.optimizer.learning_rate = 0.1
    for _ in range(40):
        model.train_on_batch(X, Y)
    assert float(model.optimizer.damping.value) == 0.1


def test_constant_damping_evaluates_the_loss_every_ten_steps(compiled):
    """Whether a step is long is measured relative to a recent loss, not to the first one."""
    model = compiled(KFAC(0.1, adapt_every=None))
    for _ in range(10):
        model.train_on_batch(X, Y)
    loss = model.evaluate(X, Y, batch_size=len(X), verbose=0)
    model.train_on_batch(X, Y)
    assert float(model.optimizer._acceptance.last_loss.value) == pytest.approx(loss, rel=1e-6)


def test_an_overflowing_loss_leaves_the_weights_unchanged(compiled):
    """The square of a large number is infinite in single precision, while its gradient is not."""
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
    """Labels of a unit Gaussian whose noise has exactly unit covariance in this batch."""
    noise = np.linalg.qr(np.random.default_rng(5).normal(size=outputs.shape))[0] * np.sqrt(len(outputs))
    return tf.stop_gradient(outputs + noise)


@pytest.mark.parametrize(("eigenbasis", "damping"), [(False, 1e-16), (True, 1e-3)])
def test_in_deep_linear_networks_it_equals_block_gauss_newton(eigenbasis, damping, monkeypatch, compiled):
    """Under squared errors g does not depend on a, so that each block of F is exactly A (x) G.

    The eigenbasis adds the damping to the block; two damped factors do so only in the limit of no damping.
    """
    monkeypatch.setattr(KFAC, "_draw", white_labels)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(2), layers.Dense(3), layers.Dense(4)])
    optimizer = KFAC(damping=damping, damping_bounds=(1e-30, 1), eigenbasis=eigenbasis, adapt_every=None)
    targets = RNG.normal(size=(32, 4))
    compiled(optimizer, model, "mse")
    objective = CompiledObjective(model, X, targets)
    # The dense layer from 2 to 3 has a singular G of rank 2.
    gradient, _ = gradient_of(objective)
    fisher = dense_fisher(objective)
    optimizer.build(model.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch(values := objective.values)
        outputs = objective.outputs(values)
        loss = objective.data_loss(outputs)
    statistics, damped = optimizer._statistics, 3 * [tf.constant(damping, tf.float64)]
    finite, iteration = tf.constant(True), optimizer.iterations
    batch = Batch(objective, objective, objective.values, gradient, finite, iteration, optimizer._draw)
    states = statistics.update(batch, optimizer._draw)
    states = statistics.invert(states, damped, iteration)
    actual = statistics.natural_gradient(gradient, model.trainable_variables, states, damped)
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
        natural = flat(actual[2 * index : 2 * index + 2])
        np.testing.assert_allclose(natural, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
        start += size
    assert start == len(fisher) and loss > 0


def exact_factors(model, x):
    """A and G of two dense layers and softmax, with labels averaged in closed form."""
    (w, b), (v, c) = (layer.get_weights() for layer in model.layers)
    h = np.tanh(x @ w + b)
    p = np.array(tf.nn.softmax(h @ v + c))
    output = [np.diag(q) - np.outer(q, q) for q in p]
    back = [(1 - u**2)[:, None] * v for u in h]
    a = [np.concatenate([t, np.ones((len(x), 1))], 1) for t in (x, h)]
    g = [sum(j @ f @ j.T for j, f in zip(back, output, strict=True)) / len(x), sum(output) / len(x)]
    return [t.T @ t / len(x) for t in a], g


def test_sampled_factors_are_unbiased(compiled):
    """3,200 labels at fixed weights give the closed form within 10 %."""
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
def test_the_empirical_fisher_uses_the_labels_of_the_data(compiled):
    model = compiled(KFAC(0.0, fisher="empirical", adapt_every=None))
    score = np.array(tf.nn.softmax(model(X))) - np.eye(3)[Y]
    model.train_on_batch(X, Y)
    actual, exact = factors(model.optimizer)[1]["G"], exact_factors(model, X)[1][1]
    np.testing.assert_allclose(actual, score.T @ score / 32, rtol=1e-10)
    assert np.linalg.norm(actual - exact) > 0.3 * np.linalg.norm(exact)


def test_updates_inversions_and_adaptations_follow_their_intervals(monkeypatch, compiled):
    monkeypatch.setattr(statistics_module, "EARLY", 5)
    model = compiled(KFAC(0.1, statistics_every=3, inverse_every=7, adapt_every=5))
    optimizer, last = model.optimizer, None
    for step in range(16):
        model.train_on_batch(X, Y)
        now = {**factors(optimizer)[0], "damping": float(optimizer.damping.value)}
        if last is not None:
            changed = {name for name in now if not np.array_equal(now[name], last[name])}
            expected = {"damping"} if step % 5 == 0 else set()
            expected |= {"G"} if step % 3 == 0 or step < 5 else set()
            # Within the first five steps, also at the powers of two.
            expected |= {"A_inverse", "G_inverse"} if step in (1, 2, 4, 7, 14) else set()
            # A is the same for the same examples.
            assert changed - {"A"} == expected, step
        last = now


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_a_step_that_raises_the_loss_is_rejected(momentum, compiled):
    """At a hundred times the best rate, weights are unchanged and the damping is four times higher."""
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


def test_the_loss_after_a_long_step_is_always_evaluated(compiled):
    """It is evaluated not only every 1,000 steps, when the damping adapts."""
    model = compiled(KFAC(0.5, damping=1e-3, adapt_every=1000))
    model.train_on_batch(X, Y)
    before = model.get_weights()
    model.optimizer.learning_rate = 1000.0
    model.train_on_batch(X, Y)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(("due", "adapt_every"), [(21, 5), (40, None)])
def test_a_batch_with_nan_changes_nothing(due, adapt_every, compiled):
    model = compiled(KFAC(0.5, weight_decay=0.01, adapt_every=adapt_every))
    model.train_on_batch(X, Y)
    before = model.get_weights(), [v.numpy() for v in model.optimizer.variables[1:]]
    # In one of the steps neither statistics nor inverses are due, and in the other both are.
    model.optimizer.iterations.assign(due)
    model.train_on_batch(np.where(np.arange(32)[:, None] == 3, np.nan, X), Y)
    after = model.get_weights(), [v.numpy() for v in model.optimizer.variables[1:]]
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old, new, strict=True):
            np.testing.assert_array_equal(a, b)
    losses = [model.train_on_batch(X, Y) for _ in range(3)]
    assert losses[2] < losses[0]


def test_compile_refuses_unsupported_losses(compiled):
    with pytest.raises(ValueError, match=r"negative log-likelihood of a distribution, got .*valid are"):
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
        "noise_floor": True,
        "kl_clip": 0.1,
        "fallback": "raise",
        "max_factor_size": None,
        "skip_layers": ["head"],
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
    "noise_floor": 1,
    "kl_clip": 0,
    "fallback": "none",
    "max_factor_size": 0,
    "skip_layers": "head",
    "seed": -1,
}


@pytest.mark.parametrize("argument", INVALID)
def test_invalid_arguments_are_named(argument):
    with pytest.raises(ValueError, match=argument):
        KFAC(**{argument: INVALID[argument]})


def test_wide_and_skipped_layers_are_named_in_the_log_once(caplog, compiled):
    names = [layers.Dense(6, name="wide"), layers.Dense(3, name="head"), layers.PReLU(name="slope")]
    model = compiled(KFAC(max_factor_size=5, skip_layers=["head"]), keras.Sequential(names))
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    assert [record.getMessage() for record in caplog.records if "kfac" in record.name] == [
        "kfac replaces factors by their diagonals, see max_factor_size: "
        "A of 'wide' (6 rows), G of 'wide' (6 rows)",
        "kfac uses a diagonal Fisher matrix for the layers 'head' (Dense), 'slope' (PReLU)",
    ]
    with pytest.raises(ValueError, match=r"skip_layers\[0\] must be one of .*wide.*got 'other'"):
        compiled(KFAC(skip_layers=("other",)), model)


def test_the_first_damping_is_a_tenth_of_the_mean_eigenvalue(compiled):
    """tr F / P is tr A tr G / P for Kronecker factors. It is measured at the first finite gradient."""
    optimizer = KFAC(adapt_every=None)
    model = compiled(optimizer)
    model.train_on_batch(np.nan * X, Y)
    assert optimizer.damping.numpy() == 0
    optimizer.iterations.assign(0)
    model.train_on_batch(X, Y)
    mean = sum(np.trace(s["A"]) * np.trace(s["G"]) for s in factors(optimizer)) / model.count_params()
    np.testing.assert_allclose(optimizer.damping.numpy(), 0.1 * mean, rtol=1e-12)


class Looped(keras.Model):
    """Calls its second layer twice in a loop, and has a layer that it never calls."""

    def __init__(self):
        super().__init__()
        self.first, self.looped = layers.Dense(4, "tanh"), layers.Dense(4, "tanh", name="looped")
        self.last, self.idle = layers.Dense(3), layers.Dense(2, name="idle")

    def build(self, shape):
        for layer, width in ((self.first, 5), (self.looped, 4), (self.last, 4), (self.idle, 4)):
            layer.build((None, width))

    def call(self, x):
        x = self.first(x)
        _, x = tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, self.looped(x)), (0, x))
        return self.last(x)


def test_layers_that_cannot_be_recorded_get_a_diagonal(caplog, compiled):
    """Its entries are squares of the batch gradient, which is zero for the layer that is never called."""
    model = compiled(KFAC(curvature_examples=64), Looped(), run_eagerly=False)
    model.build((None, 5))
    before = [layer.get_weights() for layer in (model.looped, model.idle)]
    losses = [model.train_on_batch(X, Y) for _ in range(8)]
    assert losses[-1] < losses[0]
    after = [layer.get_weights() for layer in (model.looped, model.idle)]
    moved = [[np.any(w != v) for w, v in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)]
    assert moved == [[True, True], [False, False]]
    preconditioners = model.optimizer._statistics.preconditioners
    kinds = {p.block.layer.name: p.block.kind for p in preconditioners}
    assert kinds["looped"] == kinds["idle"] == "diagonal" and kinds[model.first.name] == "kronecker"
    [message] = [record.getMessage() for record in caplog.records if "diagonal" in record.getMessage()]
    assert message == "kfac uses a diagonal Fisher matrix for the layers 'looped' (Dense), 'idle' (Dense)"
    strict = compiled(KFAC(fallback="raise"), Looped(), run_eagerly=False)
    strict.build((None, 5))
    with pytest.raises(ValueError, match=r"'looped'.*inside a TensorFlow loop.*needs fallback='diagonal'"):
        strict.optimizer.build(strict.trainable_variables)
