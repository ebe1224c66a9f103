"""Oracles: closed forms of TFP, SciPy, quadrature, scikit-learn."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr, softmax, xlogy
from scipy.stats import norm, wasserstein_distance
from sklearn.metrics import mutual_info_score

from curvezoo.losses import divergences
from curvezoo.losses.divergences import (
    f_divergence,
    f_divergence_estimate,
    jensen_shannon,
    kl_divergence,
    kl_estimate,
    mutual_information,
    wasserstein,
)
from curvezoo.losses.f_divergences import GENERATORS, alpha_divergence

tfd = tfp.distributions


def float64(values):
    return tf.constant(values, tf.float64)


def normal(loc, scale):
    return tfd.Normal(float64(loc), float64(scale))


def categorical(logits):
    return tfd.Categorical(logits=tf.convert_to_tensor(logits, tf.float64), dtype=tf.int32)


def test_exact_divergences_equal_scipys_on_batches():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 5, 4))
    p, q = softmax(a, -1), softmax(b, -1)
    ours = {name: f_divergence(name, categorical(a), categorical(b)).numpy() for name in GENERATORS}
    expected = {
        "kl": rel_entr(p, q).sum(-1),
        "reverse_kl": rel_entr(q, p).sum(-1),
        "scaled_jensen_shannon": 4 * jensenshannon(p, q, axis=-1) ** 2,
        "total_variation": np.abs(p - q).sum(-1) / 2,
        "squared_hellinger": 2 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum(-1),
        "chi_squared": ((p - q) ** 2 / q).sum(-1) / 2,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-12)
    np.testing.assert_allclose(kl_divergence(categorical(a), categorical(b)), expected["kl"], rtol=1e-12)
    # One distribution broadcasts against a batch.
    one = f_divergence("kl", categorical(a[0, 0]), categorical(b))
    np.testing.assert_allclose(one, rel_entr(p[0, 0], q).sum(-1), rtol=1e-12)


@pytest.mark.equation("3.6.2")
def test_jensen_shannon_is_the_mean_relative_entropy_to_the_mixture():
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(6), size=(2, 10))
    m = (p + q) / 2
    expected = (rel_entr(p, m) + rel_entr(q, m)).sum(-1) / 2
    ours = jensen_shannon(tfd.Categorical(probs=p), tfd.Categorical(probs=q))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    coins = jensen_shannon(*(tfd.Bernoulli(probs=float64(x[:, 0])) for x in (p, q)))
    sides = (np.stack([1 - x[:, 0], x[:, 0]], -1) for x in (p, q))
    np.testing.assert_allclose(coins, jensenshannon(*sides, axis=-1) ** 2, rtol=1e-9)
    one_hot = jensen_shannon(*(tfd.OneHotCategorical(probs=float64(x)) for x in (p, q)))
    np.testing.assert_allclose(one_hot, expected, rtol=1e-12)


EMPTY = [
    (tfd.Categorical, [0.5, 0.5, 0.0]),
    (tfd.OneHotCategorical, [1.0, 0.0, 0.0]),
    (tfd.Bernoulli, [1.0, 0.0, 0.4]),
]


def value_and_gradient(function):
    variable = tf.Variable(float64([0.1, 0.2, 0.3]))
    with tf.GradientTape() as tape:
        value = function(variable)
    return value, tape.gradient(value, variable)


@pytest.mark.parametrize(("family", "probs"), EMPTY)
def test_gradients_equal_tfps_where_p_has_an_empty_outcome(family, probs):
    p = family(probs=float64(probs))
    # TFP's closed form for OneHotCategorical is NaN there.
    theirs = tfd.Categorical if family is tfd.OneHotCategorical else family
    closed = theirs(probs=float64(probs))
    expected = value_and_gradient(lambda v: tfd.kl_divergence(closed, theirs(logits=v)))
    for ours in (
        lambda v: kl_divergence(p, family(logits=v)),
        lambda v: f_divergence("kl", p, family(logits=v)),
        lambda v: f_divergence("reverse_kl", family(logits=v), p),
    ):
        for value, other in zip(value_and_gradient(ours), expected, strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("family", "probs"), EMPTY)
def test_jensen_shannon_has_the_right_gradient_at_an_empty_outcome(family, probs):
    p = family(probs=float64(probs))

    def from_mixture(v):
        a, b = p.probs_parameter(), family(logits=v).probs_parameter()
        if family is tfd.Bernoulli:
            a, b = (tf.stack([1 - x, x], -1) for x in (a, b))
        m = (a + b) / 2
        return tf.reduce_sum(tf.math.xlogy(a, a) + tf.math.xlogy(b, b) - 2 * tf.math.xlogy(m, m), -1) / 2

    expected = value_and_gradient(from_mixture)
    for ours in (
        lambda v: jensen_shannon(p, family(logits=v)),
        lambda v: jensen_shannon(family(logits=v), p),
    ):
        for value, other in zip(value_and_gradient(ours), expected, strict=True):
            np.testing.assert_allclose(value, other, rtol=1e-12, atol=1e-15)


def test_kl_of_continuous_distributions_is_the_closed_form():
    p, q = normal([0.0, 1.0], [1.0, 2.0]), normal([0.5], [1.5])
    expected = np.log(1.5 / np.array([1.0, 2.0])) + np.array([1.25, 4.25]) / (2 * 2.25) - 0.5
    np.testing.assert_allclose(kl_divergence(p, q), expected, rtol=1e-12)


@pytest.mark.equation("3.6.1")
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_log_ratio_over_draws_estimates_the_kl(seed):
    p, q = normal([0.0, 1.0, -2.0], [1.0, 0.5, 2.0]), normal(0.3, 1.5)
    exact = kl_divergence(p, q).numpy()
    mean, error = (t.numpy() for t in kl_estimate(p, q, 20_000, seed))
    assert np.all(np.abs(mean - exact) < 4.5 * error)
    # For Gaussians log p - log q is a z^2 + b z plus a constant, with z standard normal.
    a = p.variance() / (2 * q.variance()) - 0.5
    b = (p.mean() - q.mean()) * p.stddev() / q.variance()
    np.testing.assert_allclose(error, np.sqrt((2 * a**2 + b**2) / 20_000), rtol=0.1)
    np.testing.assert_array_equal(kl_divergence(p, q, samples=20_000, seed=seed), mean)


@pytest.mark.equation("3.6.1")
def test_the_estimate_is_minus_the_entropy_minus_the_mean_log_likelihood():
    p, q = normal(0.4, 0.8), tfd.Laplace(float64(0.0), 1.0)
    mean, error = kl_estimate(p, q, 100_000, seed=5)
    draws = np.random.default_rng(0).normal(0.4, 0.8, 400_000)
    likelihood = q.log_prob(draws).numpy()
    third_line = -float(p.entropy()) - likelihood.mean()
    assert float(mean) == pytest.approx(
        third_line, abs=4.5 * np.hypot(float(error), likelihood.std() / 400_000**0.5)
    )
    density = quad(
        lambda x: norm.pdf(x, 0.4, 0.8) * (norm.logpdf(x, 0.4, 0.8) + np.log(2) + abs(x)), -9, 9, points=[0]
    )
    assert float(mean) == pytest.approx(density[0], abs=4.5 * float(error))


@pytest.mark.parametrize("name", [*GENERATORS, 0.3])
def test_sampled_divergences_agree_with_quadrature(name):
    f = alpha_divergence(name) if isinstance(name, float) else name
    generator = GENERATORS.get(name, f)
    p, q = norm(0.0, 1.0), norm(0.7, 1.2)
    x = np.linspace(-14, 14, 20_001)
    h = np.asarray(generator(float64(p.logpdf(x) - q.logpdf(x))))
    exact = np.trapezoid(h * (p.pdf(x) + q.pdf(x)) / 2, x)
    mean, error = f_divergence_estimate(f, normal(0.0, 1.0), normal(0.7, 1.2), 40_000, seed=1)
    assert float(mean) == pytest.approx(exact, abs=4.5 * float(error))
    assert float(error) < 0.02 * exact
    again = f_divergence(f, normal(0.0, 1.0), normal(0.7, 1.2), samples=40_000, seed=1)
    assert float(again) == float(mean)


def test_standard_errors_equal_the_spread_of_repeated_estimates():
    runs = 2000
    p, q = normal(np.zeros(runs), 1.0), tfd.StudentT(float64(3.0), float64(np.full(runs, 0.5)), float64(1.0))
    for estimate in (kl_estimate, lambda *a: f_divergence_estimate("scaled_jensen_shannon", *a)):
        means, errors = estimate(p, q, 100, 0)
        # The spread of 2000 runs has an error of 1.6 %, and more for heavy tails.
        assert np.std(means) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.07)


@pytest.mark.parametrize("draws", [2, 3, 10])
def test_the_standard_error_of_few_draws_is_that_of_their_mean(draws):
    values = np.random.default_rng(draws).normal(size=(2, draws, 4))
    single = divergences._estimate([float64(values[0])])
    np.testing.assert_allclose(single.mean, values[0].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(single.standard_error, values[0].std(axis=0, ddof=1) / draws**0.5, rtol=1e-12)
    both = divergences._estimate([float64(v) for v in values])
    variance = values.var(axis=1, ddof=1).sum(axis=0) / draws
    np.testing.assert_allclose(both.standard_error, np.sqrt(variance) / 2, rtol=1e-12)


def test_the_balanced_estimate_has_the_smaller_error_for_close_distributions():
    p, q = normal(0.0, 1.0), normal(0.1, 1.0)
    plain, balanced_form = kl_estimate(p, q, 10_000, 0), f_divergence_estimate("kl", p, q, 5_000, 0)
    # The log ratio has a spread of 0.1, its square of 0.01.
    assert float(plain.standard_error) > 8 * float(balanced_form.standard_error)
    assert float(balanced_form.mean) == pytest.approx(0.005, abs=4.5 * float(balanced_form.standard_error))


def test_far_distributions_in_many_dimensions_stay_finite():
    p, q = (tfd.MultivariateNormalDiag(tf.fill([100], x), tf.ones([100])) for x in (0.0, 2.0))
    # The ratio exp(200) overflows float32; the closed form is |mu|^2 / 2.
    for name in ("kl", "reverse_kl"):
        mean, error = f_divergence_estimate(name, p, q, 2_000, seed=0)
        assert float(mean) == pytest.approx(200.0, abs=4.5 * float(error))
    assert float(jensen_shannon(p, q, samples=100, seed=0)) == pytest.approx(np.log(2), rel=1e-5)


def gaussians(theta):
    return tfd.Normal(theta[0], tf.exp(theta[1])), tfd.Normal(theta[2], float64(1.0))


def categoricals(theta):
    p = categorical(tf.stack([theta[0], theta[1], float64(0.0)]))
    return p, categorical(tf.stack([float64(0.2), float64(-1.5), theta[2]]))


@pytest.mark.parametrize("estimate", [kl_divergence, lambda *a, **k: f_divergence("kl", *a, **k)])
@pytest.mark.parametrize("family", [gaussians, categoricals])
def test_sampled_gradients_equal_those_of_the_closed_form(estimate, family):
    theta = tf.Variable(np.array([0.9, -0.6, -0.5]))
    with tf.GradientTape() as tape:
        exact = kl_divergence(*family(theta))
    expected = tape.gradient(exact, theta)

    @tf.function
    def sampled(seed):
        with tf.GradientTape() as tape:
            value = estimate(*family(theta), samples=20_000, seed=seed)
        return tape.gradient(value, theta)

    gradients = np.array([sampled(tf.constant([0, seed])) for seed in range(8)])
    error = np.std(gradients, axis=0, ddof=1) / np.sqrt(8)
    # With 7 degrees of freedom, 6.5 errors of Student's t are as rare as 3.6 of a Gaussian.
    assert np.all(np.abs(np.mean(gradients, axis=0) - expected) < 6.5 * error + 1e-12)
    assert np.all(np.abs(expected) > 10 * error)


def test_a_seed_repeats_the_draws_and_none_does_not():
    p, q = normal(0.0, 1.0), normal(1.0, 1.0)
    compiled = tf.function(lambda seed: kl_divergence(p, q, samples=10, seed=seed))
    for run in (compiled, lambda seed: kl_divergence(p, q, samples=10, seed=seed)):
        assert float(run(3)) == float(run(3)) != float(run(4))
        assert float(run(None)) != float(run(None))
        assert float(run(tf.constant([0, 3]))) == float(run(3)) != float(run(tf.constant([3, 0])))


@pytest.mark.equation("2.5.3")
@pytest.mark.equation("2.5.4")
def test_mutual_information_equals_scikit_learns_and_a_relative_entropy():
    counts = np.random.default_rng(0).integers(0, 30, size=(4, 5, 6))
    counts[0, :2, :3] = 0
    joint = counts / counts.sum((-2, -1), keepdims=True)
    ours = mutual_information(joint).numpy()
    np.testing.assert_allclose(
        ours, [mutual_info_score(None, None, contingency=c) for c in counts], rtol=1e-12
    )
    product = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    flat = (x.reshape(4, 30) for x in (joint, product))
    np.testing.assert_allclose(ours, kl_divergence(*(tfd.Categorical(probs=x) for x in flat)), rtol=1e-10)
    np.testing.assert_allclose(mutual_information(product), 0.0, atol=1e-15)
    np.testing.assert_allclose(mutual_information(np.eye(8) / 8), np.log(8), rtol=1e-12)


@pytest.mark.parametrize("joint", [[[0.4, 0.0], [0.1, 0.5]], [[1e-14, 0.5], [0.5, 1e-14]]])
def test_the_gradient_of_mutual_information_is_the_log_ratio(joint):
    joint = np.array(joint)
    p = tf.Variable(joint)
    with tf.GradientTape() as tape:
        information = mutual_information(p)
    gradient = tape.gradient(information, p).numpy()
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    occupied = joint > 0
    # The derivative of sum p log p - sum p_i log p_i - sum p_j log p_j is the log ratio minus one.
    np.testing.assert_allclose(gradient[occupied], np.log((joint / product)[occupied]) - 1, rtol=1e-12)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize(("dtype", "tiny"), [(np.float32, 1e-25), (np.float64, 1e-200)])
def test_mutual_information_is_accurate_for_tiny_probabilities(dtype, tiny):
    p = tf.Variable(np.array([[1.0, 0.0], [0.0, tiny]], dtype))
    with tf.GradientTape() as tape:
        information = mutual_information(p)
    # -(1 - tiny) log(1 - tiny) is tiny.
    np.testing.assert_allclose(information, tiny - xlogy(tiny, tiny), rtol=1e-6)
    gradient = tape.gradient(information, p)
    np.testing.assert_allclose(np.diag(gradient), [-1.0, -np.log(tiny) - 1], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "e"), [(np.float64, 1e-7), (np.float64, 1e-9), (np.float32, 1e-4)])
def test_a_small_dependence_has_an_accurate_information(dtype, e):
    quarter = dtype(1 / 4)
    e = (quarter + dtype(e)) - quarter  # A number that survives the addition.
    joint = np.array([[quarter + e, quarter - e], [quarter - e, quarter + e]], dtype)
    # The relative error is that of a logarithm of 1 + 4e.
    tolerance = 20 * np.finfo(dtype).eps / float(e)
    np.testing.assert_allclose(mutual_information(joint), 8 * float(e) ** 2, rtol=tolerance)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (6, 4), (1, 9), (13, 8)])
def test_wasserstein_equals_scipys(n, m):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(3, n)), rng.gamma(2.0, size=(3, m))
    expected = [wasserstein_distance(a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(wasserstein(x, y), expected, rtol=1e-12)
    # Copies of a sample do not change its quantile function.
    repeated = np.repeat(x, m, axis=-1), np.repeat(y, n, axis=-1)
    squares = np.mean((np.sort(repeated[0]) - np.sort(repeated[1])) ** 2, axis=-1)
    np.testing.assert_allclose(wasserstein(x, y, order=2), np.sqrt(squares), rtol=1e-12)
    np.testing.assert_allclose(wasserstein(x, x + 0.7, order=3), 0.7, rtol=1e-12)


def test_the_gradient_of_wasserstein_equals_finite_differences():
    x, y = np.array([0.0, 5.0, 1.0]), np.array([2.0, 7.0, 0.5, 3.0])

    def gradient(p):
        variable = tf.Variable(x)
        with tf.GradientTape() as tape:
            distance = wasserstein(variable, y, p)
        return tape.gradient(distance, variable).numpy()

    for p in (1.0, 2.0, 3.5):
        steps = 1e-6 * np.eye(3)
        differences = [(wasserstein(x + s, y, p) - wasserstein(x - s, y, p)).numpy() / 2e-6 for s in steps]
        np.testing.assert_allclose(gradient(p), differences, atol=1e-7)
    variable = tf.Variable(y)
    with tf.GradientTape() as tape:
        zero = wasserstein(variable, y, 2.0)
    np.testing.assert_array_equal(tape.gradient(zero, variable), 0.0)
    assert float(zero) == 0.0


def test_wasserstein_compiles_for_any_number_of_samples():
    compiled = tf.function(wasserstein, input_signature=[tf.TensorSpec([None, None], tf.float64)] * 2)
    rng = np.random.default_rng(0)
    for n, m in ((4, 6), (5, 5)):
        x, y = rng.normal(size=(2, n)), rng.normal(size=(2, m))
        expected = [wasserstein_distance(a, b) for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(compiled(x, y), expected, rtol=1e-12)


P, COIN = tfd.Normal(0.0, 1.0), tfd.Bernoulli(probs=0.5)
MIXTURE = tfd.MixtureSameFamily(tfd.Categorical(probs=[0.5, 0.5]), tfd.Normal([-1.0, 1.0], 0.5))
GOOD, BAD = tfd.Categorical(probs=[0.5, 0.5]), tfd.Categorical(probs=[[0.5, 0.5], [0.5, 0.4]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: kl_divergence([0.5, 0.5], GOOD),
            "p must be a distribution of TensorFlow Probability, got list",
        ),
        (lambda: kl_divergence(GOOD, BAD), r"q.probs\[1\] must sum to 1, got 0.9"),
        (
            lambda: jensen_shannon(tfd.Categorical(probs=[1.5, -0.5]), GOOD),
            r"p.probs\[1\] must not be negative",
        ),
        (
            lambda: kl_divergence(GOOD, tfd.Categorical(probs=[0.2, 0.3, 0.5])),
            "p and q must have equally many outcomes, got 2 and 3",
        ),
        (lambda: kl_divergence(P, GOOD), "p and q must have one dtype, got float32 and int32"),
        (lambda: kl_divergence(P, tfd.MultivariateNormalDiag([0.0], [1.0])), "one event shape"),
        (
            lambda: kl_divergence(P, MIXTURE),
            "samples must be given for an estimate: no exact .* between Normal and MixtureSameFamily",
        ),
        (
            lambda: kl_divergence(tfd.Bernoulli(probs=1.5), COIN),
            r"1 - p.probs must not be negative, got -0.5",
        ),
        (
            lambda: jensen_shannon(COIN, tfd.Bernoulli(probs=[0.5, -0.5])),
            r"q.probs\[1\] must not be negative, got -0.5",
        ),
        (
            lambda: kl_divergence(tfd.Categorical(logits=[np.nan, 0.0]), GOOD),
            r"probability from p.logits\[0\] must be finite, got nan",
        ),
        (
            lambda: kl_estimate(GOOD, tfd.Categorical(logits=[[0.0, 0.0], [np.inf, 0.0]]), 10),
            r"probability from q.logits\[1, 0\] must be finite, got nan",
        ),
        (
            lambda: kl_divergence(tfd.Bernoulli(logits=np.nan), COIN),
            "probability from p.logits must be finite, got nan",
        ),
        (lambda: kl_divergence(P, tfd.Normal(np.nan, 1.0)), "q.loc must be finite, got nan"),
        (lambda: kl_divergence(tfd.Normal(0.0, -1.0), P), "p.scale must be positive, got -1"),
        (lambda: kl_estimate(P, tfd.Normal(0.0, [1.0, 0.0]), 10), r"q.scale\[1\] must be positive, got 0"),
        (
            lambda: kl_divergence(tfd.Normal(tf.zeros([3]), 1.0), tfd.Normal(tf.zeros([4]), 1.0)),
            r"batch shapes that broadcast, got \(3,\) and \(4,\)",
        ),
        (lambda: jensen_shannon(P, P), "no exact f-divergence"),
        (lambda: kl_divergence(P, MIXTURE, samples=1), "samples must be an integer of at least 2, got 1"),
        (lambda: kl_divergence(P, P, samples=4, seed=-1), "seed must be an integer of at least 0, got -1"),
        (
            lambda: f_divergence("hellinger", GOOD, GOOD),
            "f must be a generator or one of kl, reverse_kl, .*, got 'hellinger'",
        ),
        (lambda: mutual_information([[0.5, 0.5], [0.5, 0.5]]), r"joint must sum to 1, got 2"),
        (lambda: mutual_information([[[1.0]], [[np.nan]]]), r"joint\[1, 0, 0\] must be finite, got nan"),
        (lambda: mutual_information([1.0]), r"joint must have shape \[..., X, Y\], got \(1,\)"),
        (lambda: mutual_information([[1, 0], [0, 0]]), "joint must have a floating dtype, got int32"),
        (lambda: wasserstein([1.0, np.nan], [1.0, 2.0]), r"x\[1\] must be finite, got nan"),
        (
            lambda: wasserstein([1.0], [2.0], order="2"),
            "order must be a finite number of at least 1, got '2'",
        ),
        (
            lambda: wasserstein([1.0], [2.0], order=0.5),
            "order must be a finite number of at least 1, got 0.5",
        ),
        (lambda: wasserstein([1.0], tf.zeros([0])), "y must hold at least one sample"),
        (lambda: wasserstein([1], [2.0]), "x must have a floating dtype, got int32"),
        (
            lambda: wasserstein(tf.zeros([2, 3]), tf.zeros([3, 3])),
            "x and y must have one batch shape and dtype",
        ),
    ],
)
def test_an_error_names_the_wrong_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_log_probabilities_normalize_logits():
    logits = np.random.default_rng(0).normal(size=(2, 3))
    table = divergences._log_probabilities(categorical(logits))
    np.testing.assert_allclose(table, log_softmax(logits, -1), rtol=1e-12)


def test_former_names_and_scales_warn():
    x, y = tf.constant([0.0, 1.0]), tf.constant([2.0, 5.0])
    with pytest.warns(DeprecationWarning, match="p is now called order"):
        assert float(wasserstein(x, y, p=2.0)) == float(wasserstein(x, y, order=2.0))
    p, q = tfd.Bernoulli(probs=0.2), tfd.Bernoulli(probs=0.7)
    for estimate in (f_divergence, lambda *a: f_divergence_estimate(*a, samples=10, seed=0).mean):
        with pytest.warns(FutureWarning, match="4 times jensen_shannon"):
            assert float(estimate("jensen_shannon", p, q)) == float(estimate("scaled_jensen_shannon", p, q))
    assert float(f_divergence("scaled_jensen_shannon", p, q)) == 4 * float(jensen_shannon(p, q))
