"""Attention weights of heads and their averages against sums over pairs of characters."""

import keras
import numpy as np
import pytest

from curvezoo.data.text import CharacterTokenizer
from curvezoo.figures.chapter5 import attention_maps as maps
from curvezoo.zoo.language.transformer import TransformerLanguageModel

SENTENCE = "ab a  bb.\nb"
TOKENIZER = CharacterTokenizer("\n .ab")


@pytest.fixture(scope="module")
def weights():
    keras.utils.set_random_seed(0)
    model = TransformerLanguageModel(TOKENIZER.size, 16, num_layers=2, width=8, heads=2)
    model.set_weights([20 * array for array in model.get_weights()])
    return maps.attention(model, np.stack([TOKENIZER.encode(SENTENCE), TOKENIZER.encode(SENTENCE[::-1])]))


@pytest.fixture(scope="module")
def spaces():
    tokens = np.stack([TOKENIZER.encode(SENTENCE), TOKENIZER.encode(SENTENCE[::-1])])
    return maps.white_space(TOKENIZER, tokens)


@pytest.mark.equation("5.4.6")
def test_weights_sum_to_one_over_the_characters_up_to_the_own_one(weights):
    assert weights.shape == (2, 2, 2, 11, 11)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert np.all(np.triu(weights, 1) == 0)
    assert np.ptp(weights[..., -1, :], axis=-1).min() > 0.05


def relation(sentence, t, s):
    """Returns the relation of character s to character t, by looking at the characters between them."""
    if t - s < 2:
        return ("itself", "previous")[t - s]
    if not any(character.isspace() for character in sentence[s:t]):
        return "same word"
    return "white space" if sentence[s].isspace() else "other"


@pytest.mark.parametrize("start", [1, 5])
def test_averages_are_sums_over_pairs_of_characters(weights, spaces, start):
    heads = maps.average(weights, spaces, start)
    sums = {name: np.zeros((2, 2)) for name in maps.RELATIONS}
    distances = np.zeros((2, 2))
    for row, sentence in enumerate((SENTENCE, SENTENCE[::-1])):
        for t in range(start, 11):
            for s in range(t + 1):
                sums[relation(sentence, t, s)] += weights[:, row, :, t, s]
                distances += weights[:, row, :, t, s] * (t - s)
    pairs = 2 * (11 - start)
    np.testing.assert_allclose(heads.distances, distances / pairs, rtol=1e-5)
    for name in maps.RELATIONS:
        np.testing.assert_allclose(heads.shares[name], sums[name] / pairs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(sum(heads.shares.values()), 1, rtol=1e-5)


def test_equal_weights_look_back_half_of_the_characters(spaces):
    reference = maps.uniform(spaces, start=3)
    np.testing.assert_allclose(reference.distances, np.mean(np.arange(3, 11) / 2))
    np.testing.assert_allclose(reference.shares["itself"], np.mean(1 / np.arange(4, 12)))


def test_panels_show_the_weights_and_the_largest_share_of_each_head(weights, spaces):
    heads = maps.average(weights, spaces)
    figure = maps.plot(weights[:, 0], SENTENCE, heads)
    panels = [axis for axis in figure.axes if axis.images]
    for (layer, head), axis in zip(np.ndindex(2, 2), panels, strict=False):
        np.testing.assert_array_equal(axis.images[0].get_array(), weights[layer, 0, head])
        name, share = heads.role(layer, head)
        assert share == max(heads.shares[each][layer, head] for each in maps.RELATIONS)
        assert axis.get_title(loc="left") == f"{layer + 1}, {head + 1}: {name} {share:.0%}"
    header, rows = maps.table(heads, maps.uniform(spaces))
    assert len(rows) == 5
    assert all(len(row) == len(header) for row in rows)
    assert rows[1][1] == f"{heads.distances[0, 0]:.1f}"
