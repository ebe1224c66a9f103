"""Oracles: TFP's densities, Keras's penalties, scikit-learn's ridge regression and lasso."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.optimize import minimize
from sklearn.linear_model import Lasso, Ridge

from curvezoo.losses.priors import GaussianPrior, LaplacePrior, PowerPenalty

NOISE = 0.7
LAWS = {GaussianPrior: tfp.distributions.Normal, LaplacePrior: tfp.distributions.Laplace}


@pytest.fixture(scope="module")
def regression():
    """Returns sixty examples with eight features, of which five have no effect."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 8))
    w = np.array([2.0, -1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    return x, x @ w + 3.0 + NOISE * rng.normal(size=60)


class Posterior:
    """Minus the log posterior per example of a linear Keras model in float64, minus Eq. 3.4.7."""

    def __init__(self, x, y, regularizer):
        self.x, self.y = tf.constant(x), tf.constant(y)
        self.model = keras.Sequential(
            [
                keras.Input((x.shape[1],), dtype="float64"),
                keras.layers.Dense(1, kernel_regularizer=regularizer, dtype="float64"),
            ]
        )

    def __call__(self, parameters):
        """Returns value and gradient at (w, bias)."""
        weights = self.model.trainable_variables
        for weight, value in zip(weights, (parameters[:-1, None], parameters[-1:]), strict=True):
            weight.assign(value)
        with tf.GradientTape() as tape:
            residual = self.y - self.model(self.x)[:, 0]
            loss = tf.reduce_mean(residual**2) / (2 * NOISE**2) + tf.add_n(self.model.losses)
        kernel, bias = tape.gradient(loss, weights)
        return float(loss), np.append(kernel[:, 0], bias)


def parameters_of(fit):
    return np.append(fit.coef_, fit.intercept_)


@pytest.mark.equation("3.4.7")
@pytest.mark.parametrize("prior", LAWS)
def test_a_prior_is_minus_the_log_density_over_the_number_of_examples(prior):
    law = LAWS[prior](tf.constant(0.0, tf.float64), 0.3)
    w, v = np.random.default_rng(0).normal(size=(2, 4, 5))
    ours = prior(0.3, examples=50)
    # The constant cancels in the difference.
    expected = tf.reduce_sum(law.log_prob(v) - law.log_prob(w)) / 50
    assert float(ours(w) - ours(v)) == pytest.approx(float(expected), rel=1e-12)
    assert float(ours(0 * w)) == 0.0


@pytest.mark.equation("3.4.7")
@pytest.mark.equation("3.4.21")
@pytest.mark.parametrize("scale", [0.2, 2.0])
def test_the_gaussian_map_is_ridge_regression(regression, scale):
    x, y = regression
    ridge = Ridge(alpha=NOISE**2 / scale**2, solver="cholesky").fit(x, y)
    prior = GaussianPrior(scale, examples=len(x))
    for regularizer in (
        prior,
        PowerPenalty(1 / (2 * len(x) * scale**2)),
        keras.regularizers.L2(prior.strength),
    ):
        fit = minimize(
            Posterior(x, y, regularizer), np.zeros(9), jac=True, method="BFGS", options={"gtol": 1e-9}
        )
        np.testing.assert_allclose(fit.x, parameters_of(ridge), atol=1e-8)


@pytest.mark.equation("3.4.7")
@pytest.mark.equation("3.4.21")
@pytest.mark.parametrize("scale", [0.01, 0.1])
def test_the_laplace_map_is_the_lasso(regression, scale):
    x, y = regression
    alpha = NOISE**2 / (len(x) * scale)
    lasso = parameters_of(Lasso(alpha=alpha, tol=1e-14, max_iter=100_000).fit(x, y))
    prior = LaplacePrior(scale, examples=len(x))
    for regularizer in (prior, PowerPenalty(1 / (len(x) * scale), 1)):
        # The loss is convex: at its minimum the slope vanishes where w is not zero.
        _, slope = Posterior(x, y, regularizer)(lasso)
        zero = lasso == 0
        assert np.abs(slope[~zero]).max() < 1e-12
        # Where w is zero, the slope of the data, here without the penalty's, is below the penalty's.
        assert np.abs(slope[zero]).max() < prior.strength * (1 - 1e-6)
    assert 3 <= zero.sum() < 8
    # Keras stores its factor in single precision.
    assert float(keras.regularizers.L1(prior.strength)(lasso)) == pytest.approx(float(prior(lasso)), rel=1e-7)


@pytest.mark.equation("3.4.21")
def test_proximal_descent_finds_the_zeros_of_the_lasso_and_ridge_has_none(regression):
    x, y = regression
    scale = 0.03
    prior = LaplacePrior(scale, examples=len(x))
    likelihood = Posterior(x, y, PowerPenalty(0.0))
    design = np.column_stack([x, np.ones(len(x))])
    step = len(x) * NOISE**2 / np.linalg.eigvalsh(design.T @ design)[-1]
    w = np.zeros(9)
    for _ in range(150):
        w = w - step * likelihood(w)[1]
        w[:-1] = np.sign(w[:-1]) * np.maximum(np.abs(w[:-1]) - step * prior.strength, 0)
    lasso = Lasso(alpha=NOISE**2 / (len(x) * scale), tol=1e-14, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(w, parameters_of(lasso), atol=1e-6)
    np.testing.assert_array_equal(w[:-1] == 0, lasso.coef_ == 0)
    assert np.sum(w == 0) >= 3
    assert np.all(Ridge(alpha=NOISE**2 / scale**2).fit(x, y).coef_ != 0)


@pytest.mark.equation("3.4.21")
def test_the_gradient_at_zero_vanishes_for_gaussian_but_not_laplace_priors():
    for w in (1.0, 1e-3, 1e-6):
        x = tf.constant(w, tf.float64)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            square, size = PowerPenalty(0.5, 2)(x), PowerPenalty(0.5, 1)(x)
        assert float(tape.gradient(square, x)) == pytest.approx(w, rel=1e-12)
        assert float(tape.gradient(size, x)) == 0.5


@pytest.mark.equation("3.4.21")
def test_the_printed_power_without_absolute_value_has_no_minimum():
    w = np.array([-1e6, 2.0])
    assert np.sum(0.1 * w**1) < -9e4
    assert float(PowerPenalty(0.1, 1)(w)) == pytest.approx(0.1 * 1_000_002)
    assert float(PowerPenalty(0.1, 3)(w)) > 0 > np.sum(0.1 * w**3)


@pytest.mark.equation("3.4.21")
def test_the_default_penalty_is_the_square():
    w = np.random.default_rng(3).normal(size=(4, 3))
    assert float(PowerPenalty(0.3)(w)) == pytest.approx(0.3 * np.sum(w**2), rel=1e-6)


@pytest.mark.equation("3.4.21")
@pytest.mark.parametrize("exponent", [1, 1.5, 2, 3])
def test_powers_are_summed_over_the_entries(exponent):
    w = np.random.default_rng(1).normal(size=(3, 4))
    expected = 0.3 * np.sum(np.abs(w) ** exponent)
    assert float(PowerPenalty(0.3, exponent)(w)) == pytest.approx(expected, rel=1e-12)
    x = tf.zeros([2], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = PowerPenalty(0.3, exponent)(x)
    np.testing.assert_array_equal(tape.gradient(value, x), 0.0)


@pytest.mark.equation("3.4.7")
def test_a_prior_weakens_with_more_data_and_a_fixed_strength_does_not():
    # For y = x with x^2 = 1 and unit noise the mean loss (1 - v)^2 / 2 has its minimum at 1 / (1 + 2 lambda).
    def shrinkage(regularizer):
        v = minimize(
            lambda v: 0.5 * (1 - v[0]) ** 2 + float(regularizer(v)),
            [0.5],
            method="BFGS",
            options={"gtol": 1e-9},
        )
        return 1 - v.x[0]

    few, many = (shrinkage(GaussianPrior(0.5, examples=n)) for n in (10, 1000))
    # The closed form is N / (N + 1 / sigma^2).
    assert few == pytest.approx(4 / 14, abs=1e-6)
    assert many == pytest.approx(4 / 1004, abs=1e-6)
    fixed = PowerPenalty(GaussianPrior(0.5, examples=10).strength)
    assert shrinkage(fixed) == pytest.approx(few, abs=1e-6)


@pytest.mark.equation("3.4.21")
@pytest.mark.parametrize(("prior", "exponent"), [(GaussianPrior, 2), (LaplacePrior, 1)])
def test_a_fixed_strength_is_a_prior_that_narrows_with_more_data(prior, exponent):
    w = np.random.default_rng(2).normal(size=7)
    fixed = PowerPenalty(0.02, exponent)
    scales = []
    for examples in (10, 1000):
        equivalent = prior.from_strength(0.02, examples)
        assert equivalent.strength == pytest.approx(0.02, rel=1e-14)
        assert float(equivalent(w)) == pytest.approx(float(fixed(w)), rel=1e-12)
        scales.append(equivalent.scale)
    # As 1 / sqrt(N) for the Gaussian, as 1 / N for the Laplacian.
    assert scales[0] / scales[1] == pytest.approx(100 ** (1 / exponent), rel=1e-12)


@pytest.mark.parametrize(
    "regularizer", [GaussianPrior(0.5, 30), LaplacePrior(2.0, 7), PowerPenalty(0.1, 1.5)]
)
def test_regularizers_survive_save_and_load(tmp_path, regularizer):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, kernel_regularizer=regularizer, bias_regularizer=regularizer),
        ]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.layers[0].kernel_regularizer.get_config() == regularizer.get_config()
    assert type(loaded.layers[0].bias_regularizer) is type(regularizer)
    assert float(sum(loaded.losses)) == pytest.approx(float(sum(model.losses)), rel=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianPrior(0.0, 10), "scale must be a positive finite number, got 0.0"),
        (lambda: GaussianPrior(-1.0, 10), "scale must be a positive finite number, got -1.0"),
        (lambda: LaplacePrior(float("nan"), 10), "scale must be a positive finite number, got nan"),
        (lambda: LaplacePrior(1.0, 0), "examples must be an integer of at least 1, got 0"),
        (lambda: GaussianPrior(1.0, 2.5), "examples must be an integer of at least 1, got 2.5"),
        (lambda: PowerPenalty(-0.1), "strength must be a nonnegative finite number, got -0.1"),
        (lambda: PowerPenalty(0.1, 0.5), "exponent must be a finite number of at least 1, got 0.5"),
        (lambda: LaplacePrior.from_strength(0.0, 10), "strength must be a positive finite number, got 0.0"),
    ],
)
def test_an_error_names_the_wrong_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
