"""Where every image classifier begins and ends.

B batch, H W height and width, C channels, K classes.
"""

# What a card warns of, by data set.
LIMITS = {
    "digits": "Single digits as 8x8 grey images, centred and scaled as in the UCI set; the test images "
    "come from the writers of the training images, so another hand will do worse.",
    "mnist": "Single handwritten digits as MNIST prepares them: 28x28, white on black, centred by mass. "
    "Other pictures get a confident answer too.",
    "fashion_mnist": "Catalogue pictures of single pieces of clothing, 28x28, white on black.",
    "svhn_cropped": "House numbers cropped to one digit, 32x32; neighbours may show at the sides.",
    "cifar10": "Ten kinds of object, 32x32, one an image; anything else gets one of the ten names. "
    "Not robust to blur, noise or adversarial changes.",
    "cifar100": "A hundred kinds of object, 32x32, one an image; anything else gets one of the hundred.",
    "imagenet2012": "Never trained here: the architecture and its counts only.",
}


def standardized_images(spec):
    """Returns a model's input, pixels in [0, 1], and the same at zero mean and unit variance.

    The mean and variance are those of the training split, one number a channel, and part of the model:
    a loaded model takes plain pixels.

    Args:
        spec: The data set's `Spec`.

    Returns:
        The symbolic input and the standardized images, both `[B, H, W, C]`.
    """
    import keras

    images = keras.Input(spec.shape, name="images")
    variance = [s * s for s in spec.std]
    standardize = keras.layers.Normalization(mean=list(spec.mean), variance=variance, name="standardize")
    return images, standardize(images)


def logits_of(features, spec, kernel_initializer="glorot_uniform"):
    """Returns the affine map from features `[B, D]` to logits `[B, K]`, in float32 at any precision policy.

    Args:
        features: Symbolic features `[B, D]`.
        spec: The data set's `Spec`.
        kernel_initializer: Of the map's matrix.

    Returns:
        The logits `a` of Eq. 1.8.1; `softmax(a)` are the class probabilities.
    """
    import keras

    affine = keras.layers.Dense(
        spec.classes, kernel_initializer=kernel_initializer, dtype="float32", name="logits"
    )
    return affine(features)
