"""Damped inverses against dense ones, and the second moments of the eigenbasis against sums over examples."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.keras_bridge import taps
from curvezoo.optimizers.kfac.preconditioners import factor_balance, preconditioner_of
from curvezoo.optimizers.layer_rules.blocks import blocks_of

RNG = np.random.default_rng(0)
DAMPING = tf.constant(0.3, tf.float64)
A, G = (root @ root.T for root in (RNG.normal(size=(3, 5)), RNG.normal(size=(2, 4))))
M = RNG.normal(size=(3, 2))


def block(kind, **statistics):
    """A block whose statistics are its calls."""
    shapes = {name: np.shape(value) for name, value in statistics.items()}
    return types.SimpleNamespace(kind=kind, shapes=shapes, statistics=lambda calls, *_: calls)


def observed(preconditioner, *batches, replicas=1):
    """The state after batches that are averaged with equal weights."""
    state = {name: tf.zeros(shape, tf.float64) for name, shape in preconditioner.shapes.items()}
    for number, batch in enumerate(batches, start=1):
        tensors = {name: tf.constant(value) for name, value in batch.items()}
        state = preconditioner.observe(state, tensors, None, 1 / number, replicas)
    return preconditioner.refresh(state, DAMPING)


def test_a_diagonal_block_is_inverted():
    d, gradient = RNG.uniform(0, 2, 4), RNG.normal(size=4)
    preconditioner = preconditioner_of(block("diagonal", d=d))
    actual = preconditioner.precondition(gradient, observed(preconditioner, {"d": d}), DAMPING)
    np.testing.assert_allclose(actual, np.linalg.solve(np.diag(d) + 0.3 * np.eye(4), gradient), rtol=1e-12)


def test_a_full_block_is_inverted():
    gradient = RNG.normal(size=3)
    preconditioner = preconditioner_of(block("full", F=A))
    actual = preconditioner.precondition(gradient, observed(preconditioner, {"F": A}), DAMPING)
    np.testing.assert_allclose(actual, np.linalg.solve(A + 0.3 * np.eye(3), gradient), rtol=1e-12)


def squared(factor):
    """A factor as a matrix, if it is given as its diagonal."""
    return np.diag(factor) if factor.ndim == 1 else factor


@pytest.mark.parametrize("a", [A, np.diag(A)], ids=["full A", "diagonal A"])
@pytest.mark.parametrize("g", [G, np.diag(G)], ids=["full G", "diagonal G"])
def test_a_kronecker_block_is_inverted_factor_by_factor(a, g):
    """The dense matrix is the product of the damped factors, which exceeds F + damping by the cross terms."""
    preconditioner = preconditioner_of(block("kronecker", A=a, G=g))
    state = observed(preconditioner, {"A": a, "G": g})
    rows, columns = squared(a), squared(g)
    balance = np.sqrt(np.trace(rows) / 3 / (np.trace(columns) / 2))
    np.testing.assert_allclose(factor_balance(state["A"], state["G"]), balance, rtol=1e-12)
    fisher = np.kron(rows, columns)
    np.testing.assert_allclose(preconditioner.trace(state), np.trace(fisher), rtol=1e-12)
    np.testing.assert_allclose(preconditioner.norm(state), np.linalg.norm(fisher), rtol=1e-12)
    root = np.sqrt(0.3)
    dense = np.kron(rows + balance * root * np.eye(3), columns + root / balance * np.eye(2))
    cross = dense - fisher - 0.3 * np.eye(6)
    expected = balance * root * np.kron(np.eye(3), columns) + root / balance * np.kron(rows, np.eye(2))
    np.testing.assert_allclose(cross, expected, atol=1e-12)
    actual = preconditioner.precondition(M, state, DAMPING)
    np.testing.assert_allclose(np.ravel(actual), np.linalg.solve(dense, M.ravel()), rtol=1e-11)


def test_the_balance_minimizes_the_sum_of_the_cross_terms():
    """The cross terms are equal in trace norm, and any other split of the damping has a larger sum."""

    def norms(balance):
        return [balance * np.trace(np.kron(np.eye(3), G)), np.trace(np.kron(A, np.eye(2))) / balance]

    best = float(factor_balance(tf.constant(A), tf.constant(G)))
    np.testing.assert_allclose(*norms(best), rtol=1e-12)
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert sum(norms(best * factor)) > sum(norms(best))


@pytest.mark.parametrize("eigenbasis", [False, True])
@pytest.mark.parametrize("zero", ["A", "G", "AG"])
def test_zero_factors_are_inverted_as_the_damping_alone(eigenbasis, zero):
    """F = 0, as for units that are never active, or that the loss does not depend on."""
    factors = {name: 0 * value if name in zero else value for name, value in {"A": A, "G": G}.items()}
    made = block("kronecker", **factors)
    made.second_moments = lambda calls, gradients, rows, columns: tf.zeros((3, 2), tf.float64)
    preconditioner = preconditioner_of(made, eigenbasis)
    actual = preconditioner.precondition(M, observed(preconditioner, factors), DAMPING)
    if eigenbasis:
        np.testing.assert_allclose(actual, M / 0.3, rtol=1e-12)
    else:
        damped = [factors[name] + np.sqrt(0.3) * np.eye(len(factors[name])) for name in "AG"]
        expected = np.linalg.inv(damped[0]) @ M @ np.linalg.inv(damped[1])
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e18])
def test_singular_factors_have_finite_inverses_in_single_precision(scale):
    """Identical inputs, with damping below rounding, and scales whose ratio overflows."""
    one = np.ones((3, 3), "float32")
    preconditioner = preconditioner_of(block("kronecker", A=one, G=one))
    state = {name: tf.zeros(shape) for name, shape in preconditioner.shapes.items()}
    state = {**state, "A": tf.constant(one * scale), "G": tf.constant(one / scale)}
    state = preconditioner.refresh(state, tf.constant(1e-20))
    actual = preconditioner.precondition(tf.eye(3), state, 1e-20)
    assert np.isfinite(actual).all()


@pytest.mark.parametrize("replicas", [1, 2])
def test_averages_skip_batches_that_are_not_finite(replicas):
    """A is averaged over replicas and G is summed, so that each replica's G is multiplied by their number."""
    preconditioner = preconditioner_of(block("kronecker", A=A, G=G))
    batches = [{"A": A, "G": G}, {"A": 3 * A, "G": 5 * G}]
    state = observed(preconditioner, *batches, replicas=replicas)
    np.testing.assert_allclose(state["A"], 2 * A, rtol=1e-12)
    np.testing.assert_allclose(state["G"], 3 * replicas * G, rtol=1e-12)
    for bad in ({"A": A * np.nan, "G": G}, {"A": A, "G": G * np.inf}):
        after = preconditioner.observe(
            state, {k: tf.constant(v) for k, v in bad.items()}, None, 0.5, replicas
        )
        for name in "AG":
            np.testing.assert_array_equal(after[name], state[name])


def dense_batch(positions, seed, max_factor_size=None):
    """A dense layer's block with a call on random inputs, and random gradients."""
    rng = np.random.default_rng(seed)
    shape = (6,) if positions == 1 else (6, positions)
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    inputs, gradient = (tf.constant(rng.normal(size=(*shape, n))) for n in (2, 2))
    [made] = blocks_of(layer, max_factor_size=max_factor_size)
    return made, [taps.Call(layer, inputs, gradient, True)], [gradient]


def embedding_batch(seed):
    rng = np.random.default_rng(seed)
    layer = keras.layers.Embedding(4, 3)
    layer.build((None, 5))
    indices, gradient = tf.constant(rng.integers(0, 4, (6, 5))), tf.constant(rng.normal(size=(6, 5, 3)))
    return blocks_of(layer)[0], [taps.Call(layer, indices, gradient, True)], [gradient]


CASES = {
    "vectors": lambda seed: dense_batch(1, seed),
    "positions": lambda seed: dense_batch(4, seed),
    "diagonal A": lambda seed: dense_batch(4, seed, 2),
    "diagonal A and G": lambda seed: dense_batch(4, seed, 1),
    "embedding": embedding_batch,
}


@pytest.mark.parametrize("case", CASES)
def test_the_eigenbasis_measures_second_moments(case):
    """S is the mean of the first products of eigenvalues and the later batches' sums over examples."""
    actual = [CASES[case](seed) for seed in range(3)]
    preconditioner = preconditioner_of(actual[0][0], eigenbasis=True)
    state = {name: tf.zeros(shape, tf.float64) for name, shape in preconditioner.shapes.items()}
    state = preconditioner.observe(state, *actual[0][1:], 1.0)
    state = preconditioner.refresh(state, DAMPING)
    a, g = squared(np.array(state["A"])), squared(np.array(state["G"]))
    rows, columns = (np.array(state.get(f"{n}_basis", np.eye(len(f)))) for n, f in (("A", a), ("G", g)))
    products = np.outer(np.diag(rows.T @ a @ rows), np.diag(columns.T @ g @ columns))
    np.testing.assert_allclose(state["S"], products, rtol=1e-10, atol=1e-14)
    moments = [products]
    for _, calls, gradients in actual[1:]:
        state = preconditioner.observe(state, calls, gradients, 0.5)
        each = np.array(actual[0][0].per_example(calls, gradients))
        moments.append(((rows.T @ each @ columns) ** 2).sum(0))
        np.testing.assert_allclose(state["S"], np.mean(moments, 0), rtol=1e-10, atol=1e-14)
        np.testing.assert_array_equal(state.get("G_basis", columns), columns)
    matrix = np.random.default_rng(9).normal(size=moments[0].shape)
    basis = np.kron(rows, columns)
    dense = basis @ np.diag(np.ravel(state["S"])) @ basis.T + 0.3 * np.eye(basis.shape[0])
    natural = preconditioner.precondition(matrix, state, DAMPING)
    np.testing.assert_allclose(np.ravel(natural), np.linalg.solve(dense, matrix.ravel()), rtol=1e-10)


def test_the_eigenbasis_is_exact_where_fisher_is_a_product():
    """For one example F = a a^T (x) g g^T, both by moments and by products, at any damping."""
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    a, g = RNG.normal(size=(1, 2)), RNG.normal(size=(1, 2))
    call, [made] = taps.Call(layer, tf.constant(a), tf.constant(g), True), blocks_of(layer)
    preconditioner = preconditioner_of(made, eigenbasis=True)
    state = {name: tf.zeros(shape, tf.float64) for name, shape in preconditioner.shapes.items()}
    state = preconditioner.refresh(preconditioner.observe(state, [call], [tf.constant(g)], 1.0), DAMPING)
    first = np.array(state["S"])
    state = preconditioner.observe(state, [call], [tf.constant(g)], 0.5)
    np.testing.assert_allclose(state["S"], first, atol=1e-12)
    gradient = np.kron(np.append(a, 1), g[0])
    expected = np.linalg.solve(np.outer(gradient, gradient) + 0.3 * np.eye(6), M.ravel())
    np.testing.assert_allclose(np.ravel(preconditioner.precondition(M, state, DAMPING)), expected, rtol=1e-10)
