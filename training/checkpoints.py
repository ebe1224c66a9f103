"""Checkpoints of a run: all that the next epoch depends on, one folder an epoch.

A folder `epoch-0007` holds `state.npz`, every variable of the model (the state of random generators
included) and of the optimizer, and `history.json`, the logs of the epochs so far. It is written under
a temporary name and then renamed, so that a killed run leaves only whole ones.
"""

import json
import pathlib
import re
import zipfile

import numpy as np

from ..publishing.files import remove, replacing

KEPT = 2
_NAME = re.compile(r"epoch-\d+")


def save(folder, model, history):
    """Writes the checkpoint of the last epoch in `history`, then removes all but the newest and the best.

    Args:
        folder: The folder that holds the checkpoints.
        model: A compiled `keras.Model`.
        history: Logs of the epochs so far, one dictionary each.

    Returns:
        The new checkpoint's path.
    """
    folder = pathlib.Path(folder)
    state = {name: np.asarray(variable) for name, variable in _variables(model)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch-{len(history):04d}"
    with replacing(path) as temporary:
        temporary.mkdir()
        np.savez(temporary / "state.npz", **state)
        (temporary / "history.json").write_text(json.dumps(history))
    kept = {*every(folder)[-KEPT:], folder / f"epoch-{best_epoch(history):04d}"}
    for old in set(every(folder)) - kept:
        remove(old)
    return path


def first_bad(model):
    """Returns the path of the first variable of a compiled model that is NaN or infinite, or `None`."""
    for _, variable in _variables(model):
        value = np.asarray(variable)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            return variable.path
    return None


def restore(path, model):
    """Puts a checkpoint's values into a model built and compiled as the one that was saved.

    Args:
        path: A checkpoint, as `latest` gives it.
        model: A compiled `keras.Model`.

    Returns:
        The history: logs of the epochs so far.

    Raises:
        ValueError: If the checkpoint is of another model or can't be read.
    """
    path = pathlib.Path(path)
    variables = dict(_variables(model))
    try:
        with np.load(path / "state.npz", allow_pickle=False) as state:
            values = {name: state[name] for name in state.files}
        history = json.loads((path / "history.json").read_text())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the checkpoint {path} can't be read ({error})") from error
    for name, variable in variables.items():
        if name not in values or values[name].shape != tuple(variable.shape):
            raise ValueError(f"the checkpoint {path} is of another model: {variable.path} differs")
    for name, variable in variables.items():
        variable.assign(values[name])
    return history


def every(folder):
    """Returns the whole checkpoints in a folder, oldest first."""
    folder = pathlib.Path(folder)
    found = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=lambda p: int(p.name.removeprefix("epoch-")))


def latest(folder):
    """Returns the newest whole checkpoint in a folder, or `None`."""
    return (every(folder) or [None])[-1]


def best_epoch(history):
    """Returns the epoch, counted from 1, of the lowest validation loss; the last where none was measured."""
    losses = [row["val_loss"] for row in history if "val_loss" in row]
    return int(np.argmin(losses)) + 1 if len(losses) == len(history) else len(history)


def _variables(model):
    """Yields `(name, variable)` in the model's own order, which a rebuilt model repeats."""
    for i, variable in enumerate(model.variables):
        yield f"model/{i}", variable
    for i, variable in enumerate(model.optimizer.variables):
        yield f"optimizer/{i}", variable
