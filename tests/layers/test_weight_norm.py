import keras
import numpy as np
import pytest

from curvezoo import layers

X = np.random.default_rng(0).normal(size=(6, 5))
IMAGES = np.random.default_rng(0).normal(size=(2, 6, 6, 3))


def dense(per_unit=False, **kwargs):
    wrapped = keras.layers.Dense(4, dtype="float64", **kwargs)
    layer = layers.WeightNormalization(wrapped, per_unit, dtype="float64")
    layer.build(X.shape)
    return layer


@pytest.mark.equation("5.1.2")
def test_weights_are_g_times_v_over_its_root_mean_square():
    layer = dense()
    layer.g.assign(1.7)
    v = layer.kernel.numpy()
    w = 1.7 * v / np.sqrt(np.sum(v**2) / v.size)
    np.testing.assert_allclose(layer(X), X @ w, rtol=1e-12)
    assert np.sqrt(np.mean(w**2)) == pytest.approx(1.7, rel=1e-12)


@pytest.mark.equation("5.1.2")
def test_the_printed_root_is_imaginary_for_half_of_all_draws_and_scales_with_v():
    draws = np.random.default_rng(0).normal(size=(2000, 20))
    with np.errstate(invalid="ignore"):
        printed = draws / np.sqrt(draws.mean(axis=1, keepdims=True))
        scaled = 4 * draws / np.sqrt(4 * draws.mean(axis=1, keepdims=True))
    bad = np.isnan(printed).any(axis=1)
    assert bad.mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(scaled[~bad], 2 * printed[~bad])
    layer = dense()
    before = np.asarray(layer(X))
    layer.kernel.assign(4 * layer.kernel)
    np.testing.assert_allclose(layer(X), before, rtol=1e-12)


def test_per_unit_g_is_that_of_salimans_and_kingma_over_the_root_of_n():
    layer = dense(per_unit=True)
    g = np.array([0.5, 1.0, -2.0, 3.0])
    layer.g.assign(g)
    v = layer.kernel.numpy()
    expected = X @ (np.sqrt(5) * g * v / np.linalg.norm(v, axis=0))
    np.testing.assert_allclose(layer(X), expected, rtol=1e-12)


@pytest.mark.parametrize("per_unit", [False, True])
def test_the_layer_starts_as_the_layer_that_it_wraps(per_unit):
    plain = keras.layers.Conv2D(4, 3, strides=2, activation="tanh", dtype="float64")
    plain.build(IMAGES.shape)
    plain.bias.assign(np.arange(4.0))
    expected = np.asarray(plain(IMAGES))
    wrapped = keras.layers.Conv2D(4, 3, strides=2, activation="tanh", dtype="float64")
    wrapped.build(IMAGES.shape)
    wrapped.set_weights(plain.get_weights())
    layer = layers.WeightNormalization(wrapped, per_unit, dtype="float64")
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-12)
    assert layer.g.shape == ((4,) if per_unit else ())


@pytest.mark.parametrize("per_unit", [False, True])
def test_gradients_equal_finite_differences(per_unit):
    import tensorflow as tf

    layer = dense(per_unit)
    v = layer.kernel.numpy()
    step = 1e-6

    def loss(kernel, g):
        layer.kernel.assign(kernel)
        layer.g.assign(g)
        return float(np.sum(np.asarray(layer(X)) ** 2))

    g = layer.g.numpy()
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(X) ** 2)
    gradients = tape.gradient(value, [layer.kernel.value, layer.g.value, layer.layer.bias.value])
    np.testing.assert_allclose(gradients[2], 2 * np.sum(layer(X), axis=0), rtol=1e-10)
    # The loss does not change with the length of v.
    axis = 0 if per_unit else None
    np.testing.assert_allclose(np.sum(gradients[0] * v, axis=axis), 0, atol=1e-10)
    bump = np.zeros_like(v)
    bump[2, 1] = step
    numeric = (loss(v + bump, g) - loss(v - bump, g)) / (2 * step)
    np.testing.assert_allclose(gradients[0][2, 1], numeric, rtol=1e-6, atol=1e-6)
    numeric = (loss(v, g * (1 + step)) - loss(v, g * (1 - step))) / (2 * step)
    np.testing.assert_allclose(np.sum(gradients[1] * g), numeric, rtol=1e-6)


def test_a_regularizer_applies_to_the_normalized_weights():
    layer = dense(kernel_regularizer=keras.regularizers.L2(0.1))
    layer.g.assign(2.0)
    layer(X)
    np.testing.assert_allclose(sum(layer.losses), 0.1 * 20 * 4.0, rtol=1e-6)


def test_an_error_names_the_wrong_layer():
    with pytest.raises(ValueError, match=r"layer must be a Dense, Conv1D, Conv2D or Conv3D, got .*Embedding"):
        layers.WeightNormalization(keras.layers.Embedding(3, 2))
    with pytest.raises(ValueError, match="layer must not start with a zero kernel"):
        layers.WeightNormalization(keras.layers.Dense(3, kernel_initializer="zeros"))


def loss_and_gradients(layer, x=X):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = layer(x)
        loss = tf.reduce_sum(outputs**2)
    return np.array(outputs), tape.gradient(loss, [layer.kernel.value, layer.g.value])


@pytest.mark.parametrize("per_unit", [False, True])
def test_a_unit_without_weights_is_off_and_the_others_are_unchanged(per_unit):
    layer = dense(per_unit)
    pruned = layer.kernel.numpy()
    pruned[:, 1] = 0
    layer.kernel.assign(pruned)
    layer.layer.bias.assign(np.arange(4.0))
    outputs, gradients = loss_and_gradients(layer)
    assert all(np.isfinite(g).all() for g in gradients)
    length = np.sqrt(np.mean(pruned**2, axis=0 if per_unit else None))
    w = layer.g.numpy() * pruned / np.where(length > 0, length, 1)
    np.testing.assert_allclose(outputs, X @ w + np.arange(4.0), rtol=1e-12)


@pytest.mark.parametrize("initializer", ["identity", keras.initializers.Constant(0.0)])
@pytest.mark.parametrize("per_unit", [False, True])
def test_initial_kernels_with_zero_columns_train_without_nan(initializer, per_unit):
    wrapped = keras.layers.Dense(8, kernel_initializer=initializer)
    model = keras.Sequential([keras.Input((5,)), layers.WeightNormalization(wrapped, per_unit)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, np.ones((6, 8)), epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("per_unit", [False, True])
def test_the_direction_does_not_depend_on_the_scale_of_tiny_weights(per_unit):
    wrapped = keras.layers.Dense(4)
    layer = layers.WeightNormalization(wrapped, per_unit)
    expected = np.array(layer(X.astype("float32")))
    layer.kernel.assign(1e-30 * layer.kernel)
    np.testing.assert_allclose(layer(X.astype("float32")), expected, rtol=1e-5)


def test_an_activity_regularizer_of_the_wrapped_layer_counts_as_without_the_wrapper():
    regularizer = keras.regularizers.L2(0.3)
    layer = dense(activity_regularizer=regularizer)
    outputs = layer(X)
    np.testing.assert_allclose(sum(layer.losses), 0.3 * np.sum(np.square(outputs)) / len(X), rtol=1e-6)


@pytest.mark.parametrize("constraint", [keras.constraints.MaxNorm(0.5), keras.constraints.NonNeg()])
@pytest.mark.parametrize("per_unit", [False, True])
def test_a_kernel_constraint_projects_the_normalized_weights(constraint, per_unit):
    layer = dense(per_unit, kernel_constraint=constraint)
    layer.g.assign(-1.5 * layer.g)
    before, length = layer.normalized_kernel().numpy(), np.linalg.norm(layer.kernel, axis=0)
    expected = np.array(constraint(before))
    assert not np.allclose(expected, before)
    # As an optimizer does after a step.
    layer.kernel.assign(layer.kernel.constraint(layer.kernel))
    np.testing.assert_allclose(layer.normalized_kernel(), expected, rtol=1e-12, atol=1e-15)
    if per_unit:
        np.testing.assert_allclose(np.linalg.norm(layer.kernel, axis=0), length, rtol=1e-12)
    again = layer.kernel.numpy()
    np.testing.assert_allclose(layer.kernel.constraint(layer.kernel), again, rtol=1e-12)


def test_a_constraint_holds_throughout_a_training():
    wrapped = keras.layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(0.2))
    model = keras.Sequential([keras.Input((5,)), layers.WeightNormalization(wrapped)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(X, 10 * X[:, :3], epochs=3, verbose=0)
    norms = np.linalg.norm(model.layers[0].normalized_kernel(), axis=0)
    assert np.max(norms) == pytest.approx(0.2, rel=1e-5)
