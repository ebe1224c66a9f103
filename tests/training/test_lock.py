import os
import subprocess
import sys

import pytest

from curvezoo.training.folders import check_free
from curvezoo.training.lock import NAME, locked

# Takes the lock, says so, and holds it until it is killed.
HOLDER = """
import pathlib, sys, time
from curvezoo.training.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_locked_once_and_free_again_after(tmp_path):
    with locked(tmp_path):
        message = f"is in use by process {os.getpid()} on .*: stop it, or name another folder"
        with pytest.raises(ValueError, match=message), locked(tmp_path):
            pass
    assert not (tmp_path / NAME).exists()
    with locked(tmp_path):
        pass


def test_another_process_is_named_and_its_lock_ends_when_it_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(ValueError, match=f"is in use by process {holder.pid} on"), locked(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    assert (tmp_path / NAME).exists()
    # The file that it left is no reason to refuse the folder.
    check_free(tmp_path, False, "run")
    with locked(tmp_path):
        pass


def test_an_error_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass
