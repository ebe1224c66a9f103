"""Random affine distortions of whole batches of images, pure functions of a stateless key.

Legend: B batch, H height, W width, C channels; a key is an integer tensor [2].
"""

# Of a distortion of strength 1, per axis: the log of the scale, and the shift as a share of the image's side.
_LOG_SCALE, _SHIFT = 0.5, 0.35


def draw(batch, key):
    """Draws what `matrices` needs, uniform in [-1, 1]: [B, 6].

    Args:
        batch: Number B of images.
        key: Stateless key [2].
    """
    import tensorflow as tf

    return tf.random.stateless_uniform([batch, 6], key, -1.0, 1.0)


def matrices(draws, strength, height, width):
    r"""Returns affine maps from pixels (x, y) of the distorted image to those of the original, [B, 2, 3].

    With s the strength and u the draws they are, about the image's center and in this order, a scaling by
    \(e^{0.5 s u_1}\) along x and by \(e^{0.5 s u_2}\) along y, a shear \(x + s u_3 y\), a rotation by
    \(s u_0\) radians, and a shift of at most 0.35 s of a side.

    Args:
        draws: In [-1, 1], [B, 6].
        strength: The strength s; 0 gives identities, and 0.3 turns by up to 17 degrees.
        height: Height H of the images.
        width: Their width W.
    """
    import tensorflow as tf

    angle, log_x, log_y, shear, right, down = tf.unstack(strength * draws, axis=1)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    scale_x, scale_y = tf.exp(_LOG_SCALE * log_x), tf.exp(_LOG_SCALE * log_y)
    linear = tf.stack(
        [
            tf.stack([cosine * scale_x, (cosine * shear - sine) * scale_y], axis=1),
            tf.stack([sine * scale_x, (sine * shear + cosine) * scale_y], axis=1),
        ],
        axis=1,
    )
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    shift = tf.stack([_SHIFT * width * right, _SHIFT * height * down], axis=1)
    offset = center + shift - tf.linalg.matvec(linear, center)
    return tf.concat([linear, offset[:, :, None]], axis=2)


def warp(images, maps):
    """Returns images at affinely mapped pixels, by bilinear interpolation and zero outside.

    It is not meant to be differentiated: TensorFlow's gradient of this operation is approximate.

    Args:
        images: Images [B, H, W, C], floats.
        maps: As `matrices` returns them, [B, 2, 3].
    """
    import tensorflow as tf

    rows = tf.reshape(maps, [-1, 6])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.concat([rows, tf.zeros_like(rows[:, :2])], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
