"""Argument checks: which values pass, what is returned, and the exact messages."""

import pathlib
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from curvezoo import arguments


def message_of(check, *args, **kwargs):
    """Returns the message of the `ValueError` that a check raises."""
    with pytest.raises(ValueError) as error:
        check(*args, **kwargs)
    return str(error.value)


@pytest.mark.parametrize(
    ("check", "args", "message"),
    [
        (arguments.integer, ("n", 0, 1), "n must be an integer of at least 1, got 0"),
        (arguments.integer, ("n", np.int32(-3), 1), "n must be an integer of at least 1, got -3"),
        (arguments.integer, ("n", 2.0, 1), "n must be an integer of at least 1, got 2.0"),
        (arguments.integer, ("n", True, 1), "n must be an integer of at least 1, got True"),
        (arguments.integer, ("n", "3", 1), "n must be an integer of at least 1, got '3'"),
        (arguments.integer, ("n", None, 1), "n must be an integer of at least 1, got None"),
        (arguments.sizes, ("n", (2, 0)), "n[1] must be an integer of at least 1, got 0"),
        (arguments.sizes, ("n", 4), "n must be a tuple of integers, got 4"),
        (arguments.sizes, ("n", (2, 4), 3), "n must be a tuple of 3 integers, got (2, 4)"),
        (arguments.integer, ("n", 9, 1, 8), "n must be an integer from 1 to 8, got 9"),
        (
            arguments.integer,
            ("n", np.ones(9), 1),
            "n must be an integer of at least 1, got ndarray of shape (9,)",
        ),
        (arguments.number, ("x", "1"), "x must be a finite number, got '1'"),
        (arguments.number, ("x", True), "x must be a finite number, got True"),
        (arguments.number, ("x", 1j), "x must be a finite number, got 1j"),
        (arguments.number, ("x", np.inf), "x must be a finite number, got inf"),
        (arguments.number, ("x", np.float64("nan")), "x must be a finite number, got nan"),
        (arguments.number, ("x", 0.5, 1), "x must be a finite number of at least 1, got 0.5"),
        (arguments.number, ("x", np.inf, 1), "x must be a finite number of at least 1, got inf"),
        (arguments.number, ("x", 1, 1, np.inf, "()"), "x must be a finite number above 1, got 1"),
        (arguments.number, ("x", 3, -np.inf, 2), "x must be a finite number of at most 2, got 3"),
        (arguments.number, ("x", 2, -np.inf, 2, "()"), "x must be a finite number below 2, got 2"),
        (arguments.number, ("x", 0.5, 0, 0.5, "()"), "x must be a number in (0, 0.5), got 0.5"),
        (arguments.number, ("x", 0, 0, 0.5, "(]"), "x must be a number in (0, 0.5], got 0"),
        (arguments.number, ("x", 1.5, 0, 1), "x must be a number in [0, 1], got 1.5"),
        (arguments.positive_number, ("lr", 0), "lr must be a positive finite number, got 0"),
        (arguments.positive_number, ("lr", np.inf), "lr must be a positive finite number, got inf"),
        (arguments.nonnegative_number, ("l2", -1e-3), "l2 must be a nonnegative finite number, got -0.001"),
        (arguments.seed, ("seed", -1), "seed must be an integer of at least 0, got -1"),
        (arguments.seed, ("seed", 2**31), "seed must be below 2^31, got 2147483648"),
        (arguments.fraction, ("m", 1), "m must be in [0, 1), got 1"),
        (arguments.unit_interval, ("m", -0.1), "m must be in [0, 1], got -0.1"),
        (arguments.unit_interval, ("m", 1.1), "m must be in [0, 1], got 1.1"),
        (arguments.boolean, ("resume", 1), "resume must be True or False, got 1"),
        (arguments.boolean, ("resume", "yes"), "resume must be True or False, got 'yes'"),
        (arguments.boolean, ("resume", None), "resume must be True or False, got None"),
    ],
)
def test_messages_about_one_number_or_flag(check, args, message):
    assert message_of(check, *args) == message


def test_huge_integers_are_not_finite_numbers():
    assert re.fullmatch(
        r"x must be a finite number, got 10{20,80}\.\.\.0{20,80}", message_of(arguments.number, "x", 10**400)
    )


def test_valid_numbers_and_flags_are_returned_as_plain_python_values():
    for result, value in (
        (arguments.integer("n", np.int32(3), 1), 3),
        (arguments.integer("n", 8, 1, 8), 8),
        (arguments.number("x", Fraction(1, 4)), 0.25),
        (arguments.number("x", np.float32(0.5), 0, 0.5, "(]"), 0.5),
        (arguments.number("x", -2, -2, 0), -2.0),
        (arguments.positive_number("lr", 1), 1.0),
        (arguments.nonnegative_number("l2", 0), 0.0),
        (arguments.seed("seed", 2**31 - 1), 2**31 - 1),
        (arguments.fraction("m", 0), 0.0),
        (arguments.unit_interval("m", np.array(1)), 1.0),
        (arguments.boolean("resume", np.True_), True),
    ):
        assert result == value
        assert type(result) is type(value)


@pytest.mark.parametrize(
    ("value", "valid", "message"),
    [
        ("adamm", ("sgd", "adam"), "one of sgd, adam, got 'adamm'; did you mean 'adam'?"),
        ("lion", ("sgd", "adam"), "one of sgd, adam, got 'lion'"),
        (3, (1, 2), "one of 1, 2, got 3"),
        (True, (1, 2), "one of 1, 2, got True"),
        (1, (True, False), "one of True, False, got 1"),
        ("None", (None, "batch"), "one of None, batch, got 'None'"),
        (["adam"], ("sgd", "adam"), "one of sgd, adam, got ['adam']"),
        (np.zeros(2), ("sgd", "adam"), "one of sgd, adam, got ndarray of shape (2,)"),
    ],
)
def test_the_error_for_an_invalid_choice_lists_the_valid_ones(value, valid, message):
    assert message_of(arguments.one_of, "optimizer", value, valid) == f"optimizer must be {message}"


def test_a_valid_choice_is_returned():
    assert arguments.one_of("optimizer", np.str_("adam"), ["sgd", "adam"]) == "adam"
    assert arguments.one_of("version", np.int64(2), (1, 2)) == 2
    assert arguments.one_of("normalization", None, {"batch": 0, None: 1}) is None


def test_distinct_names_are_returned_as_a_tuple_or_the_bad_one_is_named():
    valid = ("flip", "crop")
    assert arguments.distinct_names("augment", ["crop", "flip"], valid) == ("crop", "flip")
    assert arguments.distinct_names("augment", (), valid) == ()
    for values, message in (
        ("flip", "augment must be a tuple of names among flip, crop, got 'flip'"),
        (("flip", "corp"), "augment[1] must be one of flip, crop, got 'corp'; did you mean 'crop'?"),
        ([["flip"]], "augment[0] must be one of flip, crop, got ['flip']"),
        (["flip", "flip"], "augment must not repeat a name, got ('flip', 'flip')"),
    ):
        assert message_of(arguments.distinct_names, "augment", values, valid) == message


def test_the_error_for_an_unknown_name_suggests_the_nearest_and_lists_all():
    names = {"digits": 0, "mnist": 1}
    assert arguments.known_name("data set", "mnist", names) == "mnist"
    for name, message in (
        ("mnits", "Unknown data set 'mnits'; did you mean 'mnist'? Valid names: digits, mnist"),
        ("cifar10", "Unknown data set 'cifar10'. Valid names: digits, mnist"),
        (7, "Unknown data set 7. Valid names: digits, mnist"),
    ):
        assert message_of(arguments.known_name, "data set", name, names) == message


def test_a_file_to_write_must_not_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arguments.output_file("out", "~/page.html") == tmp_path / "page.html"
    for value, message in (
        ("~", f"out must be a file, got the folder '{tmp_path}'"),
        (3, "out must be the path of a file, got 3"),
    ):
        assert message_of(arguments.output_file, "out", value) == message


def test_a_folder_must_exist_and_a_tilde_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sets").mkdir()
    (tmp_path / "file").touch()
    assert arguments.folder("data_dir", "~/sets") == tmp_path / "sets"
    assert arguments.folder("data_dir", pathlib.Path("~")) == tmp_path
    for value, message in (
        ("~/absent", f"data_dir must be an existing folder, got '{tmp_path}/absent'"),
        (tmp_path / "file", f"data_dir must be a folder, got the file '{tmp_path}/file'"),
        (3, "data_dir must be the path of a folder, got 3"),
        (None, "data_dir must be the path of a folder, got None"),
    ):
        assert message_of(arguments.folder, "data_dir", value) == message


@pytest.mark.parametrize(
    ("check", "args", "message"),
    [
        (arguments.finite, ([[1, 2], [np.nan, np.inf]],), "x[1, 0] must be finite, got nan"),
        (arguments.finite, ([1, 2], 2), "x must have 2 axes, got shape (2,)"),
        (arguments.finite, ([[1, 2]], 1), "x must have 1 axis, got shape (1, 2)"),
        (arguments.finite, ([1, 2], 0), "x must be a number, got shape (2,)"),
        (arguments.finite, ([10**400],), "x must hold numbers of magnitude below 1.8e308"),
        (arguments.positive, ([1, 2, 0.0, -1],), "x[2] must be positive, got 0"),
        (arguments.positive, (-1,), "x must be positive, got -1"),
        (arguments.nonnegative, ([1, -2],), "x[1] must not be negative, got -2"),
        (arguments.integers, ([1, 1.5, 0], 1), "x[1] must be an integer of at least 1, got 1.5"),
        (arguments.has_shape, ([1, 2], (3,)), "x must have shape (3,), got (2,)"),
        (arguments.require, (np.eye(2), np.eye(2) < 1, "be below 1"), "x[0, 0] must be below 1, got 1"),
    ],
)
def test_messages_about_arrays_name_the_first_bad_entry(check, args, message):
    assert message_of(check, "x", *args) == message


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", "str"),
        (["1", "2"], "list"),
        ([1, 1j], "list"),
        (np.array([1j]), "dtype complex128"),
        ([[1], [1, 2]], "list"),
        ({}, "dict"),
        (None, "None"),
        ([1, None], "list"),
    ],
)
def test_arrays_must_hold_real_numbers(value, kind):
    assert message_of(arguments.finite, "x", value) == (
        f"x must hold real numbers in rows of one length, got {kind}"
    )


def test_arrays_are_returned_in_double_precision():
    for array, values in (
        (arguments.finite("x", [Fraction(1, 4), 2]), [0.25, 2]),
        (arguments.integers("n", [3.0, 4], 3), [3, 4]),
        (arguments.nonnegative("x", np.float32([0, 2])), [0, 2]),
    ):
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, values)
    arguments.require("x", np.eye(2), np.eye(2) <= 1, "be at most 1")
    arguments.has_shape("x", np.eye(2), [2, 2])


def test_distributions_sum_to_one_along_their_axis():
    table = [[0.5, 0.5], [0.25, 0.75]]
    np.testing.assert_array_equal(arguments.distributions("p", table), table)
    np.testing.assert_array_equal(arguments.distributions("p", [1 + 1e-9, -1e-9]), [1 + 1e-9, 0])
    for args, message in (
        ((table, 0), "p[0] must sum to 1, got 0.75"),
        ((table, None), "p must sum to 1, got 2"),
        ((table, "a"), "axis must be an integer, a tuple of integers or None, got 'a'"),
        (([-0.5, 1.5],), "p[0] must not be negative, got -0.5"),
        (([],), "p must hold at least one probability along an axis, got shape (0,)"),
    ):
        assert message_of(arguments.distributions, "p", *args) == message


def test_covariance_checks_do_not_depend_on_the_units_of_the_variables():
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


def test_arrays_must_have_one_shape_or_broadcast():
    arguments.same_shape(p=[0, 0], q=[1, 1])
    assert message_of(arguments.same_shape, p=[0, 0], q=[0, 0, 0]) == (
        "p and q must have the same shape, got (2,) and (3,)"
    )
    assert arguments.broadcastable(a=np.ones((3, 1)), b=np.ones(2), c=1.0) == (3, 2)
    assert message_of(arguments.broadcastable, a=np.ones(3), b=np.ones(2)) == (
        "shapes must broadcast to one, got a (3,), b (2,)"
    )


def test_an_interval_is_an_increasing_pair():
    assert arguments.interval("support", (-np.inf, 2)) == (-np.inf, 2.0)
    for bad in (3, None, (1, 1), (2, 1), (np.nan, 1), (1, 2, 3), "ab"):
        assert message_of(arguments.interval, "support", bad) == (
            f"support must be an increasing pair of numbers, got {bad!r}"
        )


def test_importing_the_checks_imports_neither_tensorflow_nor_scipy():
    code = "import sys, curvezoo.arguments; print({'tensorflow', 'keras', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
