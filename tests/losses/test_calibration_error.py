"""Oracle: the function of all data at once."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from curvezoo.losses import ExpectedCalibrationError, expected_calibration_error


def in_batches(metric, labels, predictions, weights=None):
    """Returns the result after updates with batches of different sizes."""
    metric.reset_state()
    for part in np.split(np.arange(len(labels)), [3, 20, 45]):
        metric.update_state(labels[part], predictions[part], None if weights is None else weights[part])
    return float(metric.result())


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(60, 4, 3)).astype(np.float32)
    return logits, rng.integers(0, 3, (60, 4)), rng.random((60, 4)).astype(np.float32)


@pytest.mark.parametrize("classwise", [None, 3])
def test_batches_give_the_error_of_all_data(predictions, classwise):
    logits, labels, weights = predictions
    p = softmax(logits, axis=-1)
    metric = ExpectedCalibrationError(bins=7, classwise=classwise)
    options = {"classwise": classwise is not None}
    expected = expected_calibration_error(p, labels, 7, **options)
    assert in_batches(metric, labels, p) == pytest.approx(expected, rel=1e-5)
    expected = expected_calibration_error(p, labels, 7, sample_weight=weights, **options)
    assert in_batches(metric, labels, p, weights) == pytest.approx(expected, rel=1e-5)
    expected = expected_calibration_error(p, labels, 7, sample_weight=weights[:, 0], **options)
    assert in_batches(metric, labels[..., None], p, weights[:, 0]) == pytest.approx(expected, rel=1e-5)


def test_weights_may_have_a_last_axis_of_one_and_masked_positions_do_not_count(predictions):
    logits, labels, weights = predictions
    p, metric = softmax(logits, axis=-1), ExpectedCalibrationError(7)
    expected = expected_calibration_error(p, labels, 7, sample_weight=weights)
    assert in_batches(metric, labels, p, weights[..., None]) == pytest.approx(expected, rel=1e-5)
    mask = np.arange(4) < np.arange(60)[:, None] % 4 + 1
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(keras.layers.Masking()(inputs)))
    model.compile(
        loss="sparse_categorical_crossentropy",
        metrics=[ExpectedCalibrationError(7)],
        weighted_metrics=[ExpectedCalibrationError(7, name="weighted")],
    )
    scores = model.evaluate(
        np.where(mask[..., None], logits, 0),
        labels,
        batch_size=16,
        sample_weight=weights,
        verbose=0,
        return_dict=True,
    )
    for name, w in (("expected_calibration_error", mask), ("weighted", mask * weights)):
        expected = expected_calibration_error(p, labels, 7, sample_weight=w)
        assert scores[name] == pytest.approx(expected, rel=1e-5)


def test_single_precision_probabilities_on_edges_are_in_the_functions_bins():
    # Rounded to single precision, 0.6 is above itself in double precision, and 0.9 below.
    p = np.repeat(np.float32([0.6, 0.7, 0.8, 0.9, 1.0]), 2)
    labels = np.array([1, 1, 0, 1, 0, 0, 1, 1, 0, 1])
    for bins in (5, 10, 20):
        metric = ExpectedCalibrationError(bins)
        metric.update_state(labels, p)
        assert float(metric.result()) == pytest.approx(expected_calibration_error(p, labels, bins), abs=1e-7)


def test_logits_of_one_output_are_those_of_the_second_class(predictions):
    logits, labels, _ = predictions
    difference, labels = logits[:, :, 0], np.minimum(labels, 1)
    pairs = softmax(np.stack([0 * difference, difference], axis=-1), axis=-1)
    metric = ExpectedCalibrationError(from_logits=True)
    expected = expected_calibration_error(pairs, labels)
    assert in_batches(metric, labels[..., None], difference[..., None]) == pytest.approx(expected, rel=1e-5)
    assert in_batches(metric, labels[:, 0], difference[:, 0]) == pytest.approx(
        expected_calibration_error(pairs[:, 0], labels[:, 0]), rel=1e-5
    )


def test_the_metric_of_a_compiled_model_survives_saving(tmp_path, predictions):
    logits, labels, _ = predictions
    x, y = logits[:, 0], labels[:, 0]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Activation("softmax")])
    metric = ExpectedCalibrationError(bins=5, classwise=3)
    model.compile(loss="sparse_categorical_crossentropy", metrics=[metric])
    expected = expected_calibration_error(softmax(x, axis=-1), y, 5, classwise=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        scores = each.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
        assert scores["expected_calibration_error"] == pytest.approx(expected, rel=1e-5)


def test_wrong_arguments_are_rejected(predictions):
    logits, labels, _ = predictions
    with pytest.raises(ValueError, match="bins must be an integer of at least 1, got 0"):
        ExpectedCalibrationError(bins=0)
    with pytest.raises(ValueError, match="classwise must be an integer of at least 2, got True"):
        ExpectedCalibrationError(classwise=True)
    with pytest.raises(ValueError, match="y_pred must hold 4 classes, got 3"):
        ExpectedCalibrationError(classwise=4).update_state(labels, logits)
    metric = ExpectedCalibrationError()
    with pytest.raises(ValueError, match=r"y_true must have shape \(60, 4\) .*, got shape \(60, 4, 3\)"):
        metric.update_state(np.eye(3)[labels], logits)
    with pytest.raises(ValueError, match=r"y_true must have shape \(60, 4\) .*, got shape \(4, 60\)"):
        metric.update_state(labels.T, logits)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(60, 4\) or \(60,\) .* \(4,\)"):
        metric.update_state(labels, logits, np.ones(4))
