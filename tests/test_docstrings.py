"""Every example in a docstring gives the result that it shows."""

import doctest
import importlib
import pkgutil

import pytest

import curvezoo

PACKAGES = ("data", "layers", "losses", "optimizers", "theory", "training", "zoo")


def modules():
    """Names of all modules of the packages."""
    for name in PACKAGES:
        package = importlib.import_module(f"curvezoo.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield module.name


def with_examples():
    """Names of the modules that have examples."""
    finder = doctest.DocTestFinder()
    for name in modules():
        module = importlib.import_module(name)
        if any(test.examples for test in finder.find(module, name)):
            yield name


@pytest.mark.parametrize("name", sorted(with_examples()))
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), extraglobs={"curvezoo": curvezoo})
    assert result.attempted > 0
    assert result.failed == 0
