import keras
import numpy as np
import pytest

from curvezoo import layers

DENSE, CONV = (400, 900), (3, 5, 40, 60)
VARIANCES = [
    ("fan_in", DENSE, 2 / 400),
    ("fan_out", DENSE, 2 / 900),
    ("fan_avg", DENSE, 2 / 1300),
    ("fan_in", CONV, 2 / (15 * 40)),
    ("fan_out", CONV, 2 / (15 * 60)),
    ("fan_avg", CONV, 2 / (15 * 100)),
]


@pytest.mark.equation("5.1.10")
@pytest.mark.equation("5.1.11")
@pytest.mark.equation("5.1.12")
@pytest.mark.parametrize("scheme, shape, variance", VARIANCES)
def test_weights_are_standard_normal_draws_times_the_printed_deviation(scheme, shape, variance):
    unit = np.asarray(keras.initializers.RandomNormal(stddev=1.0, seed=3)(shape))
    drawn = np.asarray(getattr(layers, scheme)(seed=3)(shape))
    np.testing.assert_allclose(drawn, unit * np.sqrt(variance), rtol=1e-5)
    assert drawn.var() == pytest.approx(variance, rel=0.05)
    assert layers.standard_deviation(shape, scheme) == pytest.approx(np.sqrt(variance), rel=1e-12)
    # A truncated normal distribution ends at 2.28 of its standard deviations.
    assert np.abs(drawn).max() > 3.5 * np.sqrt(variance)


@pytest.mark.equation("5.1.12")
def test_fan_avg_has_the_variance_of_the_keras_default():
    dense = keras.layers.Dense(900)
    dense.build((None, 400))
    assert np.var(dense.kernel.numpy()) == pytest.approx(2 / 1300, rel=0.02)
    assert layers.fan_avg().scale == keras.initializers.GlorotUniform().scale == 1


@pytest.mark.parametrize("scheme", ["fan_in", "fan_out", "fan_avg"])
def test_gain_multiplies_the_standard_deviation(scheme):
    one, gained = (np.asarray(layers.variance_scaling(scheme, g, seed=1)(DENSE)) for g in (1.0, 0.3))
    np.testing.assert_allclose(gained, 0.3 * one, rtol=1e-5)
    assert layers.standard_deviation(DENSE, scheme, 0.3) == 0.3 * layers.standard_deviation(DENSE, scheme)


@pytest.mark.parametrize("sublayers", [1, 2, 3])
def test_the_product_of_residual_gains_is_one_over_the_root_of_the_depth(sublayers):
    assert layers.residual_gain(9, sublayers) ** sublayers == pytest.approx(1 / 3)


def test_an_error_names_the_wrong_argument():
    with pytest.raises(ValueError, match="scheme must be one of fan_in, fan_out, fan_avg, got 'fan'"):
        layers.variance_scaling("fan")
    with pytest.raises(ValueError, match=r"shape must have at least two axes, as a kernel has, got \(3,\)"):
        layers.standard_deviation((3,))
    for depth, sublayers, name in (
        (0, 2, "depth must be an integer of at least 1, got 0"),
        (None, 2, "depth must be .* got None"),
        (3, -1, "sublayers must be .* got -1"),
    ):
        with pytest.raises(ValueError, match=name):
            layers.residual_gain(depth, sublayers)
