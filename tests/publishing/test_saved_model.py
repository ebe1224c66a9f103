"""Published folders: no optimizer state, several inputs and outputs, golden values of every endpoint."""

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.publishing import saved_model
from curvezoo.publishing.exports import Endpoint, Export, forward

CARD = {"name": "made", "data": {}, "recipe": {}, "measure": "toy", "metrics": {}}


def trained(optimizer):
    """Returns a model of two inputs, of any number of rows, and two outputs, after one step."""
    keras.utils.set_random_seed(0)
    left, right = keras.Input((None, 3), name="left"), keras.Input((2,), name="right")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(4)(left))
    joined = keras.layers.Concatenate()([pooled, right])
    outputs = [keras.layers.Dense(2, name="first")(joined), keras.layers.Dense(1, name="second")(joined)]
    model = keras.Model([left, right], outputs)
    model.compile(optimizer, ["mse", "mse"])
    x = [np.ones((4, 5, 3), "float32"), np.ones((4, 2), "float32")]
    model.train_on_batch(x, [np.zeros((4, 2)), np.zeros((4, 1))])
    return model, x


@pytest.fixture(scope="module", params=["adam", "sgd"])
def published(request, tmp_path_factory):
    model, inputs = trained(request.param)
    signature = [
        tf.TensorSpec((None, None, 3), tf.float32, name="left"),
        tf.TensorSpec((None, 2), tf.float32, name="right"),
    ]
    folder = tmp_path_factory.mktemp("published") / "model"
    endpoints = {"serve": Endpoint(forward(model), signature, inputs)}
    card = saved_model.publish([Export(model, endpoints)], folder, CARD)
    return model, inputs, folder, card


def test_a_trained_model_is_published_without_its_optimizer(published):
    _, _, folder, _ = published
    with h5py.File(folder / "model.weights.h5") as file:
        assert "optimizer" not in file
    assert "compile_config" not in json.loads((folder / "config.json").read_text())
    assert getattr(saved_model.load(folder), "optimizer", None) is None


def test_several_inputs_and_outputs_of_any_length_come_back(published):
    model, inputs, folder, _ = published
    expected = dict(zip(model.output_names, model(inputs), strict=True))
    golden_inputs, golden_outputs = saved_model.golden(folder)
    loaded = tf.saved_model.load(str(folder))
    for outputs in (golden_outputs, loaded.serve(*map(tf.constant, golden_inputs))):
        assert outputs.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(outputs[name], value, rtol=1e-5)
    longer = loaded.serve(tf.zeros((1, 9, 3)), tf.zeros((1, 2)))
    assert longer["first"].shape == (1, 2)
    keras_model = saved_model.load(folder)
    np.testing.assert_allclose(keras_model(inputs)[0], expected["first"], rtol=1e-5)


def test_the_card_lists_every_file(published):
    _, _, folder, card = published
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"card.json"}
    assert set(card["files"]) == files


def test_an_unknown_endpoint_has_no_golden_values(published):
    with pytest.raises(ValueError, match=r"endpoint must be one of those in .*, got 'sample'"):
        saved_model.golden(published[2], "sample")
