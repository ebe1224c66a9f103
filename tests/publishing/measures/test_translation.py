"""A translator is scored by the translations that equal the target, and by its likelihood."""

import types

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from curvezoo.data import text
from curvezoo.losses import wilson_interval
from curvezoo.publishing import measures

# 0 is padding, 1 the start, 2 the end.
SOURCES = np.array([[3, 4, 2], [4, 2, 0], [4, 4, 2], [3, 2, 0], [3, 3, 2]], "int32")
TARGETS = np.array([[4, 3, 2, 0], [3, 2, 0, 0], [3, 3, 2, 0], [4, 2, 0, 0], [4, 4, 2, 0]], "int32")
# Right; right without an end; wrong; right, with tokens after the end; wrong, too long.
WRITTEN = np.array([[4, 3, 2, 0], [3, 0, 0, 0], [3, 2, 0, 0], [4, 2, 4, 4], [4, 4, 4, 4]], "int32")
LOGITS = np.random.default_rng(0).normal(size=(5, 5)).astype("float32")


class Translator:
    """A stand-in for a model, which looks up its translations, and logits by the token before."""

    source_vocabulary = target_vocabulary = 5
    source_tokenizer, target_tokenizer = text.CharacterTokenizer("ab", 3), text.CharacterTokenizer("xy", 3)

    def __call__(self, inputs, training):
        _, starts = inputs
        return tf.gather(LOGITS, starts)

    def translate(self, sources):
        same = tf.reduce_all(sources[:, None] == SOURCES[None], axis=-1)
        return tf.gather(WRITTEN, tf.argmax(same, axis=1))


@pytest.fixture
def splits():
    starts = np.insert(TARGETS[:, :-1], 0, 1, axis=1)
    tokenizers = Translator.source_tokenizer, Translator.target_tokenizer
    spec = text.PairSpec("made", 3, 4, 5, 5, 1, 1, 5, "", "", "", *tokenizers)
    test = tf.data.Dataset.from_tensor_slices(((SOURCES, starts), TARGETS)).batch(2)
    return types.SimpleNamespace(spec=spec, test=test, starts=starts)


def test_scores_are_those_of_a_loop(splits):
    evaluation = measures.get("translation").measure(Translator(), splits, {"name": "made"})
    scores = evaluation.scores
    assert (scores["exact_match"], scores["errors"], scores["examples"]) == (3 / 5, 2, 5)
    assert (scores["exact_match_low"], scores["exact_match_high"]) == pytest.approx(wilson_interval(3, 5))
    log_p = log_softmax(LOGITS.astype("float64"), axis=1)
    pairs = zip(splits.starts.ravel(), TARGETS.ravel(), strict=True)
    nats = [-log_p[before, token] for before, token in pairs if token != 0]
    assert scores["nats_per_token"] == pytest.approx(np.mean(nats), rel=1e-10)
    assert dict(evaluation.summary)["Mistakes"] == "2"


def test_the_report_lists_mistakes_with_source_translation_and_target(splits):
    [section] = measures.get("translation").measure(Translator(), splits, {"name": "made"}).sections()
    assert section.rows == [("bb", "x (true: xx)"), ("aa", "yyyy (true: yy)")]


def test_other_vocabularies_and_tokenizers_are_refused(splits):
    check, model = measures.get("translation").check, Translator()
    check(model, splits.spec)
    model.target_vocabulary = 6
    with pytest.raises(
        ValueError, match="made must have a target vocabulary of 6 tokens, the model's, got 5"
    ):
        check(model, splits.spec)
    model.target_vocabulary, model.source_tokenizer = 5, text.CharacterTokenizer("ba", 3)
    with pytest.raises(ValueError, match="made must be in tokens of the model's source tokenizer"):
        check(model, splits.spec)


def test_columns_show_the_interval(splits):
    scores = {"exact_match": 0.5, "exact_match_low": 0.25, "exact_match_high": 0.75, "nats_per_token": 0.1}
    cells = [cell(scores) for cell in measures.get("translation").columns.values()]
    assert cells == ["50.00 % (25.00-75.00)", "0.1000"]
