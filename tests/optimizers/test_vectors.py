"""Vectors of several tensors against NumPy's, of one and of mixed precisions."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import vectors

RNG = np.random.default_rng(0)
A, B = ([RNG.normal(size=(2, 3)), RNG.normal(size=4)] for _ in range(2))


def joined(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def test_algebra_is_that_of_the_joined_arrays():
    a, b = ([tf.constant(t) for t in arrays] for arrays in (A, B))
    np.testing.assert_allclose(vectors.dot(a, b), joined(A) @ joined(B), rtol=1e-14)
    np.testing.assert_allclose(vectors.norm(a), np.linalg.norm(joined(A)), rtol=1e-14)
    np.testing.assert_allclose(joined(vectors.shifted(a, 0.1, b)), joined(A) + 0.1 * joined(B), rtol=1e-14)
    np.testing.assert_array_equal(vectors.flat(a), joined(A))
    np.testing.assert_array_equal(joined(vectors.unflat(vectors.flat(a), a)), joined(A))


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        (("float32", "float32"), "float32"),
        (("float32", "float64"), "float64"),
        (("bfloat16", "bfloat16"), "float32"),
        (("float16", "float32"), "float32"),
    ],
)
def test_sums_are_taken_in_the_widest_precision_and_results_keep_theirs(types, wanted):
    a = [tf.cast(t, dtype) for t, dtype in zip(A, types, strict=True)]
    exact = sum(np.sum(np.float64(t) ** 2) for t in a)
    found = vectors.dot(a, a)
    assert found.dtype == wanted
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    for result in (vectors.scaled(found, a), vectors.scaled(0.5, a), vectors.unflat(vectors.flat(a), a)):
        assert [t.dtype.name for t in result] == list(types)


def test_a_python_number_is_not_rounded_to_single_precision():
    assert float(vectors.scaled(0.1, tf.constant(1.0, tf.float64))) == 0.1
