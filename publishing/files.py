"""Writing files and folders whole or not at all: under a temporary name, then renamed."""

import contextlib
import json
import os
import pathlib
import shutil


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path`, and moves what was written there to `path` if nothing failed.

    What stood at `path` is replaced, file or folder; on an error it stays, and the temporary is removed.

    Args:
        path: The file or folder to write.

    Yields:
        The temporary path; nothing exists there yet.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    remove(temporary)
    try:
        yield temporary
        if path.is_dir():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            try:
                temporary.rename(path)
            except OSError:
                old.rename(path)
                raise
            remove(old)
        else:
            os.replace(temporary, path)
    finally:
        remove(temporary)


def sweep(folder):
    """Removes what killed processes left half-written below a folder.

    Args:
        folder: The folder; nobody else may be writing there.
    """
    for path in [*pathlib.Path(folder).rglob(".*.partial"), *pathlib.Path(folder).rglob(".*.old")]:
        remove(path)


def remove(path):
    """Removes a file or a folder with all it holds; does nothing where there is neither."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as indented JSON, whole or not at all.

    Args:
        path: The file to write.
        value: What `json` can hold.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
