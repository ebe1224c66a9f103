"""RMSProp against the sums of section 4.4, Keras's Adam and Keras's RMSprop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.acceleration import Acceleration
from curvezoo.optimizers.rmsprop import RMSProp

# Exact in single precision, to which Keras rounds its betas even for double-precision variables.
BETAS = [0.0, 0.875, 1 - 2.0**-10]


def gradients(steps=40, size=5, seed=0):
    """Gradients [steps, size] whose components differ by orders of magnitude."""
    return np.random.default_rng(seed).normal(size=(steps, size)) * np.logspace(-3, 3, size)


def trajectory(optimizer, grads):
    """The parameters [steps + 1, size] under given gradients, starting at 1, in double precision."""
    theta = keras.Variable(np.ones(grads.shape[1]), dtype="float64")
    values = [theta.numpy()]
    for g in grads:
        optimizer.apply([keras.ops.convert_to_tensor(g, "float64")], [theta])
        values.append(theta.numpy())
    return np.array(values)


def corrected(grads, rate, beta, momentum=0.0):
    """The rule of section 4.4 with the power n + 1 and no epsilon, from explicit sums."""
    theta, u, values = np.ones(grads.shape[1]), 0.0, [np.ones(grads.shape[1])]
    for n in range(len(grads)):
        weights = beta ** np.arange(n, -1.0, -1)
        u = momentum * u + grads[n] / np.sqrt(weights @ grads[: n + 1] ** 2 / weights.sum())
        values.append(theta := theta - rate * u)
    return np.array(values)


pytestmark = pytest.mark.usefixtures("double_precision_rates")


@pytest.mark.parametrize("epsilon", [1e-7, 0.1])
@pytest.mark.parametrize("beta", BETAS)
def test_it_equals_adam_without_a_first_moment(beta, epsilon):
    ours = trajectory(RMSProp(0.01, beta=beta, epsilon=epsilon), gradients())
    adam = trajectory(keras.optimizers.Adam(0.01, beta_1=0.0, beta_2=beta, epsilon=epsilon), gradients())
    np.testing.assert_allclose(ours, adam, rtol=0, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("beta", BETAS)
def test_without_correction_it_equals_keras_rmsprop_up_to_epsilon(beta, momentum):
    # Negligible both inside and outside the root.
    settings = {"momentum": momentum, "epsilon": 1e-30}
    ours = trajectory(RMSProp(0.01, beta=beta, bias_correction=False, **settings), gradients())
    theirs = trajectory(keras.optimizers.RMSprop(0.01, rho=beta, **settings), gradients())
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.equation("4.4.1")
@pytest.mark.equation("4.4.4")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("beta", BETAS)
def test_it_divides_by_the_root_of_the_weighted_mean_of_squares(beta, momentum):
    ours = trajectory(RMSProp(0.01, beta=beta, epsilon=1e-30, momentum=momentum), gradients())
    np.testing.assert_allclose(ours, corrected(gradients(), 0.01, beta, momentum), rtol=1e-11, atol=1e-12)


@pytest.mark.equation("4.4.2")
@pytest.mark.parametrize("beta", BETAS)
def test_a_constant_gradient_gives_steps_of_constant_length(beta):
    g = np.tile([1e3, -2.0, 1e-3], (30, 1))
    steps = np.diff(trajectory(RMSProp(0.25, beta=beta, epsilon=1e-30), g), axis=0)
    np.testing.assert_allclose(steps, -0.25 * np.sign(g), rtol=1e-10)
    without = np.diff(trajectory(RMSProp(0.25, beta=beta, epsilon=1e-30, bias_correction=False), g), axis=0)
    np.testing.assert_allclose(without[0] / steps[0], 1 / np.sqrt(1 - beta), rtol=1e-10)
    # With the printed power n, the mean of unit squares would be infinite at first and then 1 + beta.
    total = 1 - beta ** np.arange(1.0, 31.0)
    with np.errstate(divide="ignore"):
        printed = total / (1 - beta ** np.arange(30.0))
    assert printed[0] == np.inf and printed[1] == pytest.approx(1 + beta)


@pytest.mark.equation("4.4.3")
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999])
def test_weights_go_from_a_plain_mean_to_a_moving_average(beta):
    g2 = gradients(3000, 1)[:, 0] ** 2
    v = mean = 0.0
    for n, square in enumerate(g2):
        weight = (1 - beta) / (1 - beta ** (n + 1))
        assert weight == pytest.approx(1 / np.sum(beta ** np.arange(n + 1.0)), rel=1e-10)
        # In the corrected recursion the old mean is divided, too.
        mean, v = weight * square + (1 - weight) * mean, beta * v + (1 - beta) * square
        assert mean == pytest.approx(v / (1 - beta ** (n + 1)), rel=1e-10)
        largest = max(1 / (n + 1), 1 - beta)
        assert largest <= weight * (1 + 1e-12) and weight <= largest / (1 - np.exp(-1))
    # With the printed n terms and the second term undivided, a constant square of 1 has another mean.
    n = np.arange(1, 100.0)
    printed = (1 - beta) / (1 - beta**n) + beta * (1 - beta**n)
    assert np.max(np.abs(printed - 1)) > 0.2


@pytest.mark.equation("4.4.5")
def test_the_rate_has_the_unit_of_the_parameters():
    settings = {"beta": 0.9, "epsilon": 1e-30}
    base = trajectory(RMSProp(0.01, **settings), gradients())
    # A change of the unit of the loss multiplies every gradient and changes nothing.
    scaled = trajectory(RMSProp(0.01, **settings), 1e4 * gradients())
    np.testing.assert_allclose(scaled, base, rtol=1e-12)
    # A change of the unit of theta divides every gradient; the steps scale with the rate.
    wide = trajectory(RMSProp(1.0, **settings), gradients() / 100)
    np.testing.assert_allclose(np.diff(wide, axis=0), 100 * np.diff(base, axis=0), rtol=1e-9)


def test_single_precision_corrects_to_its_last_digits():
    theta = keras.Variable(np.zeros(1), dtype="float32")
    RMSProp(1.0, beta=0.9999).apply([keras.ops.ones(1, "float32")], [theta])
    # The difference 1 - 0.9999 has a relative error of 2e-4 in single precision, and its root half of it.
    np.testing.assert_allclose(theta.numpy(), -1.0, rtol=1e-5)


def test_repeated_sparse_indices_are_added_before_squaring():
    sparse = tf.IndexedSlices(
        tf.constant([[1.0], [2.0], [-4.0]]), tf.constant([1, 1, 0]), tf.constant([3, 1])
    )
    actual = []
    for gradient in (sparse, tf.convert_to_tensor(sparse)):
        theta, optimizer = keras.Variable(np.zeros((3, 1)), dtype="float32"), RMSProp(0.1, beta=0.5)
        for _ in range(3):
            optimizer.apply([gradient], [theta])
        actual.append(theta.numpy())
    np.testing.assert_array_equal(*actual)
    np.testing.assert_allclose(actual[0][:, 0], [0.3, -0.3, 0.0], rtol=1e-5)


def test_a_saved_run_resumes_exactly(fit, tmp_path):
    def settings():
        return RMSProp(
            keras.optimizers.schedules.CosineDecay(0.05, 12),
            beta=0.9,
            momentum=0.5,
            weight_decay=0.01,
            global_clipnorm=0.3,
            use_ema=True,
        )

    # The end of a fit copies the average into the weights, so both runs stop after the first epoch.
    part, _ = fit(settings(), 1)
    part, _ = fit(None, 1, part)
    again, _ = fit(settings(), 1)
    again.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is RMSProp
    assert loaded.optimizer.get_config() == again.optimizer.get_config()
    loaded, _ = fit(None, 1, loaded)
    for a, b in zip(part.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(part.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(loaded.optimizer.iterations) == 8


def test_fit_under_xla_equals_adam_with_options_of_the_base_class(fit):
    settings = {"weight_decay": 0.01, "clipnorm": 0.3, "use_ema": True, "gradient_accumulation_steps": 2}
    ours, losses = fit(RMSProp(0.05, beta=0.875, **settings), jit_compile=True)
    adam, _ = fit(keras.optimizers.Adam(0.05, beta_1=0.0, beta_2=0.875, **settings), jit_compile=True)
    assert losses[-1] < losses[0]
    # Under XLA the embedding's gradient is dense, for Adam as well.
    for a, b in zip(ours.get_weights(), adam.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_mixed_precision_skips_an_overflow_and_trains(fit):
    keras.config.set_floatx("float32")
    optimizer = keras.optimizers.LossScaleOptimizer(RMSProp(0.05, beta=0.9))
    model, losses = fit(optimizer, dtype="mixed_float16")
    assert losses[-1] < 0.9 * losses[0]
    before = model.get_weights()
    state = [variable.numpy() for variable in optimizer.inner_optimizer.variables]
    optimizer.apply([tf.fill(v.shape, np.inf) for v in model.trainable_variables])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(state, optimizer.inner_optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RMSProp(0.01, beta=0.9, momentum=0.5, weight_decay=0.01, use_ema=True),
        lambda: Acceleration(0.1, 0.9, -0.3, 0.1, weight_decay=0.01, use_ema=True),
    ],
    ids=["RMSProp", "Acceleration"],
)
def test_two_replicas_equal_one_for_both_first_order_rules(make, mirrored):
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(64, 4)).astype("float32"), rng.integers(0, 3, 64)

    def weights(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            hidden = keras.layers.Dense(5, "tanh")
            model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3)])
            model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(tf.data.Dataset.from_tensor_slices(examples).batch(16), epochs=4, verbose=0)
        return model.get_weights()

    for one, two in zip(weights(tf.distribute.get_strategy()), weights(mirrored), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must not be negative, got -0.1"),
        ({"learning_rate": np.nan}, "learning_rate must be finite, got nan"),
        ({"beta": 1.0}, r"beta must be in \[0, 1\), got 1.0"),
        ({"beta": -0.1}, r"beta must be in \[0, 1\), got -0.1"),
        ({"beta": np.nan}, "beta must be finite"),
        ({"momentum": 1.5}, r"momentum must be in \[0, 1\), got 1.5"),
        ({"epsilon": 0.0}, "epsilon must be positive, got 0"),
        ({"decoupled": True}, "not recognized: {'decoupled': True}"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RMSProp(**arguments)


def test_a_gradient_whose_square_overflows_counts_as_zero():
    paths = []
    for large in (1e25, 0.0):
        variable, optimizer = keras.Variable([1.0]), RMSProp(0.1)
        for gradient in (1.0, large, 1.0):
            optimizer.apply([keras.ops.array([gradient])], [variable])
        paths.append(float(variable.numpy()[0]))
    assert paths[0] == paths[1] < 0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "make",
    [lambda: RMSProp(0.1, momentum=0.5), lambda: Acceleration(0.1, 0.5, 0.1, 0.1)],
    ids=["rmsprop", "acceleration"],
)
def test_a_gradient_that_is_not_finite_counts_as_zero_for_its_variable(make, bad):
    states = []
    for broken in ([1.0, bad], [0.0, 0.0]):
        variables = [keras.Variable([1.0, 2.0]), keras.Variable([3.0])]
        optimizer = make()
        for gradient in ([1.0, -2.0], broken, [0.5, 0.5]):
            optimizer.apply([keras.ops.array(gradient), keras.ops.array([1.0])], variables)
        states.append([v.numpy() for v in (*variables, *optimizer.variables)])
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.all(np.isfinite(one))
