"""Checkpoints of a run: one folder per unit of training, with all that the next unit depends on.

A folder such as `epoch-0007` holds `state.npz`, the learner's state by name, and `history.json`, the logs
of the completed units. It is written under a temporary name and then renamed, so that a killed run leaves
only complete checkpoints.
"""

import json
import pathlib
import re
import zipfile

import numpy as np

from ..files import remove, replacing

KEPT = 2
_NAME = re.compile(r"[^.].*-(\d+)")


def path_of(folder, unit, number):
    """Returns the path of a checkpoint.

    Args:
        folder: The folder that holds the checkpoints.
        unit: Name of the learner's unit of training, such as "epoch".
        number: Number of completed units.
    """
    return pathlib.Path(folder) / f"{unit}-{number:04d}"


def save(folder, unit, state, history, best):
    """Writes the checkpoint of the last unit in `history` and removes all but the newest two and the best.

    Args:
        folder: The folder that holds the checkpoints.
        unit: Name of the learner's unit of training.
        state: Arrays by name.
        history: Logs of the completed units, one dictionary per unit.
        best: The best unit, counted from 1, whose checkpoint is kept besides the newest two.

    Returns:
        The new checkpoint's path.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, unit, len(history))
    with replacing(path) as temporary:
        temporary.mkdir()
        np.savez(temporary / "state.npz", **state)
        (temporary / "history.json").write_text(json.dumps(history))
    kept = {*every(folder)[-KEPT:], path_of(folder, unit, best)}
    for old in set(every(folder)) - kept:
        remove(old)
    return path


def read(path):
    """Returns the state and the history of a checkpoint.

    Args:
        path: A checkpoint, as `latest` returns it.

    Raises:
        ValueError: If the checkpoint can't be read.
    """
    path = pathlib.Path(path)
    try:
        with np.load(path / "state.npz", allow_pickle=False) as stored:
            state = {name: stored[name] for name in stored.files}
        history = json.loads((path / "history.json").read_text())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the checkpoint {path} can't be read ({error})") from error
    return state, history


def restore(path, learner):
    """Restores a learner from a checkpoint.

    Args:
        path: A checkpoint, as `latest` returns it.
        learner: The `Learner`, constructed like the one that was saved.

    Returns:
        The history: the logs of the completed units.

    Raises:
        ValueError: If the checkpoint can't be read or belongs to a different learner.
    """
    state, history = read(path)
    try:
        learner.restore(state)
    except (ValueError, KeyError) as error:
        raise ValueError(f"the checkpoint {path} does not fit: {error}") from error
    return history


def first_non_finite(state):
    """Returns the name of the first array that holds NaN or infinity, or `None`.

    Args:
        state: Arrays by name.
    """
    for name, value in state.items():
        value = np.asarray(value)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            return name
    return None


def every(folder):
    """Returns the complete checkpoints in a folder, oldest first."""
    folder = pathlib.Path(folder)
    paths = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda p: int(_NAME.fullmatch(p.name)[1]))


def latest(folder):
    """Returns the newest complete checkpoint in a folder, or `None`."""
    return (every(folder) or [None])[-1]
