"""A denoiser is judged against clean images, in decibels computed here by hand."""

import numpy as np
import pytest

from curvezoo import data
from curvezoo.publishing import measures as tasks


class Doubtful:
    """Stands for a model: gives back its input plus a constant."""

    input_shape = (None, 8, 8, 1)

    def __init__(self, offset):
        self.offset = offset

    def __call__(self, inputs, training):
        return inputs + self.offset


@pytest.fixture(scope="module")
def splits():
    return tasks.Denoising(level=0.1).prepare(data.load("digits"), seed=0)


def test_scores_are_those_of_the_formula(splits):
    scores, (outputs, clean) = tasks.Denoising().measure(Doubtful(0.25), splits)
    noisy = np.concatenate([inputs for inputs, _ in splits.test.as_numpy_iterator()]).astype("float64")
    np.testing.assert_allclose(outputs, noisy + 0.25, atol=1e-6)

    def ratios(images):
        return -10 * np.log10(((images - clean) ** 2).mean((1, 2, 3)))

    expected = ratios(noisy + 0.25)
    assert scores["psnr"] == pytest.approx(expected.mean(), abs=1e-5)
    error = 2 * expected.std(ddof=1) / np.sqrt(360)
    assert scores["psnr_high"] - scores["psnr"] == pytest.approx(error, abs=1e-5)
    assert scores["psnr"] - scores["psnr_low"] == pytest.approx(error, abs=1e-5)
    assert scores["psnr_noisy"] == pytest.approx(ratios(noisy).mean(), abs=1e-5)
    assert scores["mae"] == pytest.approx(np.abs(noisy + 0.25 - clean).mean(), abs=1e-6)
    assert scores["examples"] == 360


@pytest.mark.parametrize(
    "task", [tasks.Classification(), tasks.Denoising("impulse", 0.3, "clean", "laplace")]
)
def test_a_task_comes_back_from_its_settings(task):
    assert tasks.from_settings(tasks.settings(task)) == task


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "salt"}, "noise must be one of gaussian, impulse, got 'salt'"),
        ({"targets": "dirty"}, "targets must be one of noisy, clean, got 'dirty'"),
        ({"likelihood": "cauchy"}, "likelihood='cauchy' is not one of gaussian, laplace"),
        ({"level": 0.0}, r"level must be a positive finite number, got 0\.0"),
        ({"level": float("nan")}, r"level must be a positive finite number, got nan"),
        (
            {"noise": "impulse", "level": 0.5},
            r"level must be a number in \(0, 0\.5\), got 0\.5",
        ),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        tasks.Denoising(**settings)


def test_unknown_kinds_and_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="task kind='dreaming' is not one of classification, denoising"):
        tasks.from_settings({"kind": "dreaming"})
    with pytest.raises(
        ValueError, match=r"the model takes images of shape \(8, 8, 1\), mnist has \(28, 28, 1\)"
    ):
        tasks.Denoising().check(Doubtful(0), data.spec("mnist"))
