"""Oracles: sums over small discrete spaces in float64, closed forms, finite differences, SciPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, logit, rel_entr, softmax
from scipy.stats import norm

from curvezoo.losses import adversarial
from curvezoo.losses.divergences import jensen_shannon
from curvezoo.theory import information


def float64(values):
    return tf.constant(values, tf.float64)


def spread(probabilities, count):
    """Returns a sample whose frequencies are exactly the probabilities, multiples of 1 / count."""
    repeats = np.rint(np.asarray(probabilities) * count).astype(int)
    assert repeats.sum() == count
    return np.repeat(np.arange(len(repeats)), repeats)


P, Q, COUNT = np.array([1, 5, 8, 2]) / 16, np.array([4, 4, 1, 7]) / 16, 16


def loss_of(logits, **settings):
    """Returns the discriminator's loss with a logit for each of four images, data p and generator q."""
    real, fake = (tf.gather(float64(logits), spread(x, COUNT)) for x in (P, Q))
    return float(adversarial.discriminator_loss(real, fake, **settings))


@pytest.mark.equation("7.4.2")
def test_the_best_discriminator_leaves_2_log_2_less_twice_the_jensen_shannon():
    import tensorflow_probability as tfp

    best = logit(P / (P + Q))
    p, q = (tfp.distributions.Categorical(probs=float64(x)) for x in (P, Q))
    divergence = float(jensen_shannon(p, q))
    assert loss_of(best) == pytest.approx(2 * math.log(2) - 2 * divergence, abs=1e-14)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert loss_of(best + 0.1 * rng.normal(size=4)) > loss_of(best)


@pytest.mark.equation("7.4.2")
def test_the_discriminator_loss_is_the_cross_entropy_of_real_and_fake():
    a = np.array([0.3, -1.2, 2.0, 0.7])
    d = expit(a)
    assert loss_of(a) == pytest.approx(-P @ np.log(d) - Q @ np.log(1 - d), abs=1e-14)
    # The notes call it the divergence up to a constant: there is a factor of two, too.
    m, posterior = (P + Q) / 2, P / (P + Q)
    divergence = m @ (rel_entr(posterior, d) + rel_entr(1 - posterior, 1 - d))
    assert loss_of(a) - loss_of(logit(posterior)) == pytest.approx(2 * divergence, abs=1e-14)


def test_smoothing_real_labels_only_scales_the_best_discriminator():
    # With (1 - s) p / (p + q) the ratio of two images' odds does not depend on where q is large.
    s = 0.2
    best = (1 - s) * P / (P + Q)
    rng = np.random.default_rng(0)
    lowest = loss_of(logit(best), label_smoothing=s)
    for _ in range(20):
        assert loss_of(logit(best) + 0.05 * rng.normal(size=4), label_smoothing=s) > lowest
    d = expit(0.4)
    loss = float(adversarial.discriminator_loss(float64([0.4]), float64([-50.0]), label_smoothing=s))
    assert loss == pytest.approx(-(1 - s) * math.log(d) - s * math.log(1 - d), abs=1e-14)


@pytest.mark.equation("7.4.1")
def test_generator_losses_and_their_gradients_have_their_closed_forms():
    logits = float64([-40.0, -3.0, 0.5, 4.0])
    d = expit(logits.numpy())
    derivatives = {"non_saturating": d - 1, "saturating": -d}
    values = {"non_saturating": -np.log(d).mean(), "saturating": np.log1p(-d).mean()}
    for kind, derivative in derivatives.items():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = adversarial.generator_loss(logits, kind)
        assert float(loss) == pytest.approx(values[kind], rel=1e-14)
        np.testing.assert_allclose(tape.gradient(loss, logits) * 4, derivative, rtol=1e-14)
    # Where the critic is sure that an image is generated, only one of them teaches the generator.
    assert abs(derivatives["saturating"][0]) < 1e-17
    assert derivatives["non_saturating"][0] == pytest.approx(-1)


def test_losses_are_finite_for_logits_of_any_size():
    far = tf.constant([-1e30, 1e30])
    losses = [adversarial.generator_loss(far, kind) for kind in adversarial.GENERATOR_LOSSES]
    losses.append(adversarial.discriminator_loss(far, far, 0.1))
    assert np.isfinite(losses).all()


def quadratic(images):
    """A critic a(x) = x^T diag(1, 2, 3) x / 2 + x_1, with the gradient diag(1, 2, 3) x + (1, 0, 0)."""
    x = tf.reshape(images, [-1, 3])
    weights = tf.constant([1.0, 2.0, 3.0], x.dtype)
    return tf.reduce_sum(weights * x**2, axis=1, keepdims=True) / 2 + x[:, :1]


def test_gradient_penalties_of_a_quadratic_critic_have_their_closed_forms():
    rng = np.random.default_rng(0)
    real, fake, shares = rng.normal(size=(5, 1, 3)), rng.normal(size=(5, 1, 3)), rng.uniform(size=5)

    def norms(x):
        return np.linalg.norm(x.reshape(5, 3) * [1, 2, 3] + [1, 0, 0], axis=1)

    zero = adversarial.zero_centered_penalty(quadratic, float64(real))
    assert float(zero) == pytest.approx((norms(real) ** 2).mean(), rel=1e-14)
    between = shares[:, None, None] * real + (1 - shares[:, None, None]) * fake
    unit = adversarial.unit_norm_penalty(quadratic, float64(real), float64(fake), float64(shares))
    assert float(unit) == pytest.approx(((norms(between) - 1) ** 2).mean(), rel=1e-14)


def test_the_gradient_of_a_penalty_goes_through_the_critics_weights():
    weight, images = tf.Variable(1.5, dtype=tf.float64), float64(np.ones((4, 2)))
    with tf.GradientTape() as tape:
        penalty = adversarial.zero_centered_penalty(
            lambda x: weight * tf.reduce_sum(x, axis=1, keepdims=True), images
        )
    # |grad|^2 = 2 w^2
    assert float(tape.gradient(penalty, weight)) == pytest.approx(6.0)
    flat = adversarial.unit_norm_penalty(lambda x: 0 * x[:, :1], images, images, float64(np.ones(4)))
    assert float(flat) == pytest.approx(1.0, rel=1e-5)


# A generator of five images from three codes, and a reader of the codes.
PRIOR = np.array([0.5, 0.3, 0.2])
MADE = softmax(2 * np.random.default_rng(1).normal(size=(3, 5)), axis=1)
JOINT = PRIOR[:, None] * MADE
POSTERIOR = (JOINT / JOINT.sum(axis=0)).T


def bound(q_logits):
    """Returns S(C) + E log Q(c|x), summed over all codes and images."""
    codes, images = np.indices(JOINT.shape).reshape(2, -1)
    one_hot, logits = float64(np.eye(3)[codes]), tf.gather(float64(q_logits), images)
    weights = JOINT.ravel() * JOINT.size
    log_q = adversarial.categorical_log_likelihood(one_hot, logits) * weights
    return float(adversarial.information_bound(information.entropy(PRIOR), log_q))


@pytest.mark.equation("7.5.1")
def test_the_bound_is_below_the_information_by_the_divergence_and_tight_at_p():
    exact = float(information.mutual_information(JOINT))
    assert bound(np.log(POSTERIOR)) == pytest.approx(exact, abs=1e-14)
    rng = np.random.default_rng(0)
    for scale in (0.1, 1.0, 5.0):
        logits = np.log(POSTERIOR) + scale * rng.normal(size=POSTERIOR.shape)
        gap = JOINT.sum(axis=0) @ rel_entr(POSTERIOR, softmax(logits, axis=1)).sum(axis=1)
        assert bound(logits) < exact
        assert exact - bound(logits) == pytest.approx(gap, abs=1e-13)


@pytest.mark.equation("7.5.1")
def test_the_bound_of_ten_equal_categories_tops_at_log_10():
    codes = float64(np.eye(10))
    for certainty, value in ((0.0, 0.0), (1e3, math.log(10))):
        log_q = adversarial.categorical_log_likelihood(codes, certainty * codes)
        assert float(adversarial.information_bound(math.log(10), log_q)) == pytest.approx(value, abs=1e-14)


@pytest.mark.equation("7.5.2")
def test_codes_of_the_generator_replace_codes_of_the_posterior():
    logits = np.random.default_rng(2).normal(size=POSTERIOR.shape)
    # The mean of log Q(c'|x) over x from G(c) and c' from the posterior of x, against the same codes c.
    redrawn = np.einsum("c,cx,xd,xd->", PRIOR, MADE, POSTERIOR, log_softmax(logits, axis=1))
    loss = bound(logits) - information.entropy(PRIOR)
    assert loss == pytest.approx(redrawn, abs=1e-14)
    # Codes that the image was not made from do not replace them.
    others = np.einsum("x,c,xc->", JOINT.sum(axis=0), PRIOR, log_softmax(logits, axis=1))
    assert abs(loss - others) > 0.01
    # The middle step of Eq. 7.5.3: a factor of one, the sum over x' of p(x'|c).
    f = log_softmax(logits, axis=1).T
    assert loss == pytest.approx(np.einsum("c,cx,cx,cy->", PRIOR, MADE, f, MADE), abs=1e-14)


@pytest.mark.equation("7.5.4")
def test_the_information_term_is_the_mean_log_likelihood_of_the_codes():
    rng = np.random.default_rng(3)
    codes, logits = rng.integers(0, 4, 6), rng.normal(size=(6, 4))
    ours = adversarial.categorical_log_likelihood(float64(np.eye(4)[codes]), float64(logits))
    np.testing.assert_allclose(ours, log_softmax(logits, axis=1)[np.arange(6), codes], rtol=1e-14)
    codes, means, log_stds = rng.normal(size=(3, 6, 2))
    ours = adversarial.gaussian_log_likelihood(*map(float64, (codes, means, log_stds)))
    np.testing.assert_allclose(ours, norm.logpdf(codes, means, np.exp(log_stds)).sum(1), rtol=1e-13)
    # Its gradient is that of the bound, since the entropy is a constant.
    logits = float64(logits)
    one_hot = float64(np.eye(4)[rng.integers(0, 4, 6)])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        log_q = adversarial.categorical_log_likelihood(one_hot, logits)
        term, lower = -tf.reduce_mean(log_q), adversarial.information_bound(math.log(4), log_q)
    np.testing.assert_array_equal(tape.gradient(term, logits), -tape.gradient(lower, logits))


@pytest.mark.equation("7.5.1")
def test_the_bound_of_a_noisy_uniform_code_is_below_its_information():
    # x = c + noise with c uniform in [-1, 1]; the best Gaussian reader is linear in x.
    noise = 0.3
    x, width = np.linspace(-4, 4, 8001, retstep=True)
    c = np.linspace(-1, 1, 2001)
    density = (norm.cdf((x + 1) / noise) - norm.cdf((x - 1) / noise)) / 2
    entropy = -width * np.sum(density[density > 0] * np.log(density[density > 0]))
    exact = entropy - norm.entropy(scale=noise)
    slope = (1 / 3) / (1 / 3 + noise**2)
    deviation = math.sqrt(1 / 3 - slope / 3)
    # Hermite nodes integrate the noise exactly, and Simpson's rule the code.
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    simpson = np.ones(2001)
    simpson[1:-1:2], simpson[2:-1:2] = 4, 2
    simpson /= simpson.sum()
    grid = c[:, None] + noise * nodes
    codes, means = np.broadcast_to(c[:, None], grid.shape).reshape(-1, 1), slope * grid.reshape(-1, 1)
    weight = np.outer(simpson, weights / weights.sum()).ravel() * grid.size
    log_q = adversarial.gaussian_log_likelihood(
        float64(codes), float64(means), tf.fill(means.shape, float64(math.log(deviation)))
    )
    ours = float(adversarial.information_bound(math.log(2), log_q * weight))
    # E log Q of the best linear reader: -log(deviation) - log(2 pi e) / 2
    assert ours == pytest.approx(math.log(2) - norm.entropy(scale=deviation), abs=1e-9)
    assert 0 < ours < exact


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: adversarial.discriminator_loss(x, x, 1.0),
            r"label_smoothing must be in \[0, 1\)",
        ),
        (lambda x: adversarial.generator_loss(x, "hinge"), "kind must be one of non_saturating, saturating"),
    ],
)
def test_settings_that_are_not_valid_are_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call(tf.zeros([2, 1]))
