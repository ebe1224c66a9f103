"""What a learner measured: scores, where they come from, and the evidence that the page shows."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of a trained model with their evidence.

    Args:
        measure: Name of the measure, the file in `publishing.measures` that made it.
        scores: Numbers by name.
        data: What it was measured on, as a card's `data` section.
        split: The split of the data.
        summary: Pairs (name, value): the scores in words.
        sections: Returns the `Section`s of the page that show the evidence; drawing takes a while.
    """

    measure: str
    scores: Mapping[str, float | int | None]
    data: Mapping[str, Any]
    split: str = "test"
    summary: Sequence[tuple[str, Any]] = ()
    sections: Callable[[], list] = list
