"""The page with the figures of a chapter or section of the notes, computed and drawn again."""

import pathlib

import rich.console
import rich.progress

from .. import arguments
from ..publishing.page import report
from . import catalogue


def write_page(section, path=None, pictures=None):
    """Computes and draws the figures of a chapter or section, and writes them with captions to one HTML page.

    Args:
        section: A chapter such as `2`, or a section such as `2.3`, that has figures.
        path: The page to write; `reproduce-SECTION.html` by default.
        pictures: A folder in which to save the figures as PNG files, too.

    Returns:
        The page's path.

    Raises:
        ValueError: If the section has no figures; the message lists those that have. Also if `path` is a
            folder.
        OSError: If the page or the pictures cannot be written.
    """
    chosen = catalogue.figures(section)
    # Validate before the figures are drawn, which can take hours.
    path = arguments.output_file("out", path or f"reproduce-{section}.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    if pictures:
        pictures = pathlib.Path(pictures).expanduser()
        pictures.mkdir(parents=True, exist_ok=True)
    drawn = {figure.section: [] for figure in chosen}
    for figure in _with_progress(chosen):
        result = figure.draw()
        canvas, *table = result if isinstance(result, tuple) else (result,)
        drawn[figure.section].append((canvas, figure.caption, *table))
        if pictures:
            canvas.savefig(pictures / f"{figure.name}.png", dpi=150)
    titles = catalogue.TITLES
    body = [report.Section(f"{number} {titles[number]}", figures=each) for number, each in drawn.items()]
    return report.write_report(path, f"{section} {titles[section]}", [], body)


def _with_progress(figures):
    """Yields the figures under a progress bar that names the one being drawn."""
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(console=console) as bar:
        task = bar.add_task("", total=len(figures))
        for figure in figures:
            bar.update(task, description=f"{figure.section} {figure.name}")
            yield figure
            bar.advance(task)
