"""The files of an agent: `agent.json` with its description, a Keras model, and `state.npz`."""

import json
import pathlib

import numpy as np

from ..files import replacing


def write(folder, described, name, model, state):
    """Writes an agent to a folder, which may be new; an agent in it is replaced.

    Args:
        folder: The folder.
        described: The description, JSON-serializable, with the name of the `algorithm`.
        name: Name of the model's file, which ends in `.keras`.
        model: The `keras.Model`.
        state: All that further learning depends on, as arrays by name.
    """
    folder = pathlib.Path(folder).expanduser()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "agent.json").write_text(json.dumps(described, indent=2))
        model.save(temporary / name)
        np.savez(temporary / "state.npz", **state)


def read_description(folder, algorithm):
    """Returns the description of the agent in a folder.

    Args:
        folder: The folder.
        algorithm: The algorithm that it must have.

    Raises:
        ValueError: If the folder holds no agent, or one of another algorithm.
    """
    folder = pathlib.Path(folder).expanduser()
    try:
        described = json.loads((folder / "agent.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"folder must hold an agent, got {str(folder)!r} ({error})") from error
    other = described.get("algorithm")
    if other != algorithm:
        raise ValueError(f"folder must hold an agent of {algorithm}, got one of {other} in {str(folder)!r}")
    return described


def read_state(folder):
    """Returns the state of the agent in a folder, as arrays by name.

    Args:
        folder: The folder.
    """
    with np.load(pathlib.Path(folder).expanduser() / "state.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
