"""Checks of the output folder of a run or a study: it holds one run, resumed only with the same settings."""

import json
import pathlib

from .lock import NAME


def check_free(out, resume, noun):
    """Checks that a folder can be used for a new or a resumed run.

    Args:
        out: The folder, a `pathlib.Path`.
        resume: Whether to continue the run in the folder.
        noun: What the folder is for, such as "run".

    Raises:
        ValueError: If `out` is a file, or if it is not empty and `resume` is false.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out={str(out)!r} is a file, not a folder")
    # A killed process leaves its lock file, which locks nothing.
    if not resume and out.is_dir() and any(path.name != NAME for path in out.iterdir()):
        raise ValueError(f"{out} is not empty; resume the {noun} in it, or name another folder")


def check_same(out, before, now, free=()):
    """Checks that settings are those that a folder was started with.

    Args:
        out: The folder.
        before: The stored settings by full key.
        now: The current settings by full key.
        free: Keys that may differ.

    Raises:
        ValueError: If any other setting differs; the message gives the stored values.
    """
    now = json.loads(json.dumps(now))
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    changed = [key for key in differing if key not in free]
    if changed:
        raise ValueError(
            f"{out} was started with other settings: {', '.join(f'{k}={before.get(k)}' for k in changed)}; "
            f"resume it with these"
        )


def saved_settings(out, name):
    """Returns the settings that a run was started with, as `Recipe.settings` returns them.

    Args:
        out: The run's folder.
        name: The model's name.

    Returns:
        A dictionary.

    Raises:
        ValueError: If the folder holds no run, or a run of another model.
    """
    path = pathlib.Path(out).expanduser() / "run.json"
    if not path.is_file():
        raise ValueError(f"{out} holds no run to resume")
    run = json.loads(path.read_text())
    if run["name"] != name:
        raise ValueError(f"{out} holds a run of {run['name']}, not of {name}")
    if "kind" not in run["settings"]:
        raise ValueError(f"{out} holds a run of an older version; train the model again")
    return run["settings"]
