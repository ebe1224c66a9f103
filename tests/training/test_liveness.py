"""Workers that die between their meeting and TensorFlow's start: processes that block like TensorFlow."""

import os
import re
import signal
import subprocess
import sys

import pytest

from curvezoo.training.settings import flatten
from curvezoo.zoo import catalogue

PROGRAM = """
import ctypes, os, signal
from curvezoo.training.cluster import Cluster, meet
from curvezoo.training.liveness import watched

def block():
    # PyDLL holds the global lock, as TensorFlow does.
    ctypes.PyDLL(None).sleep(600)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

with watched(meet({!r}, {{"epochs": 3}}, 120), {wait}):
    print("met", flush=True)
    {action}
print("connected", flush=True)
"""
LIMIT_SECONDS = 240


@pytest.fixture
def started(clusters):
    """Function that starts one process per action."""

    def start(actions, waits=(120, 120, 120)):
        return [
            process([sys.executable, "-c", PROGRAM.format(worker, wait=wait, action=action)])
            for worker, action, wait in zip(clusters(len(actions)), actions, waits, strict=False)
        ]

    return start


def process(words, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, text=True, **pipes, **options)


def ended(processes):
    """Returns the exit code and the outputs of each process."""
    outputs = [process.communicate(timeout=LIMIT_SECONDS) for process in processes]
    return [(p.returncode, *output) for p, output in zip(processes, outputs, strict=True)]


@pytest.mark.parametrize("victim", [0, 1])
def test_all_are_told_which_worker_was_killed_and_end(started, victim):
    actions = ["block()"] * 3
    actions[victim] = "die()"
    for index, (code, output, errors) in enumerate(ended(started(actions))):
        assert (code, output) == (-signal.SIGKILL, "met\n")
        told = re.findall(r"curvezoo: (worker \d) .* was lost while .*; start all workers again\n", errors)
        assert told == ([] if index == victim else [f"worker {victim}"])


def test_a_worker_that_lives_but_does_not_connect_is_named_after_the_wait(started):
    (code, _, errors), _ = ended(started(["block()", "block()"], (0.5, 120)))
    assert code == -signal.SIGKILL
    assert re.search(r"worker 1 \(127.0.0.1:\d+\) did not connect within 0.5 seconds", errors)


def test_workers_that_connect_go_on_and_may_die_later(started):
    first, second = ended(started(["pass", "import atexit; atexit.register(die)"]))
    assert first == (0, "met\nconnected\n", "")
    assert second == (-signal.SIGKILL, "met\nconnected\n", "")


MEET = """
from curvezoo.training.cluster import Cluster, meet
meet(Cluster.of_environment(), {settings!r}, 120)
"""


def test_tensorflow_does_not_wait_for_a_worker_that_met_it_and_died(clusters, tmp_path):
    recipe = catalogue.recipe("mlp_digits")
    settings = {
        "model": recipe.name,
        **flatten(recipe.settings()),
        "units that are done": 0,
    }
    addresses = clusters(2)[0].addresses
    names = ", ".join(f'"{host}:{port}"' for host, port in addresses)
    config = '{{"cluster": {{"worker": [{}]}}, "task": {{"type": "worker", "index": {}}}}}'
    words = [
        "-m",
        "curvezoo",
        "train",
        recipe.name,
        "--strategy",
        "multiworker",
        "--out",
        str(tmp_path / "run"),
    ]
    commands = [words, ["-c", MEET.format(settings=settings)]]
    environments = [os.environ | {"TF_CONFIG": config.format(names, index)} for index in range(2)]
    pairs = zip(commands, environments, strict=True)
    first, second = ended([process([sys.executable, *command], env=env) for command, env in pairs])
    assert second[0] == 0, second[2]
    assert first[0] == -signal.SIGKILL
    assert re.search(r"worker 1 \(127.0.0.1:\d+\) was lost while TensorFlow connected the workers", first[2])
