import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.publishing import saved_model
from curvezoo.publishing.exports import Endpoint, Export
from curvezoo.zoo import programs
from curvezoo.zoo.language.transformer import TransformerLanguageModel


@pytest.fixture
def uncompiled(monkeypatch):
    """Runs the programs of models step by step, which takes less time than to compile them."""
    monkeypatch.setattr(
        programs,
        "_compile",
        lambda model, function, static, jit_compile: lambda *x: function(model, *x, **static),
    )


def randomized(model, seed=1):
    """Returns a model with weights for which its logits differ between prompts."""
    rng = np.random.default_rng(seed)

    def drawn(weight):
        # Large offsets would make one token the most probable one everywhere.
        if weight.ndim == 1:
            return weight + rng.normal(size=weight.shape, scale=0.1)
        return rng.normal(size=weight.shape, scale=0.8)

    model.set_weights([drawn(weight) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def random_weights():
    return randomized


@pytest.fixture(scope="session")
def make_model():
    """A function of settings that returns a tiny Transformer of 5 tokens, with a context of 8."""

    def make(**settings):
        sizes = {"vocabulary": 5, "context": 8, "num_layers": 2, "width": 8, "heads": 2, **settings}
        return randomized(TransformerLanguageModel(**sizes))

    return make


@pytest.fixture(scope="session")
def log_probabilities():
    """A function of a model and tokens that returns those of the next token, without a cache."""

    def compute(model, tokens):
        return np.asarray(keras.ops.log_softmax(model(np.array([tokens], "int32"))[0, -1]))

    return compute


def published(model, objective, inputs, tokenizers, folder):
    """Publishes a model with the endpoints of its objective, and tokenizers by the names of their files."""
    signature = [tf.TensorSpec((None, *x.shape[1:]), tf.int32, name=x.name) for x in model.inputs]
    endpoints = objective.endpoints(model, inputs)
    endpoints["serve"] = Endpoint(endpoints["serve"], signature, inputs)
    files = {name: tokenizer.to_json() for name, tokenizer in tokenizers.items()}
    card = {"name": "tiny", "data": {}, "recipe": {}, "measure": objective.measure, "metrics": {}}
    saved_model.publish([Export(model, endpoints, files=files)], folder, card)


@pytest.fixture(scope="session")
def publish():
    return published
