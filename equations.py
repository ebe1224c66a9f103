"""The ledger of the notes' numbered equations: docs/equations.csv.

Each equation has one row: `tested` by the test named in `by`, a `definition`, a `derivation` step that leads
to the equation named in `by`, or `open` until its chapter is implemented. tests/conftest.py checks the ledger
against the tests that ran.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

STATUSES = ("tested", "definition", "derivation", "open")
"""The valid statuses of an equation."""

LEDGER = Path(__file__).parent / "docs" / "equations.csv"
"""The path of the ledger."""


@dataclass(frozen=True)
class Equation:
    """One row of the ledger.

    Args:
        number: The equation's number in the notes, such as `4.5.9`.
        status: One of `STATUSES`.
        by: The test that verifies the equation, or for a derivation step the equation that it leads to.
        note: A remark.
    """

    number: str
    status: str
    by: str = ""
    note: str = ""

    @property
    def section(self) -> str:
        """The notes' section, `4.5` for `4.5.9`."""
        return self.number.rpartition(".")[0]


@dataclass(frozen=True)
class SectionCoverage:
    """The number of a section's equations with each status.

    Args:
        section: The section's number.
        count: The number of its equations.
        tested: Equations that a test verifies.
        definition: Definitions.
        derivation: Steps of a derivation.
        open: Equations of a chapter that is not yet implemented.
    """

    section: str
    count: int
    tested: int
    definition: int
    derivation: int
    open: int


def load(path: Path | str = LEDGER) -> dict[str, Equation]:
    """Reads the ledger.

    Args:
        path: A CSV file with the columns equation, status, by, note.

    Returns:
        The equations by number, in the file's order.

    Raises:
        ValueError: If the file has other columns, a number occurs twice or a status is unknown.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != ["equation", "status", "by", "note"]:
            raise ValueError(f"{path} must have the columns equation,status,by,note, got {reader.fieldnames}")
        rows = [Equation(row["equation"], row["status"], row["by"], row["note"]) for row in reader]
    repeated = [number for number, count in Counter(row.number for row in rows).items() if count > 1]
    if repeated:
        raise ValueError(f"{path} must name each equation once, got repeated {', '.join(repeated)}")
    unknown = [f"{row.number}: {row.status!r}" for row in rows if row.status not in STATUSES]
    if unknown:
        raise ValueError(f"{path} must use the statuses {', '.join(STATUSES)}, got {', '.join(unknown)}")
    return {row.number: row for row in rows}


def coverage(ledger: dict[str, Equation] | None = None) -> list[SectionCoverage]:
    """Counts the statuses section by section.

    Args:
        ledger: The equations by number, by default those of `load`.

    Returns:
        One `SectionCoverage` per section, in the order of the notes.
    """
    rows = (load() if ledger is None else ledger).values()
    counts: dict[str, Counter] = {}
    for row in rows:
        counts.setdefault(row.section, Counter())[row.status] += 1
    return [
        SectionCoverage(section, sum(count.values()), **{status: count[status] for status in STATUSES})
        for section, count in counts.items()
    ]


def render(ledger: dict[str, Equation] | None = None) -> list[tuple[str, ...]]:
    """Formats the coverage as a table of strings.

    Args:
        ledger: The equations by number, by default those of `load`.

    Returns:
        A header, a row for each section, and a row of totals.
    """
    header = ("section", "count", *STATUSES)
    sections = coverage(ledger)
    rows = [tuple(str(getattr(section, column)) for column in header) for section in sections]
    totals = (str(sum(getattr(section, column) for section in sections)) for column in header[1:])
    return [header, *rows, ("total", *totals)]
