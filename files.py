"""Atomic writes of files and folders: under a temporary name, then renamed."""

import contextlib
import errno
import json
import os
import pathlib
import shutil


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path next to `path`, and renames it to `path` if the block succeeds.

    A file replaces a file, and a folder a folder with all its contents. After an error the existing one is
    kept, and the temporary one is removed.

    Args:
        path: The file or folder to write.

    Yields:
        The temporary path, where nothing exists yet.

    Raises:
        IsADirectoryError: If a file was written and `path` is a folder.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    remove(temporary)
    try:
        yield temporary
        if path.is_dir() and not temporary.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
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
    """Removes the incomplete files and folders that killed processes have left in a folder.

    Args:
        folder: The folder, which no other process may be writing to.
    """
    for path in [*pathlib.Path(folder).rglob(".*.partial"), *pathlib.Path(folder).rglob(".*.old")]:
        remove(path)


def remove(path):
    """Removes a file, or a folder with its contents; does nothing if neither exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as indented JSON, atomically.

    Args:
        path: The file to write.
        value: A value that `json` can encode.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
