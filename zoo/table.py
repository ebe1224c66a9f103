"""Tables of the zoo's models, for the terminal and in Markdown for the README."""

import rich.console
import rich.table

from ..publishing import measures


def show(entries):
    """Prints a table of the models' names, sections, data, test scores if published, and summaries.

    Args:
        entries: The descriptions of the models, as `describe` returns them.
    """
    table = rich.table.Table("model", "section", "data", "on test data", "what it is", box=None)
    for entry in entries:
        card = entry["card"]
        score = measures.get(card["measure"]).brief(card["metrics"]) if card else "not trained"
        table.add_row(entry["name"], entry["section"], entry["data"], score, entry["summary"])
    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def markdown(entries):
    """Returns Markdown tables of the published models, one for each measure, with all numbers from the cards.

    Args:
        entries: The descriptions of the models, as `describe` returns them.

    Returns:
        The tables' lines as one string.
    """
    cards = [entry["card"] for entry in entries if entry["card"]]
    tables = []
    for name, measure in measures.MEASURES.items():
        measured = [card for card in cards if card["measure"] == name]
        if measured:
            columns = ["model", "section", "data", *measure.columns, "parameters", "MFLOPs", "training"]
            rows = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
            tables.append("\n".join(rows + [_row(card, measure.columns.values()) for card in measured]))
    return "\n\n".join(tables)


def _row(card, columns):
    data, training, flops = card["data"], card["training"], card["flops"]
    provenance = "" if data["provenance"] == "embedded" else f" ({data['provenance']})"
    cells = (
        f"`{card['name']}`",
        card["section"],
        data["name"] + provenance,
        *(cell(card["metrics"]) for cell in columns),
        f"{card['parameters']:,}",
        "" if flops is None else f"{flops / 1e6:.3g}",
        f"{training['seconds']:,.0f} s",
    )
    return f"| {' | '.join(cells)} |"
