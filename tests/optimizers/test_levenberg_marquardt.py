"""Levenberg and Marquardt's rule, and trials of steps in the three optimizers that solve damped systems."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers import levenberg_marquardt
from curvezoo.optimizers.hessian_free import HessianFree
from curvezoo.optimizers.levenberg_marquardt import adapted_damping, reduction_ratio
from curvezoo.optimizers.natural_gradient import NaturalGradient
from curvezoo.optimizers.newton import Newton

ALL = [NaturalGradient, HessianFree, Newton]
REGULARIZED = {"weight_decay": 0.01, "global_clipnorm": 1.0}

pytestmark = pytest.mark.usefixtures("double_precision_rates")


def data(examples=48, classes=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(examples, 4))
    return x, np.argmax(x @ rng.normal(size=(4, classes)) + rng.normal(size=(examples, classes)), axis=1)


def network(*hidden):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3)])


def compiled(optimizer, *hidden, **kwargs):
    model = network(*hidden)
    model.compile(optimizer, CategoricalNLL(), **kwargs)
    return model


def test_a_predicted_rise_is_poor_and_a_change_within_rounding_is_neutral():
    def ratio(before, after, predicted):
        numbers = (tf.constant(x, tf.float64) for x in (before, after, predicted))
        return float(levenberg_marquardt.Trial(*numbers, resolution=1e-16).ratio)

    assert ratio(1.0, 0.5, -0.4) == pytest.approx(1.25)
    assert ratio(1.0, 1.5, -0.5) == pytest.approx(-1.0)
    # The loss rose as predicted, or fell although a rise was predicted.
    assert ratio(1.0, 1.5, 0.5) == ratio(1.0, 0.5, 0.5) == -1.0
    assert 0.25 < ratio(1.0, 0.9, -1e-17) == ratio(1.0, 0.9, 0.0) < 0.75


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.0, 1.0),
        (0.76, 1.0),
        (0.75, 3.0),
        (0.25, 3.0),
        (0.24, 9.0),
        (-2.0, 9.0),
        (np.nan, 9.0),
        (-np.inf, 9.0),
    ],
)
def test_damping_follows_the_ratio(ratio, expected):
    assert float(adapted_damping(tf.constant(3.0), tf.constant(ratio), 3.0)) == expected


def test_damping_stays_within_its_bounds():
    assert float(adapted_damping(tf.constant(0.5), tf.constant(1.0), 2.0)) == 0.25
    assert float(adapted_damping(tf.constant(3.0), tf.constant(1.0), 2.0, (2.0, 4.0))) == 2.0
    assert float(adapted_damping(tf.constant(3.0), tf.constant(0.0), 2.0, (2.0, 4.0))) == 4.0


@pytest.fixture
def ratios(monkeypatch):
    """The reduction ratios of the steps of a test that runs eagerly."""
    actual = []

    def recorded(before, after, predicted):
        actual.append(float(reduction_ratio(before, after, predicted)))
        return reduction_ratio(before, after, predicted)

    monkeypatch.setattr(levenberg_marquardt, "reduction_ratio", recorded)
    return actual


@pytest.mark.parametrize("damping", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("rule", ALL)
def test_the_ratio_is_one_on_a_quadratic_at_any_damping(rule, damping, ratios):
    x, _ = data()
    # Without regularization, which is not part of the Fisher matrix.
    model = network()
    model.compile(rule(0.7, damping=damping, adaptive=True), "mse", run_eagerly=True)
    model.fit(x, x[:, :3] ** 3, batch_size=len(x), epochs=3, verbose=0)
    np.testing.assert_allclose(ratios, 1.0, rtol=1e-9)
    assert float(model.optimizer.damping) == pytest.approx(damping / 1.5**3)


@pytest.mark.parametrize("rule", ALL)
def test_losses_and_gradients_share_one_dropout_mask(rule, ratios):
    x, y = data()
    hidden = keras.layers.Dense(6, "tanh"), keras.layers.Dropout(0.5)
    model = compiled(rule(0.5, damping=1e4, adaptive=True), *hidden, run_eagerly=True)
    for _ in range(3):
        model.train_on_batch(x, y)
    # The steps change the loss by only 1 in 10^5. Different masks would change it far more.
    np.testing.assert_allclose(ratios, 1.0, atol=1e-3)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("rule", ALL)
def test_a_bad_batch_or_rate_changes_only_the_damping(rule, adaptive):
    x, y = data()
    model = compiled(rule(damping=0.01, adaptive=adaptive), keras.layers.Dense(4, "tanh"))
    model.train_on_batch(x, y)
    weights, damping = model.get_weights(), float(model.optimizer.damping)
    for bad in (np.nan, np.inf):
        broken = x.copy()
        broken[3, 1] = bad
        model.train_on_batch(broken, y)
    assert float(model.optimizer.damping) == pytest.approx(damping * 1.5**8)
    rate = float(model.optimizer.learning_rate)
    for absurd in (1e6, 1e300):
        model.optimizer.learning_rate = absurd
        model.train_on_batch(x, y)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.damping) == pytest.approx(damping * 1.5**16)
    # Training continues from there.
    model.optimizer.learning_rate = rate
    losses = [float(model.train_on_batch(x, y)) for _ in range(40)]
    assert losses[-1] < losses[0] and np.all(np.diff(losses) <= 0)
    if not adaptive:
        assert float(model.optimizer.damping) == pytest.approx(0.01)


@pytest.mark.parametrize("rule", ALL)
def test_steps_that_raise_the_loss_are_taken_only_if_allowed(rule):
    x, y = data()
    for monotone in (True, False):
        model = compiled(rule(30.0, damping=0.1, adaptive=False, monotone=monotone))
        before = model.evaluate(x, y, verbose=0)
        model.train_on_batch(x, y)
        assert (model.evaluate(x, y, verbose=0) > before) is not monotone


def build_everything():
    """Has batch norm, a regularizer and a sparse gradient; Keras does not save the state of dropout."""
    keras.utils.set_random_seed(0)
    tokens = keras.Input((4,), dtype="int32")
    h = keras.layers.Flatten()(keras.layers.Embedding(6, 2)(tokens))
    h = keras.layers.BatchNormalization()(keras.layers.Dense(6, "tanh")(h))
    return keras.Model(tokens, keras.layers.Dense(3, kernel_regularizer="l2")(h))


def settings(rule):
    common = {"adaptive": True, "weight_decay": 1e-3, "global_clipnorm": 5.0, "use_ema": True, "steps": 4}
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 40)
    if rule is NaturalGradient:
        return rule(schedule, momentum=0.5, warm_start=0.5, fisher="sampled", kl_limit=0.1, **common)
    return rule(schedule, **common, **({"dense_limit": 0} if rule is Newton else {}))


@pytest.mark.parametrize("rule", ALL)
def test_a_saved_run_resumes_exactly(rule, tmp_path):
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 6, (64, 4))
    labels = (tokens.sum(1) > 10).astype(int)

    def fit(model):
        return model.fit(tokens, labels, batch_size=32, epochs=2, shuffle=False, verbose=0).history["loss"]

    model = build_everything()
    model.compile(settings(rule), CategoricalNLL(), metrics=["accuracy"], run_eagerly=True)
    first = fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert type(loaded.optimizer) is rule
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    second = fit(model)
    assert fit(loaded) == second
    assert np.mean(second) < np.mean(first)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rule", ALL)
def test_clipping_and_decay_are_part_of_the_tried_step(rule):
    (x, y), changes = data(), {}
    pure = {"damping": 0.1, "adaptive": False, "monotone": False}
    for name, options in {
        "plain": {},
        "clipped": {"global_clipnorm": 0.25},
        "decayed": {"weight_decay": 0.5},
    }.items():
        model = compiled(rule(0.5, **pure, **options))
        before = model.get_weights()
        model.train_on_batch(x, y)
        changes[name] = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
    length = np.sqrt(sum(np.sum(d**2) for d in changes["plain"]))
    assert length > 0.5 * 0.25
    for plain, clipped in zip(changes["plain"], changes["clipped"], strict=True):
        np.testing.assert_allclose(clipped, 0.5 * 0.25 / length * plain, rtol=1e-10)
    for plain, decayed, weight in zip(changes["plain"], changes["decayed"], before, strict=True):
        np.testing.assert_allclose(decayed, plain - 0.25 * weight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ALL)
def test_single_precision_losses_do_not_reject_steps_of_double_weights(rule):
    """At the optimum the loss changes by rounding errors only, which must not reject steps."""
    keras.config.set_floatx("float32")
    x, y = data()
    model = keras.Sequential([keras.Input((4,), dtype="float64"), keras.layers.Dense(3, dtype="float64")])
    model.compile(rule(1.0, damping=1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert model.loss.dtype == "float32"
    history = model.fit(x, y, batch_size=48, epochs=40, verbose=0).history["loss"]
    assert history[-1] == pytest.approx(history[-10], rel=1e-6)
    assert float(model.optimizer.damping) < 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: NaturalGradient(0.5, momentum=0.5, warm_start=0.5, kl_limit=0.05, steps=2, **REGULARIZED),
        lambda: HessianFree(steps=1, **REGULARIZED),
        lambda: Newton(**REGULARIZED),
        lambda: Newton(dense_limit=0, steps=2, saddle_free=True, **REGULARIZED),
    ],
    ids=["NaturalGradient", "HessianFree", "Newton", "saddle-free Newton"],
)
def test_two_replicas_equal_one(make, mirrored):
    x, y = data(64)
    bad = x.copy()
    bad[3] = np.nan

    def trained(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            dense = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.01))
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, "tanh"), dense])
            model.compile(make(), CategoricalNLL())
        for inputs in (x, bad, x):
            batches = tf.data.Dataset.from_tensor_slices((inputs, y)).batch(32)
            model.fit(batches, epochs=2, verbose=0)
        return [*model.get_weights(), model.optimizer.damping.numpy()]

    for one, two in zip(trained(tf.distribute.get_strategy()), trained(mirrored), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must not be negative, got -0.1"),
        ({"learning_rate": np.nan}, "learning_rate must be finite, got nan"),
        ({"damping": -1.0}, "damping must not be negative, got -1"),
        ({"damping": 0.0, "adaptive": True}, r"damping must be in \[1e-08, 1e\+08\] if adaptive, got 0.0"),
        ({"damping": np.inf}, "damping must be finite, got inf"),
        ({"damping": None}, "damping must hold real numbers .* got None$"),
        ({"damping_factor": 1.0}, "damping_factor must be above 1, got 1.0"),
        ({"damping_bounds": (1.0, 0.1)}, "damping_bounds must be an increasing pair of numbers"),
        ({"damping_bounds": (0.0, 1.0)}, r"damping_bounds must be finite and positive, got \(0.0, 1.0\)"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps must be None"),
        ({"nonsense": 1}, "not recognized: {'nonsense': 1}"),
    ],
)
@pytest.mark.parametrize("rule", ALL)
def test_invalid_arguments_are_named(rule, arguments, message):
    with pytest.raises(ValueError, match=message):
        rule(**{"adaptive": False, **arguments})


@pytest.mark.parametrize("rule", ALL)
def test_a_loss_that_is_not_a_scalar_is_refused(rule):
    x, y = data()
    model = network()
    with pytest.raises(ValueError, match="scalar"):
        model.compile(rule(), CategoricalNLL(reduction="none"))
        model.train_on_batch(x, y)
