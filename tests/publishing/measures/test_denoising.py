"""A denoiser is scored against clean images, in decibels that are computed here by hand."""

import numpy as np
import pytest

from curvezoo import data
from curvezoo.publishing import measures
from curvezoo.training.parts import Denoise


class Offset:
    """A stand-in for a model, which returns its input plus a constant."""

    input_shape = (None, 8, 8, 1)

    def __init__(self, offset):
        self.offset = offset

    def __call__(self, inputs, training):
        return inputs + self.offset


def test_scores_are_those_of_the_formula():
    splits = Denoise(level=0.1).prepare(data.load("digits"), seed=0)
    evaluation = measures.get("denoising").measure(Offset(0.25), splits, {"name": "digits"})
    scores = evaluation.scores
    pairs = list(splits.test.as_numpy_iterator())
    noisy, clean = (np.concatenate(parts).astype("float64") for parts in zip(*pairs, strict=True))

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
    assert (evaluation.measure, evaluation.split, evaluation.data) == (
        "denoising",
        "test",
        {"name": "digits"},
    )
    assert dict(evaluation.summary)["Images"] == "360"


def test_images_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"mnist must have images of shape \(8, 8, 1\), the model's, got \(28, 28, 1\)"
    ):
        measures.get("denoising").check(Offset(0), data.spec("mnist"))


def test_unknown_measures_are_refused():
    with pytest.raises(ValueError, match=r"measure must be one of .*, denoising, .*, got 'dreaming'"):
        measures.get("dreaming")
