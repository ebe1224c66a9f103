"""Losses of tensors reject other dtypes, and shapes that would broadcast to a loss for every pair."""

import re

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses import adversarial, bellman, policy, self_play, style, tensors, variational

B, W, H = [4], [4, 3], [2, 5, 5, 3]
# Each function with the shapes of its tensors. The second entry of a pair is a shape that is wrong for it.
CASES = {
    "policy gradient": (policy.policy_gradient_loss, B, (B, [4, 1])),
    "ratio": (policy.ratio_loss, B, (B, [4, 1]), B),
    "clipped": (lambda *x: policy.clipped_loss(*x, 0.2), B, B, (B, [1])),
    "clip fraction": (lambda *x: policy.clip_fraction(*x, 0.2), B, (B, [4, 1])),
    "divergence": (policy.approximate_divergence, B, (B, [1])),
    "value": (policy.value_loss, B, (B, [4, 1])),
    "old value": (lambda *x: policy.value_loss(*x, 0.2), B, B, (B, [4, 1])),
    "visits": (lambda *x: self_play.self_play_loss(x[0], tf.zeros(B), x[1], tf.zeros(B)), W, (W, [1, 3])),
    "returns": (lambda *x: self_play.self_play_loss(tf.zeros(W), x[0], tf.zeros(W), x[1]), B, (B, [4, 1])),
    "discriminator": (adversarial.discriminator_loss, B, B),
    "generator": (adversarial.generator_loss, B),
    "saturating": (lambda x: adversarial.generator_loss(x, "saturating"), B),
    "R1": (lambda x: adversarial.zero_centered_penalty(tf.reduce_sum, x), W),
    "unit norm": (
        lambda *x: adversarial.unit_norm_penalty(tf.reduce_sum, *x),
        W,
        (W, [1, 3]),
        (B, [4, 1]),
    ),
    "categories": (adversarial.categorical_log_likelihood, W, (W, [4, 1])),
    "Gaussian codes": (adversarial.gaussian_log_likelihood, W, (W, [4, 1]), (W, [3])),
    "information": (lambda x: adversarial.information_bound(0.0, x), B),
    "targets": (lambda x: bellman.td_targets(tf.zeros(B), x, tf.zeros(B), 0.9), B),
    "double": (bellman.double_values, W, (W, [1, 3])),
    "categorical": (bellman.categorical_loss, W, (W, [1, 3])),
    "quantiles": (bellman.quantile_huber_loss, W, (W, [1, 3])),
    "gram": (style.gram, (H, [5, 5, 3])),
    "style": (style.style_loss, H, ([2, 3, 3], [3, 3, 3])),
    "style of one": (style.style_loss, [1, 5, 5, 3], ([1, 3, 3], [2, 3, 3])),
    "content": (style.content_loss, [1, 5, 5, 3], ([1, 5, 5, 3], [2, 5, 5, 3])),
    "variation": (style.total_variation, (H, [5, 5, 3])),
    "Gaussian": (variational.gaussian_kl, W, (W, [4, 1])),
    "sampled": (variational.sampled_gaussian_kl, W, W, W),
}
ALL = pytest.mark.parametrize(("function", "shapes"), [(f, s) for f, *s in CASES.values()], ids=CASES)


def valid(shape):
    return shape[0] if isinstance(shape, tuple) else shape


@ALL
@pytest.mark.parametrize("dtype", [tf.bool, tf.int32, tf.complex64], ids=lambda dtype: dtype.name)
def test_other_dtypes_are_rejected_in_eager_code_and_in_graphs(function, shapes, dtype):
    inputs = [tf.zeros(valid(shape)) for shape in shapes]
    assert np.all(np.isfinite(function(*inputs)))
    for position in range(len(inputs)):
        changed = list(inputs)
        changed[position] = tf.cast(inputs[position], dtype)
        message = f"must hold floating-point numbers, got dtype {dtype.name}"
        with pytest.raises(ValueError, match=message):
            function(*changed)
        with pytest.raises(ValueError, match=message):
            tf.function(function).get_concrete_function(*changed)


@ALL
def test_shapes_that_would_broadcast_are_rejected(function, shapes):
    for position, shape in enumerate(shapes):
        if isinstance(shape, tuple):
            inputs = [tf.zeros(valid(shape)) for shape in shapes]
            inputs[position] = tf.zeros(shape[1])
            with pytest.raises(ValueError, match=rf"must have .*, got .*{shape[1][0]}"):
                function(*inputs)


@pytest.mark.parametrize("name", ["rewards", "terminated"])
def test_rewards_of_another_shape_are_rejected(name):
    arguments = {"rewards": tf.zeros(B), "terminated": tf.zeros(B)} | {name: tf.zeros([4, 1])}
    with pytest.raises(ValueError, match=re.escape(f"{name} must have shape (4,), got (4, 1)")):
        bellman.td_targets(next_values=tf.zeros(W), discount=0.9, **arguments)


def test_a_column_of_actions_is_rejected():
    with pytest.raises(ValueError, match=re.escape("actions must have shape [B], got (4, 1)")):
        bellman.of_actions(tf.zeros(W), tf.zeros([4, 1], tf.int32))


def test_lengths_that_are_not_known_agree_with_all_lengths():
    assert tensors.agree(tf.TensorShape([None, 3]), tf.TensorShape([4, 3]))
    assert tensors.agree(tf.TensorShape(None), tf.TensorShape([4, 3]))
    assert not tensors.agree(tf.TensorShape([None, 3]), tf.TensorShape([4, 1]))
    assert not tensors.agree(tf.TensorShape([None]), tf.TensorShape([4, 1]))


def test_rewards_in_a_list_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"rewards must have shape \(3,\), got \(2,\)"):
        bellman.td_targets([0.0, 1.0], tf.zeros(3), [0.0, 0.0, 0.0], 0.9)
