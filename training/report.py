"""One page about one run: a single HTML file with its pictures inside, readable without a network.

`write_report` lays out any title, tables and figures; `classifier_report` fills it for a classifier.

Legend: N examples, K classes, H height, W width, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from scipy.special import softmax

from ..losses.calibration import expected_calibration_error, reliability_curve
from .figures.classification import (
    confusion_counts,
    confusion_matrix,
    highest_loss,
    most_confused,
    reliability_diagram,
    worst_mistakes,
)
from .figures.curves import loss_curves
from .figures.style import data_uri
from .files import replacing

# The policy makes the browser itself refuse anything that is not in the file.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #222; --muted: #666; --rule: #e3e3e3; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #e6e6e6; --muted: #a0a0a0; --rule: #34373d; }
}
body { max-width: 50rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; background: var(--page);
       color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
p { margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--rule); text-align: left;
         vertical-align: top; overflow-wrap: anywhere; }
th { width: 40%; font-weight: normal; color: var(--muted); }
td { font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: .4rem; }
figcaption { margin-top: .4rem; color: var(--muted); font-size: .9rem; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
$lead$summary$sections</main>
</body>
</html>
""")


_SHOWN = 16


@dataclass(frozen=True)
class Section:
    """One headed part of a report: text, then figures, then a table. Empty parts are left out.

    Args:
        heading: The heading.
        text: One paragraph.
        figures: Pairs (`matplotlib.figure.Figure`, caption).
        rows: Pairs (name, value) of a table.
    """

    heading: str
    text: str = ""
    figures: Sequence[tuple] = ()
    rows: Sequence[tuple] = ()


def write_report(path, title, summary, sections, lead=""):
    """Writes a report as one HTML file with its pictures inside.

    All text is escaped. The file appears whole or not at all: it is written beside its place and moved there.

    Args:
        path: Where to write; missing folders are made.
        title: Title of the page.
        summary: Pairs (name, value) of the table at the top.
        sections: The `Section`s that follow.
        lead: A sentence under the title.

    Returns:
        The path, a `pathlib.Path`.
    """
    page = _PAGE.substitute(
        title=escape(str(title)),
        lead=_paragraph(lead),
        summary=_table(summary),
        sections="".join(_section(section) for section in sections),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def classifier_report(
    path,
    *,
    name,
    description,
    scores,
    history,
    logits,
    labels,
    images,
    label_names,
    rows,
    confidence=0.95,
):
    """Writes the report of a classifier: scores, training, calibration, confusions, worst mistakes, settings.

    Args:
        path: Where to write.
        name: Name of the model, the page's title.
        description: One sentence about the model and its data.
        scores: The dict of `losses.calibration.classification_scores`; other entries are shown as they are.
        history: Lists of one number an epoch, as `figures.curves.loss_curves` takes them.
        logits: Scores before the softmax of the examples judged, [N, K].
        labels: Integers in 0 ... K-1, [N].
        images: Function from n indices to those examples, [n, H, W] or [n, H, W, C] with C of 1 or 3;
            `None` where they are not pictures.
        label_names: Names of the classes, K of them.
        rows: Pairs (name, value) of the run's settings.
        confidence: The coverage with which the interval in `scores` was computed.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ValueError: If a shape is another, a label out of range, or the number of names or images wrong.
    """
    probabilities = softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    ece = expected_calibration_error(probabilities, labels)
    if len(label_names) != probabilities.shape[1]:
        raise ValueError(f"label_names must have {probabilities.shape[1]} names, got {len(label_names)}")
    sections = [
        Section("Training", figures=[(loss_curves(history), "Every measured quantity against the epoch.")]),
        Section(
            "Calibration",
            "When the model is 90 % sure, is it right nine times in ten?",
            [
                (
                    reliability_diagram(reliability_curve(probabilities, labels), ece),
                    "Accuracy among predictions of one confidence. Below the diagonal the model is too sure.",
                )
            ],
        ),
        _confusion_section(labels, probabilities.argmax(axis=1), label_names),
    ]
    if images is not None:
        worst = highest_loss(labels, probabilities, _SHOWN)
        mistakes = worst_mistakes(
            images(worst), np.asarray(labels)[worst], probabilities[worst], label_names, _SHOWN
        )
        caption = "True class → predicted class, and the probability that was given to the true class."
        sections.append(Section("Highest loss", figures=[(mistakes, caption)]))
    sections.append(Section("Settings", rows=rows))
    return write_report(path, name, _score_rows(scores, confidence), sections, lead=description)


def _confusion_section(labels, predictions, names):
    """Makes the section of the confusion matrix and the commonest mistakes."""
    counts = confusion_counts(labels, predictions, len(names))
    commonest = most_confused(counts)
    return Section(
        "Confusions",
        figures=[
            (
                confusion_matrix(labels, predictions, names),
                "Rows are true classes, columns predicted ones. Blue: share of the class that is right; "
                "orange: share mistaken, up to the commonest mistake. The table lists the commonest, "
                "as true class → predicted class.",
            )
        ],
        rows=[(f"{names[i]} → {names[j]}", f"{count:,} of {counts[i].sum():,}") for i, j, count in commonest],
    )


def _score_rows(scores, confidence):
    """Puts the scores into table rows: known ones in words, others under their own name."""
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
            label, form = words[key]
            rows.append((label, form(value)))
        elif key != "accuracy_low" or "accuracy_high" not in scores:
            rows.append((key, value))
    return rows


def _percent(fraction):
    """Writes a fraction as a percentage."""
    return f"{100 * fraction:.2f} %"


def _section(section):
    """Lays out one section."""
    figures = "".join(_figure(figure, caption) for figure, caption in section.figures)
    body = _paragraph(section.text) + figures + _table(section.rows)
    return f"<section>\n<h2>{escape(section.heading)}</h2>\n{body}</section>\n"


def _figure(figure, caption):
    """Lays out one picture with its caption."""
    width, height = figure.get_size_inches()
    text = escape(caption)
    # Given its size, the page does not jump while the picture is decoded; CSS has 96 pixels to the inch.
    size = f'width="{96 * width:.0f}" height="{96 * height:.0f}"'
    image = f'<img src="{data_uri(figure)}" alt="{text}" {size}>'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>\n"


def _paragraph(text):
    """Lays out a paragraph, or nothing."""
    return f"<p>{escape(text)}</p>\n" if text else ""


def _table(rows):
    """Lays out pairs (name, value), or nothing."""
    lines = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>\n" for name, value in rows)
    return f"<table>\n{lines}</table>\n" if lines else ""


def _text(value):
    """Escapes a value; floats to six significant digits."""
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))
