"""Lines in pixels and codes against averages and the decoder of a small autoencoder."""

import keras
import numpy as np

from curvezoo.figures.chapter7 import autoencoder
from curvezoo.publishing.page.images import tiled
from curvezoo.zoo.generative import Autoencoder


def test_blends_go_from_one_image_to_the_other_through_their_average():
    first, second = np.random.default_rng(0).uniform(size=(2, 2, 3, 1))
    images = autoencoder.blends(first, second, 5)
    np.testing.assert_allclose(images[[0, 2, 4]], [first, (first + second) / 2, second], rtol=1e-12)


def test_panels_show_reconstructions_and_lines_between_successive_pairs():
    keras.utils.set_random_seed(0)
    model = Autoencoder((2, 2, 1), latents=2, units=(3,))
    real = np.random.default_rng(0).uniform(size=(4, 2, 2, 1)).astype("float32")
    left, middle, right = autoencoder.plot(model, real, "title").axes
    rows = np.concatenate([real, model.reconstruct(real)])
    np.testing.assert_allclose(left.images[0].get_array(), tiled(rows, 4)[..., 0])
    lines = [autoencoder.blends(real[0], real[1]), autoencoder.blends(real[2], real[3])]
    np.testing.assert_allclose(middle.images[0].get_array(), tiled(np.concatenate(lines), 9)[..., 0])
    codes = model.encode(real)
    share = np.linspace(0, 1, 9)[:, None]
    lines = [model.decode((1 - share) * codes[i] + share * codes[i + 1]) for i in (0, 2)]
    shown = right.images[0].get_array()
    np.testing.assert_allclose(shown, tiled(np.concatenate(lines), 9)[..., 0], atol=1e-5)
    assert left.get_title(loc="left") == "title"
