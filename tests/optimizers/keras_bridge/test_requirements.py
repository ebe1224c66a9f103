"""Errors of importing the optimizers with a Keras that does not support them."""

import importlib
import pathlib
import re
import sys

import keras
import pytest

from curvezoo import optimizers
from curvezoo.optimizers.keras_bridge import requirements


@pytest.fixture
def forgotten(monkeypatch):
    """K-FAC and the bridge are imported anew on their next use."""
    for name in [name for name in sys.modules if name.startswith("curvezoo.optimizers.k")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("keras_bridge", "kfac", "KFAC"):
        monkeypatch.delitem(vars(optimizers), name, raising=False)


USES = {
    "import": lambda: importlib.import_module("curvezoo.optimizers.kfac"),
    "attribute": lambda: optimizers.KFAC,
}


@pytest.mark.parametrize("use", USES)
def test_another_backend_is_refused_in_one_line(use, forgotten, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"^curvezoo\.optimizers needs the TensorFlow backend, got 'jax'$"):
        USES[use]()


@pytest.mark.parametrize("use", USES)
def test_a_keras_without_internals_is_refused_by_name(use, forgotten, monkeypatch):
    monkeypatch.delattr(keras.layers.Layer, "_flatten_layers")
    monkeypatch.setattr(keras.losses, "MeanSquaredError", lambda name: object())
    message = (
        f"curvezoo.optimizers needs internals that Keras {keras.version()} lacks: "
        "keras.Layer._flatten_layers, keras.losses.MeanSquaredError.fn, "
        "keras.losses.MeanSquaredError._fn_kwargs; it was tested with Keras "
    )
    with pytest.raises(ImportError, match=f"^{re.escape(message)}"):
        USES[use]()


def test_the_installed_keras_is_supported_and_its_names_are_left_alone():
    def number():
        return int(keras.Sequential().name.removeprefix("sequential").removeprefix("_") or 0)

    before = number()
    assert requirements.missing_internals() == []
    assert number() == before + 1


def test_only_the_bridge_reads_private_parts_of_keras():
    """By the names that models, layers, optimizers and losses have in the sources."""
    private = re.compile(r"\b(model|layer|sublayer|optimizer|loss|compiled|variable)\._[a-z]")
    root = pathlib.Path(optimizers.__file__).parent
    sources = [path for path in root.rglob("*.py") if path.parent.name != "keras_bridge"]
    sources += [
        path for room in ("training", "studies", "zoo") for path in (root.parent / room).rglob("*.py")
    ]
    assert [str(path) for path in sources if private.search(path.read_text(encoding="utf-8"))] == []
