"""Oracle: quadratics, along which slopes and curvatures are known."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers import vectors
from curvezoo.optimizers.full_batch.line_search import line_search


@pytest.mark.parametrize("scale", [2.0**-40, 1.0, 2.0**40])
def test_curvature_below_the_rounding_error_of_the_slopes_is_zero_at_any_scale(scale):
    rounding = vectors.ROUNDING * np.finfo(float).eps
    for curvature, expected in [(2 * rounding, 2 * rounding), (rounding / 2, 0.0), (0.5, 0.5)]:

        def function(x, curvature=curvature):
            return scale * (curvature * x[0] ** 2 / 2 - x[0]), scale * (curvature * x - 1)

        search = line_search(function, 1.0, 1, tf.float64)
        start, direction = tf.zeros(1, tf.float64), tf.ones(1, tf.float64)
        *_, numbers = search(start, *function(start), direction, tf.constant(1.0, tf.float64))
        assert numbers[-2] == 1
        np.testing.assert_allclose(numbers[-1], scale * expected, rtol=0.1)
