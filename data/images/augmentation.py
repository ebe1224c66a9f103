"""Random flips and crops of whole batches, pure functions of a stateless key.

Legend: B batch, H height, W width, C channels; a key is an integer tensor [2].
"""


def _pixels_at(images, rows, columns):
    """Returns pixels (rows[b, i], columns[b, j]) of each image b; rows are [B, H'], columns [B, W']."""
    import tensorflow as tf

    batch, height, width, channels = tf.unstack(tf.shape(images))
    starts = (tf.range(batch)[:, None] * height + rows) * width
    # One flat gather takes a third to half the time of a broadcast tf.where or of a gather for each axis.
    flat = tf.reshape(images, [batch * height * width, channels])
    pixels = tf.gather(flat, starts[:, :, None] + columns[:, None, :])
    return tf.ensure_shape(pixels, [None, rows.shape[1], columns.shape[1], images.shape[3]])


def flip(images, key):
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: Images [B, H, W, C] of any dtype.
        key: Stateless key [2].

    Returns:
        Images [B, H, W, C].
    """
    import tensorflow as tf

    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    mirrored = tf.random.stateless_uniform([batch, 1], key) < 0.5
    columns = tf.where(mirrored, tf.range(width)[::-1], tf.range(width))
    return _pixels_at(images, tf.repeat(tf.range(height)[None], batch, 0), columns)


def crop_offsets(batch, padding, key):
    """Draws the corner of each crop uniformly from the (2 padding + 1)^2 positions.

    Args:
        batch: Number B of images.
        padding: Zeros on each side, in pixels.
        key: Stateless key [2].

    Returns:
        Offsets [B, 2], int32: row and column in 0 .. 2 padding.
    """
    import tensorflow as tf

    return tf.random.stateless_uniform([batch, 2], key, 0, 2 * padding + 1, tf.int32)


def crop_at(images, offsets, padding):
    """Pads with zeros and crops to the original size at the given corners.

    Args:
        images: Images [B, H, W, C] of any dtype.
        offsets: Corners [B, 2], int32, in 0 .. 2 padding; (padding, padding) returns the image.
        padding: Zeros on each side, in pixels.

    Returns:
        Images [B, H, W, C].
    """
    import tensorflow as tf

    _, height, width, _ = images.shape
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return _pixels_at(padded, offsets[:, :1] + tf.range(height), offsets[:, 1:] + tf.range(width))


def crop(images, key, padding):
    """Pads with zeros and crops each image at a random corner (He et al. 2016, section 4.2).

    Args:
        images: Images [B, H, W, C] of any dtype.
        key: Stateless key [2].
        padding: Zeros on each side, in pixels.

    Returns:
        Images [B, H, W, C].

    References:
        He et al., "Deep Residual Learning for Image Recognition" (2016).
    """
    import tensorflow as tf

    return crop_at(images, crop_offsets(tf.shape(images)[0], padding, key), padding)


def augmented(images, names, key, padding):
    """Applies the named augmentations, each with its own key.

    Args:
        images: Images [B, H, W, C] of any dtype.
        names: Names among `flip` and `crop`.
        key: Stateless key [2].
        padding: Zeros on each side, in pixels, for `crop`.

    Returns:
        Images [B, H, W, C].
    """
    import tensorflow as tf

    flip_key, crop_key = tf.unstack(tf.random.split(key, 2))
    if "flip" in names:
        images = flip(images, flip_key)
    if "crop" in names:
        images = crop(images, crop_key, padding)
    return images
