"""The measure of classifiers: accuracy, likelihood and calibration.

N examples, K classes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from ..evaluation import Evaluation
from .measure import Measure, check_images

_MAX_IMAGES = 16
_SCALED_SCORES = ("nll", "ece", "brier")


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The data that the sections of a classifier's report show.

    Args:
        logits: Scores before the softmax, [N, K].
        labels: Integers in 0 ... K-1, [N].
        label_names: Names of the classes, K of them.
        images: Function from n indices to those examples, [n, H, W] or [n, H, W, C] with C of 1 or 3; `None`
            if the examples are not images.
    """

    logits: Any
    labels: Any
    label_names: tuple[str, ...]
    images: Callable[[Any], Any] | None = None


class Classification(Measure):
    """Accuracy and its interval, negative log-likelihood, calibration error, Brier score (section 1.8)."""

    name = "classification"
    options = {"temperature": "add scores after temperature scaling"}  # noqa: RUF012
    columns = {  # noqa: RUF012
        "test accuracy (95 % interval)": lambda scores: (
            f"{100 * scores['accuracy']:.2f} % "
            f"({100 * scores['accuracy_low']:.2f}-{100 * scores['accuracy_high']:.2f})"
        ),
        "NLL, nats": lambda scores: f"{scores['nll']:.4f}",
        "ECE": lambda scores: f"{scores['ece']:.4f}",
    }

    def brief(self, scores):
        """Returns the accuracy."""
        return f"{scores['accuracy']:.2%} accuracy"

    def check(self, model, spec):
        """Checks that a model has the image shape and the number of classes of a data set."""
        check_images(model, spec)
        classes = model.output_shape[-1]
        if classes != spec.classes:
            raise ValueError(f"{spec.name} must have {classes} classes, the model's, got {spec.classes}")

    def measure(self, model, splits, data, temperature=False):
        """Measures a classifier on the test split.

        Args:
            model: A `keras.Model` from images to logits.
            splits: The `Splits`.
            data: The `data` section of the card.
            temperature: Whether to fit a temperature on the validation split and to report the scaled
                scores, too: `temperature`, `scaled_nll`, `scaled_ece` and `scaled_brier`. All are `None` if
                every validation example is classified correctly, since the likelihood has no maximum then.

        Returns:
            The `Evaluation`, with the scores of `losses.classification_scores`.
        """
        from ...losses import classification_scores
        from .predictions import inputs_at, outputs_and_targets

        logits, labels = outputs_and_targets(model, splits.test)
        scores = classification_scores(logits, labels)
        if temperature:
            scores |= _scaled_scores(outputs_and_targets(model, splits.validation), logits, labels)
        names = splits.spec.labels or tuple(map(str, range(splits.spec.classes)))
        evidence = Evidence(logits, labels, names, lambda indices: inputs_at(splits.test, indices))
        return Evaluation(
            self.name, scores, data, summary=summary(scores), sections=lambda: sections(evidence)
        )


def _scaled_scores(validation, logits, labels):
    """Returns the scores at the temperature that maximizes the likelihood of the validation labels."""
    from ...losses import classification_scores, fit_temperature

    try:
        temperature = fit_temperature(*validation)
    except ValueError:
        return {"temperature": None, **{f"scaled_{key}": None for key in _SCALED_SCORES}}
    scaled = classification_scores(logits / temperature, labels)
    return {"temperature": temperature, **{f"scaled_{key}": scaled[key] for key in _SCALED_SCORES}}


def summary(scores, confidence=0.95):
    """Returns the scores as rows (name, value), formatted and labeled for readers where the name is known.

    Args:
        scores: The scores.
        confidence: The coverage of the accuracy's interval.
    """
    words = {
        "accuracy": ("Accuracy", _percent),
        "nll": ("Negative log-likelihood", "{:.4f} nats".format),
        "ece": ("Expected calibration error", _percent),
        "brier": ("Brier score", "{:.4f}".format),
        "errors": ("Mistakes", "{:,}".format),
        "examples": ("Examples", "{:,}".format),
    }
    rows = []
    for key, value in scores.items():
        if key == "accuracy_high" and "accuracy_low" in scores:
            interval = f"{_percent(scores['accuracy_low'])} to {_percent(value)}"
            rows.append((f"Accuracy, {100 * confidence:g} % interval", interval))
        elif key in words:
            label, write = words[key]
            rows.append((label, write(value)))
        elif key != "accuracy_low" or "accuracy_high" not in scores:
            rows.append((key, value))
    return rows


def sections(evidence):
    """Returns the sections of a classifier's report: calibration, confusions, and the highest losses.

    Args:
        evidence: The `Evidence`.

    Raises:
        ValueError: If a shape is wrong, a label is out of range, or the number of names or images does not
            match.
    """
    import numpy as np
    from scipy.special import softmax

    from ..page.report import Section

    probabilities = softmax(np.asarray(evidence.logits, dtype=np.float64), axis=-1)
    labels, names = np.asarray(evidence.labels), evidence.label_names
    if len(names) != probabilities.shape[1]:
        raise ValueError(f"label_names must have {probabilities.shape[1]} names, got {len(names)}")
    parts = [_calibration(probabilities, labels), _confusions(labels, probabilities.argmax(axis=1), names)]
    if evidence.images is not None:
        from ..page.classification import highest_loss, worst_mistakes

        worst = highest_loss(labels, probabilities, _MAX_IMAGES)
        figure = worst_mistakes(
            evidence.images(worst), labels[worst], probabilities[worst], names, _MAX_IMAGES
        )
        caption = "True class → predicted class, and the predicted probability of the true class."
        parts.append(Section("Highest loss", figures=[(figure, caption)]))
    return parts


def _calibration(probabilities, labels):
    """Returns the section on calibration."""
    from ...losses.calibration import expected_calibration_error, reliability_curve
    from ..page.classification import reliability_diagram
    from ..page.report import Section

    ece = expected_calibration_error(probabilities, labels)
    figure = reliability_diagram(reliability_curve(probabilities, labels), ece)
    caption = "Accuracy of the predictions at each confidence. Below the diagonal the model is overconfident."
    text = "When the model is 90 % sure, is it right nine times in ten?"
    return Section("Calibration", text, [(figure, caption)])


def _confusions(labels, predictions, names):
    """Returns the section on the confusion matrix and the most common mistakes."""
    from ..page.classification import confusion_counts, confusion_matrix, most_confused
    from ..page.report import Section

    counts = confusion_counts(labels, predictions, len(names))
    rows = [
        (f"{names[i]} → {names[j]}", f"{count:,} of {counts[i].sum():,}")
        for i, j, count in most_confused(counts)
    ]
    caption = (
        "Rows are true classes, columns predicted ones. Blue: fraction of the class that is classified "
        "correctly; orange: fraction mistaken, on a scale up to the most common mistake. The table lists the "
        "most common mistakes, as true class → predicted class."
    )
    return Section("Confusions", figures=[(confusion_matrix(labels, predictions, names), caption)], rows=rows)


def _percent(fraction):
    """Formats a fraction as a percentage."""
    return f"{100 * fraction:.2f} %"
