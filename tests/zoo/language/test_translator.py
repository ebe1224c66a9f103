"""Translations with a cache against loops over the uncached model, and over all target sequences."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.data.text.tokenizers import CharacterTokenizer
from curvezoo.publishing import saved_model
from curvezoo.training.parts import Translate
from curvezoo.zoo.language.translator import Translator

SOURCES = np.array([[3, 4, 5, 2, 0], [5, 2, 0, 0, 0], [4, 3, 3, 5, 2]], "int32")
START, END, LENGTH = 1, 2, 6
KINDS = {"pre-norm": {}, "post-norm, learned": {"norm": "post", "positions": "learned"}}


@pytest.fixture(scope="module")
def make(random_weights):
    def translator(**settings):
        sizes = {"source_length": 5, "target_length": LENGTH, "num_layers": 1, "width": 8, "heads": 2}
        sizes = {"target_vocabulary": 5, **sizes, **settings}
        model = random_weights(Translator(6, **sizes), seed=3)
        # Few ends and no starts, so that translations have several lengths.
        bias, tokens = model.get_layer("logits").bias, np.arange(sizes["target_vocabulary"])
        bias.assign(bias - 2.0 * (tokens == END) - 9.0 * (tokens == START))
        return model

    return translator


@pytest.fixture(scope="module", params=KINDS)
def model(request, make):
    return make(**KINDS[request.param])


def log_probabilities(model, source, target):
    """Returns those of the token after the start and a target, without a cache."""
    inputs = np.zeros((1, model.input_shape[1][1]), "int32")
    inputs[0, : len(target) + 1] = [START, *target]
    logits = model([source[None], inputs])[0, len(target)]
    return np.asarray(keras.ops.log_softmax(logits))


def best(model, source):
    """Returns the target of the most probable tokens, with its end, and zeros after it."""
    target = []
    while len(target) < LENGTH and END not in target:
        target.append(int(log_probabilities(model, source, target).argmax()))
    return target + [0] * (LENGTH - len(target))


def test_a_translation_is_that_of_the_uncached_model(model):
    translations = model.translate(SOURCES).numpy()
    assert translations.tolist() == [best(model, source) for source in SOURCES]
    assert translations.dtype == np.int32 and len(set(map(tuple, translations))) > 1


def test_more_padding_of_the_sources_does_not_change_translations(make, uncompiled):
    model, longer = make(), make(source_length=9)
    longer.set_weights(model.get_weights())
    padded = np.pad(SOURCES, [[0, 0], [0, 4]])
    targets = np.random.default_rng(0).integers(1, 5, (3, LENGTH))
    np.testing.assert_allclose(longer([padded, targets]), model([SOURCES, targets]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(longer.translate(padded), model.translate(SOURCES))


def test_as_many_beams_as_targets_find_the_most_probable_one(make, uncompiled):
    """Of all sequences that end, or have the full length without an end."""
    model = make(target_vocabulary=4, target_length=3)
    found = model.translate(SOURCES, beam=64).numpy()
    targets = np.array(list(itertools.product(range(4), repeat=3)), "int32")
    starts = np.insert(targets[:, :-1], 0, START, axis=1)
    for source, row in zip(SOURCES, found, strict=True):
        logits = model([np.repeat(source[None], len(targets), axis=0), starts])
        steps = np.take_along_axis(np.asarray(keras.ops.log_softmax(logits)), targets[..., None], 2)[..., 0]
        scores = {}
        for target, gains in zip(targets.tolist(), steps, strict=True):
            length = target.index(END) + 1 if END in target else 3
            scores[tuple(target[:length])] = gains[:length].sum()
        expected = max(scores, key=scores.get)
        assert row.tolist() == [*expected, *[0] * (3 - len(expected))]
    np.testing.assert_array_equal(model.translate(SOURCES, beam=1), model.translate(SOURCES))


@pytest.fixture(scope="module")
def published(make, publish, tmp_path_factory):
    model, folder = make(), tmp_path_factory.mktemp("published") / "model"
    tokenizers = {
        "source": CharacterTokenizer("abc", reserved=3),
        "target": CharacterTokenizer("xy", reserved=3),
    }
    files = {f"{side}.tokenizer.json": tokenizer for side, tokenizer in tokenizers.items()}
    publish(model, Translate(), [SOURCES, np.ones((3, LENGTH), "int32")], files, folder)
    return model, folder


def test_the_saved_translator_has_the_golden_outputs_and_translates(published):
    model, folder = published
    loaded = tf.saved_model.load(str(folder))
    for endpoint in ("serve", "translate"):
        inputs, outputs = saved_model.golden(folder, endpoint)
        np.testing.assert_allclose(
            getattr(loaded, endpoint)(*map(tf.constant, inputs)), outputs, rtol=1e-4, atol=1e-5
        )
    translations = loaded.translate(tf.constant(SOURCES[:2])).numpy()
    assert translations.tolist() == [best(model, source) for source in SOURCES[:2]]


def test_a_loaded_translator_translates_texts_and_tokens(published, uncompiled):
    """The sources are those of `SOURCES`, without their ends."""
    model, folder = published
    loaded = saved_model.load(folder)
    assert loaded.get_config() == model.get_config()
    targets = [best(model, source) for source in SOURCES]
    targets = [row[: row.index(END)] if END in row else row for row in targets]
    tokens = loaded.generate([[3, 4, 5], [5], [4, 3, 3, 5]])
    assert [row.tolist() for row in tokens] == targets
    texts = ["".join("xy"[token - 3] for token in row if token >= 3) for row in targets]
    assert loaded.generate(["abc", "c", "baac"]) == texts
    assert loaded.generate("c") == texts[1] and loaded.generate([5]).tolist() == targets[1]


@pytest.mark.parametrize(
    "source, message",
    [
        ([3, 4, 5, 3, 4], "source must have at most 4 tokens, the model's context, got 5"),
        ([6], "source must hold tokens in 0 to 5, got 6"),
        ([], r"source must have at least one token, got \[\]"),
        ("abc", "source must be tokens for a model without a tokenizer, got the text 'abc'"),
    ],
)
def test_sources_that_are_not_valid_are_named(source, message, make):
    with pytest.raises(ValueError, match=message):
        make().generate(source)


def test_settings_of_a_translator_that_are_not_valid_are_named(make):
    with pytest.raises(ValueError, match="beam must be an integer of at least 1, got 0"):
        make().generate([3], beam=0)
    for settings, message in (
        ({"positions": "rotary"}, "positions must be one of sinusoidal, learned, got 'rotary'"),
        ({"target_length": 0}, "target_length must be an integer of at least 1, got 0"),
        ({"heads": 3}, "heads must divide the 8 features, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**settings)


def test_a_saved_translator_file_comes_back(make, tmp_path):
    model = make(norm="post", positions="learned", num_layers=2, feed_forward=5, dropout=0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    targets = np.ones((3, LENGTH), "int32")
    np.testing.assert_array_equal(loaded([SOURCES, targets]), model([SOURCES, targets]))
