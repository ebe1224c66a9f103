"""The examples in docstrings give what they say."""

import configparser
import doctest
import importlib
import pathlib

import pytest

import curvezoo

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")


def modules_with_examples():
    """Yields the names of the modules whose source has examples, without importing them."""
    for package in CONFIG["options"]["packages"].split():
        for path in sorted(ROOT.joinpath(*package.split(".")[1:]).glob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield f"{package}.{path.stem}".removesuffix(".__init__")


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), extraglobs={"curvezoo": curvezoo})
    assert result.attempted > 0
    assert result.failed == 0
