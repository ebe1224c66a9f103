"""Where every image classifier begins and ends.

B batch, H W height and width, C channels, K classes.
"""

import lazy_loader

keras = lazy_loader.load("keras")


def standardized_images(spec):
    """Returns a model's input, pixels in [0, 1], and the same at zero mean and unit variance.

    The mean and variance are those of the training split, one number a channel, and part of the model:
    a loaded model takes plain pixels.

    Args:
        spec: The data set's `Spec`.

    Returns:
        The symbolic input and the standardized images, both `[B, H, W, C]`.
    """
    images = keras.Input(spec.shape, name="images")
    variance = [s * s for s in spec.std]
    return images, keras.layers.Normalization(mean=list(spec.mean), variance=variance, name="standardize")(
        images
    )


def logits_of(features, spec, kernel_initializer="glorot_uniform"):
    """Returns the affine map from features `[B, D]` to logits `[B, K]`, in float32 at any precision policy.

    Args:
        features: Symbolic features `[B, D]`.
        spec: The data set's `Spec`.
        kernel_initializer: Of the map's matrix.

    Returns:
        The logits `a` of Eq. 1.8.1; `softmax(a)` are the class probabilities.
    """
    return keras.layers.Dense(
        spec.classes, kernel_initializer=kernel_initializer, dtype="float32", name="logits"
    )(features)
