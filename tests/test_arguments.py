"""The checks of arguments: what they let through unchanged, and what their messages name."""

from fractions import Fraction

import numpy as np
import pytest

from curvezoo import arguments


def test_a_bad_entry_is_named_with_its_first_index():
    with pytest.raises(ValueError, match=r"x\[1, 0\] must be finite, got nan"):
        arguments.finite("x", [[1, 2], [np.nan, np.inf]])
    with pytest.raises(ValueError, match=r"sigma\[2\] must be positive, got 0"):
        arguments.positive("sigma", [1, 2, 0.0, -1])
    with pytest.raises(ValueError, match=r"sigma must be positive, got -1"):
        arguments.positive("sigma", -1)
    with pytest.raises(ValueError, match=r"x must have 2 axes, got shape \(2,\)"):
        arguments.finite("x", [1, 2], ndim=2)
    with pytest.raises(ValueError, match=r"n\[1\] must not be negative, got -2"):
        arguments.nonnegative("n", [1, -2])


@pytest.mark.parametrize(
    "value", ["a", ["1", "2"], [1, 1j], np.array([1j]), [[1], [1, 2]], {}, None, [1, None]]
)
def test_what_holds_no_real_numbers_is_refused(value):
    with pytest.raises(ValueError, match="x must hold real numbers in rows of one length, got "):
        arguments.finite("x", value)


def test_a_fraction_is_below_one_and_a_share_may_be_one():
    assert (arguments.fraction("m", 0), arguments.share("m", 1)) == (0.0, 1.0)
    with pytest.raises(ValueError, match=r"m must be in \[0, 1\), got 1"):
        arguments.fraction("m", 1)
    for value in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf"m must be in \[0, 1\], got {value}"):
            arguments.share("m", value)


def test_numbers_beyond_double_precision_are_refused_and_fractions_taken():
    with pytest.raises(ValueError, match=r"x must hold numbers below 1\.8e308"):
        arguments.finite("x", [10**400])
    np.testing.assert_array_equal(arguments.finite("x", [Fraction(1, 4), 2]), [0.25, 2])


def test_distributions_are_checked_along_their_axis():
    table = [[0.5, 0.5], [0.25, 0.75]]
    np.testing.assert_array_equal(arguments.distributions("p", table), table)
    with pytest.raises(ValueError, match=r"p\[0\] must sum to 1, got 0.75"):
        arguments.distributions("p", table, axis=0)
    with pytest.raises(ValueError, match="p must sum to 1, got 2"):
        arguments.distributions("p", table, axis=None)
    with pytest.raises(ValueError, match=r"p\[0\] must not be negative, got -0.5"):
        arguments.distributions("p", [-0.5, 1.5])
    with pytest.raises(ValueError, match="at least one probability"):
        arguments.distributions("p", [])


def test_a_covariance_matrix_is_judged_in_units_of_its_own():
    units = np.diag([1e-9, 1.0, 1e9])
    good = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 1.0]])
    np.testing.assert_allclose(arguments.covariance("c", units @ good @ units), units @ good @ units)
    np.testing.assert_array_equal(arguments.covariance("c", 2.0), [[2.0]])
    rounded = [[1, 1e-17], [0, 1]]
    np.testing.assert_allclose(arguments.covariance("c", rounded), np.eye(2), atol=1e-16)
    singular = units @ np.ones((3, 3)) @ units
    np.testing.assert_allclose(arguments.covariance("c", singular, definite=False), singular)
    for bad, message in (
        (singular, "c must be positive definite, got least eigenvalue"),
        (
            units @ [[1, 2, 0], [2, 1, 0], [0, 0, 1]] @ units,
            "c must be positive definite, got least eigenvalue -1",
        ),
        ([[1, 0.5], [0, 1]], r"c must be symmetric, which fails at \[0, 1\]"),
        ([[1, 0], [0, -1]], r"c\[1\] must have a diagonal that is not negative, got -1"),
        (-1.0, "c must be positive, got -1"),
        (np.ones((2, 3)), r"c must be a square matrix, got shape \(2, 3\)"),
        (np.ones((0, 0)), r"c must be a square matrix, got shape \(0, 0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            arguments.covariance("c", bad)


def test_integers_and_shapes():
    np.testing.assert_array_equal(arguments.integers("n", [3.0, 4], 3), [3, 4])
    with pytest.raises(ValueError, match=r"n\[1\] must be an integer of at least 1, got 1.5"):
        arguments.integers("n", [1, 1.5, 0], 1)
    assert arguments.broadcastable(a=np.ones((3, 1)), b=np.ones(2), c=1.0) == (3, 2)
    with pytest.raises(ValueError, match=r"shapes must broadcast to one, got a \(3,\), b \(2,\)"):
        arguments.broadcastable(a=np.ones(3), b=np.ones(2))

    assert arguments.integer("n", np.int32(3), 1) == 3
    for bad in (0, 2.0, True, "3"):
        with pytest.raises(ValueError, match="n must be an integer of at least 1, got"):
            arguments.integer("n", bad, 1)
    with pytest.raises(ValueError, match=r"p and q must have the same shape, got \(2,\) and \(3,\)"):
        arguments.same_shape(p=[0, 0], q=[0, 0, 0])


def test_an_interval_is_an_increasing_pair():
    assert arguments.interval("support", (-np.inf, 2)) == (-np.inf, 2.0)
    for bad in (3, None, (1, 1), (2, 1), (np.nan, 1), (1, 2, 3), "ab"):
        with pytest.raises(ValueError, match="support must be an increasing pair of numbers, got "):
            arguments.interval("support", bad)
