import re
from math import prod

import pytest

_DOT = re.compile(
    r"= \w+\[(?P<output>[\d,]*)\]\S* dot\(\w+\[(?P<left>[\d,]*)\].*?lhs_contracting_dims={(?P<inner>[\d,]*)}"
)


@pytest.fixture
def dot_multiplications():
    """Returns a function that counts the multiplications of a TensorFlow function's `dot`s in XLA's HLO."""
    import tensorflow as tf

    def count(function, *arguments):
        text = tf.function(function, jit_compile=True).experimental_get_compiler_ir(*arguments)(stage="hlo")
        dots = [[_numbers(part) for part in dot] for dot in _DOT.findall(text)]
        assert len(dots) == text.count(" dot(") > 0
        return sum(prod(output) * prod(left[axis] for axis in inner) for output, left, inner in dots)

    return count


def _numbers(text):
    return [int(number) for number in text.split(",") if number]
