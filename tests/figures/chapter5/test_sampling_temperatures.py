"""Entropies and nats per token against sums over the vocabulary and over contexts."""

import math

import keras
import numpy as np
import pytest

from curvezoo.figures.chapter5 import sampling_temperatures as sampling
from curvezoo.zoo.language.transformer import TransformerLanguageModel


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = TransformerLanguageModel(5, 8, num_layers=1, width=8, heads=2)
    model.set_weights([20 * array for array in model.get_weights()])
    return model


def test_curves_are_brute_force_sums_over_the_vocabulary():
    rng = np.random.default_rng(0)
    logits, targets = 2 * rng.normal(size=(4, 3)), [0, 2, 1, 1]
    found = sampling.curves(logits, targets, [0.5, 1.0, 2.0])
    for index, temperature in enumerate(found.temperatures):
        entropy = drawn = of_text = 0.0
        for row, target in zip(logits, targets, strict=True):
            raised = [math.exp(x / temperature) for x in row]
            p = [x / sum(raised) for x in raised]
            p1 = [math.exp(x) / sum(map(math.exp, row)) for x in row]
            entropy -= sum(x * math.log(x) for x in p) / 4
            drawn -= sum(x * math.log(y) for x, y in zip(p, p1, strict=True)) / 4
            of_text -= math.log(p[target]) / 4
        assert found.entropy[index] == pytest.approx(entropy, rel=1e-12)
        assert found.drawn[index] == pytest.approx(drawn, rel=1e-12)
        assert found.text[index] == pytest.approx(of_text, rel=1e-12)


def test_the_curves_meet_at_temperature_1_and_otherwise_differ_by_a_divergence():
    logits = np.random.default_rng(0).normal(size=(6, 4))
    found = sampling.curves(logits, np.zeros(6, int), np.array([0.2, 0.6, 1.0, 1.7]))
    assert found.drawn[2] == pytest.approx(found.entropy[2], rel=1e-12)
    assert np.all((found.drawn - found.entropy)[[0, 1, 3]] > 1e-3)
    assert np.all(np.diff(found.drawn) > 0)
    assert np.all(np.diff(found.entropy) > 0)
    assert found.entropy[-1] < np.log(4)


def test_nats_per_token_condition_on_all_tokens_before(model):
    tokens = np.array([[1, 4, 0, 2, 2], [3, 0, 0, 1, 4]], np.int32)
    nats = []
    for row in tokens:
        for position in (2, 3, 4):
            logits = np.asarray(model(row[None, :position]), np.float64)[0, -1]
            nats.append(np.log(np.sum(np.exp(logits))) - logits[row[position]])
    assert sampling.nats_per_token(model, tokens, 2) == pytest.approx(np.mean(nats), rel=1e-5)


def test_samples_of_low_temperature_are_the_most_probable_tokens(model):
    prompts = np.array([[1, 4], [3, 0]], np.int32)
    written = sampling.samples(model, prompts, 4, (1e-4, 5.0))
    assert written.shape == (2, 2, 6)
    np.testing.assert_array_equal(written[:, :, :2], [prompts, prompts])
    for end in range(2, 6):
        greedy = np.argmax(np.asarray(model(written[0, :, :end]))[:, -1], axis=-1)
        np.testing.assert_array_equal(written[0, :, end], greedy)


def test_the_figure_shows_curves_and_samples_and_the_table_their_line_breaks():
    found = sampling.curves(np.eye(3), [0, 1, 1], np.array([0.5, 1.5]))
    figure = sampling.plot(found, (0.5, 1.5), [1.0, 2.0])
    lines = [line.get_ydata() for line in figure.axes[0].lines]
    for line, expected in zip(lines, (found.entropy, found.drawn, [1.0, 2.0], found.text), strict=False):
        np.testing.assert_array_equal(line, expected)
    header, rows = sampling.table(["a\n  b", "c"], (0.5, 1.5))
    assert rows == [("0.5", "a \N{DOWNWARDS ARROW WITH CORNER LEFTWARDS} b"), ("1.5", "c")]
    assert header == ("temperature", "text")
