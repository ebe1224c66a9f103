"""The figures of a chapter or section of the notes, computed and drawn again, on one page."""

import pathlib

import rich.progress

from ..publishing.page import report
from .catalogue import PICTURES, TITLES


def sections():
    """Returns what `write_page` takes: the chapters and sections that have figures, in the notes' order."""
    numbers = dict.fromkeys(picture.section for picture in PICTURES)
    return sorted({number.split(".")[0] for number in numbers} | numbers.keys(), key=_order)


def write_page(section, path=None, pictures=None):
    """Computes and draws the figures of a chapter or section, and writes them with captions to one HTML page.

    Args:
        section: A chapter such as `2`, or a section such as `2.3`, that has figures.
        path: The page to write; `reproduce-SECTION.html` by default.
        pictures: A folder for the figures as PNG files as well.

    Returns:
        The page's path.

    Raises:
        ValueError: If the section has no figures; the message lists those that have.
    """
    if section not in sections():
        raise ValueError(f"section {section!r} has no figures; valid: {', '.join(sections())}")
    wanted = [picture for picture in PICTURES if f"{picture.section}.".startswith(f"{section}.")]
    parts = {picture.section: [] for picture in wanted}
    for picture in _tracked(wanted):
        drawn = picture.draw()
        # Where a picture comes with a table, both show the same numbers.
        figure, *table = drawn if isinstance(drawn, tuple) else (drawn,)
        parts[picture.section].append((figure, picture.caption, *table))
        if pictures:
            folder = pathlib.Path(pictures)
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(folder / f"{picture.name}.png", dpi=150)
    body = [
        report.Section(f"{number} {TITLES[number]}", figures=figures) for number, figures in parts.items()
    ]
    title = f"{section} {TITLES[section]}"
    return report.write_report(pathlib.Path(path or f"reproduce-{section}.html"), title, [], body)


def _tracked(wanted):
    """Yields the pictures under a bar that names the one being drawn."""
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(console=console) as bar:
        task = bar.add_task("", total=len(wanted))
        for picture in wanted:
            bar.update(task, description=f"{picture.section} {picture.name}")
            yield picture
            bar.advance(task)


def _order(number):
    return [int(part) for part in number.split(".")]
