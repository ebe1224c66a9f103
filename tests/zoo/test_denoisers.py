"""The denoiser starts as the identity and improves on its input after training on noisy targets."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.publishing import cards

# A pixel of the output depends on this many pixels to each side: one for each of five 3x3 convolutions.
REACH = 5


def test_an_untrained_denoiser_returns_its_input():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(zoo.build("denoiser_digits")(images), images)


@pytest.mark.parametrize("name", ["denoiser_digits", "denoiser_digits_impulse"])
def test_published_denoisers_clean_images_of_any_size_pixel_by_pixel(name):
    images = np.random.default_rng(0).uniform(size=(2, 19, 26, 1)).astype("float32")
    window = images[:, 4:17, 2:26]
    plain = tf.saved_model.load(str(cards.folder_of(name)))
    for model in (zoo.load(name), plain.serve):
        cleaned, part = np.asarray(model(images)), np.asarray(model(window))
        assert cleaned.shape == images.shape and part.shape == window.shape
        inner = slice(REACH, -REACH)
        expected = cleaned[:, 4:17, 2:26][:, inner, inner]
        np.testing.assert_allclose(part[:, inner, inner], expected, atol=1e-5)
        assert np.abs(expected - images[:, 4:17, 2:26][:, inner, inner]).max() > 0.1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (2, 9, 8, 3),
            r"axis -1 of input shape to have value 1, but received input with shape \(2, 9, 8, 3\)",
        ),
        ((9, 8), r"\(None, None, None, 1\)"),
    ],
)
def test_arrays_that_are_no_batch_of_images_with_the_right_channels_are_an_error(shape, message):
    with pytest.raises(ValueError, match=message):
        zoo.build("denoiser_digits", blocks=1, filters=2)(np.zeros(shape, "float32"))


def test_training_on_noisy_pairs_alone_removes_noise(tmp_path):
    run = zoo.train("denoiser_digits", tmp_path / "run", progress=False, epochs=10, filters=16, blocks=2)
    assert run.scores["psnr_low"] > run.scores["psnr_noisy"] + 3
    # The noise of the targets contributes at least half of its variance to the loss.
    assert run.history[-1]["loss"] - np.log(2 * np.pi) / 2 > 0.2**2 / 2
    assert cards.read(run.folder / "model")["flops_of"] == "an image of 8x8 pixels"
    page = (run.folder / "report.html").read_text()
    assert f"{run.scores['psnr']:.2f} dB" in page


def test_the_settings_of_the_objective_can_be_changed_by_name():
    objective = zoo.recipe("denoiser_digits").override({"level": "0.1", "targets": "clean"}).objective
    assert (objective.level, objective.targets) == (0.1, "clean")
    with pytest.raises(ValueError, match="targets must be one of noisy, clean, got 'dirty'"):
        zoo.recipe("denoiser_digits").override({"targets": "dirty"})
    with pytest.raises(ValueError, match=r"no setting 'nois'; did you mean '.*noise'\? Valid: .*likelihood"):
        zoo.recipe("denoiser_digits").override({"nois": "impulse"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks must be an integer of at least 1, got 0"),
        ({"filters": -1}, "filters must be an integer of at least 1, got -1"),
        ({"label_smoothing": 0.1}, "denoiser_digits has no setting 'label_smoothing'"),
        ({"random_labels": 0.5}, "denoiser_digits has no setting 'random_labels'"),
    ],
)
def test_invalid_and_inapplicable_settings_are_rejected(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        zoo.train("denoiser_digits", tmp_path / "run", progress=False, **settings)
    assert not (tmp_path / "run").exists()


def test_evaluating_a_denoiser_with_a_temperature_is_an_error():
    with pytest.raises(ValueError, match="temperature must be left out for a model measured by denoi"):
        zoo.evaluate("denoiser_digits", temperature=True)
