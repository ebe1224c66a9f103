"""A language model is scored by a sum over tokens that is made here in NumPy and SciPy."""

import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from curvezoo.data import text
from curvezoo.publishing import measures

VOCABULARY = 7


class Table:
    """A stand-in for a model: logits that depend on the last token only, and the last position's bonus."""

    vocabulary, context = VOCABULARY, 6

    def __init__(self, table, tokenizer=None):
        self.table, self.tokenizer = table, tokenizer

    def __call__(self, tokens, training):
        return tf.gather(tf.constant(self.table, tf.float32), tokens)


def splits(tokens, context=6, tokenizer=None, batch=2):
    """Returns what a measure reads of `Splits`: the spec, and consecutive windows of the test split."""
    windows = (len(tokens) - 1) // context
    inputs = np.reshape(tokens[: windows * context], (windows, context))
    targets = np.reshape(tokens[1 : windows * context + 1], (windows, context))
    spec = text.TextSpec("made", context, VOCABULARY, 1, 1, windows, "", "", "", tokenizer)
    test = tf.data.Dataset.from_tensor_slices((inputs.astype("int32"), targets.astype("int32"))).batch(batch)
    return types.SimpleNamespace(spec=spec, test=test)


def made_tokens(count=32):
    return np.random.default_rng(0).integers(0, VOCABULARY, count)


def scores_of(model, made):
    return measures.get("language_modeling").measure(model, made, {"name": "made"}).scores


def test_nats_per_token_are_those_of_a_loop_over_all_tokens():
    table = np.random.default_rng(1).normal(scale=2, size=(VOCABULARY, VOCABULARY)).astype("float32")
    tokens = made_tokens()
    scores = scores_of(Table(table), splits(tokens))
    log_p = log_softmax(table.astype("float64"), axis=1)
    nats = np.array([-log_p[a, b] for a, b in itertools.pairwise(tokens[:31])])
    hits = [table[a].argmax() == b for a, b in itertools.pairwise(tokens[:31])]
    means = nats.reshape(5, 6).mean(axis=1)
    assert scores["nats_per_token"] == pytest.approx(nats.mean(), rel=1e-12)
    assert scores["nats_per_token_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(5), rel=1e-10)
    assert scores["bits_per_token"] == pytest.approx(np.mean(nats) / np.log(2), rel=1e-12)
    assert scores["perplexity"] == pytest.approx(np.prod(np.exp(nats)) ** (1 / 30), rel=1e-10)
    assert (scores["accuracy"], scores["tokens"]) == (pytest.approx(np.mean(hits)), 30)
    assert "nats_per_character" not in scores


def test_a_uniform_model_has_log_v_nats_and_no_scatter():
    scores = scores_of(Table(np.zeros((VOCABULARY, VOCABULARY))), splits(made_tokens()))
    assert scores["nats_per_token"] == pytest.approx(np.log(VOCABULARY), rel=1e-14)
    assert scores["nats_per_token_error"] == pytest.approx(0, abs=1e-14)
    assert scores["perplexity"] == pytest.approx(VOCABULARY, rel=1e-13)


def test_a_single_window_has_no_standard_error():
    evaluation = measures.get("language_modeling").measure(
        Table(np.zeros((VOCABULARY, VOCABULARY))), splits(made_tokens(7)), {"name": "made"}
    )
    assert evaluation.scores["nats_per_token_error"] is None
    assert dict(evaluation.summary)["Tokens"] == "6"


def test_nats_per_character_count_the_characters_of_the_decoded_targets():
    tokenizer = text.WordTokenizer(["<unk>", "<eos>", "a", "bcd", "ef", "g", "hi"])
    tokens = np.array([2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 2, 3, 4])
    scores = scores_of(Table(np.zeros((VOCABULARY, VOCABULARY))), splits(tokens, tokenizer=tokenizer))
    written = "bcd ef g hi a bcd ef g hi a bcd ef"
    assert scores["nats_per_character"] == pytest.approx(12 * np.log(VOCABULARY) / len(written))


def test_another_vocabulary_and_longer_windows_are_refused_with_both():
    check = measures.get("language_modeling").check
    model = Table(np.zeros((VOCABULARY, VOCABULARY)))
    check(model, splits(made_tokens(), context=3).spec)
    rule = r"made must have a vocabulary of 7 tokens and windows of at most 6, the model's, got "
    with pytest.raises(ValueError, match=rule + "7 and 9"):
        check(model, splits(made_tokens(), context=9).spec)
    model.vocabulary, model.context = 8, None
    with pytest.raises(ValueError, match="made must have a vocabulary of 8 tokens, the model's, got 7 and 6"):
        check(model, splits(made_tokens()).spec)


def test_tokens_of_another_tokenizer_are_refused():
    model = Table(np.zeros((VOCABULARY, VOCABULARY)), text.CharacterTokenizer("abcdefg"))
    check = measures.get("language_modeling").check
    check(model, splits(made_tokens(), tokenizer=text.CharacterTokenizer("abcdefg")).spec)
    with pytest.raises(ValueError, match="must be in tokens of the model's tokenizer"):
        check(model, splits(made_tokens(), tokenizer=text.CharacterTokenizer("gfedcba")).spec)


def test_the_report_shows_the_loss_by_position_and_samples():
    table = np.random.default_rng(1).normal(size=(VOCABULARY, VOCABULARY))
    model = Table(table, text.CharacterTokenizer("abcdef\n"))
    model.generate = lambda prompts, max_new_tokens, temperature, seed: [
        np.full(3, round(10 * temperature) % VOCABULARY)
    ]
    made = splits(made_tokens())
    sections = measures.get("language_modeling").measure(model, made, {"name": "made"}).sections()
    assert [section.heading for section in sections] == ["Position", "Samples"]
    [curve] = [line for line in sections[0].figures[0][0].axes[0].lines if len(line.get_xdata()) == 6]
    log_p = log_softmax(table, axis=1)
    nats = -log_p[made_tokens()[:30], made_tokens()[1:31]].reshape(5, 6)
    np.testing.assert_allclose(curve.get_ydata(), nats.mean(axis=0), rtol=1e-5)
    prompt = model.tokenizer.decode(made_tokens()[:1])
    assert sections[1].passages == [
        ("Prompt, from the test split", prompt),
        ("Temperature 0.5", "fff"),
        ("Temperature 0.8", "bbb"),
        ("Temperature 1", "ddd"),
    ]


def test_columns_show_two_standard_errors():
    scores = {"nats_per_token": 1.5, "nats_per_token_error": 0.01, "perplexity": 4.4817, "accuracy": 0.5}
    cells = [cell(scores) for cell in measures.get("language_modeling").columns.values()]
    assert cells == ["1.5000 ± 0.0200", "4.482", "1.5000", "50.00 %"]
    assert measures.get("language_modeling").brief(scores) == "1.500 nats/token"


def test_the_vocabulary_of_any_keras_model_is_that_of_its_logits():
    tokens = keras.Input((None,), dtype="int32")
    model = keras.Model(tokens, keras.layers.Embedding(VOCABULARY, VOCABULARY)(tokens))
    spec = splits(made_tokens()).spec
    assert measures.get("language_modeling").check(model, spec) is None
    larger = keras.Model(tokens, keras.layers.Embedding(VOCABULARY, VOCABULARY + 1)(tokens))
    with pytest.raises(ValueError, match=f"got {VOCABULARY}"):
        measures.get("language_modeling").check(larger, spec)
