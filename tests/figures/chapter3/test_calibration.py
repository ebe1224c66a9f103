import numpy as np

from curvezoo.figures.chapter3 import calibration
from curvezoo.figures.chapter3.calibration_measurement import Outcome
from curvezoo.losses.calibration import reliability_curve


def made_outcome(seed):
    """Labels drawn from the softmax, logits doubled: twice too sure."""
    rng = np.random.default_rng(seed)
    logits = {
        split: rng.normal(size=(n, 10)) for split, n in (("train", 60), ("validation", 300), ("test", 900))
    }
    noise = {split: rng.gumbel(size=values.shape) for split, values in logits.items()}
    labels = {split: np.argmax(values + noise[split], axis=1) for split, values in logits.items()}
    return Outcome({split: 2 * values for split, values in logits.items()}, labels)


def test_points_are_the_bins_before_and_after_the_temperature():
    free, held = made_outcome(0), made_outcome(1)
    figure = calibration.draw_outcomes({"no prior": free, "prior": held})
    left, right = figure.axes
    for axis, outcome, temperatures in ((left, free, (1.0, free.temperature)), (right, held, (1.0,))):
        drawn = [container.lines[0].get_xydata() for container in axis.containers]
        assert len(drawn) == 1 + len(temperatures)
        for points, t in zip(drawn[1:], temperatures, strict=True):
            curve = reliability_curve(outcome.probabilities("test", t), outcome.labels["test"], 10)
            kept = curve.count >= 8
            assert 3 <= kept.sum() < 10
            np.testing.assert_allclose(points, np.stack([curve.confidence, curve.accuracy], -1)[kept])
    assert 1.5 < free.temperature < 2.7
    shown = left.get_legend().get_texts()[2].get_text()
    assert f"T = {free.temperature:.2f}: {100 * free.scores('test', free.temperature)['ece']:.1f} %" in shown
