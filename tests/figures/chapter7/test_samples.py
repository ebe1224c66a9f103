"""Titles, real images and the places of panels."""

import numpy as np
import pytest

from curvezoo.figures.chapter7 import published, samples
from curvezoo.publishing import cards
from curvezoo.publishing.page.images import tiled


def test_titles_have_the_main_scores_and_the_kernel_distance_once():
    scores = {"nll": 80.04, "bits_per_dim": 0.1473, "kid": 0.0123}
    density = {"name": "pixels", "measure": "density", "metrics": scores}
    assert samples.title(density) == "pixels: 80.0 nats, 0.147 bits/dim, KID 0.012"
    adversarial = {"name": "gan", "measure": "adversarial", "metrics": {"kid": 0.0456}}
    assert samples.title(adversarial) == "gan: KID 0.046"
    small = {"name": "digits", "measure": "density", "metrics": {"nll": 8.0, "bits_per_dim": 0.2}}
    assert samples.title(small) == "digits: 8.0 nats, 0.200 bits/dim"


def test_only_published_models_are_listed():
    assert published.listed(["vae_mnist", "nothing"]) == "vae_mnist"
    assert published.listed(["cnn_mnist", "nothing", "vae_mnist"]) == "cnn_mnist and vae_mnist"
    names = ["cnn_mnist", "mlp_mnist", "vae_mnist"]
    assert published.listed(names) == "cnn_mnist, mlp_mnist and vae_mnist"
    assert list(published.published(names)) == names


@pytest.mark.parametrize("name", published.published(samples.ZOO_MODELS))
def test_stored_images_are_digits_on_a_black_background(name):
    images = published.stored_images(name)
    assert images.shape == (4, 28, 28, 1)
    assert images.min() >= 0
    assert images.max() > 0.9
    # The digits of MNIST are inside a margin of four pixels, where dequantized zeros stay below one level.
    assert images[:, :3].max() < 1 / 255
    assert cards.published(name)["data"]["name"] == "mnist"


def test_each_panel_shows_its_images_below_its_title():
    rng = np.random.default_rng(0)
    panels = [
        samples.Panel(f"model {i}", rng.random((5, 3, 3, 1)), rng.random((20, 3, 3, 1))) for i in range(3)
    ]
    axes = samples.plot(panels).axes
    assert len(axes) == 8
    for left, right, panel in zip(axes[:6:2], axes[1:6:2], panels, strict=True):
        np.testing.assert_array_equal(left.images[0].get_array(), tiled(panel.real[:4], 1)[..., 0])
        np.testing.assert_array_equal(right.images[0].get_array(), tiled(panel.samples, 10)[..., 0])
        assert right.get_title(loc="left") == panel.title
    assert not any(axis.images or axis.axison for axis in axes[6:])
