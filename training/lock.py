"""The lock of a run's folder, so that two processes do not train into one."""

import contextlib
import json
import os
import platform

try:
    import fcntl
except ImportError:
    fcntl = None

NAME = "run.lock"


@contextlib.contextmanager
def locked(folder):
    """Holds the lock of a folder, which must exist.

    The file `run.lock` has the number of the process that holds it. The operating system frees a lock when
    its process ends, however it ends, so that a file that was left behind locks nothing.

    Args:
        folder: The folder.

    Raises:
        ValueError: If another process holds the lock; the message has its number.
    """
    path = folder / NAME
    file = _acquired(path)
    try:
        file.truncate()
        json.dump({"process": os.getpid(), "host": platform.node()}, file)
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _acquired(path):
    """Returns the open lock file, locked."""
    while True:
        # Not "w", which would empty the file of the process that holds it.
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise ValueError(
                f"{path.parent} is in use by {holder}: stop it, or name another folder"
            ) from None
        # Its last holder may have removed the file in the meantime.
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.seek(0)
            return file
        file.close()


def _holder(file):
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f"process {holder['process']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
