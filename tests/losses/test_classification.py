"""Oracles: SciPy's softmax in float64 and Keras's own losses."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from curvezoo.losses import CategoricalNLL, MaskedCategoricalNLL

# Other backends round float64 arrays to float32.
EXACT = 1e-12 if keras.backend.backend() == "tensorflow" else 1e-6


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.integers(0, 7, 32), rng.normal(scale=3.0, size=(32, 7))


def as_numpy(value):
    return keras.ops.convert_to_numpy(value)


@pytest.mark.equation("1.8.1")
@pytest.mark.equation("1.8.2")
def test_the_loss_is_minus_the_log_probability_of_the_label(batch):
    labels, logits = batch
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    one_hot = np.eye(7)[labels]
    expected = -(one_hot * np.log(probabilities)).sum(axis=1)
    loss = CategoricalNLL(reduction=None, dtype="float64")
    np.testing.assert_allclose(as_numpy(loss(labels, logits)), expected, rtol=EXACT)
    mean = CategoricalNLL(dtype="float64")
    np.testing.assert_allclose(as_numpy(mean(labels, logits)), expected.mean(), rtol=EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_equals_keras_categorical_crossentropy(batch, smoothing):
    labels, logits = batch
    ours = CategoricalNLL(smoothing, reduction=None)(labels, logits)
    theirs = keras.losses.CategoricalCrossentropy(True, label_smoothing=smoothing, reduction=None)
    np.testing.assert_allclose(
        as_numpy(ours), as_numpy(theirs(np.eye(7)[labels], logits)), rtol=2e-5, atol=1e-6
    )


def test_smoothing_spreads_the_label_over_all_classes(batch):
    labels, logits = batch
    target = 0.8 * np.eye(7)[labels] + 0.2 / 7
    expected = -(target * log_softmax(logits, axis=1)).sum(axis=1)
    loss = CategoricalNLL(0.2, reduction=None, dtype="float64")
    np.testing.assert_allclose(as_numpy(loss(labels, logits)), expected, rtol=EXACT)


def test_gradient_is_probability_minus_smoothed_label(batch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("takes the gradient with TensorFlow")
    import tensorflow as tf

    labels, logits = batch
    for smoothing in (0.0, 0.3):
        variable = tf.Variable(logits)
        with tf.GradientTape() as tape:
            loss = CategoricalNLL(smoothing, reduction="sum", dtype="float64")(labels, variable)
        target = (1 - smoothing) * np.eye(7)[labels] + smoothing / 7
        np.testing.assert_allclose(
            tape.gradient(loss, variable), softmax(logits, axis=1) - target, atol=1e-12
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_huge_logits_have_a_finite_loss(smoothing):
    logits = np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]])
    ours = as_numpy(CategoricalNLL(smoothing, reduction=None)([0, 2], logits))
    # To machine precision, log p is (0, -1e4, -2e4).
    np.testing.assert_allclose(ours, [smoothing * 1e4, (1 - smoothing) * 2e4 + smoothing * 1e4], rtol=1e-6)


def test_an_offset_common_to_all_logits_loses_no_digits():
    # Multiples of 1/64 near 4096 are exact in float32.
    logits = np.array([[0.25, -0.5, 1.0 / 64]])
    plain = as_numpy(CategoricalNLL(0.3, reduction=None)([1], logits))
    shifted = as_numpy(CategoricalNLL(0.3, reduction=None)([1], logits + 4096.0))
    np.testing.assert_allclose(shifted, plain, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("label", [-1, 3])
def test_tensorflow_on_the_cpu_rejects_a_label_out_of_range(smoothing, label):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's kernel makes the check")
    import tensorflow as tf

    with tf.device("CPU"), pytest.raises(tf.errors.InvalidArgumentError, match="label value"):
        CategoricalNLL(smoothing)(tf.constant([label]), np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.7, 1], r"y_true\[0\] must be an integer of at least 0, got 0.7"),
        (np.array([0, -1]), r"y_true\[1\] must be an integer of at least 0, got -1"),
        ([0, 3], r"y_true\[1\] must be below the 3 classes, got 3"),
        ([0, np.nan], r"y_true\[1\] must be finite, got nan"),
        (np.array([0, 1j]), "y_true must hold real numbers"),
    ],
)
def test_known_labels_that_are_no_class_are_rejected(labels, message):
    with pytest.raises(ValueError, match=message):
        CategoricalNLL()(labels, np.zeros((2, 3)))
    if np.isrealobj(labels):
        with pytest.raises(ValueError, match=message.replace(r"\[", r"\[0, ", 1)):
            MaskedCategoricalNLL()([labels], np.zeros((1, 2, 3)))


def test_known_labels_that_are_whole_floats_are_classes():
    logits = np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]])
    assert float(CategoricalNLL()([2.0, 0.0], logits)) == float(CategoricalNLL()([2, 0], logits))


def test_sequences_give_a_loss_for_each_position():
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 5, (3, 4)), rng.normal(size=(3, 4, 5))
    ours = as_numpy(CategoricalNLL(0.1, reduction=None)(labels, logits))
    flat = as_numpy(CategoricalNLL(0.1, reduction=None)(labels.reshape(-1), logits.reshape(-1, 5)))
    np.testing.assert_allclose(ours, flat.reshape(3, 4), rtol=1e-6)


def test_sample_weights_multiply_each_example(batch):
    labels, logits = batch
    weights = np.linspace(0.0, 2.0, 32)
    nll = -log_softmax(logits, axis=1)[np.arange(32), labels]
    ours = CategoricalNLL(dtype="float64")(labels, logits, sample_weight=weights)
    np.testing.assert_allclose(as_numpy(ours), np.mean(weights * nll), rtol=EXACT)
    zeroed = CategoricalNLL(reduction="sum")(labels, logits, sample_weight=np.zeros(32))
    assert as_numpy(zeroed) == 0.0


@pytest.mark.parametrize("ignored", [-1, 3, 255])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_ignored_labels_leave_the_loss_and_its_mean(batch, ignored, smoothing):
    labels, logits = batch
    labels = np.where(np.arange(32) % 3 == 0, ignored, np.where(labels == ignored, 0, labels))
    used, weights = labels != ignored, np.linspace(0.1, 2.0, 32)
    logits[~used] = np.inf
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        plain = CategoricalNLL(smoothing, reduction, dtype="float64")
        ignoring = CategoricalNLL(smoothing, reduction, dtype="float64", ignore_class=ignored)
        for w in (None, weights):
            expected = plain(labels[used], logits[used], None if w is None else w[used])
            actual = ignoring(labels[:, None], logits, w)
            np.testing.assert_allclose(as_numpy(actual), as_numpy(expected), rtol=EXACT)
    unreduced = CategoricalNLL(smoothing, None, ignore_class=ignored)
    assert np.all(as_numpy(unreduced(labels, logits))[~used] == 0)
    assert float(CategoricalNLL(ignore_class=ignored)(labels[~used], logits[~used])) == 0.0
    np.testing.assert_array_equal(
        as_numpy(type(unreduced).from_config(unreduced.get_config())(labels, logits)),
        as_numpy(unreduced(labels, logits)),
    )


def test_ignored_labels_add_to_a_mask():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("masks of arrays of other backends are private")
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 5, (3, 4)), keras.ops.convert_to_tensor(rng.normal(size=(3, 4, 5)))
    labels[0, :2], mask = 9, np.ones((3, 4), bool)
    mask[0, 1], mask[2] = False, False
    logits._keras_mask = keras.ops.convert_to_tensor(mask)
    used = mask & (labels != 9)
    nll = -log_softmax(as_numpy(logits), axis=-1)[used, labels[used]]
    actual = CategoricalNLL(dtype="float64", ignore_class=9)(labels, logits)
    np.testing.assert_allclose(float(actual), nll.mean(), rtol=1e-12)


def test_the_ignored_label_is_an_integer():
    with pytest.raises(ValueError, match="ignore_class must be an integer"):
        CategoricalNLL(ignore_class=0.5)
    with pytest.raises(ValueError, match=r"y_true\[1\] must be an integer of at least 0, got -2"):
        CategoricalNLL(ignore_class=-1)([-1, -2], np.zeros((2, 3)))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_logits_are_summed_in_float32(half):
    labels = np.array([300, 1])
    logits = keras.ops.cast(np.random.default_rng(2).normal(size=(2, 400)), half)
    exact = -log_softmax(as_numpy(keras.ops.cast(logits, "float64")), axis=1)[[0, 1], labels]
    for loss in (CategoricalNLL(reduction=None), CategoricalNLL(1e-9, reduction=None)):
        for value in (loss(labels, logits), loss.call(labels, logits)):
            assert keras.backend.standardize_dtype(value.dtype) == "float32"
            np.testing.assert_allclose(as_numpy(value), exact, rtol=1e-6)


def test_labels_survive_a_half_precision_floatx():
    keras.config.set_floatx("bfloat16")
    try:
        # In bfloat16 the label 301 would be rounded to 302.
        logits = np.zeros((1, 400), "float32")
        logits[0, 301] = 50.0
        assert as_numpy(CategoricalNLL()(np.array([301]), logits)) < 1e-6
    finally:
        keras.config.set_floatx("float32")


def test_a_model_trains_and_survives_saving(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(3)
    inputs, labels = rng.normal(size=(64, 6)).astype("float32"), rng.integers(0, 3, 64)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile("sgd", CategoricalNLL(0.1, name="smoothed"))
    model.fit(inputs, labels, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, CategoricalNLL)
    assert loaded.loss.get_config() == {
        "name": "smoothed",
        "reduction": "sum_over_batch_size",
        "label_smoothing": 0.1,
        "dtype": "float32",
    }
    expected = CategoricalNLL(0.1)(labels, model(inputs))
    assert loaded.evaluate(inputs, labels, verbose=0) == pytest.approx(float(expected), rel=1e-5)


def test_a_published_configuration_still_builds_the_loss():
    published = {
        "module": "curvezoo.losses.classification",
        "class_name": "CategoricalNLL",
        "config": {
            "name": "categorical_nll",
            "reduction": "sum_over_batch_size",
            "label_smoothing": 0.1,
            "dtype": "float32",
        },
        "registered_name": "curvezoo>CategoricalNLL",
    }
    loss = keras.losses.deserialize(published)
    assert isinstance(loss, CategoricalNLL)
    assert keras.saving.serialize_keras_object(loss) == published


def test_a_deserialized_loss_has_the_same_value(batch):
    labels, logits = batch
    loss = CategoricalNLL(0.25, reduction="sum", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert as_numpy(again(labels, logits)) == as_numpy(loss(labels, logits))


def test_labels_may_have_a_last_axis_of_one(batch):
    labels, logits = batch
    loss = CategoricalNLL(0.1, reduction=None)
    np.testing.assert_array_equal(as_numpy(loss(labels[:, None], logits)), as_numpy(loss(labels, logits)))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_label_smoothing_out_of_range_is_rejected(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\), got"):
        CategoricalNLL(smoothing)


def test_half_precision_sums_are_rejected():
    with pytest.raises(ValueError, match="dtype must be one of float32, float64, got 'float16'"):
        CategoricalNLL(dtype="float16")


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 3)), r"labels of shape \(4, 3\) for logits of shape \(4, 3\)"),
        (np.zeros(5), np.zeros((4, 3)), r"labels of shape \(5,\)"),
        (np.zeros(4), np.zeros((4, 1)), r"K >= 2, got shape \(4, 1\)"),
        (np.zeros(4), np.zeros(4), r"K >= 2, got shape \(4,\)"),
    ],
)
def test_shapes_that_would_broadcast_are_rejected(labels, logits, message):
    with pytest.raises(ValueError, match=message):
        CategoricalNLL()(labels, logits)


def test_the_distribution_has_minus_the_loss_without_smoothing_as_log_density():
    rng = np.random.default_rng(7)
    labels, logits = rng.integers(0, 4, (5, 3)), rng.normal(scale=3.0, size=(5, 3, 4))
    nll = CategoricalNLL(dtype="float64").call(labels, logits)
    for smoothing in (0.0, 0.1):
        distribution = CategoricalNLL(label_smoothing=smoothing, dtype="float64").distribution(logits)
        np.testing.assert_allclose(-distribution.log_prob(labels), nll, rtol=1e-12)
