import numpy as np
import pytest
from scipy.special import softmax


def draw_labels(rng, probabilities):
    """Draws each label from its row of probabilities."""
    return (rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)


@pytest.fixture(scope="module")
def calibrated():
    """Logits of 40,000 examples in five classes, and labels drawn with their probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(40_000, 5))
    return logits, draw_labels(rng, softmax(logits, axis=1))
