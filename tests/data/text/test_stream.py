"""Streamed windows of a small copy of the One Billion Word Benchmark, prepared from made sentences."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from curvezoo.data import text
from curvezoo.data.text import stream

SENTENCES = [f"sentence {n} has {n % 7} cats" for n in range(200)]
TEST = ["a sentence has cats", "0 cats", "cats has a sentence", "the end of the test split"]

CHARACTERS = text.CharacterTokenizer("".join(sorted(set("\n".join(SENTENCES + TEST)))))


@pytest.fixture(scope="module")
def prepared_as(tmp_path_factory, prepare):
    def prepared(file_format):
        folder = tmp_path_factory.mktemp("lm1b")
        rows = {"train": [{"text": s} for s in SENTENCES], "test": [{"text": s} for s in TEST]}
        prepare("lm1b", folder, rows, file_format=file_format, shards=3)
        return folder

    return prepared


@pytest.fixture(scope="module")
def folder(prepared_as):
    return prepared_as("tfrecord")


@pytest.fixture
def load(folder, monkeypatch):
    monkeypatch.setattr(stream, "_BLOCK", 40)
    monkeypatch.setattr(stream, "_SAMPLE", 100)

    def load(**settings):
        settings = {
            "data_dir": folder,
            "tokenizer": CHARACTERS,
            "context": 16,
            "batch_size": 4,
            **settings,
        }
        return text.load("lm1b", **settings)

    yield load
    stream.stream_of.cache_clear()


def stored(folder, split="train"):
    """Returns the sentences of a split in the order in which they are stored."""
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    rows = tfds.builder("lm1b", data_dir=folder).as_dataset(split=split, read_config=in_order)
    return [row["text"].decode() for row in rows.as_numpy_iterator()]


def batches(dataset):
    return [(inputs, targets) for inputs, targets in dataset.as_numpy_iterator()]


def test_whole_lines_of_training_windows_are_the_training_sentences(load, folder):
    splits = load(context=64)
    lines = set()
    for inputs, targets in batches(splits.epochs(0, 4)):
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        for row in inputs:
            lines |= set(splits.spec.tokenizer.decode(row).split("\n")[1:-1])
    train = set(stored(folder)[:190])
    assert lines <= train and len(lines) > 0.9 * len(train)


def test_windows_of_an_array_record_copy_are_those_of_the_tfrecord_copy(load, prepared_as):
    pytest.importorskip("array_record")
    copy = load(data_dir=prepared_as("array_record"))
    for found, expected in zip(batches(copy.epochs(1, 2)), batches(load().epochs(1, 2)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_epoch_is_about_one_pass_without_repetition(load):
    splits = load(context=40)
    characters = sum(len(sentence) + 1 for sentence in SENTENCES[:190])
    np.testing.assert_allclose(splits.spec.train * 40, characters, rtol=0.05)
    windows = np.concatenate([inputs for inputs, _ in batches(splits.epochs(0, 1))])
    assert len(windows) == splits.steps_per_epoch * 4
    assert len(np.unique(windows, axis=0)) == len(windows)


def test_epochs_depend_on_seed_and_number_only(load):
    splits, again = load(seed=2), load(seed=2)
    steps = splits.steps_per_epoch
    one, other = batches(again.epochs(1, 2)), batches(splits.epochs(0, 2))
    assert len(other) == 2 * steps
    np.testing.assert_array_equal(one, other[steps:])
    assert not np.array_equal(one, other[:steps])
    assert not np.array_equal(one, batches(splits.with_batches(seed=3).epochs(1, 2)))


def test_validation_is_the_end_of_the_training_split_and_test_the_published_one(load, folder):
    splits = load(context=4, batch_size=1)
    for dataset, sentences in (
        (splits.validation, stored(folder)[190:]),
        (splits.test, stored(folder, "test")),
    ):
        joined = "".join(sentence + "\n" for sentence in sentences)
        targets = np.concatenate([targets for _, targets in batches(dataset)])
        got = splits.spec.tokenizer.decode(targets.ravel())
        assert joined[1:].startswith(got) and len(got) == (len(joined) - 1) // 4 * 4


def test_tokenizers_are_made_from_the_first_sentences(load, folder):
    first = "".join(sentence + "\n" for sentence in stored(folder)[:100])
    words = load(tokenizer="words", vocabulary=8, context=4)
    assert words.spec.tokenizer == text.WordTokenizer.train(first, 8)
    assert (words.spec.tokenizer.decode([words.spec.tokenizer.encode("\n")[0]])) == "\n"
    byte_pairs = load(tokenizer="bpe", vocabulary=270, context=4)
    assert byte_pairs.spec.tokenizer == text.BytePairTokenizer.train(first, 270)
    assert text.spec("lm1b", tokenizer="bpe", vocabulary=270, context=4, data_dir=folder) == byte_pairs.spec


def test_streamed_text_cannot_be_contiguous_and_makes_no_alphabet(load):
    with pytest.raises(ValueError, match="order must be one of shuffled, got 'contiguous'"):
        load(order="contiguous")
    with pytest.raises(ValueError, match="order must be one of shuffled, got 'contiguous'"):
        load().with_batches(order="contiguous")
    with pytest.raises(ValueError, match="tokenizer must be one of words, bpe, got 'characters'"):
        load(tokenizer="characters")
    with pytest.raises(ValueError, match="the test text of 'lm1b' must have more tokens than the context"):
        load(context=200)
