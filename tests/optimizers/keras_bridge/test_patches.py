"""Importing the optimizers changes methods of Keras, and a context manager undoes the changes."""

import keras
import pytest

from curvezoo.layers import BatchNormalization
from curvezoo.optimizers.keras_bridge import patches, unpatched
from curvezoo.optimizers.keras_bridge.attachment import ModelOptimizer
from curvezoo.optimizers.keras_bridge.fused_batch_norm import fused_batch_norm
from curvezoo.registration import DeferredClass

METHODS = ("compile", "make_train_function")


class Failure(Exception):
    """An error inside the block."""


@pytest.fixture
def kernel():
    BatchNormalization.use_fused_kernel(fused_batch_norm)
    yield
    BatchNormalization.use_fused_kernel(fused_batch_norm)


@pytest.mark.parametrize("fails", [False, True])
def test_unpatched_restores_the_methods_of_keras_within_its_block(fails, kernel):
    patched = [getattr(keras.Model, name) for name in METHODS]
    originals = [method.__wrapped__ for method in patched]
    try:
        with unpatched():
            assert [getattr(keras.Model, name) for name in METHODS] == originals
            assert BatchNormalization._fused_kernel is None
            if fails:
                raise Failure
    except Failure:
        assert fails
    assert [getattr(keras.Model, name) for name in METHODS] == patched
    assert BatchNormalization._fused_kernel is fused_batch_norm


def test_unpatched_works_before_the_layers_are_imported(monkeypatch):
    deferred = DeferredClass("curvezoo.layers.normalization", "BatchNormalization")
    monkeypatch.setitem(keras.saving.get_custom_objects(), "curvezoo>BatchNormalization", deferred)
    original = keras.Model.compile.__wrapped__
    with unpatched():
        assert keras.Model.compile is original


def test_optimizers_are_not_attached_within_unpatched():
    for block, attached in ((unpatched(), False), (None, True)):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        if block:
            with block:
                model.compile(ModelOptimizer(0.1, "own"), "mse")
        else:
            model.compile(ModelOptimizer(0.1, "own"), "mse")
        assert ("train_step" in vars(model)) is attached


def test_installing_again_does_not_wrap_the_methods_twice():
    before = [getattr(keras.Model, name) for name in METHODS]
    patches.install(lambda model: None, lambda model: None)
    assert [getattr(keras.Model, name) for name in METHODS] == before
    for name, method in zip(METHODS, before, strict=True):
        assert method.__wrapped__ is patches._ORIGINALS[name][1]
