"""The folder of a run or a study: never two of them in one, and resumed only with the same settings."""

import json
import pathlib


def check_free(out, resume, noun):
    """Checks that a folder may be written into.

    Args:
        out: The folder, a `pathlib.Path`.
        resume: Whether what is there is continued.
        noun: What the folder is for, such as "run".

    Raises:
        ValueError: If it is a file, or holds something that is not resumed.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out={str(out)!r} is a file, not a folder")
    if not resume and out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; resume the {noun} in it, or name another folder")


def check_same(out, before, now, free=()):
    """Checks that settings are those that a folder was started with.

    Args:
        out: The folder.
        before: Settings by full key, as they were.
        now: Settings by full key.
        free: Keys that may differ.

    Raises:
        ValueError: If others differ; the message has their old values.
    """
    now = json.loads(json.dumps(now))
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    changed = [key for key in differing if key not in free]
    if changed:
        raise ValueError(
            f"{out} was started with other settings: {', '.join(f'{k}={before.get(k)}' for k in changed)}; "
            f"resume it with the same"
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
