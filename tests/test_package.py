"""The package imports quickly, and imports nothing heavy before it is needed."""

import subprocess
import sys
import time

import pytest

HEAVY = ("tensorflow", "jax", "matplotlib", "sklearn", "tensorflow_datasets", "keras", "scipy")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "use",
    [
        "pass",
        "curvezoo.zoo.names('mlp*')",
        "curvezoo.zoo.describe('resnet20_cifar10')",
        "curvezoo.data.spec('mnist')",
        "from curvezoo import cli; cli.main(['list', '--json'])",
        "from curvezoo import cli; cli.main(['equations'])",
    ],
)
def test_light_calls_import_nothing_heavy(use):
    code = f"import sys, curvezoo; {use}; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(code).splitlines()[-1] == "[]"


@pytest.mark.parametrize("code", ["import curvezoo", "from curvezoo.cli import main; main(['list'])"])
def test_importing_and_listing_take_less_than_half_a_second(code):
    def seconds(code):
        begin = time.perf_counter()
        run(code)
        return time.perf_counter() - begin

    # The minimum of several runs, since other work on the machine can only add time.
    assert min(seconds(code) for _ in range(4)) - min(seconds("pass") for _ in range(4)) < 0.5
