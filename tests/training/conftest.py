"""Runs in processes of their own, which are killed."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from curvezoo.training import checkpoints
from curvezoo.training.cluster import Cluster

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


@pytest.fixture(scope="session")
def free_ports():
    """Function that returns a number of ports that no process listens on."""

    def find(count):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [s.getsockname()[1] for s in sockets]
        for s in sockets:
            s.close()
        return ports

    return find


@pytest.fixture(scope="session")
def clusters(free_ports):
    """Function that returns, for each worker, the cluster of a number of workers on this machine."""

    def make(count):
        addresses = tuple(("127.0.0.1", port) for port in free_ports(count))
        return [Cluster(addresses, index) for index in range(count)]

    return make
