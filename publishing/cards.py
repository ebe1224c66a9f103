"""Model cards, which describe a published model, its training and its scores, and the check of its files.

The card of a published folder, `card.json`, holds the sha256 of every other file and of its own contents.
This module does not import TensorFlow.
"""

import collections
import hashlib
import html
import json
import os
import pathlib
import platform
import shutil
from importlib import metadata

from .. import arguments
from ..files import replacing
from . import card_form

PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "scikit-learn")
PUBLISHED = pathlib.Path(__file__).resolve().parent.parent / "saved_models"


class Card(dict):
    """A model card: a JSON-serializable dictionary, shown as a table in notebooks."""

    def _repr_html_(self):
        """Returns the card as an HTML table, without the hashes of its files."""
        return f"<table>{''.join(_rows(self, ''))}</table>"


def _rows(values, prefix):
    """Yields table rows for nested values."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from () if key == "files" else _rows(value, f"{name}.")
        else:
            yield f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"


def published(name):
    """Returns the `Card` of a published model, or `None` if the model is not published."""
    path = PUBLISHED / name / "card.json"
    return read(path.parent) if path.is_file() else None


def folder_of(name_or_path):
    """Returns the folder of a published model.

    Args:
        name_or_path: A published name, a folder that holds a card, or the folder of a run.

    Raises:
        ValueError: If there is no such folder; the message lists the published names.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        got = arguments.described(name_or_path)
        raise ValueError(f"name must be that of a published model or the path of a folder, got {got}")
    path = pathlib.Path(name_or_path).expanduser()
    for folder in (PUBLISHED / name_or_path, path, path / "model"):
        if (folder / "card.json").is_file():
            return folder
    names = ", ".join(sorted(p.parent.name for p in PUBLISHED.glob("*/card.json"))) or "none yet"
    raise ValueError(
        f"{str(name_or_path)!r} is neither a published model nor a folder with a card; published: {names}"
    )


def read(folder):
    """Returns the card of a folder.

    Args:
        folder: A folder with a `card.json`.

    Returns:
        The `Card`.

    Raises:
        ValueError: If the card is not JSON, a field is missing, unknown or of the wrong type, or the card has
            changed since it was written; the message names the field.
    """
    path = pathlib.Path(folder) / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        card_form.check(card)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a valid card: {error}") from error
    return Card(card)


def hashes(folder):
    """Returns the sha256 of every file in a folder except its card, by relative path."""
    folder = pathlib.Path(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "card.json")
    return {p.relative_to(folder).as_posix(): sha256(p) for p in files}


def sha256(path):
    """Returns the hexadecimal sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder):
    """Checks every file listed on a folder's card.

    Returns:
        The card.

    Raises:
        ValueError: If a file is missing or has changed; the message names it.
    """
    folder = pathlib.Path(folder)
    card = read(folder)
    for name, expected in card["files"].items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing; restore the folder or train the model again")
        if sha256(path) != expected:
            raise ValueError(f"{path} is corrupted: its sha256 is not the one on the card")
    return card


def describe_run(recipe, evaluation, *, account, history, place, devices, command, example=""):
    """Returns the content of a card except the hashes of its files.

    Args:
        recipe: The run's recipe.
        evaluation: The `Evaluation` of the trained model.
        account: Pair (parameters, FLOPs), as `accounting.totals` returns it; FLOPs may be `None`.
        history: Logs of the units of training.
        place: The number of units, the strategy's name and the number of replicas, by name.
        devices: The device types that TensorFlow sees.
        command: The command line that repeats the run.
        example: What the FLOPs are counted for, if the model takes inputs of any length or size.

    Returns:
        A JSON-serializable dictionary.
    """
    parameters, flops = account
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "section": recipe.section,
        "data": dict(evaluation.data),
        "command": command,
        "seeds": recipe.seeds,
        "measure": evaluation.measure,
        "metrics": {"split": evaluation.split, **evaluation.scores},
        "parameters": parameters,
        "flops": flops,
        **({"flops_of": example} if example else {}),
        "training": {
            **place,
            "seconds": round(sum(row["seconds"] for row in history), 1),
            "hardware": _hardware(devices),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "licence": "Apache-2.0",
        "limits": recipe.limits,
        "recipe": recipe.settings(),
    }


def _hardware(devices):
    """Returns the processor's name and number of cores, and the accelerators."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    counts = collections.Counter(kind for kind in devices if kind != "CPU")
    accelerators = "".join(f", {count} {kind}" for kind, count in counts.items())
    return f"{name}, {os.cpu_count()} cores{accelerators}"


def copy(name_or_path, to):
    """Copies a published folder after checking its files.

    Args:
        name_or_path: A published name, or a folder with a card.
        to: The new folder, which must not exist.

    Returns:
        The new folder's path.

    Raises:
        ValueError: If there is no such model, its files are damaged, or the new folder exists.
    """
    folder, to = folder_of(name_or_path), pathlib.Path(to).expanduser()
    verify(folder)
    if to.exists():
        raise ValueError(f"{to} exists already; name a new folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    with replacing(to) as temporary:
        shutil.copytree(folder, temporary)
    return to
