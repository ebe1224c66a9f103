"""The ledger accounts for all 321 equations, and tests/conftest.py fails a run that contradicts it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from curvezoo import equations

# fmt: off
# The number of numbered equations in each section of the notes.
SECTIONS = {
    "1.1": 2, "1.2": 1, "1.3": 1, "1.4": 7, "1.8": 2, "1.10": 4,
    "2.1": 9, "2.2": 13, "2.3": 13, "2.4": 8, "2.5": 6, "2.6": 4, "2.7": 8,
    "3.2": 14, "3.3": 14, "3.4": 21, "3.5": 7, "3.6": 2,
    "4.1": 3, "4.2": 3, "4.3": 14, "4.4": 6, "4.5": 12, "4.6": 18, "4.7": 22,
    "5.1": 15, "5.2": 2, "5.4": 17,
    "6.0": 15,
    "7.1": 1, "7.2": 1, "7.3": 11, "7.4": 2, "7.5": 4,
    "8.1": 6, "8.2": 12, "8.3": 6, "8.4": 7, "8.5": 3, "8.6": 5,
}
# fmt: on
NUMBERS = [f"{section}.{i}" for section, count in SECTIONS.items() for i in range(1, count + 1)]


def test_ledger_accounts_for_every_number_in_order():
    assert len(NUMBERS) == 321
    assert list(equations.load()) == NUMBERS


def test_rows_name_a_test_or_an_equation_as_their_status_requires():
    ledger = equations.load()
    root = Path(equations.__file__).parent
    for row in ledger.values():
        if row.status == "tested":
            path, _, name = row.by.partition("::")
            assert f"def {name.rpartition('::')[2]}(" in (root / path).read_text(), row
        elif row.status == "derivation":
            assert ledger[row.by].status != "open", row
        else:
            assert row.by == "", row


def test_derivations_end_at_an_equation_that_is_tested_or_defined():
    ledger = equations.load()
    for row in ledger.values():
        seen = set()
        while row.status == "derivation":
            assert row.number not in seen, f"{row.number} leads back to itself"
            seen.add(row.number)
            row = ledger[row.by]


def test_coverage_adds_up_by_section():
    coverage = equations.coverage()
    assert {row.section: row.count for row in coverage} == SECTIONS
    assert all(row.count == row.tested + row.definition + row.derivation + row.open for row in coverage)


def test_coverage_and_table_of_a_small_ledger(tmp_path):
    path = _write_ledger(
        tmp_path, "1.1.1,tested,t::a,\n1.1.2,definition,,\n2.1.1,derivation,1.1.1,\n2.1.2,open,,\n"
    )
    ledger = equations.load(path)
    assert ledger["2.1.1"] == equations.Equation("2.1.1", "derivation", "1.1.1", "")
    assert equations.render(ledger) == [
        ("section", "count", "tested", "definition", "derivation", "open"),
        ("1.1", "2", "1", "1", "0", "0"),
        ("2.1", "2", "0", "0", "1", "1"),
        ("total", "4", "1", "1", "1", "1"),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [("1.1.1,proved,,\n", "'proved'"), ("1.1.1,open,,\n1.1.1,open,,\n", "once")],
)
def test_repeated_numbers_and_unknown_statuses_are_errors(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        equations.load(_write_ledger(tmp_path, rows))


def test_a_ledger_with_other_columns_is_an_error(tmp_path):
    path = tmp_path / "equations.csv"
    path.write_text("number,status\n1.1.1,open\n")
    with pytest.raises(ValueError, match="columns"):
        equations.load(path)


GOOD_LEDGER = (
    "1.1.1,tested,tests/test_a.py::test_one,\n1.1.2,tested,tests/test_a.py::test_two,\n1.1.3,open,,\n"
)
GOOD_TESTS = """
import pytest

@pytest.mark.equation("1.1.1")
@pytest.mark.parametrize("x", [1, 2])
def test_one(x):
    assert x

@pytest.mark.equation("1.1.2")
@pytest.mark.dataset("nowhere")
def test_two():
    assert False

def test_unmarked():
    pass
"""

BAD_LEDGER = """\
1.1.1,tested,tests/test_a.py::test_one,
1.1.2,tested,tests/test_a.py::test_gone,
1.1.3,open,,
1.1.4,tested,tests/test_a.py::test_four,
1.1.5,tested,tests/test_a.py::test_one,
1.1.6,tested,tests/test_a.py::test_six,
"""
BAD_TESTS = """
import pytest

@pytest.mark.equation("1.1.1")
def test_one():
    pass

@pytest.mark.equation("1.1.2")
@pytest.mark.equation("1.1.3")
def test_two():
    pass

@pytest.mark.equation("1.1.4")
def test_four():
    pytest.skip("no reason that counts")

@pytest.mark.equation("1.1.5")
def test_five():
    pass

def test_six():
    pass
"""


def test_good_suite_passes_the_ledger_check(tmp_path):
    code, output = _run_suite(tmp_path, GOOD_LEDGER, GOOD_TESTS)
    assert code == pytest.ExitCode.OK, output
    assert "3 passed, 1 skipped" in output
    assert "tfds build nowhere" in output


def test_each_kind_of_violation_fails_the_session(tmp_path):
    code, output = _run_suite(tmp_path, BAD_LEDGER, BAD_TESTS)
    assert code == pytest.ExitCode.TESTS_FAILED, output
    violations = [line for line in output.splitlines() if line.startswith("1.1.")]
    assert violations == [
        "1.1.2: by = 'tests/test_a.py::test_gone' does not name a test",
        "1.1.3: is 'open' in the ledger but tests/test_a.py::test_two is marked with it",
        "1.1.4: is 'tested' but no passing test is marked with it",
        "1.1.4: by = 'tests/test_a.py::test_four' did not pass",
        "1.1.5: by = 'tests/test_a.py::test_one' is not marked with it",
        "1.1.6: is 'tested' but no passing test is marked with it",
        "1.1.6: by = 'tests/test_a.py::test_six' is not marked with it",
    ]


@pytest.mark.parametrize("selection", [("tests/test_a.py",), ("-k", "one")])
def test_partial_runs_are_not_checked_against_the_ledger(tmp_path, selection):
    code, output = _run_suite(tmp_path, BAD_LEDGER, BAD_TESTS, *selection)
    assert code == pytest.ExitCode.OK, output


def test_unknown_number_is_a_collection_error(tmp_path):
    code, output = _run_suite(tmp_path, GOOD_LEDGER, GOOD_TESTS.replace('"1.1.1"', '"9.9.9"'))
    assert code == pytest.ExitCode.INTERRUPTED, output
    assert "tests/test_a.py::test_one" in output and "9.9.9" in output


def _write_ledger(folder, rows):
    path = folder / "equations.csv"
    path.write_text("equation,status,by,note\n" + rows)
    return path


def _run_suite(folder, ledger, tests, *arguments):
    (folder / "docs").mkdir()
    (folder / "tests").mkdir()
    _write_ledger(folder / "docs", ledger)
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "tests")
    (folder / "tests" / "test_a.py").write_text(tests)
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\naddopts = --import-mode=importlib --strict-markers -ra\n"
        "markers =\n    equation(number): number\n    dataset(name): name\n"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr
