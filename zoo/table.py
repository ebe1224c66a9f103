"""The zoo as a table: on a terminal, and in Markdown for the README."""

import rich.console
import rich.table

# The columns of each task's scores, the first of them the one that a short table shows.
_SCORES = {
    "classification": {
        "test accuracy (95 % interval)": lambda scores: (
            f"{100 * scores['accuracy']:.2f} % "
            f"({100 * scores['accuracy_low']:.2f}-{100 * scores['accuracy_high']:.2f})"
        ),
        "NLL, nats": lambda scores: f"{scores['nll']:.4f}",
        "ECE": lambda scores: f"{scores['ece']:.4f}",
    },
    "denoising": {
        "test PSNR, dB (two standard errors)": lambda scores: (
            f"{scores['psnr']:.2f} ({scores['psnr_low']:.2f}-{scores['psnr_high']:.2f})"
        ),
        "PSNR of the noisy images, dB": lambda scores: f"{scores['psnr_noisy']:.2f}",
    },
}
_SHORT = {
    "classification": lambda scores: f"{scores['accuracy']:.2%} accuracy",
    "denoising": lambda scores: f"{scores['psnr']:.1f} dB PSNR",
}


def show(entries):
    """Prints the models' names, sections, test scores where they are published, and what they are.

    Args:
        entries: What `describe` returns, for each model.
    """
    table = rich.table.Table("model", "section", "data", "on test data", "what it is", box=None)
    for entry in entries:
        score = _SHORT[_kind(entry)](entry["card"]["metrics"]) if entry["trained"] else "not trained"
        table.add_row(entry["name"], entry["section"], entry["data"], score, entry["summary"])
    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def markdown(entries):
    """Returns the published models as Markdown tables, one for each task, every number from the cards.

    Args:
        entries: What `describe` returns, for each model.

    Returns:
        The tables' lines as one string.
    """
    tables = []
    for kind, scores in _SCORES.items():
        cards = [entry["card"] for entry in entries if entry["trained"] and _kind(entry) == kind]
        if cards:
            columns = ["model", "section", "data", *scores, "parameters", "MFLOPs", "training"]
            rows = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
            tables.append("\n".join(rows + [_row(card, scores.values()) for card in cards]))
    return "\n\n".join(tables)


def _kind(entry):
    return entry["recipe"]["task"]["kind"]


def _row(card, scores):
    data, training = card["data"], card["training"]
    provenance = "" if data["provenance"] == "embedded" else f" ({data['provenance']})"
    cells = (
        f"`{card['name']}`",
        card["section"],
        data["name"] + provenance,
        *(write(card["metrics"]) for write in scores),
        f"{card['parameters']:,}",
        f"{card['flops'] / 1e6:.3g}",
        f"{training['seconds']:,.0f} s",
    )
    return f"| {' | '.join(cells)} |"
