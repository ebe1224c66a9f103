"""The zoo as a table: on a terminal, and in Markdown for the README."""

import rich.console
import rich.table

_COLUMNS = (
    "model",
    "section",
    "data",
    "test accuracy (95 % interval)",
    "NLL, nats",
    "ECE",
    "parameters",
    "MFLOPs",
    "training",
)


def show(entries):
    """Prints the models' names, sections, accuracy where they are published, and what they are.

    Args:
        entries: What `describe` returns, for each model.
    """
    table = rich.table.Table("model", "section", "data", "test accuracy", "what it is", box=None)
    for entry in entries:
        accuracy = f"{entry['card']['metrics']['accuracy']:.2%}" if entry["trained"] else "not trained"
        table.add_row(entry["name"], entry["section"], entry["data"], accuracy, entry["summary"])
    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def markdown(entries):
    """Returns the published models as a Markdown table, every number from the cards.

    Args:
        entries: What `describe` returns, for each model.

    Returns:
        The table's lines as one string.
    """
    rows = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
    ]
    rows += [_row(entry["card"]) for entry in entries if entry["trained"]]
    return "\n".join(rows)


def _row(card):
    scores, data, training = card["metrics"], card["data"], card["training"]
    provenance = "" if data["provenance"] == "embedded" else f" ({data['provenance']})"
    interval = f"{100 * scores['accuracy_low']:.2f}-{100 * scores['accuracy_high']:.2f}"
    cells = (
        f"`{card['name']}`",
        card["section"],
        data["name"] + provenance,
        f"{100 * scores['accuracy']:.2f} % ({interval})",
        f"{scores['nll']:.4f}",
        f"{scores['ece']:.4f}",
        f"{card['parameters']:,}",
        f"{card['flops'] / 1e6:.3g}",
        f"{training['seconds']:,.0f} s",
    )
    return f"| {' | '.join(cells)} |"
