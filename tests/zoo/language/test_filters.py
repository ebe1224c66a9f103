"""Filtered distributions against sorting in NumPy, and draws against the inverse distribution function."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.zoo.language import filters

LOGITS = np.random.default_rng(0).normal(size=(4, 9), scale=2).astype("float32")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def expected_distribution(logits, temperature, top_k, top_p):
    """Removes tokens one by one, the least probable first, and renormalizes."""
    p = softmax(logits.astype("float64") / temperature)
    order = list(np.argsort(-p))[:top_k]
    p = np.where(np.isin(np.arange(len(p)), order), p, 0)
    p /= p.sum()
    while top_p is not None and len(order) > 1 and p[order[:-1]].sum() >= top_p:
        order.pop()
    p = np.where(np.isin(np.arange(len(p)), order), p, 0)
    return p / p.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    "top_k, top_p", [(None, None), (3, None), (None, 0.7), (5, 0.6), (1, None), (9, 1.0)]
)
def test_the_kept_tokens_have_their_renormalized_probabilities(temperature, top_k, top_p):
    filtered = filters.filtered_logits(tf.constant(LOGITS), temperature, top_k, top_p)
    expected = [expected_distribution(row, temperature, top_k, top_p) for row in LOGITS]
    np.testing.assert_allclose(softmax(np.asarray(filtered)), expected, rtol=1e-5)


def test_tokens_as_probable_as_the_last_one_kept_are_kept():
    logits = tf.constant([[1.0, 2.0, 1.0, 0.0]])
    for settings in ({"top_k": 2}, {"top_p": 0.6}):
        kept = np.isfinite(filters.filtered_logits(logits, 1.0, **settings))
        np.testing.assert_array_equal(kept, [[True, True, True, False]])


@pytest.mark.parametrize("top_k", [None, 3])
def test_draws_invert_the_distribution_function_on_a_grid(top_k):
    count = 4000
    uniforms = (np.arange(count, dtype="float32") + 0.5) / count
    for row in LOGITS:
        logits = tf.constant(np.tile(row, (count, 1)))
        drawn = filters.draw(logits, tf.constant(uniforms), 1.3, top_k=top_k).numpy()
        assert np.all(np.diff(drawn) >= 0)
        shares = np.bincount(drawn, minlength=9) / count
        p = expected_distribution(row, 1.3, top_k, None)
        np.testing.assert_allclose(shares, p, atol=1.001 / count)
        assert not shares[p == 0].any()


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(np.float32(1), np.float32(0))])
def test_tokens_of_probability_zero_are_never_drawn_at_either_end(uniform):
    p = np.array([[0, 0, 0.3, 0, 0.7, 0, 0]])
    with np.errstate(divide="ignore"):
        logits = tf.constant(np.log(p).astype("float32"))
    drawn = filters.draw(logits, tf.constant([uniform], tf.float32), 1.0)
    assert drawn.numpy().tolist() == [2 if uniform == 0 else 4]


def test_rounding_of_a_compiled_cumulative_sum_draws_no_filtered_token():
    """The uniform numbers are the cumulative probabilities themselves, with neighbours."""
    rng, size = np.random.default_rng(0), 1000
    logits = tf.constant(np.tile(rng.normal(size=size, scale=2).astype("float32"), (size, 1)))

    @tf.function(jit_compile=True)
    def draw(logits, uniforms):
        return filters.draw(logits, uniforms, 1.0, top_k=size // 4)

    kept = np.isfinite(filters.filtered_logits(logits[:1], 1.0, top_k=size // 4))[0]
    cumulative = np.cumsum(softmax(np.where(kept, logits[0], -np.inf)), dtype="float32")
    for steps in range(-3, 4):
        uniforms = np.clip(cumulative + steps * np.spacing(cumulative), 0, 1 - 1e-6).astype("float32")
        assert kept[draw(logits, tf.constant(uniforms)).numpy()].all()


def test_temperature_zero_takes_the_most_probable_token():
    uniforms = tf.constant([0.0, 0.3, 0.6, 0.99])
    drawn = filters.draw(tf.constant(LOGITS), uniforms, 0.0, top_k=3, top_p=0.5)
    np.testing.assert_array_equal(drawn, LOGITS.argmax(1))
    assert drawn.dtype == tf.int32
