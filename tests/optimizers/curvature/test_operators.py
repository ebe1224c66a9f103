"""Oracles in float64: nested Jacobians of the loss, explicit J^T J, and sums over all labels."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from curvezoo.losses import BernoulliNLL, CategoricalNLL, GaussianNLL, StudentTNLL
from curvezoo.optimizers import curvature
from curvezoo.optimizers.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian

L = keras.layers
ALL = {"hessian": Hessian, "gauss_newton": GaussNewton, "fisher": Fisher, "empirical": EmpiricalFisher}
CLASSES = 3
D = 3 * 4 + 4 + 4 * CLASSES + CLASSES
N = 7


@pytest.fixture(autouse=True)
def double_precision(double_precision_rates):
    keras.utils.set_random_seed(0)


def data(n=N, features=3, outputs=None, positions=()):
    """Inputs [n, ..., features] and targets: labels, or numbers [n, ..., outputs] if `outputs` is given."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *positions, features))
    y = rng.normal(size=(n, *positions, outputs)) if outputs else rng.integers(0, CLASSES, (n, *positions))
    return x, y


def mlp(outputs=CLASSES, loss=None, **options):
    layers = [keras.Input((3,)), L.Dense(4, "tanh"), L.Dense(outputs, **options)]
    model = keras.Sequential(layers)
    model.compile(loss=loss or CategoricalNLL())
    return model


@contextlib.contextmanager
def eagerly():
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eager_functions():
    """For tests of few products, which take less time than compiling."""
    with eagerly():
        yield


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def outputs_and_jacobian(model, x):
    """Outputs and their Jacobian [..., d], by reverse mode for one output at a time."""
    values = [v.value for v in model.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x, training=False)
    parts = tape.jacobian(outputs, values, unconnected_gradients="zero", experimental_use_pfor=False)
    rank = len(outputs.shape)
    parts = [tf.convert_to_tensor(p) for p in parts]
    parts = [np.reshape(p, (*p.shape[:rank], -1)) for p in parts]
    return outputs.numpy(), np.concatenate(parts, axis=-1)


def brute_force_hessian(model, function):
    """The Hessian of a function of the model, as the Jacobian of its gradient."""
    values = [v.value for v in model.trainable_variables]
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            loss = function()
        gradient = inner.gradient(loss, values)
        gradient = tf.concat([tf.reshape(g, [-1]) for g in gradient], 0)
    rows = outer.jacobian(gradient, values, unconnected_gradients="zero", experimental_use_pfor=False)
    return np.concatenate([np.reshape(r, (len(gradient), -1)) for r in rows], axis=1)


def score_products(model, x, weights):
    """The Fisher matrix for weights c_p: expected outer products of scores, by a sum over all labels."""
    logits, jacobian = outputs_and_jacobian(model, x)
    p = softmax(logits, axis=-1).reshape(-1, CLASSES)
    jacobian = jacobian.reshape(*p.shape, -1)
    total = 0
    for label in range(CLASSES):
        scores = np.einsum("pk,pkd->pd", np.eye(CLASSES)[label] - p, jacobian)
        total += np.einsum("p,pd,pe->de", np.ravel(weights) * p[:, label], scores, scores)
    return total


def test_the_hessian_is_that_of_nested_jacobians_with_regularization():
    x, y = data()
    model = mlp(kernel_regularizer=keras.regularizers.L2(0.3))

    def loss():
        return model.compute_loss(x, y, model(x, training=False))

    operator = Hessian(model, (x, y), batch_size=4)
    np.testing.assert_allclose(operator.dense(), brute_force_hessian(model, loss), atol=1e-12)
    without = Hessian(mlp(), (x, y)).dimension
    assert operator.dimension == without == D


def test_the_hessian_through_layer_norm_is_the_difference_of_gradients():
    """`tf.nn.moments`, and with it nested Jacobians, have a wrong second derivative."""
    x, y = data()
    model = keras.Sequential([keras.Input((3,)), L.Dense(4), L.LayerNormalization(), L.Dense(CLASSES)])
    model.compile(loss=CategoricalNLL())
    values, start = model.trainable_variables, [v.numpy() for v in model.trainable_variables]
    along = [np.random.default_rng(1).normal(size=v.shape) for v in start]

    def gradient(distance):
        for variable, value, step in zip(values, start, along, strict=True):
            variable.assign(value + distance * step)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=False))
        return flat(tape.gradient(loss, values))

    differences = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    gradient(0.0)
    np.testing.assert_allclose(Hessian(model, (x, y)) @ flat(along), differences, rtol=1e-6, atol=1e-8)


@pytest.mark.equation("4.6.16")
def test_only_the_empirical_fisher_of_softmax_regression_differs():
    x, y = data(n=20, features=4)
    model = keras.Sequential([keras.Input((4,)), L.Dense(CLASSES, use_bias=False)])
    model.compile(loss=CategoricalNLL())
    p = softmax(x @ model.weights[0].numpy(), axis=-1)
    blocks = np.einsum("bi,ij->bij", p, np.eye(CLASSES)) - np.einsum("bi,bj->bij", p, p)
    # The kernel is [features, classes], so that the axis of features comes first.
    exact = np.einsum("bf,bg,bij->figj", x, x, blocks).reshape(12, 12) / len(x)
    for operator in (Hessian, GaussNewton, Fisher):
        np.testing.assert_allclose(operator(model, (x, y)).dense(), exact, atol=1e-14)
    empirical = EmpiricalFisher(model, (x, y)).dense()
    assert np.linalg.norm(empirical - exact) > 0.3 * np.linalg.norm(exact)


@pytest.mark.equation("4.6.16")
def test_the_fisher_matrix_is_the_expected_outer_product_of_scores():
    x, y = data()
    model = mlp()
    fisher = Fisher(model, (x, y), batch_size=4).dense()
    np.testing.assert_allclose(fisher, score_products(model, x, np.full(N, 1 / N)), atol=1e-14)
    assert np.linalg.eigvalsh(fisher).min() > -1e-14
    assert np.linalg.eigvalsh(Hessian(model, (x, y)).dense()).min() < -1e-3


@pytest.mark.equation("4.6.15")
def test_the_fisher_matrix_is_the_hessian_of_the_divergence():
    x, _ = data()
    model = mlp()
    log_p = tf.stop_gradient(tf.nn.log_softmax(model(x)))

    def divergence():
        """As in the notes, the model that moves comes first; the operator differentiates the other order."""
        log_moved = tf.nn.log_softmax(model(x, training=False))
        return tf.reduce_mean(tf.reduce_sum(tf.exp(log_moved) * (log_moved - log_p), axis=-1))

    fisher = Fisher(model, (x, np.zeros(N, int))).dense()
    np.testing.assert_allclose(fisher, brute_force_hessian(model, divergence), atol=1e-13)


@pytest.mark.equation("4.6.18")
def test_the_empirical_fisher_uses_the_labels_of_the_data():
    x, y = data()
    model = mlp()
    logits, jacobian = outputs_and_jacobian(model, x)
    scores = np.einsum("bk,bkd->bd", np.eye(CLASSES)[y] - softmax(logits, axis=-1), jacobian)
    empirical = EmpiricalFisher(model, (x, y), batch_size=4).dense()
    np.testing.assert_allclose(empirical, scores.T @ scores / N, atol=1e-14)
    fisher = Fisher(model, (x, y)).dense()
    assert np.linalg.norm(empirical - fisher) > 0.3 * np.linalg.norm(fisher)
    # It is only semidefinite: its rank is at most the number of examples.
    eigenvalues = np.linalg.eigvalsh(empirical)
    assert eigenvalues.min() > -1e-14 and np.sum(eigenvalues > 1e-12) <= N < len(eigenvalues)


@pytest.mark.equation("4.6.18")
def test_the_mean_empirical_fisher_over_labels_of_the_model_is_the_fisher():
    x, _ = data(n=1)
    model = mlp()
    p = softmax(model(x).numpy()[0])
    average = sum(p[k] * EmpiricalFisher(model, (x, np.array([k]))).dense() for k in range(CLASSES))
    np.testing.assert_allclose(average, Fisher(model, (x, np.array([0]))).dense(), atol=1e-14)


def test_the_sampled_fisher_is_close_to_the_fisher_and_reproducible():
    x, y = data(features=2)
    model = keras.Sequential([keras.Input((2,)), L.Dense(CLASSES, use_bias=False)])
    model.compile(loss=CategoricalNLL())
    fisher = Fisher(model, (x, y)).dense()
    sampled = Fisher(model, (x, y), samples=3000) @ np.eye(6)
    assert 0 < np.linalg.norm(sampled - fisher) < 0.1 * np.linalg.norm(fisher)
    np.testing.assert_allclose(sampled, sampled.T, atol=1e-14)
    assert np.linalg.eigvalsh(sampled).min() > -1e-13
    once, v = Fisher(model, (x, y), samples=1, seed=1, batch_size=4), np.arange(6.0)
    np.testing.assert_array_equal(once @ v, once @ v)
    assert not np.allclose(once @ v, Fisher(model, (x, y), samples=1, seed=2) @ v)


@pytest.mark.equation("4.7.3")
@pytest.mark.equation("4.7.4")
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_hessian_of_the_squared_error_is_gauss_newton_plus_residual_terms(outputs):
    x, y = data(outputs=outputs)
    model = mlp(outputs, "mean_squared_error")
    f, jacobian = outputs_and_jacobian(model, x)
    np.testing.assert_allclose(model.compute_loss(x, y, model(x)), np.mean((y - f) ** 2), rtol=1e-14)

    # Keras also averages over the D outputs: <.> is a sum over N D numbers divided by N D.
    first = 2 * np.einsum("bkd,bke->de", jacobian, jacobian) / f.size
    residuals = tf.constant(y - f)
    second = -2 * brute_force_hessian(model, lambda: tf.reduce_mean(residuals * model(x, training=False)))
    gauss_newton = GaussNewton(model, (x, y), batch_size=3).dense()
    hessian = Hessian(model, (x, y), batch_size=3).dense()
    np.testing.assert_allclose(gauss_newton, first, atol=1e-13)
    np.testing.assert_allclose(hessian, first + second, atol=1e-12)
    np.testing.assert_allclose(Fisher(model, (x, y)).dense(), first, atol=1e-13)
    assert np.linalg.eigvalsh(gauss_newton).min() > -1e-13
    # The printed equation, with a plus and without factors of 2, gives another matrix.
    assert np.abs(hessian - (first - second) / 2).max() > 0.1 * np.abs(hessian).max()


def test_gauss_newton_has_at_most_one_nonzero_eigenvalue_per_output_of_an_example():
    x, y = data(n=3, outputs=2)
    values = np.linalg.eigvalsh(GaussNewton(mlp(2, "mean_squared_error"), (x, y)).dense())
    assert len(values) == 26
    # 26 - 3 x 2 eigenvalues vanish, though the loss is not at a minimum.
    np.testing.assert_allclose(values[:20], 0, atol=1e-13)
    assert values[20] > 1e-6


MEAN = "sum_over_batch_size"
CASES = [*((kind, MEAN, kind != "fisher") for kind in ALL), ("fisher", "sum", True)]
CASES += [("fisher", "mean_with_sample_weight", True), ("hessian", "mean_with_sample_weight", False)]


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize(("kind", "reduction", "weighted"), CASES)
def test_microbatches_equal_one_batch_with_weights_and_masks(kind, reduction, weighted, request):
    if (reduction, kind) != (MEAN, "hessian"):
        request.getfixturevalue("eager_functions")
    x, y = data(positions=(5,), n=7, features=4)
    x[0, 2:], x[3, 1:], x[5] = 0, 0, 0
    weights = np.random.default_rng(1).uniform(0, 2, (7, 5)) if weighted else None
    layers = [keras.Input((5, 4)), L.Masking(), L.Dense(3, "tanh"), L.Dense(CLASSES, kernel_regularizer="l2")]
    model = keras.Sequential(layers)
    v = np.random.default_rng(2).normal(size=model.count_params())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    arrays = (x, y, weights) if weighted else (x, y)
    whole = ALL[kind](model, arrays, loss, batch_size=7) @ v
    np.testing.assert_allclose(ALL[kind](model, arrays, loss, batch_size=3) @ v, whole, atol=1e-13)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(6)
    np.testing.assert_allclose(ALL[kind](model, dataset, loss) @ v, whole, atol=1e-13)
    if kind == "hessian":
        model.compile(loss=loss)

        def total():
            return model.compute_loss(x, y, model(x, training=False), sample_weight=weights)

        np.testing.assert_allclose(whole, brute_force_hessian(model, total) @ v, atol=1e-12)


def test_fisher_sums_over_positions_and_empirical_fisher_over_examples():
    x, y = data(positions=(4,), n=5, features=4)
    weights = np.random.default_rng(1).uniform(0.1, 2, (5, 4))
    model = keras.Sequential([keras.Input((4, 4)), L.Dense(3, "tanh"), L.Dense(CLASSES)])
    model.compile(loss=CategoricalNLL())
    c = weights / 20
    fisher = Fisher(model, (x, y, weights), batch_size=2).dense()
    np.testing.assert_allclose(fisher, score_products(model, x, c), atol=1e-14)
    logits, jacobian = outputs_and_jacobian(model, x)
    scores = np.einsum("btk,btkd->btd", np.eye(CLASSES)[y] - softmax(logits, axis=-1), jacobian)
    examples = np.einsum("bt,btd->bd", np.sqrt(c), scores)
    empirical = EmpiricalFisher(model, (x, y, weights), batch_size=2).dense()
    np.testing.assert_allclose(empirical, examples.T @ examples, atol=1e-14)


@pytest.mark.parametrize(
    "loss",
    [BernoulliNLL(), GaussianNLL(), keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")],
)
def test_gauss_newton_is_the_fisher_matrix_for_natural_parameters(loss):
    x, _ = data()
    y = np.random.default_rng(1).integers(0, 2, (N, 3)).astype(float)
    model = mlp()
    loss = (
        type(loss).from_config({**loss.get_config(), "dtype": "float64"})
        if hasattr(loss, "distribution")
        else loss
    )
    fisher = Fisher(model, (x, y), loss).dense()
    np.testing.assert_allclose(GaussNewton(model, (x, y), loss, batch_size=4).dense(), fisher, atol=1e-13)


def layered(kind):
    """Models with state, dropout, loops and sparse gradients, their inputs, and the shape of the labels."""
    rng = np.random.default_rng(0)
    if kind == "recurrent":
        layers = [keras.Input((4,)), L.Embedding(6, 2, mask_zero=True), L.SimpleRNN(3, return_sequences=True)]
        return keras.Sequential([*layers, L.Dense(CLASSES)]), rng.integers(0, 6, (5, 4)), (5, 4)
    layers = [keras.Input((6, 6, 1)), L.Conv2D(2, 3), L.BatchNormalization(), L.Activation("gelu")]
    layers += [L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5), L.Dense(CLASSES)]
    return keras.Sequential(layers), rng.normal(size=(5, 6, 6, 1)), (5,)


@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
def test_models_with_loops_or_state_have_the_hessian_of_inference_mode(kind):
    model, x, shape = layered(kind)
    y = np.random.default_rng(1).integers(0, CLASSES, shape)
    model.compile(loss=CategoricalNLL(dtype="float64"))
    before = flat(model.get_weights())
    v = np.random.default_rng(2).normal(size=Hessian(model, (x, y)).dimension)
    product = Hessian(model, (x, y), batch_size=2) @ v

    @tf.function
    def gradient():
        values = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=False))
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, values)]

    start, slopes, size = [w.numpy() for w in model.trainable_variables], [], 1e-5
    steps = np.split(v, np.cumsum([w.size for w in start])[:-1])
    for sign in (1, -1):
        for variable, w, step in zip(model.trainable_variables, start, steps, strict=True):
            variable.assign(w + sign * size * step.reshape(w.shape))
        slopes.append(flat(gradient()))
    for variable, w in zip(model.trainable_variables, start, strict=True):
        variable.assign(w)
    # The error of the central difference is of order size^2.
    np.testing.assert_allclose(product, (slopes[0] - slopes[1]) / (2 * size), atol=1e-7)
    if kind == "convolutional":
        fisher = Fisher(model, (x, y), batch_size=2) @ v
        np.testing.assert_allclose(fisher, score_products(model, x, np.full(5, 0.2)) @ v, atol=1e-12)
    np.testing.assert_array_equal(flat(model.get_weights()), before)


def test_a_loss_with_a_value_for_each_output_is_averaged_over_outputs():
    x, y = data(outputs=CLASSES)
    model = mlp()
    expected = brute_force_hessian(model, lambda: tf.reduce_mean((model(x) - y) ** 2))
    for loss in (lambda y, f: (y - f) ** 2, keras.losses.MeanSquaredError()):
        np.testing.assert_allclose(Hessian(model, (x, y), loss, batch_size=4).dense(), expected, atol=1e-12)


def test_operators_follow_the_variables():
    x, y = data()
    model = mlp()
    operator, v = Hessian(model, (x, y)), np.random.default_rng(0).normal(size=D)
    before = operator @ v
    for variable in model.trainable_variables:
        variable.assign(1.5 * variable)
    after = operator @ v
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(
        operator @ np.stack([v, 2 * v], axis=1), np.stack([after, 2 * after], axis=1), atol=1e-13
    )


def test_lanczos_hutchinson_and_conjugate_gradients_accept_operators():
    x, y = data()
    model = mlp()
    hessian = Hessian(model, (x, y))
    dense = hessian.dense()
    exact = np.linalg.eigvalsh(dense)[::-1]
    np.testing.assert_allclose(curvature.lanczos_spectrum(hessian, steps=D).values, exact, atol=1e-11)
    estimate = curvature.hutchinson_trace(hessian, probes=20)
    assert abs(estimate.value - np.trace(dense)) < 4 * estimate.standard_error
    fisher, b = Fisher(model, (x, y)), np.random.default_rng(0).normal(size=D)
    result = curvature.conjugate_gradients(fisher.matvec, b, damping=0.01, tolerance=1e-10)
    np.testing.assert_allclose(
        result.solution, np.linalg.solve(fisher.dense() + 0.01 * np.eye(D), b), rtol=1e-6
    )


def test_xla_gives_the_same_products():
    x, y = data()
    model = mlp()
    v = np.random.default_rng(0).normal(size=D)
    for kind in ALL.values():
        with eagerly():
            expected = kind(model, (x, y)) @ v
        np.testing.assert_allclose(kind(model, (x, y), jit_compile=True) @ v, expected, atol=1e-13)


def test_a_model_with_other_trainable_variables_is_refused(eager_functions):
    model = mlp()
    hessian = Hessian(model, data())
    hessian @ np.zeros(D)
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="are no longer those that the operator was made for"):
        hessian @ np.zeros(D)


@pytest.mark.parametrize("loss", [keras.losses.LogCosh, keras.losses.Huber, keras.losses.SquaredHinge])
def test_gauss_newton_supports_any_loss_that_is_convex_in_the_outputs(loss):
    """J^T C J with the explicit Jacobian J and the Hessian C of the loss with respect to the outputs."""
    x, _ = data()
    model = mlp()
    y = np.sign(np.random.default_rng(2).normal(size=(len(x), CLASSES)))
    values = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x)
    jacobian = [tape.jacobian(outputs, v, experimental_use_pfor=False) for v in values]
    jacobian = np.concatenate([np.reshape(j, (len(x) * CLASSES, -1)) for j in jacobian], axis=1)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(outputs := tf.identity(outputs))
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            total = loss()(y, outputs)
        slope = inner.gradient(total, outputs)
    curvature_of_loss = np.reshape(
        outer.jacobian(slope, outputs, experimental_use_pfor=False), 2 * (len(x) * CLASSES,)
    )
    expected = jacobian.T @ curvature_of_loss @ jacobian
    dense = GaussNewton(model, (x, y), loss(), batch_size=4).dense()
    np.testing.assert_allclose(dense, expected, atol=1e-13)
    assert np.linalg.eigvalsh(dense)[0] > -1e-12 and np.abs(dense).max() > 1e-3


def mean_output(y, outputs):
    return tf.reduce_mean(outputs)


def test_bad_input_is_refused(eager_functions):
    x, y = data()
    model, v = mlp(), np.zeros(D)
    plain = keras.Sequential([keras.Input((3,)), L.Dense(CLASSES)])
    wide = keras.Sequential([keras.Input((100,)), L.Dense(60)])
    active = keras.Sequential([keras.Input((3,)), L.Dense(CLASSES, activity_regularizer="l2")])
    endless = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).repeat()
    for call, message in (
        (lambda: Hessian(plain, (x, y)), "loss must be given"),
        (lambda: Hessian(keras.Sequential([L.Dense(3)]), (x, y), "mse"), "model must be built"),
        (lambda: Hessian(model, x), "data must be"),
        (lambda: Hessian(model, endless), "data must be finite, got a dataset that repeats forever"),
        (
            lambda: Hessian(model, (x, y), mean_output) @ v,
            "a number for each example, got one",
        ),
        (lambda: Hessian(model, (x, y[:5])), r"one number of examples of at least 1, got \[7, 5\]"),
        (lambda: Hessian(model, (x, y), batch_size=0), "batch_size must be an integer of at least 1"),
        (lambda: Hessian(model, (x, y)) @ v[:5], r"vector must have shape \(31,\), got shape \(5,\)"),
        (lambda: Hessian(model, (x, y)) @ (v * np.nan), r"vector\[0\] must be finite"),
        (
            lambda: Hessian(wide, (np.zeros((1, 100)), np.zeros(1)), CategoricalNLL()).dense(),
            "at most 5000 .* got 6060",
        ),
        (
            lambda: Hessian(active, (x, y), CategoricalNLL()) @ np.zeros(12),
            "no losses besides weight regularizers for a Hessian, got 1",
        ),
        (lambda: Hessian(model, (x, y), CategoricalNLL(reduction=None)), "reduction must be a sum or a mean"),
        (lambda: Fisher(model, (x, y), "mae"), "loss must be the negative log-likelihood"),
        (lambda: EmpiricalFisher(model, (x, y), "mae"), "loss must be the negative log-likelihood"),
        (lambda: Fisher(model, (x, y), samples=0), "samples must be an integer of at least 1"),
        (lambda: Fisher(model, (x, x[:, :3]), StudentTNLL(df=3.0)) @ v, "draw labels instead, by samples=n"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("kind", ALL)
def test_the_matrix_of_some_variables_is_a_block_of_the_whole_one(kind, eager_functions):
    """In the order in which the variables are given, with a regularizer on each side."""
    x, y = data()
    layers = [L.Dense(2, "tanh", kernel_regularizer="l2"), L.Dense(CLASSES, kernel_regularizer="l2")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    whole = ALL[kind](model, (x, y), CategoricalNLL()).dense()
    variables = model.trainable_variables
    ends = np.cumsum([int(np.prod(v.shape)) for v in variables])
    rows = [np.arange(end - int(np.prod(v.shape)), end) for v, end in zip(variables, ends, strict=True)]
    chosen = [3, 0]
    rows = np.concatenate([rows[i] for i in chosen])
    operator = ALL[kind](model, (x, y), CategoricalNLL(), variables=[variables[i] for i in chosen])
    assert operator.shape == (len(rows), len(rows))
    np.testing.assert_allclose(operator.dense(), whole[np.ix_(rows, rows)], atol=1e-13)


def test_variables_of_another_model_are_refused():
    (x, y), model = data(), mlp()
    for variables in (mlp().trainable_variables[:1], [], [model.trainable_variables[0]] * 2):
        with pytest.raises(ValueError, match="variables must be distinct trainable variables of the model"):
            Hessian(model, (x, y), variables=variables)
