"""The denoiser starts as the identity and improves on its input after training on noisy targets."""

import numpy as np
import pytest

from curvezoo import zoo


def test_an_untrained_denoiser_returns_its_input():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(zoo.build("denoiser_digits")(images), images)


def test_training_on_noisy_pairs_alone_removes_noise(tmp_path):
    run = zoo.train("denoiser_digits", tmp_path / "run", progress=False, epochs=10, filters=16, blocks=2)
    assert run.scores["psnr_low"] > run.scores["psnr_noisy"] + 3
    # The noise of the targets contributes at least half of its variance to the loss.
    assert run.history[-1]["loss"] - np.log(2 * np.pi) / 2 > 0.2**2 / 2
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
        ({"blocks": 0}, "blocks=0 must be at least 1"),
        ({"filters": -1}, "filters=-1 must be at least 1"),
        ({"label_smoothing": 0.1}, "denoiser_digits has no setting 'label_smoothing'"),
        ({"random_labels": 0.5}, "denoiser_digits has no setting 'random_labels'"),
    ],
)
def test_invalid_and_inapplicable_settings_are_rejected(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        zoo.train("denoiser_digits", tmp_path / "run", progress=False, **settings)
    assert not (tmp_path / "run").exists()


def test_evaluating_a_denoiser_with_a_temperature_is_an_error():
    with pytest.raises(ValueError, match="options of denoising must be among none, got temperature=True"):
        zoo.evaluate("denoiser_digits", temperature=True)
