import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from curvezoo.data.images import augmentation


def images(batch, height=7, width=6, channels=3, dtype="uint8"):
    return np.random.default_rng(0).integers(1, 256, (batch, height, width, channels)).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_crop_equals_an_explicit_loop_at_every_offset(dtype):
    padding = 2
    corners = np.stack(np.meshgrid(range(5), range(5), indexing="ij"), -1).reshape(-1, 2)
    batch = images(len(corners), dtype=dtype)
    expected = np.zeros_like(batch)
    for b, (top, left) in enumerate(corners):
        for i in range(7):
            for j in range(6):
                y, x = i + top - padding, j + left - padding
                if 0 <= y < 7 and 0 <= x < 6:
                    expected[b, i, j] = batch[b, y, x]
    cropped = augmentation.crop_at(tf.constant(batch), tf.constant(corners, tf.int32), padding)
    np.testing.assert_array_equal(cropped, expected)


def test_crop_uses_the_offsets_drawn_from_its_key():
    batch, key = tf.constant(images(20)), tf.constant([3, 4])
    offsets = augmentation.crop_offsets(20, 2, key)
    np.testing.assert_array_equal(augmentation.crop(batch, key, 2), augmentation.crop_at(batch, offsets, 2))


def test_offsets_are_uniform_and_independent():
    offsets = augmentation.crop_offsets(20000, 2, tf.constant([0, 1])).numpy()
    counts = np.bincount(offsets[:, 0] * 5 + offsets[:, 1], minlength=25)
    assert counts.sum() == 20000
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_flip_mirrors_half_of_the_images_and_no_others():
    batch = images(4000, 2, 3, 1)
    flipped = augmentation.flip(tf.constant(batch), tf.constant([5, 6])).numpy()
    mirrored = (flipped == batch[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == batch).all((1, 2, 3))
    assert np.all(mirrored | same)
    assert scipy.stats.binomtest(int(np.sum(mirrored & ~same)), int(np.sum(mirrored ^ same))).pvalue > 1e-3


def test_augmentation_depends_on_the_key_only():
    batch = tf.constant(images(50))
    names = ("flip", "crop")
    first, again, other = (
        augmentation.augmented(batch, names, tf.constant(key), 2).numpy() for key in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_flips_and_crops_are_independent():
    width = 5
    ramp = np.broadcast_to(np.arange(1, width + 1, dtype="uint8")[None, None, :, None], (8000, 1, width, 1))
    out = augmentation.augmented(tf.constant(ramp), ("crop", "flip"), tf.constant([9, 9]), 1).numpy()
    row = out[(out != 0).any((1, 2, 3))][:, 0, :, 0].astype(int)
    flipped = row[:, 2] > row[:, 3]
    center = np.where(flipped, 6 - row[:, 2], row[:, 2])
    shift = np.where(flipped, -(center - 3), center - 3)
    table = np.histogram2d(flipped, shift, bins=[2, 3])[0]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3
