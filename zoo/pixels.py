"""A warning for images whose pixels are not in the range that a model of images was trained on.

The models take pixels in [0, 1]. Images as files and most data sets hold them, with integers from 0 to 255,
give confident nonsense without an error.
"""

import warnings

import numpy as np

# Pixels with added noise may leave [0, 1], by less than this.
_LARGEST = 8.0
_EXAMPLES = 32
_KINDS = ("images", "labeled_images")
_METHODS = ("predict", "evaluate", "fit", "predict_on_batch", "test_on_batch", "train_on_batch", "call")


class PixelsWarning(UserWarning):
    """Images seem to have pixels from 0 to 255 where a model expects [0, 1]."""


def watched(model):
    """Returns a model of images that warns once if it is given images with pixels from 0 to 255.

    The model computes the same as before. Arrays are checked, by their first images; datasets are not.

    Args:
        model: A `keras.Model` of images.
    """
    told = []

    def check(images):
        largest = _largest_pixel(images)
        if largest is not None and not told:
            told.append(True)
            warnings.warn(
                f"{model.name} takes pixels in [0, 1], got pixels up to {largest:g}: divide by 255",
                PixelsWarning,
                stacklevel=4,
            )

    def watching(method):
        def checked(x, *args, **kwargs):
            check(x)
            return method(x, *args, **kwargs)

        return checked

    for name in _METHODS:
        setattr(model, name, watching(getattr(model, name)))
    return model


def takes_images(model, kind):
    """Returns whether a model takes images of the range [0, 1].

    Args:
        model: A built `keras.Model`.
        kind: The `kind` of the data that it is trained on.
    """
    shape = getattr(model, "input_shape", None)
    return kind in _KINDS and isinstance(shape, tuple) and len(shape) == 4


def _largest_pixel(images):
    """Returns the largest of the first pixels if it is too large for [0, 1], otherwise None."""
    # A symbolic tensor has no values, and a slice of it would stay in its graph.
    if not isinstance(images, np.ndarray) and not callable(getattr(images, "numpy", None)):
        return None
    first = np.asarray(images[:_EXAMPLES])
    if not first.size or first.dtype.kind not in "iuf":
        return None
    largest = first.max()
    return float(largest) if largest > (1 if first.dtype.kind in "iu" else _LARGEST) else None
