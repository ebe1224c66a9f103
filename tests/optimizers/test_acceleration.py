"""Acceleration against powers of its matrix, the theory of three-stage rules, and Keras's SGD."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.optimizers.acceleration import Acceleration
from curvezoo.theory import three_stage

# Exact in single precision, to which Keras rounds SGD's momentum even for double-precision variables.
MOMENTUM = 0.875


pytestmark = pytest.mark.usefixtures("double_precision_rates")


def minimize(optimizer, hessian, start, updates):
    """The parameters [updates + 1, D] on a quadratic with the Hessian [D, D], in double precision."""
    theta = keras.Variable(start, dtype="float64")
    values = [theta.numpy()]
    for _ in range(updates):
        optimizer.apply([tf.linalg.matvec(hessian, theta.value)], [theta])
        values.append(theta.numpy())
    return np.array(values)


def matrix(rule, eigenvalue):
    """The matrix of one update on (theta, v, a), column by column from the update equations."""
    columns = []
    for theta, v, a in np.eye(3):
        g = eigenvalue * theta
        u = v + g
        columns.append(
            [
                theta - float(rule.learning_rate) * u,
                rule.momentum * u + a,
                rule.acceleration * u + rule.delayed_gradient * g,
            ]
        )
    return np.transpose(columns)


def polynomial(rule, eigenvalue):
    """The characteristic polynomial of the docstring, highest power first."""
    free = np.polymul([1, -1], [1, -rule.momentum, -rule.acceleration])
    return np.polyadd(free, float(rule.learning_rate) * eigenvalue * np.array([1, 0, rule.delayed_gradient]))


def rate(rule, eigenvalue):
    return np.max(np.abs(np.roots(polynomial(rule, eigenvalue))))


def cube_root_rate(kappa):
    return (np.cbrt(kappa) - 1) / (np.cbrt(kappa) + 1)


def rotated(eigenvalues, seed=0):
    """A Hessian with these eigenvalues, and its eigenvectors as columns."""
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return q @ np.diag(eigenvalues) @ q.T, q


RULES = {
    "damped": (0.01, 0.5, -0.2, 0.3),
    "momentum": (0.01, 0.9, 0.0, 0.0),
    "delayed gradient only": (0.01, 0.3, 0.0, -0.4),
    "fast": (0.03, 1.2, -0.5, 0.1),
}


@pytest.mark.equation("4.3.1")
@pytest.mark.equation("4.3.2")
@pytest.mark.parametrize("momentum", [0.0, MOMENTUM])
def test_without_the_third_stage_it_equals_sgd_with_momentum(momentum):
    rng = np.random.default_rng(0)
    ours, theirs = Acceleration(0.01, momentum), keras.optimizers.SGD(0.01, momentum=momentum)
    a, b = (keras.Variable(np.ones(5), dtype="float64") for _ in range(2))
    for g in rng.normal(size=(50, 5)):
        ours.apply([tf.constant(g)], [a])
        theirs.apply([tf.constant(g)], [b])
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-12)


@pytest.mark.equation("4.3.2")
@pytest.mark.equation("4.3.6")
def test_the_printed_velocity_index_is_not_the_rule_that_the_notes_analyze():
    eps, m, eigenvalue = 0.3, 0.5, 1.0
    printed = np.array([[1, -eps], [eigenvalue, m]])
    meant = np.array([[1 - eps * eigenvalue, -m * eps], [eigenvalue, m]])
    theta, v, values = 1.0, 0.0, [1.0]
    for _ in range(20):
        v = m * v + eigenvalue * theta
        values.append(theta := theta - eps * v)
    ours = minimize(Acceleration(eps, m), np.array([[eigenvalue]]), [1.0], 20)[:, 0]
    np.testing.assert_allclose(ours, values, rtol=1e-12)
    np.testing.assert_allclose(ours, [np.linalg.matrix_power(meant, k)[0, 0] for k in range(21)], atol=1e-12)
    # As printed, theta moves by the old velocity: without momentum this is not gradient descent.
    assert np.linalg.matrix_power(printed, 1)[0, 0] == 1.0 != pytest.approx(ours[1])
    assert np.linalg.det(printed) == pytest.approx(m + eps * eigenvalue)
    assert np.linalg.det(meant) == pytest.approx(m)


@pytest.mark.parametrize("name", RULES)
def test_the_path_on_a_quadratic_is_given_by_powers_of_the_matrix(name):
    eigenvalues, start = np.array([0.1, 1.0, 3.0, 10.0]), np.array([1.0, -2.0, 0.5, 3.0])
    hessian, q = rotated(eigenvalues)
    rule = Acceleration(*RULES[name])
    path = minimize(rule, hessian, start, 100) @ q
    for i, eigenvalue in enumerate(eigenvalues):
        step = matrix(rule, eigenvalue)
        powers = [np.linalg.matrix_power(step, k)[0, 0] for k in range(101)]
        np.testing.assert_allclose(path[:, i], np.array(powers) * path[0, i], rtol=0, atol=1e-10)


@pytest.mark.parametrize("eigenvalue", [0.1, 10.0])
@pytest.mark.parametrize("name", RULES)
def test_the_documented_matrix_and_polynomial_match_the_update(name, eigenvalue):
    eps, m, n, c = RULES[name]
    step = matrix(Acceleration(*RULES[name]), eigenvalue)
    documented = [[1 - eps * eigenvalue, -eps, 0], [m * eigenvalue, m, 1], [(n + c) * eigenvalue, n, 0]]
    np.testing.assert_allclose(step, documented, atol=1e-15)
    np.testing.assert_allclose(np.poly(step), polynomial(Acceleration(*RULES[name]), eigenvalue), atol=1e-12)


@pytest.mark.parametrize("kappa", [1.0, 1.5, 8.0, 1e3, 1e9])
def test_for_two_eigenvalues_all_roots_are_equal_at_each(kappa):
    rule, r = Acceleration.for_two_eigenvalues(0.3, 0.3 * kappa), cube_root_rate(kappa)
    np.testing.assert_allclose(polynomial(rule, 0.3), np.poly([r, r, r]), rtol=1e-12, atol=1e-12)
    # Cancellation in the coefficient of z^2 grows with the condition number.
    np.testing.assert_allclose(polynomial(rule, 0.3 * kappa), np.poly([-r, -r, -r]), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kappa", [1.5, 1e3])
def test_for_two_eigenvalues_equals_the_rule_of_theory(kappa):
    ours = Acceleration.for_two_eigenvalues(0.3, 0.3 * kappa)
    theirs = three_stage.two_eigenvalues(0.3, 0.3 * kappa, 3)
    eps = float(ours.learning_rate)
    np.testing.assert_allclose((ours.momentum, ours.acceleration), theirs.momenta, rtol=1e-10)
    gradients = (eps, 0.0, eps * ours.delayed_gradient)
    np.testing.assert_allclose(gradients, theirs.learning_rates, rtol=1e-10, atol=1e-13)


@given(
    st.floats(1.01, 1e6),
    st.floats(-2, 2),
    st.floats(-1, 1),
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_three_stage_rule_beats_the_cube_root_at_two_eigenvalues(kappa, m, n, q):
    # A general three-stage rule has any three coefficients of the gradients in place of (eps, 0, eps c).
    free = np.polymul([1, -1], [1, -m, -n])
    slowest = max(np.max(np.abs(np.roots(np.polyadd(free, np.array(q) * x)))) for x in (1.0, kappa))
    # Triple roots of a cubic are accurate to the cube root of the rounding error.
    assert slowest >= cube_root_rate(kappa) - 1e-4


def test_two_eigenvalues_converge_at_the_cube_root_rate():
    kappa, updates = 1000.0, 200
    hessian, _ = rotated([1.0, 1.0, kappa, kappa])
    third = minimize(Acceleration.for_two_eigenvalues(1.0, kappa), hessian, np.ones(4), updates)
    second = minimize(Acceleration.for_interval(1.0, kappa), hessian, np.ones(4), updates)
    fall = np.linalg.norm(third[1:], axis=1) ** (1 / np.arange(1, updates + 1))
    # The k-th root of k^2 r^k, up to a factor of 100, exceeds r by at most 2 log k / k + log(100) / k.
    assert np.log(fall[-1] / cube_root_rate(kappa)) < (2 * np.log(updates) + np.log(100)) / updates
    assert np.log(fall[-1] / cube_root_rate(kappa)) > 0
    root = np.sqrt(kappa)
    assert np.linalg.norm(second[-1]) > ((root - 1) / (root + 1)) ** updates
    assert np.linalg.norm(third[-1]) < 1e-9 < 1e-6 < np.linalg.norm(second[-1])


@pytest.mark.parametrize("kappa", [3.0, 8.0, 51.0, 53.0, 1e4])
def test_between_the_two_eigenvalues_the_cube_root_is_lost(kappa):
    rule, r = Acceleration.for_two_eigenvalues(1.0, kappa), cube_root_rate(kappa)
    between = np.linspace(1.0, kappa, 201)[1:-1]
    rates = np.array([rate(rule, x) for x in between])
    assert np.all(rates > r)
    assert rates.max() == pytest.approx(np.sqrt(3) * r, rel=1e-9)
    assert between[np.argmax(rates)] == pytest.approx((1 + kappa) / 2)
    assert (rates.max() < 1) == (kappa < (2 + np.sqrt(3)) ** 3)
    assert rates.max() > (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)


@pytest.mark.equation("4.3.13")
@pytest.mark.parametrize("kappa", [1.0, 4.0, 100.0])
def test_momentum_has_the_same_rate_across_the_interval(kappa):
    rule, root = Acceleration.for_interval(0.3, 0.3 * kappa), np.sqrt(kappa)
    # Double roots at the ends are accurate to the square root of the rounding error.
    for eigenvalue in np.linspace(0.3, 0.3 * kappa, 21):
        assert rate(rule, eigenvalue) == pytest.approx((root - 1) / (root + 1), abs=1e-7)


@pytest.mark.parametrize("name", RULES)
def test_the_documented_bound_of_the_rate_is_sharp(name):
    _, m, n, c = RULES[name]
    edge = 2 * (1 + m - n) / (1 + c)
    # At the edge -1 is a root, and beyond it a root is below -1.
    assert np.polyval(polynomial(Acceleration(edge, m, n, c), 1.0), -1.0) == pytest.approx(0, abs=1e-12)
    assert rate(Acceleration(1.01 * edge, m, n, c), 1.0) > 1


def test_a_saved_run_resumes_exactly(fit, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.2, 12)
    options = {"weight_decay": 0.01, "global_clipnorm": 0.3, "gradient_accumulation_steps": 3}
    whole, _ = fit(Acceleration(schedule, 0.9, -0.2, 0.3, **options), 3)
    part, _ = fit(Acceleration(schedule, 0.9, -0.2, 0.3, **options), 1)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is Acceleration
    assert loaded.optimizer.get_config() == part.optimizer.get_config()
    loaded, _ = fit(None, 2, loaded)
    for a, b in zip(
        whole.get_weights() + whole.optimizer.variables,
        loaded.get_weights() + loaded.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_fit_under_xla_equals_sgd_with_options_of_the_base_class(fit):
    options = {"weight_decay": 0.01, "clipnorm": 0.3, "use_ema": True}
    ours, losses = fit(Acceleration(0.1, MOMENTUM, **options), 3, jit_compile=True)
    sgd, _ = fit(keras.optimizers.SGD(0.1, momentum=MOMENTUM, **options), 3, jit_compile=True)
    assert losses[-1] < losses[0]
    for a, b in zip(ours.get_weights(), sgd.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_sparse_gradients_equal_dense_ones():
    sparse = tf.IndexedSlices(
        tf.constant([[1.0], [2.0], [-4.0]]), tf.constant([1, 1, 0]), tf.constant([3, 1])
    )
    actual = []
    for gradient in (sparse, tf.convert_to_tensor(sparse)):
        theta, optimizer = (
            keras.Variable(np.zeros((3, 1)), dtype="float32"),
            Acceleration(0.1, 0.5, -0.2, 0.5),
        )
        for _ in range(3):
            optimizer.apply([gradient], [theta])
        actual.append(theta.numpy())
    np.testing.assert_array_equal(*actual)
    # u = g, then 1.5 g, then (0.75 - 0.2 + 1 + 0.5) g.
    np.testing.assert_allclose(
        actual[0][:, 0], 0.1 * (1 + 1.5 + 2.05) * np.array([4.0, -3.0, 0.0]), rtol=1e-6
    )


def test_mixed_precision_skips_an_overflow_and_trains(fit):
    keras.config.set_floatx("float32")
    optimizer = keras.optimizers.LossScaleOptimizer(Acceleration(0.3, 0.9, -0.2, 0.3))
    model, losses = fit(optimizer, 8, dtype="mixed_float16")
    assert losses[-1] < 0.9 * losses[0]
    before = model.get_weights() + [v.numpy() for v in optimizer.inner_optimizer.variables]
    optimizer.apply([tf.fill(v.shape, np.inf) for v in model.trainable_variables])
    after = model.get_weights() + [v.numpy() for v in optimizer.inner_optimizer.variables]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must not be negative, got -0.1"),
        ({"learning_rate": np.nan}, "learning_rate must be finite, got nan"),
        ({"momentum": 1.0}, r"momentum must be in \(-1, 1\) at acceleration=0.0, got 1.0"),
        ({"momentum": 0.9, "acceleration": 0.2}, r"momentum must be in \(-0.8, 0.8\) at acceleration=0.2"),
        ({"momentum": np.inf}, "momentum must be finite"),
        ({"acceleration": -1.0}, r"acceleration must be in \(-1, 1\), got -1.0"),
        ({"delayed_gradient": -1.5}, "delayed_gradient must be above -1, got -1.5"),
        ({"decoupled": True}, "not recognized: {'decoupled': True}"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Acceleration(**arguments)


@pytest.mark.parametrize("make", [Acceleration.for_two_eigenvalues, Acceleration.for_interval])
def test_invalid_eigenvalues_are_named(make):
    with pytest.raises(ValueError, match="smallest must be positive, got 0"):
        make(0.0, 1.0)
    with pytest.raises(ValueError, match="largest must be finite, got inf"):
        make(1.0, np.inf)
    with pytest.raises(ValueError, match="largest must be at least smallest=2, got 1"):
        make(2.0, 1.0)
