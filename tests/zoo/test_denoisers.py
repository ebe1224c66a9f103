"""The denoiser: the identity at first, and better than its input after noisy targets alone."""

import numpy as np
import pytest

from curvezoo import zoo


def test_an_untrained_denoiser_gives_its_input_back():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(zoo.build("denoiser_digits")(images), images)


def test_noise_goes_without_a_clean_image_seen(tmp_path):
    run = zoo.train("denoiser_digits", tmp_path / "run", progress=False, epochs=10, filters=16, blocks=2)
    assert run.scores["psnr_low"] > run.scores["psnr_noisy"] + 3
    # The targets' own noise stays in the loss: half of its variance at least.
    assert run.history[-1]["loss"] - np.log(2 * np.pi) / 2 > 0.2**2 / 2
    page = (run.folder / "report.html").read_text()
    assert f"{run.scores['psnr']:.2f} dB" in page


def test_the_settings_of_the_task_can_be_changed_by_name():
    task = zoo.recipe("denoiser_digits").override({"level": "0.1", "targets": "clean"}).task
    assert (task.level, task.targets) == (0.1, "clean")
    with pytest.raises(ValueError, match="targets must be one of noisy, clean, got 'dirty'"):
        zoo.recipe("denoiser_digits").override({"targets": "dirty"})
    with pytest.raises(ValueError, match=r"no setting 'nois'; did you mean 'noise'\? Valid: .*likelihood"):
        zoo.recipe("denoiser_digits").override({"nois": "impulse"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks=0 must be at least 1"),
        ({"filters": -1}, "filters=-1 must be at least 1"),
        ({"label_smoothing": 0.1}, "label_smoothing=0.1 means nothing for denoising"),
        ({"random_labels": 0.5}, "random_labels=0.5 means nothing for denoising"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        zoo.train("denoiser_digits", tmp_path / "run", progress=False, **settings)
    assert not (tmp_path / "run").exists()


def test_a_temperature_is_for_classifiers():
    with pytest.raises(ValueError, match="denoiser_digits does denoising, not classification"):
        zoo.evaluate("denoiser_digits", temperature=True)
