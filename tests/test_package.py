"""The package imports quickly, and imports nothing heavy before it is needed."""

import subprocess
import sys

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
