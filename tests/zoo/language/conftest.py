import keras
import numpy as np
import pytest

from curvezoo.zoo.language import programs
from curvezoo.zoo.language.transformer import TransformerLanguageModel


@pytest.fixture
def uncompiled(monkeypatch):
    """Runs the programs of models step by step, which takes less time than to compile them."""
    monkeypatch.setattr(
        programs, "_compile", lambda model, function, static: lambda *x: function(model, *x, **static)
    )


def randomized(model, scale=0.7):
    """Returns a model with weights for which its logits differ between prompts."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape, scale=scale) for w in model.get_weights()])
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
