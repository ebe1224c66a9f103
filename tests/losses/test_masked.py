"""Oracle: a loop over the tokens that are not padding, with SciPy's log-softmax in float64."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from curvezoo.losses import CategoricalNLL, MaskedCategoricalNLL

# Other backends round float64 arrays to float32.
EXACT = 1e-12 if keras.backend.backend() == "tensorflow" else 1e-6


@pytest.fixture
def batch():
    """Three sequences of 5, 2 and 0 tokens."""
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 5), "int32")
    labels[0], labels[1, :2] = rng.integers(1, 7, 5), rng.integers(1, 7, 2)
    return labels, rng.normal(scale=3.0, size=(3, 5, 7))


def mean_over_tokens(labels, logits, smoothing=0.0, weights=None):
    total = count = 0.0
    weights = np.ones(labels.shape) if weights is None else weights
    for index, label in np.ndenumerate(labels):
        if label != 0:
            target = smoothing / 7 + (1 - smoothing) * np.eye(7)[label]
            total -= weights[index] * (target * log_softmax(logits[index])).sum()
            count += weights[index]
    return total / count


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mean_over_the_tokens_that_are_not_padding(batch, smoothing):
    loss = MaskedCategoricalNLL(label_smoothing=smoothing, dtype="float64")
    assert float(loss(*batch)) == pytest.approx(mean_over_tokens(*batch, smoothing), rel=EXACT)


def test_logits_at_padding_do_not_matter(batch):
    labels, logits = batch
    loss = MaskedCategoricalNLL(dtype="float64")
    changed = logits + 100 * (labels == 0)[..., None] * np.arange(7)
    assert float(loss(labels, changed)) == float(loss(labels, logits))
    assert float(loss(np.zeros_like(labels), logits)) == 0.0


def test_weights_of_examples_and_tokens_multiply_the_mask(batch):
    labels, logits = batch
    weights = np.array([2.0, 0.5, 3.0])
    everywhere = np.repeat(weights[:, None], 5, axis=1)
    expected = mean_over_tokens(labels, logits, weights=everywhere)
    loss = MaskedCategoricalNLL(dtype="float64")
    for given in (weights, everywhere):
        assert float(loss(labels, logits, given)) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("reduction", ["mean_with_sample_weight", "sum_over_batch_size", "sum", "none"])
def test_it_is_the_categorical_likelihood_that_ignores_the_padding(batch, reduction):
    other = CategoricalNLL(0.1, reduction, ignore_class=0)
    for weights in (None, np.array([2.0, 0.5, 3.0])):
        expected = other(*batch, weights)
        actual = MaskedCategoricalNLL(label_smoothing=0.1, reduction=reduction)(*batch, weights)
        np.testing.assert_array_equal(actual, expected)


def test_another_padding_and_the_config(batch):
    labels, logits = batch
    moved = np.where(labels == 0, 7, labels - 1)
    loss = keras.losses.deserialize(keras.losses.serialize(MaskedCategoricalNLL(7, dtype="float64")))
    wide = np.concatenate([logits[..., 1:], np.full((3, 5, 2), -np.inf)], axis=-1)
    wide = np.where(np.isfinite(wide), wide, -1e9)
    narrow = np.concatenate([np.full((3, 5, 1), -1e9), logits[..., 1:]], axis=-1)
    expected = mean_over_tokens(labels, narrow)
    assert float(loss(moved, wide)) == pytest.approx(expected, rel=EXACT)
    assert loss.get_config()["padding"] == 7
    assert "ignore_class" not in loss.get_config()
    with pytest.raises(ValueError, match="padding must be an integer of at least 0, got -1"):
        MaskedCategoricalNLL(-1)
