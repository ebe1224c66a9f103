"""Runs in processes of their own, which are killed."""

import signal
import subprocess
import sys
import time

import pytest

from curvezoo.training import checkpoints

PROGRAM = """
import sys
from curvezoo import zoo
zoo.train({name!r}, sys.argv[1], progress=False, **{settings!r})
"""
LIMIT_SECONDS = 300


@pytest.fixture(scope="session")
def kill_training():
    """Function that trains a model of the zoo into a folder, and kills the process after some checkpoints."""

    def train(name, settings, folder, after=1):
        program = PROGRAM.format(name=name, settings=settings)
        process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stderr=subprocess.DEVNULL)
        limit = time.time() + LIMIT_SECONDS
        while len(checkpoints.every(folder / "checkpoints")) < after and process.poll() is None:
            assert time.time() < limit
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "metrics.json").exists()
        return folder

    return train
