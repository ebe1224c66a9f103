"""How error messages show values and choices."""

import re

import numpy as np
import pytest

from curvezoo import wording


def test_suggestions_come_nearest_first_and_ignore_values_that_are_not_strings():
    valid = [None, 20, "resnet20", "resnet56", "mlp"]
    assert wording.did_you_mean("resnet2", valid, 3) == "; did you mean 'resnet20' or 'resnet56'?"
    assert wording.did_you_mean("resnet2", valid) == "; did you mean 'resnet20'?"
    assert wording.did_you_mean("gpt", valid) == ""
    assert wording.did_you_mean(20, valid) == ""


class WithShapeMethod:
    """An object whose `shape` is not that of an array."""

    def shape(self):
        """Returns nothing of interest."""

    def __repr__(self):
        return "WithShapeMethod()"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((1000, 3)), "ndarray of shape (1000, 3)"),
        (np.float64(0.5), "0.5"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, ...]"),
        ((1, "a", None), "(1, 'a', None)"),
        (np.zeros, repr(np.zeros)),
        (WithShapeMethod(), "WithShapeMethod()"),
    ],
)
def test_values_in_messages_are_abbreviated(value, text):
    assert wording.described(value) == text


def test_a_long_string_in_a_message_is_cut_in_the_middle():
    assert re.fullmatch(r"'x{30,80}\.\.\.x{30,80}'", wording.described("x" * 10**6))
