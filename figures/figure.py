"""The description of a figure for the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure of the notes.

    Args:
        section: Number of its section, such as `2.3`; a literal, which the catalogue reads from the source.
        name: Name of the figure, of its module and of its PNG file.
        draw: Function without arguments that computes and draws it. Returns a `matplotlib.figure.Figure`, or
            (figure, (header, rows)) if a table belongs to it.
        caption: What the figure shows, with the numbers of its equations.
        place: Place among the figures of its section; figures with the same place are sorted by name.
    """

    section: str
    name: str
    draw: Callable
    caption: str
    place: int = 0
