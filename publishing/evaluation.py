"""The result of measuring a model: its scores, the data they refer to, and the report's sections on them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of a trained model, with what a report shows about them.

    Args:
        measure: Name of the measure in `publishing.measures`.
        scores: Numbers by name.
        data: The data on which the model was measured, in the form of a card's `data` section.
        split: The split of the data.
        summary: Pairs (name, value): the scores, formatted for readers.
        sections: Function that returns the `Section`s of the report. It is called only for a report, since
            drawing figures is slow.
    """

    measure: str
    scores: Mapping[str, float | int | None]
    data: Mapping[str, Any]
    split: str = "test"
    summary: Sequence[tuple[str, Any]] = ()
    sections: Callable[[], list] = list
