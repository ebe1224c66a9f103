"""Notebooks and prompts: TensorFlow starts silently, and completion does not import it."""

import ast
import os
import subprocess
import sys

import pytest

from curvezoo import quiet


def run(code, *arguments):
    """Runs a script in a process with TensorFlow's default log level."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_failed_import_shows_the_output_of_its_libraries(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no such instruction\\n'); 1 / 0")
    done = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from curvezoo import quiet; quiet.load_tensorflow()"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no such instruction\n")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_closed_stderr_is_left_alone():
    done = run("import os; os.close(2)\nfrom curvezoo import quiet\nwith quiet._stderr_withheld(): print(1)")
    assert (done.stdout, done.returncode) == ("1\n", 0)


def test_stderr_is_withheld_only_while_the_block_runs(capfd):
    with quiet._stderr_withheld():
        os.write(2, b"withheld")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


COMPLETE = """
import rlcompleter, sys
import curvezoo
completer = rlcompleter.Completer({"curvezoo": curvezoo})
matches = []
while (match := completer.complete(sys.argv[1], len(matches))) is not None:
    matches.append(match.rstrip("()"))
print(matches)
print(sorted({"jax", "keras", "matplotlib", "sklearn", "tensorflow"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("prefix", "some"),
    [
        ("curvezoo.", {"data", "layers", "optimizers", "zoo"}),
        ("curvezoo.data.", {"load", "names", "Splits"}),
        ("curvezoo.zoo.", {"build", "evaluate", "load", "names", "train"}),
    ],
)
def test_completion_imports_nothing_heavy(prefix, some):
    done = run(COMPLETE, prefix)
    matches, heavy = done.stdout.splitlines()
    assert {prefix + name for name in some} <= set(ast.literal_eval(matches)), done.stderr
    assert heavy == "[]"


def test_loading_a_model_and_data_in_a_notebook_writes_nothing_to_stderr():
    done = run(
        "import sys\n"
        "from curvezoo import data, quiet, zoo\n"
        "model = zoo.load('softmax_digits')\n"
        "images, labels = next(iter(data.load('digits').test))\n"
        "assert quiet.load_tensorflow() is quiet.load_tensorflow() is sys.modules['tensorflow']\n"
        "print(model(images[:5]).shape)\n"
        "print('after', file=sys.stderr)"
    )
    assert (done.stdout, done.stderr) == ("(5, 10)\n", "after\n")
