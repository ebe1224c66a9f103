"""The oracle is the mean of the log-densities."""

import numpy as np
import pytest

from curvezoo.losses import NegativeLogDensity


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_vector_of_log_densities_is_averaged_as_a_column_is(shape):
    log_density, weights = np.random.default_rng(0).normal(size=(2, 4))
    predictions = log_density.reshape(shape)
    loss = NegativeLogDensity(dtype="float64")
    assert float(loss(np.zeros(shape), predictions)) == pytest.approx(-log_density.mean())
    assert float(loss(np.zeros(shape), predictions, weights)) == pytest.approx(
        -np.mean(weights * log_density)
    )
    np.testing.assert_allclose(
        NegativeLogDensity("none")(np.zeros(shape), predictions), -log_density, rtol=1e-6
    )
