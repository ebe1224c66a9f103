"""Penalties on weights in the loss (Eq. 3.4.21)."""

import dataclasses

from ... import arguments
from ..settings import Part


@dataclasses.dataclass(frozen=True)
class Penalty(Part):
    r"""The term \(\lambda_1 \sum |W| + \lambda_2 \sum W^2\) over all weight matrices (Eq. 3.4.21).

    Args:
        l1: \(\lambda_1\), at least 0.
        l2: \(\lambda_2\), at least 0.

    Raises:
        ValueError: If a factor is negative or not finite.
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self):
        for name in ("l1", "l2"):
            arguments.nonnegative_number(name, getattr(self, name))
