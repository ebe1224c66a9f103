"""The first and the last layers of all image classifiers.

B batch, H W height and width, C channels, K classes.
"""

# Limits stated on cards, by data set.
LIMITS = {
    "digits": "Single digits as 8x8 grey images, centred and scaled as in the UCI set; the test images "
    "are by the writers of the training images, so accuracy on other handwriting will be lower.",
    "mnist": "Single handwritten digits as MNIST prepares them: 28x28, white on black, centred by mass. "
    "Other images get confident predictions, too.",
    "fashion_mnist": "Catalogue pictures of single pieces of clothing, 28x28, white on black.",
    "svhn_cropped": "House numbers cropped to one digit, 32x32; neighboring digits may be visible "
    "at the sides.",
    "cifar10": "Ten kinds of objects, 32x32, one per image; any other image gets one of the ten labels. "
    "Not robust to blur, noise or adversarial changes.",
    "cifar100": "A hundred kinds of objects, 32x32, one per image; any other image gets one of the "
    "hundred labels.",
    "imagenet2012": "Not trained here: only the architecture and its counts are tested.",
}


def standardized_images(spec):
    """Returns a model's input, with pixels in [0, 1], and the standardized images.

    The mean and variance per channel are those of the training split. They are part of the model, so that a
    loaded model takes unstandardized pixels.

    Args:
        spec: The data set's `Spec`.

    Returns:
        The symbolic input and the standardized images, both `[B, H, W, C]`.
    """
    import keras

    from ...layers.normalization import fix_statistics

    images = keras.Input(spec.shape, name="images")
    variance = [s * s for s in spec.std]
    standardize = keras.layers.Normalization(mean=list(spec.mean), variance=variance, name="standardize")
    standardize.build(images.shape)
    return images, fix_statistics(standardize)(images)


def logits_of(features, spec, kernel_initializer="glorot_uniform"):
    """Returns the logits `[B, K]`, an affine map of features `[B, D]`, in float32 under any dtype policy.

    Args:
        features: Symbolic features `[B, D]`.
        spec: The data set's `Spec`.
        kernel_initializer: Initializer of the matrix.

    Returns:
        The logits `a` of Eq. 1.8.1; `softmax(a)` are the class probabilities.
    """
    import keras

    affine = keras.layers.Dense(
        spec.classes, kernel_initializer=kernel_initializer, dtype="float32", name="logits"
    )
    return affine(features)
