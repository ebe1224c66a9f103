"""Images as draws of random pixels: binarized, or dequantized, anew in every epoch (section 7.2).

Legend: B batch, H height, W width, C channels; a key is an integer tensor [2]. Pixels are in [0, 1].
"""

from .keyed import keyed_splits


def binarized(images, key):
    """Draws binary pixels, each 1 with the probability that its gray value gives.

    Args:
        images: Images [B, H, W, C].
        key: Stateless key [2].

    Returns:
        Images [B, H, W, C] of zeros and ones.
    """
    import tensorflow as tf

    return tf.cast(tf.random.stateless_uniform(tf.shape(images), key) < images, images.dtype)


def dequantized(images, key, levels=256):
    """Adds uniform noise of the width of one level, so that pixels have a density on [0, 1].

    A pixel k / (levels - 1) becomes (k + u) / levels with u uniform in [0, 1). With the density p of the
    result, the mean of log p - D log(levels) bounds the log-probability of the D discrete pixels from below.

    Args:
        images: Images [B, H, W, C].
        key: Stateless key [2].
        levels: Number of values of a pixel.

    Returns:
        Images [B, H, W, C] in [0, 1).

    References:
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models" (2016), section 3.1.
    """
    import tensorflow as tf

    uniform = tf.random.stateless_uniform(tf.shape(images), key)
    return (tf.round(images * (levels - 1)) + uniform) / levels


def stochastic_splits(splits, pixels, seed, conditional=False):
    """Turns splits of (images, labels) into splits of (images, images) with random pixels.

    Every epoch draws new pixels from (seed, epoch). Those of the validation and the test split are fixed, and
    those of the test split do not depend on `seed`.

    Args:
        splits: The `Splits`.
        pixels: `binary` for binarized pixels, `gray` for dequantized ones, or `exact` for the images as they
            are.
        seed: Key of the training and validation pixels.
        conditional: Whether the inputs are (images, labels).

    Returns:
        `Splits` of pairs (inputs, images).
    """
    levels = splits.spec.levels
    draw = {
        "binary": binarized,
        "gray": lambda images, key: dequantized(images, key, levels),
        "exact": lambda images, key: images,
    }[pixels]

    def pair(images, labels, key):
        drawn = draw(images, key)
        return ((drawn, labels) if conditional else drawn), drawn

    return keyed_splits(splits, pair, pair, seed)
