"""Objectives and data: their settings on cards, and the checks of their fields."""

import pytest

from curvezoo.training.parts import (
    AdversarialLoss,
    BanditFeedback,
    CrossEntropy,
    Denoise,
    InformationLoss,
    LabeledImages,
    NextToken,
    Pairs,
    Text,
    Translate,
)
from curvezoo.training.parts.kinds import DATA, OBJECTIVES, from_settings


@pytest.mark.parametrize(
    "objective",
    [
        CrossEntropy(0.1),
        BanditFeedback(epsilon=0.2, weighting=None),
        BanditFeedback("q", epsilon=1.0),
        Denoise("impulse", 0.3, "clean", "laplace"),
        NextToken(0.2),
        Translate(0.1),
        AdversarialLoss("saturating", label_smoothing=0.1),
        InformationLoss(information=0.5, information_delay=1.5, information_warmup=2.0, distortion=0.2),
    ],
)
def test_an_objective_can_be_rebuilt_from_its_settings(objective):
    assert from_settings(OBJECTIVES, objective.settings()) == objective


def test_the_warmup_of_the_information_term_is_set_in_epochs_and_made_in_steps():
    losses = InformationLoss(information=0.5, information_delay=1.5, information_warmup=0.3).losses(9)
    assert (losses["information"], losses["information_delay"], losses["information_warmup"]) == (0.5, 14, 3)
    # The rest is that of a plain network.
    plain = AdversarialLoss().losses(9)
    assert plain == {key: losses[key] for key in plain}
    assert losses.keys() - plain.keys() == {
        "information",
        "code_information",
        "information_delay",
        "information_warmup",
        "distortion",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "salt"}, "noise must be one of gaussian, impulse, got 'salt'"),
        ({"targets": "dirty"}, "targets must be one of noisy, clean, got 'dirty'"),
        ({"likelihood": "cauchy"}, "likelihood must be one of gaussian, laplace, got 'cauchy'"),
        ({"level": 0.0}, r"level must be a positive finite number, got 0\.0"),
        ({"level": float("nan")}, r"level must be a positive finite number, got nan"),
        ({"noise": "impulse", "level": 0.5}, r"level must be a number in \(0, 0\.5\), got 0\.5"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Denoise(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "sarsa"}, "method must be one of policy_gradient, q, got 'sarsa'"),
        ({"epsilon": -0.1}, r"epsilon must be in \[0, 1\], got -0\.1"),
        ({"weighting": "likelihood"}, r"epsilon must be positive for weighting='likelihood', got 0\.0"),
        ({"method": "q", "baseline": "batch"}, "weighting and baseline must not be set for method='q', got"),
    ],
)
def test_bad_settings_of_bandit_feedback_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        BanditFeedback(**settings)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match=r"kind must be one of cross_entropy, denoise, .*, got 'dream'"):
        from_settings(OBJECTIVES, {"kind": "dream"})


@pytest.mark.parametrize(
    "part",
    [
        LabeledImages("mnist", batch_size=7, random_labels=0.5),
        Text("tiny_shakespeare", tokenizer="bpe", vocabulary=300, context=64, batch_size=3),
        Pairs("dates", batch_size=5),
    ],
)
def test_data_comes_back_from_its_settings_and_needs_a_name(part):
    assert from_settings(DATA, part.settings()) == part
    with pytest.raises(ValueError, match="settings of images must have name, got kind"):
        from_settings(DATA, {"kind": "images"})
