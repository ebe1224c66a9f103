"""Oracles: log_prob of TensorFlow Probability in float64, Keras's losses, and quadrature."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from curvezoo.losses.regression import CauchyNLL, GaussianNLL, Huber, LaplaceNLL, StudentTNLL

tfd = tfp.distributions


def student_t(**arguments):
    return StudentTNLL(df=3.5, **arguments)


LAWS = {
    "gaussian": (GaussianNLL, tfd.Normal),
    "laplace": (LaplaceNLL, tfd.Laplace),
    "cauchy": (CauchyNLL, tfd.Cauchy),
    "student_t": (student_t, lambda loc, scale: tfd.StudentT(tf.constant(3.5, loc.dtype), loc, scale)),
}
ALL = {**{name: make for name, (make, _) in LAWS.items()}, "huber": Huber}


@pytest.fixture
def batch():
    """Returns targets [8, 3] and locations with log-scales [8, 6]."""
    rng = np.random.default_rng(0)
    return rng.normal(scale=2.0, size=(8, 3)), rng.normal(size=(8, 6))


def log_prob(law, targets, location, scale):
    """Returns the log-density in float64, summed over the outputs."""
    location = tf.convert_to_tensor(location, tf.float64)
    distribution = LAWS[law][1](location, tf.convert_to_tensor(scale, tf.float64))
    return tf.reduce_sum(distribution.log_prob(targets), axis=-1)


def value_and_gradient(loss, targets, predictions):
    predictions = tf.convert_to_tensor(predictions)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(targets, predictions)
    return value.numpy(), tape.gradient(value, predictions).numpy()


@pytest.mark.equation("3.3.3")
@pytest.mark.parametrize("scale", [1.0, 0.3, 1e-8, 1e8])
@pytest.mark.parametrize("law", LAWS)
def test_a_fixed_scale_gives_minus_the_log_density(law, scale, batch):
    targets, predictions = batch
    loss = LAWS[law][0](scale=scale, reduction=None, dtype="float64")
    ours = loss(targets, predictions[:, :3])
    np.testing.assert_allclose(ours, -log_prob(law, targets, predictions[:, :3], scale), rtol=1e-13)
    mean = LAWS[law][0](scale=scale, dtype="float64")(targets, predictions[:, :3])
    np.testing.assert_allclose(mean, np.mean(ours), rtol=1e-13)


@pytest.mark.parametrize("min_scale", [1e-12, 0.5])
@pytest.mark.parametrize("law", LAWS)
def test_a_predicted_scale_gives_minus_the_log_density_and_its_gradient(law, min_scale, batch):
    targets, predictions = batch
    loss = LAWS[law][0](scale=None, min_scale=min_scale, reduction="sum", dtype="float64")
    ours, gradient = value_and_gradient(loss, targets, predictions)
    variable = tf.Variable(predictions)
    with tf.GradientTape() as tape:
        scale = tf.maximum(tf.exp(variable[:, 3:]), min_scale)
        value = -tf.reduce_sum(log_prob(law, targets, variable[:, :3], scale))
    np.testing.assert_allclose(ours, value, rtol=1e-13)
    np.testing.assert_allclose(gradient, tape.gradient(value, variable), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("law", LAWS)
def test_positions_between_batch_and_outputs_are_examples(law):
    rng = np.random.default_rng(1)
    targets, predictions = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 6))
    loss = LAWS[law][0](scale=None, reduction=None, dtype="float64")
    flat = loss(targets.reshape(8, 3), predictions.reshape(8, 6))
    np.testing.assert_allclose(loss(targets, predictions), np.reshape(flat, (2, 4)), rtol=1e-14)


@pytest.mark.parametrize("delta", [0.1, 1.0, 1.345, 6.0])
def test_huber_is_keras_huber_plus_the_log_of_its_normalization(delta, batch):
    targets, predictions = batch[0][:, :1], batch[1][:, :1]
    ours = Huber(delta, reduction=None, dtype="float64")
    plain = keras.losses.Huber(delta, reduction=None, dtype="float64")(targets, predictions)
    integral = 2 * quad(lambda z: np.exp(-keras_huber(z, delta)), 0, delta)[0]
    integral += 2 * quad(lambda z: np.exp(-keras_huber(z, delta)), delta, np.inf)[0]
    np.testing.assert_allclose(ours(targets, predictions), plain + np.log(integral), rtol=1e-9)


def keras_huber(z, delta):
    return 0.5 * z**2 if z <= delta else delta * z - 0.5 * delta**2


def test_hubers_density_integrates_to_one_and_its_scale_can_be_predicted():
    loss = Huber(0.8, scale=0.3, reduction=None, dtype="float64")
    grid = np.linspace(-30.0, 30.0, 600_001)
    density = np.exp(-np.asarray(loss(grid, np.zeros_like(grid))))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, rel=1e-8)
    predicted = Huber(0.8, scale=None, reduction=None, dtype="float64")
    raw = np.stack([np.zeros(3), np.full(3, np.log(0.3))], axis=-1)
    y = np.array([0.1, 1.0, -7.0])
    np.testing.assert_allclose(predicted(y, raw), loss(y, np.zeros(3)), rtol=1e-10)


def test_hubers_gradient_is_the_clipped_residual():
    y = np.array([-5.0, -1.0, 0.0, 0.4, 30.0])
    _, gradient = value_and_gradient(Huber(1.2, scale=0.5, reduction="sum", dtype="float64"), y, np.zeros(5))
    np.testing.assert_allclose(gradient, -np.clip(y / 0.5, -1.2, 1.2) / 0.5, rtol=1e-14)


def test_student_t_interpolates_between_cauchy_and_gaussian(batch):
    targets, predictions = batch
    for df, limit, tolerance in ((1.0, CauchyNLL, 1e-14), (1e9, GaussianNLL, 1e-6)):
        ours = StudentTNLL(df, scale=None, reduction=None, dtype="float64")(targets, predictions)
        theirs = limit(scale=None, reduction=None, dtype="float64")(targets, predictions)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance)


@pytest.mark.equation("3.4.15")
def test_squared_error_is_the_gaussian_likelihood_of_a_fixed_scale(batch):
    targets, predictions = batch[0], batch[1][:, :3]
    squared, slope = value_and_gradient(keras.losses.MeanSquaredError(dtype="float64"), targets, predictions)
    np.testing.assert_allclose(squared, np.mean((targets - predictions) ** 2), rtol=1e-14)
    scale, outputs = 0.7, 3
    loss = GaussianNLL(scale, dtype="float64")
    ours, gradient = value_and_gradient(loss, targets, predictions)
    constant = outputs * np.log(np.sqrt(2 * np.pi) * scale)
    np.testing.assert_allclose(ours, outputs * squared / (2 * scale**2) + constant, rtol=1e-13)
    np.testing.assert_allclose(gradient, outputs * slope / (2 * scale**2), rtol=1e-12)


@pytest.mark.equation("3.4.17")
def test_with_the_printed_sign_of_log_sigma_there_is_no_minimum():
    residuals = np.random.default_rng(2).normal(scale=1.7, size=1000)
    mean_square = np.mean(residuals**2)
    scales = np.geomspace(1e-3, 1e6, 400)
    printed = mean_square / (2 * scales**2) - np.log(scales)
    correct = mean_square / (2 * scales**2) + np.log(scales)
    exact = [-np.mean(tfd.Normal(np.float64(0), s).log_prob(residuals)) for s in scales]
    # The correct form lacks only a constant, the printed one also 2 log sigma.
    np.testing.assert_allclose(exact - correct, 0.5 * np.log(2 * np.pi), atol=1e-9)
    np.testing.assert_allclose(exact - printed, 0.5 * np.log(2 * np.pi) + 2 * np.log(scales), atol=1e-9)
    assert np.all(np.diff(printed) < 0)
    assert printed[-1] < -13

    def ours(log_scale):
        return float(GaussianNLL(np.exp(log_scale), dtype="float64")(residuals, np.zeros(1000)))

    best = minimize_scalar(ours, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    assert np.exp(best.x) == pytest.approx(np.sqrt(mean_square), rel=1e-6)


@pytest.mark.equation("3.4.18")
def test_absolute_error_is_the_laplace_likelihood(batch):
    targets, predictions = batch[0], batch[1][:, :3]
    absolute, slope = value_and_gradient(
        keras.losses.MeanAbsoluteError(dtype="float64"), targets, predictions
    )
    np.testing.assert_allclose(absolute, np.mean(np.abs(targets - predictions)), rtol=1e-14)
    ours, gradient = value_and_gradient(LaplaceNLL(0.7, dtype="float64"), targets, predictions)
    np.testing.assert_allclose(ours, 3 * (absolute / 0.7 + np.log(2 * 0.7)), rtol=1e-13)
    np.testing.assert_allclose(gradient, 3 * slope / 0.7, rtol=1e-12)


@pytest.mark.equation("3.4.18")
def test_the_optimal_location_is_the_median_for_laplace_and_the_mean_for_gauss():
    y = np.array([0.0, 0.2, 0.3, 1.0, 9.0])
    for loss, best in ((LaplaceNLL, 0.3), (GaussianNLL, y.mean())):
        fit = minimize_scalar(
            lambda m, loss=loss: float(loss(dtype="float64")(y, np.full(5, m))),
            bounds=(-1, 10),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert fit.x == pytest.approx(best, abs=1e-6)


@pytest.mark.equation("3.4.19")
def test_the_cauchy_loss_is_the_logarithm_of_the_power_law(batch):
    targets, predictions = batch[0], batch[1][:, :3]
    scale = 0.7
    printed = np.mean(np.sum(np.log(1 + (predictions - targets) ** 2 / scale**2), axis=-1))
    ours = CauchyNLL(scale, dtype="float64")(targets, predictions)
    np.testing.assert_allclose(ours, printed + 3 * np.log(np.pi * scale), rtol=1e-13)
    # The power law of the notes, 1 / (x^2 + s^2), integrates to pi / s.
    integral, _ = quad(lambda x: 1 / (x**2 + scale**2), -np.inf, np.inf)
    assert integral == pytest.approx(np.pi / scale, rel=1e-10)
    density = np.exp(-float(CauchyNLL(scale, dtype="float64")([2.0], [0.0])))
    assert density == pytest.approx(1 / (2.0**2 + scale**2) / integral, rel=1e-10)


@pytest.mark.parametrize("law", LAWS)
def test_extreme_residuals_at_a_tiny_scale_are_exact_in_single_precision(law):
    # The last is 1e19 scales away, and its square is close to the largest number.
    residuals = np.array([0.0, 1e-12, 1e-8, 1.0, -1e8, 1e9, 9e9, -1e11])
    exact = -log_prob(law, residuals[:, None], np.zeros((8, 1)), 1e-8)
    fixed = LAWS[law][0](scale=1e-8, reduction=None)
    predicted = LAWS[law][0](scale=None, reduction=None)
    raw = np.stack([np.zeros(8), np.full(8, np.log(1e-8))], axis=-1).astype("float32")
    for loss, predictions, tolerance in ((fixed, raw[:, 0], 1e-6), (predicted, raw, 1e-5)):
        value, gradient = value_and_gradient(loss, residuals.astype("float32"), predictions)
        np.testing.assert_allclose(value, exact, rtol=tolerance)
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("law", ALL)
def test_any_log_scale_has_a_finite_loss_and_gradient(law):
    log_scales = np.array([-1e30, -1e4, -100.0, -27.6, 0.0, 100.0, 1e4, 1e30], "float32")
    loss = ALL[law](scale=None, reduction=None)
    for residual in (0.0, 1e-3, 1e6, 1e7):
        raw = np.stack([np.zeros(8, "float32"), log_scales], axis=-1)
        value, gradient = value_and_gradient(loss, np.full(8, residual, "float32"), raw)
        assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(gradient))
    # Above the floor the loss grows with the log-scale, below it the loss is constant.
    np.testing.assert_allclose(gradient[-3:, 1], 1.0, rtol=1e-6)
    np.testing.assert_array_equal(gradient[:3, 1], 0.0)
    np.testing.assert_allclose(value[:2], value[2], rtol=1e-4)


@pytest.mark.parametrize("law", ["cauchy", "student_t"])
def test_the_gradient_of_heavy_tails_decreases_but_never_vanishes(law):
    residuals = np.array([1e8, 1e9, 3e9, 3e10, -9e10], "float32")
    power = 1 if law == "cauchy" else 3.5
    loss = LAWS[law][0](scale=1e-8, reduction="sum")
    _, gradient = value_and_gradient(loss, residuals, np.zeros(5, "float32"))
    np.testing.assert_allclose(gradient, -(power + 1) / residuals, rtol=1e-6)
    raw = np.stack([np.zeros(5), np.full(5, np.log(1e-8))], axis=-1).astype("float32")
    _, gradient = value_and_gradient(LAWS[law][0](scale=None, reduction="sum"), residuals, raw)
    np.testing.assert_allclose(gradient[:, 0], -(power + 1) / residuals, rtol=1e-6)
    np.testing.assert_allclose(gradient[:, 1], np.full(5, -power), rtol=1e-5)


@pytest.mark.parametrize("law", ALL)
def test_reductions_and_weights_are_explicit_sums(law, batch):
    targets, predictions = batch
    weights = np.linspace(0.0, 2.0, 8)
    each = np.asarray(ALL[law](scale=None, reduction=None, dtype="float64")(targets, predictions))
    assert each.shape == (8,)
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(weights * each)),
        ("sum", np.sum(weights * each)),
        ("mean_with_sample_weight", np.sum(weights * each) / np.sum(weights)),
        (None, weights * each),
    ):
        ours = ALL[law](scale=None, reduction=reduction, dtype="float64")
        np.testing.assert_allclose(ours(targets, predictions, sample_weight=weights), expected, rtol=1e-13)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("law", ALL)
def test_half_precision_is_cast_before_the_difference(law, half):
    rng = np.random.default_rng(4)
    predictions = keras.ops.cast(rng.normal(size=(6, 4)), half)
    targets = 300.0 + rng.normal(size=(6, 2))  # A half-precision difference would lose them.
    wide = np.asarray(keras.ops.cast(predictions, "float64"))
    exact = ALL[law](scale=None, reduction=None, dtype="float64")(targets, wide)
    loss = ALL[law](scale=None, reduction=None)
    for value in (loss(targets, predictions), loss.call(targets.astype("float32"), predictions)):
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, exact, rtol=3e-6)


def test_a_mixed_precision_model_trains_with_a_predicted_scale():
    keras.utils.set_random_seed(0)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    finally:
        keras.config.set_dtype_policy(policy)
    rng = np.random.default_rng(5)
    x = rng.normal(size=(256, 3)).astype("float32")
    y = x.sum(axis=1) + 0.1 * rng.normal(size=256)
    model.compile(keras.optimizers.Adam(0.1), GaussianNLL(scale=None))
    before, *_, after = model.fit(x, y, epochs=31, verbose=0).history["loss"]
    assert model(x).dtype == tf.bfloat16
    # The bound is the entropy of errors twice as large as those of the targets.
    assert after < 0.5 * np.log(2 * np.pi * np.e * 0.2**2) < before


@pytest.mark.parametrize("law", ALL)
def test_configs_and_saved_models_restore_the_loss(law, tmp_path, batch):
    targets, predictions = batch
    loss = ALL[law](scale=None, min_scale=0.25, reduction="sum", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert again(targets, predictions) == loss(targets, predictions)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6)])
    model.compile("sgd", ALL[law](scale=None, name="errors"))
    x, y = np.ones((4, 2), "float32"), np.ones((4, 3), "float32")
    expected = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(loss)
    assert loaded.loss.name == "errors"
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_a_last_axis_of_one_may_be_missing(batch):
    y, mu = batch[0][:, 0], batch[1][:, 0]
    loss = CauchyNLL(reduction=None, dtype="float64")
    column = loss(y[:, None], mu[:, None])
    for targets, predictions in ((y, mu), (y[:, None], mu), (y, mu[:, None])):
        np.testing.assert_array_equal(loss(targets, predictions), column)
    predicted = CauchyNLL(scale=None, reduction=None, dtype="float64")
    raw = np.stack([mu, np.zeros(8)], axis=-1)
    np.testing.assert_allclose(predicted(y, raw), column, rtol=1e-10)


@pytest.mark.parametrize(
    ("scale", "targets", "predictions", "message"),
    [
        (1.0, (4, 3), (4, 2), r"y_true must have shape \(4, 2\) .* got shape \(4, 3\)"),
        (1.0, (4,), (4, 4), r"y_true must have shape \(4, 4\) .* got shape \(4,\)"),
        (1.0, (4, 1), (4, 3), r"y_true must have shape \(4, 3\) .* got shape \(4, 1\)"),
        (1.0, (1, 3), (4, 3), r"y_true must have shape \(4, 3\) .* got shape \(1, 3\)"),
        (None, (4, 4), (4, 4), r"y_true must have shape \(4, 2\) .* got shape \(4, 4\)"),
        (None, (4, 1), (4, 3), r"equally many locations and log-scales, \[B, ..., 2D\].* got shape \(4, 3\)"),
        (None, (4,), (4,), r"equally many locations and log-scales.* got shape \(4,\)"),
        (1.0, (), (), r"y_pred must have a last axis of known length, got shape \(\)"),
    ],
)
def test_shapes_that_would_broadcast_are_rejected(scale, targets, predictions, message):
    with pytest.raises(ValueError, match=message):
        GaussianNLL(scale)(np.zeros(targets), np.zeros(predictions))


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_scales_that_are_not_positive_are_rejected(value):
    for make, name in (
        (lambda v: GaussianNLL(scale=v), "scale"),
        (lambda v: LaplaceNLL(min_scale=v), "min_scale"),
        (lambda v: StudentTNLL(df=v), "df"),
        (lambda v: Huber(delta=v), "delta"),
    ):
        with pytest.raises(ValueError, match=rf"^{name} must be (positive|finite), got"):
            make(value)


@pytest.mark.parametrize("delta", [1e200, 1.1e18, 1e-19, 1e-320])
def test_a_threshold_that_single_precision_cannot_square_is_rejected(delta):
    with pytest.raises(ValueError, match=r"^delta must be in \[1e-18, 1e18\], got"):
        Huber(delta)


def test_losses_run_on_jax_without_tensorflow():
    pytest.importorskip("jax")
    script = """
import sys, numpy as np
from curvezoo.losses.binary import BernoulliNLL
from curvezoo.losses.mixture import MixtureNLL
from curvezoo.losses.regression import CauchyNLL, GaussianNLL, Huber, LaplaceNLL, StudentTNLL
y, p = np.array([[0.5], [2.0]]), np.array([[0.0, -1.0], [1.0, 0.5]])
losses = [make(scale=None) for make in (GaussianNLL, LaplaceNLL, CauchyNLL, Huber)]
losses.append(StudentTNLL(3.0, None))
print(*[float(loss(y, p)) for loss in losses], float(MixtureNLL(1)(y, [[7.0, *row] for row in p])))
print(float(BernoulliNLL()(np.array([[1], [0]]), p[:, :1])))
assert not {"tensorflow", "tensorflow_probability"} & set(sys.modules)
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    child = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
    z, log_scale = np.array([0.5, 1.0]) / np.exp([-1.0, 0.5]), np.array([-1.0, 0.5])
    expected = [
        np.mean(rho + log_scale)
        for rho in (
            z**2 / 2 + np.log(2 * np.pi) / 2,
            np.abs(z) + np.log(2),
            np.log1p(z**2) + np.log(np.pi),
            [keras_huber(v, 1.345) + Huber().log_partition for v in z],
            -tfd.StudentT(np.float64(3), 0, 1).log_prob(z).numpy(),
        )
    ]
    expected += [expected[0], np.mean(np.log1p(np.exp([-0.0, 1.0])))]
    np.testing.assert_allclose([float(word) for word in child.stdout.split()], expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.3, None])
@pytest.mark.parametrize("law", LAWS)
def test_the_distribution_has_minus_the_loss_as_log_density(law, scale, batch):
    targets, predictions = batch
    predictions = predictions if scale is None else predictions[:, :3]
    loss = LAWS[law][0](scale=scale, dtype="float64")
    distribution = loss.distribution(predictions)
    np.testing.assert_allclose(-distribution.log_prob(targets), loss.call(targets, predictions), rtol=1e-12)


def test_the_distribution_has_the_floor_of_the_scale_and_reads_rows_as_columns():
    loss = GaussianNLL(scale=None, min_scale=0.5, dtype="float64")
    assert loss.distribution(np.array([[0.0, -9.0]])).stddev().numpy() == pytest.approx(0.5, abs=1e-15)
    assert GaussianNLL().distribution(np.zeros(4)).event_shape == (1,)


def test_missing_distributions_and_odd_predictions_are_rejected():
    with pytest.raises(ValueError, match="Huber has no distribution in TensorFlow Probability"):
        Huber().distribution(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="equally many locations and log-scales"):
        GaussianNLL(scale=None).distribution(np.zeros((2, 3)))


@pytest.mark.parametrize("name", ["y_true", "y_pred", "sample_weight"])
def test_complex_numbers_are_rejected_and_not_cast(name):
    values = {"y_true": [[1.0]], "y_pred": [[1.0]], "sample_weight": [1.0]}
    for complex_values in (np.array(values[name]) + 1j, [[1 + 1j]], keras.ops.convert_to_tensor([[1 + 1j]])):
        with pytest.raises(ValueError, match=f"{name} must hold real numbers, got complex"):
            GaussianNLL()(**{**values, name: complex_values})
