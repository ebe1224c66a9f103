"""Oracles: sums over positions and channels in NumPy, and TensorFlow's total variation."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses import content_loss, gram, style_loss, total_variation

RNG = np.random.default_rng(0)
FEATURES, OTHERS = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))


def gram_by_loops(features):
    height, width, channels = features.shape
    total = np.zeros((channels, channels))
    for row in range(height):
        for column in range(width):
            for i in range(channels):
                for j in range(channels):
                    total[i, j] += features[row, column, i] * features[row, column, j]
    return total


def test_the_gram_matrix_is_the_mean_of_products_over_positions():
    expected = [gram_by_loops(each) / 12 for each in FEATURES]
    np.testing.assert_allclose(gram(FEATURES), expected, rtol=1e-14)


def test_style_loss_is_that_of_gatys_with_sums_over_positions():
    n, m = 5, 12
    g, a = ([gram_by_loops(each) for each in features] for features in (FEATURES, OTHERS))
    expected = [np.sum((x - y) ** 2) / (4 * n**2 * m**2) for x, y in zip(g, a, strict=True)]
    np.testing.assert_allclose(style_loss(FEATURES, gram(OTHERS)), expected, rtol=1e-13)


def test_style_loss_does_not_depend_on_the_order_of_the_positions():
    shuffled = RNG.permutation(FEATURES.reshape(2, 12, 5), axis=1)
    # Integers have exact sums in any order.
    whole = np.rint(10 * FEATURES)
    moved = RNG.permutation(whole.reshape(2, 12, 5), axis=1).reshape(whole.shape)
    np.testing.assert_array_equal(gram(moved), gram(whole))
    np.testing.assert_array_equal(style_loss(np.roll(whole, (1, 2), (1, 2)), gram(whole)), 0)
    target = gram(OTHERS)
    # Another height and width with as many positions.
    shuffled = style_loss(shuffled.reshape(2, 6, 2, 5), target)
    np.testing.assert_allclose(shuffled, style_loss(FEATURES, target), rtol=1e-13)


def test_one_style_can_be_the_target_of_several_pictures():
    target = gram(OTHERS[:1])
    both = [style_loss(each[None], target)[0] for each in FEATURES]
    np.testing.assert_allclose(style_loss(FEATURES, target), both, rtol=1e-14)


def test_content_loss_is_half_the_sum_of_squares():
    expected = [sum((x - y) ** 2 for x, y in zip(f.flat, p.flat, strict=True)) / 2
                for f, p in zip(FEATURES, OTHERS, strict=True)]  # fmt: skip
    np.testing.assert_allclose(content_loss(FEATURES, OTHERS), expected, rtol=1e-13)
    np.testing.assert_array_equal(content_loss(FEATURES, FEATURES), 0)


def test_half_precision_features_are_summed_in_single_precision():
    features = np.full((1, 200, 200, 2), 8.0, "float16")
    features[..., 0] = 0
    np.testing.assert_array_equal(gram(features), [[[0, 0], [0, 64]]])
    np.testing.assert_array_equal(style_loss(features, np.zeros((1, 2, 2), "float16")), [64**2 / 16])
    np.testing.assert_array_equal(content_loss(features, 0 * features), [200 * 200 * 64 / 2])
    np.testing.assert_array_equal(total_variation(features), [0])


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_total_variation_is_the_mean_over_pairs_of_neighbors(power):
    image = FEATURES[0]
    columns = [abs(image[i + 1, j, c] - image[i, j, c]) ** power
               for i in range(2) for j in range(4) for c in range(5)]  # fmt: skip
    rows = [abs(image[i, j + 1, c] - image[i, j, c]) ** power
            for i in range(3) for j in range(3) for c in range(5)]  # fmt: skip
    expected = np.mean(columns) + np.mean(rows)
    np.testing.assert_allclose(total_variation(FEATURES, power)[0], expected, rtol=1e-13)


def test_total_variation_of_power_one_is_tensorflows_up_to_the_means():
    square = RNG.uniform(size=(2, 4, 4, 3))
    pairs = 3 * 4 * 3
    np.testing.assert_allclose(
        total_variation(square, 1) * pairs, tf.image.total_variation(tf.constant(square)), rtol=1e-13
    )


def test_bad_shapes_and_powers_are_errors():
    with pytest.raises(ValueError, match=r"features must have shape \[B, H, W, C\], got \(12, 5\)"):
        gram(np.zeros((12, 5)))
    with pytest.raises(ValueError, match=r"target must have shape \[B, 5, 5\] .* got \(1, 4, 4\)"):
        style_loss(FEATURES, np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match=r"must have the same shape, got \(2, 3, 4, 5\) and \(2, 4, 3, 5\)"):
        content_loss(FEATURES, FEATURES.reshape(2, 4, 3, 5))
    with pytest.raises(ValueError, match="power must be a finite number of at least 1, got"):
        total_variation(FEATURES, 0.5)
    with pytest.raises(ValueError, match="at least 2 pixels high and wide"):
        total_variation(FEATURES[:, :1])
