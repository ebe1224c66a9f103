import warnings

import keras
import numpy as np
import pytest

from curvezoo import zoo
from curvezoo.zoo.pixels import PixelsWarning

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))

USES = {
    "call": lambda model, x: model(x),
    "tensor": lambda model, x: model(keras.ops.convert_to_tensor(x)),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
}


@pytest.fixture(scope="module")
def loaded():
    return zoo.load("softmax_digits")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_from_0_to_255_are_named_once(use, dtype):
    model = zoo.build("softmax_digits")
    with pytest.warns(PixelsWarning, match=r"takes pixels in \[0, 1\], got pixels up to 25\d: divide"):
        USES[use](model, IMAGES.astype(dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PixelsWarning)
        USES[use](model, IMAGES.astype(dtype))


def test_images_in_range_and_noisy_ones_pass(loaded):
    noisy = IMAGES / 255 + np.random.default_rng(1).normal(size=IMAGES.shape)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for images in (IMAGES / 255, noisy, (IMAGES > 127).astype("uint8")):
            loaded.predict(images, verbose=0)
            loaded(images)
    assert [warning for warning in caught if issubclass(warning.category, PixelsWarning)] == []


def test_a_loaded_model_warns_and_computes_and_saves_as_before(loaded, tmp_path):
    loaded.save(tmp_path / "copy.keras")
    copy = keras.models.load_model(tmp_path / "copy.keras")
    with pytest.warns(PixelsWarning):
        outputs = loaded.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(outputs, copy.predict(IMAGES, verbose=0), rtol=1e-5)
