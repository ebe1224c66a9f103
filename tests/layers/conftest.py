"""Runs a test for each `case` of backend_worker.py, or for each `model_name`, models of the zoo included."""

import importlib.util
import pathlib

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "backend_worker", pathlib.Path(__file__).with_name("backend_worker.py")
)
_WORKER = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_WORKER)


@pytest.fixture(scope="session")
def worker():
    return _WORKER


def pytest_generate_tests(metafunc):
    for argument, names in (("case", _WORKER.cases), ("model_name", _WORKER.names)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, list(names()))
