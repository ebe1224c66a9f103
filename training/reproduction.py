"""The figures of a section of the notes, measured and drawn again, on one page."""

import pathlib

import rich.progress

from . import figures, report

_SECTIONS = {
    "1.4": (
        "Algorithmic differentiation",
        [
            (
                "differentiation",
                figures.differentiation.draw,
                "Error of finite differences against their step, Eq. 1.4.1 and 1.4.2: truncation on the "
                "right, rounding on the left. The complex step has no rounding error; automatic "
                "differentiation has neither.",
            )
        ],
    ),
    "5.1": (
        "Propagation of information",
        [
            (
                "propagation",
                figures.propagation.draw,
                "Second moments of activations and gradients against depth, Eq. 5.1.6 to 5.1.15: "
                "points are measured on random networks, lines are the theory.",
            )
        ],
    ),
}


def write_page(section, path=None, pictures=None):
    """Measures and draws a section's figures, and writes them with captions to one HTML page.

    Args:
        section: A section that has figures.
        path: The page to write; `reproduce-SECTION.html` by default.
        pictures: A folder for the figures as PNG files as well.

    Returns:
        The page's path.

    Raises:
        ValueError: If the section has no figures; the message lists those that have.
    """
    if section not in _SECTIONS:
        raise ValueError(f"section {section!r} has no figures; valid: {', '.join(_SECTIONS)}")
    title, drawings = _SECTIONS[section]
    path = pathlib.Path(path or f"reproduce-{section}.html")
    track = rich.progress.track(drawings, "drawing", console=rich.progress.Console(stderr=True))
    drawn = []
    for name, draw, caption in track:
        figure = draw()
        drawn.append((figure, caption))
        if pictures:
            folder = pathlib.Path(pictures)
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(folder / f"{name}.png", dpi=150)
    return report.write_report(path, f"{section} {title}", [], [report.Section(title, figures=drawn)])
