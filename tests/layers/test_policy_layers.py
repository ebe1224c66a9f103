import keras
import numpy as np
import pytest

from curvezoo.layers.log_std import LogStd
from curvezoo.layers.running_normalization import RunningNormalization


def test_running_statistics_are_those_of_all_examples_together():
    layer = RunningNormalization(dtype="float64")
    random = np.random.default_rng(0)
    parts = [random.normal(3, 2, shape) for shape in ((5, 3), (1, 3), (4, 2, 3))]
    layer.build((None, 3))
    for part in parts:
        layer.update(part)
    examples = np.concatenate([part.reshape(-1, 3) for part in parts])
    np.testing.assert_allclose(layer.mean, examples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance, examples.var(axis=0), rtol=1e-12)
    normalized = keras.ops.convert_to_numpy(layer(examples))
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(normalized.std(axis=0), 1, rtol=1e-7)


def test_inputs_pass_unchanged_before_the_first_update_and_are_clipped():
    layer = RunningNormalization(limit=2.0, epsilon=1e-12)
    outputs = keras.ops.convert_to_numpy(layer(np.array([[0.5, -7.0]], "float32")))
    np.testing.assert_allclose(outputs, [[0.5, -2.0]])


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_rounds_only_the_normalized_inputs(policy):
    examples = np.float32([[2.0, 999.9], [2.0, 1000.0], [2.0, 1000.3]])
    layers = [RunningNormalization(dtype=dtype) for dtype in (policy, "float32")]
    for layer in layers:
        layer.build((None, 2))
        layer.set_weights([examples.mean(axis=0), examples.var(axis=0), np.float32(3)])
    half, single = (layer(examples) for layer in layers)
    assert half.dtype == layers[0].compute_dtype
    if policy.startswith("mixed"):
        np.testing.assert_allclose(keras.ops.cast(half, "float32"), single, rtol=0.01)
    assert np.all(np.isfinite(keras.ops.cast(half, "float32")))


@pytest.mark.parametrize("setting", ["limit", "epsilon"])
def test_settings_of_the_normalization_must_be_positive(setting):
    with pytest.raises(ValueError, match=f"{setting} must be a positive"):
        RunningNormalization(**{setting: 0.0})


@pytest.mark.parametrize("initial", ["0", None, float("nan")])
def test_the_initial_log_standard_deviation_must_be_a_number(initial):
    with pytest.raises(ValueError, match="initial must be a finite number, got"):
        LogStd(initial)


def test_every_mean_gets_the_same_learned_log_standard_deviations():
    layer = LogStd(-0.5)
    means = np.arange(6.0, dtype="float32").reshape(3, 2)
    outputs = keras.ops.convert_to_numpy(layer(means))
    np.testing.assert_array_equal(outputs, np.concatenate([means, np.full((3, 2), -0.5)], axis=1))
    assert [weight.name for weight in layer.trainable_weights] == ["log_std"]
