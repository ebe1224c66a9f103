"""The page of a style transfer: pictures, losses, settings."""

import dataclasses

from ...publishing.page.report import Section, write_report
from . import plots


def write(path, result, options, command):
    """Writes the page.

    Args:
        path: File to write.
        result: The `StyleTransfer`.
        options: Its `Options`.
        command: The command line; empty if there is none.

    Returns:
        The path, a `pathlib.Path`.
    """
    caption = "Top: content and style. Bottom: the pictures with the lowest loss, clipped to [0, 1]."
    sections = [
        Section("Pictures", figures=[(plots.draw_pictures(result), caption)]),
        Section("Losses", figures=[(plots.draw_losses(result.losses), _LOSSES, _table(result))]),
        Section("Settings", rows=_settings(options, command)),
    ]
    lead = (
        "The pixels minimize the distance to the style in the Gram matrices of a network's features, the "
        "distance to the content in the features of one layer, and the total variation (Sec. 5.3)."
    )
    summary = [(f"Lowest loss of {plots.LABELS[name]}", float(v.min())) for name, v in result.losses.items()]
    return write_report(path, "Style transfer", summary, sections, lead=lead)


_LOSSES = (
    "The loss of every evaluation, with those of line searches, from the same start. The terms of the table "
    "are those of the clipped pictures, without weights; style and content are relative to features of zero."
)


def _table(result):
    header = ["optimizer", "evaluations", "seconds", "lowest loss", "style", "content", "total variation"]
    rows = [
        [
            plots.LABELS[name],
            len(losses),
            f"{result.seconds[name]:.0f}",
            float(losses.min()),
            *(f"{term:.4g}" for term in result.terms[name]),
        ]
        for name, losses in result.losses.items()
    ]
    return header, rows


def _settings(options, command):
    rows = [("command", command)] if command else []
    for key, value in dataclasses.asdict(options).items():
        if value is not None:
            rows.append((key, ", ".join(value) if isinstance(value, tuple) else value))
    return rows
