"""Which figure belongs to which section of the notes, and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass

from . import figures


@dataclass(frozen=True)
class Picture:
    """One figure of a section.

    Args:
        section: The section's number.
        name: Name of its file.
        draw: Computes and draws it: returns a `matplotlib.figure.Figure`, or (figure, (header, rows)) where a
            table belongs to it.
        caption: What is seen, with the numbers of its equations.
    """

    section: str
    name: str
    draw: Callable
    caption: str


TITLES = {
    "1": "A brief conceptual tour",
    "1.4": "Algorithmic differentiation",
    "2": "Information theory",
    "3": "Probability and maximum likelihood",
    "5": "Architectures",
    "5.1": "Propagation of information",
}

PICTURES = (
    Picture(
        "1.4",
        "differentiation",
        figures.differentiation.draw,
        "Error of finite differences against their step, Eq. 1.4.1 and 1.4.2: truncation on the right, "
        "rounding on the left. The complex step has no rounding error; automatic differentiation has "
        "neither.",
    ),
    Picture(
        "5.1",
        "propagation",
        figures.propagation.draw,
        "Second moments of activations and gradients against depth, Eq. 5.1.6 to 5.1.15: points are measured "
        "on random networks, lines are the theory.",
    ),
)
