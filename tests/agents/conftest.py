"""The environments of these tests, as a fixture."""

import importlib.util
import pathlib
import sys

import pytest

NAME = "made_environments"
PATH = pathlib.Path(__file__).with_name(f"{NAME}.py")
SPEC = importlib.util.spec_from_file_location(NAME, PATH)
MODULE = importlib.util.module_from_spec(SPEC)
# Pickles of the environments look their classes up here.
sys.modules[NAME] = MODULE
SPEC.loader.exec_module(MODULE)


@pytest.fixture(scope="session")
def made():
    return MODULE
