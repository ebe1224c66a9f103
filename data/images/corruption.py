"""Noise on images, and the pairs that a denoiser learns from (section 3.3.4).

Legend: B batch, H height, W width, C channels; a key is an integer tensor [2]. Pixels are in [0, 1].
"""

from ..arguments import check_noise
from .keyed import keyed_splits


def gaussian(images, level, key):
    """Adds independent Gaussian noise of mean zero to every pixel, so that the mean is the clean pixel.

    Args:
        images: Clean images [B, H, W, C].
        level: Standard deviation of the noise, in units of the pixels' range.
        key: Stateless key [2].

    Returns:
        Noisy images [B, H, W, C], not clipped because clipping would move the mean.
    """
    import tensorflow as tf

    return images + level * tf.random.stateless_normal(tf.shape(images), key)


def impulse(images, level, key):
    """Replaces pixels by uniform draws from [0, 1]; for `level` < 1/2 the median is the clean pixel.

    The clean value has probability 1 - level > 1/2, so it alone is the median. The mean is
    (1 - level) x + level / 2, not x.

    Args:
        images: Clean images [B, H, W, C].
        level: Probability that a pixel is replaced.
        key: Stateless key [2].

    Returns:
        Noisy images [B, H, W, C].
    """
    import tensorflow as tf

    where_key, value_key = tf.unstack(tf.random.split(key, 2))
    shape = tf.shape(images)
    replaced = tf.random.stateless_uniform(shape, where_key) < level
    return tf.where(replaced, tf.random.stateless_uniform(shape, value_key), images)


_CORRUPTIONS = {"gaussian": gaussian, "impulse": impulse}


def noisy_splits(splits, noise, level, targets, seed):
    """Turns splits of (images, labels) into splits of (noisy images, targets).

    Every epoch draws new noise from (seed, epoch), the same in every run. The validation split has the same
    kind of target as the training split, and its noise is fixed. The test split has clean targets, and noise
    that does not depend on `seed`, so that all models are measured on the same images.

    Args:
        splits: The `Splits` of clean images.
        noise: `gaussian` or `impulse`.
        level: Strength of the noise, as for the function of that name.
        targets: `noisy` for a second, independent corruption of the same image, or `clean`.
        seed: Key of the training and validation noise.

    Returns:
        `Splits` of pairs, both float32 [B, H, W, C].

    Raises:
        ValueError: If `noise`, `level` or `targets` is not valid.
    """
    import tensorflow as tf

    check_noise(noise, level, targets)
    corrupt = _CORRUPTIONS[noise]

    def pair(images, key, noisy_target):
        one, other = tf.unstack(tf.random.split(key, 2))
        return corrupt(images, level, one), corrupt(images, level, other) if noisy_target else images

    return keyed_splits(
        splits,
        lambda images, _, key: pair(images, key, targets == "noisy"),
        lambda images, _, key: pair(images, key, False),
        seed,
    )
