"""The files of an agent: `agent.json` with its description, a Keras model, and `state.npz`."""

import json
import pathlib
import zipfile

import numpy as np

from ..files import replacing


def write(folder, described, name, model, state):
    """Writes an agent to a folder; an agent in it is replaced.

    Args:
        folder: The folder, which must be new, empty, or hold nothing but an agent.
        described: The description, JSON-serializable, with the name of the `algorithm`.
        name: Name of the model's file, which ends in `.keras`.
        model: The `keras.Model`.
        state: All that further learning depends on, as arrays by name.

    Raises:
        ValueError: If the folder is a file or holds other files, which are kept.
    """
    folder = pathlib.Path(folder).expanduser()
    _check_replaceable(folder, ("agent.json", name, "state.npz"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "agent.json").write_text(json.dumps(described, indent=2))
        model.save(temporary / name)
        np.savez(temporary / "state.npz", **state)


def _check_replaceable(folder, names):
    """Raises a `ValueError` if replacing the folder would remove anything but files of these names."""
    if folder.is_dir():
        other = next((path.name for path in sorted(folder.iterdir()) if path.name not in names), None)
        if other is not None:
            raise ValueError(
                f"folder must be new or hold an agent only, got {str(folder)!r} with {other!r} in it"
            )
    elif folder.exists():
        raise ValueError(f"folder must be new or hold an agent only, got the file {str(folder)!r}")


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

    Raises:
        ValueError: If the file of the state is missing or damaged.
    """
    path = pathlib.Path(folder).expanduser() / "state.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"folder must hold an agent, but {str(path)!r} can't be read ({error})") from error
