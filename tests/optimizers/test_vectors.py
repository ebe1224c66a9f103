"""Vectors of several tensors against NumPy, in one precision and in mixed precision."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import vectors

RNG = np.random.default_rng(0)
A, B = ([RNG.normal(size=(2, 3)), RNG.normal(size=4)] for _ in range(2))


def concatenated(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def test_algebra_equals_that_of_the_concatenated_arrays():
    a, b = ([tf.constant(t) for t in arrays] for arrays in (A, B))
    np.testing.assert_allclose(vectors.dot(a, b), concatenated(A) @ concatenated(B), rtol=1e-14)
    np.testing.assert_allclose(vectors.norm(a), np.linalg.norm(concatenated(A)), rtol=1e-14)
    np.testing.assert_allclose(
        concatenated(vectors.shifted(a, 0.1, b)), concatenated(A) + 0.1 * concatenated(B), rtol=1e-14
    )
    np.testing.assert_array_equal(vectors.flat(a), concatenated(A))
    np.testing.assert_array_equal(concatenated(vectors.unflat(vectors.flat(a), a)), concatenated(A))


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("float32", "float32"), "float32"),
        (("float32", "float64"), "float64"),
        (("bfloat16", "bfloat16"), "float32"),
        (("float16", "float32"), "float32"),
    ],
)
def test_sums_use_the_highest_precision_and_results_keep_theirs(types, expected):
    a = [tf.cast(t, dtype) for t, dtype in zip(A, types, strict=True)]
    exact = sum(np.sum(np.float64(t) ** 2) for t in a)
    actual = vectors.dot(a, a)
    assert actual.dtype == expected
    np.testing.assert_allclose(actual, exact, rtol=1e-6)
    for result in (vectors.scaled(actual, a), vectors.scaled(0.5, a), vectors.unflat(vectors.flat(a), a)):
        assert [t.dtype.name for t in result] == list(types)


def test_a_python_number_is_not_rounded_to_single_precision():
    assert float(vectors.scaled(0.1, tf.constant(1.0, tf.float64))) == 0.1
