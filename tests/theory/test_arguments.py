"""The checks of arguments: what they let through unchanged, and what their messages name."""

import numpy as np
import pytest

from curvezoo.theory import arguments


def test_a_bad_entry_is_named_with_its_first_index():
    with pytest.raises(ValueError, match=r"x\[1, 0\] must be finite, got nan"):
        arguments.finite("x", [[1, 2], [np.nan, np.inf]])
    with pytest.raises(ValueError, match=r"sigma\[2\] must be positive, got 0.0"):
        arguments.positive("sigma", [1, 2, 0, -1])
    with pytest.raises(ValueError, match=r"sigma must be positive, got -1\.0"):
        arguments.positive("sigma", -1)
    with pytest.raises(ValueError, match=r"x must have 2 axes, got shape \(2,\)"):
        arguments.finite("x", [1, 2], ndim=2)
    with pytest.raises(ValueError, match="x must hold real numbers, got str"):
        arguments.finite("x", "a")


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


def test_integers_and_shapes():
    assert arguments.integer("n", np.int32(3), 1) == 3
    for bad in (0, 2.0, True, "3"):
        with pytest.raises(ValueError, match="n must be an integer of at least 1, got"):
            arguments.integer("n", bad, 1)
    with pytest.raises(ValueError, match=r"p and q must have the same shape, got \(2,\) and \(3,\)"):
        arguments.same_shape(p=[0, 0], q=[0, 0, 0])
