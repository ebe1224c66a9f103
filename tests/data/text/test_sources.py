"""The embedded text, tiny Shakespeare and a user's own files."""

import math
import string

import numpy as np
import pytest

from curvezoo import data
from curvezoo.data import text
from curvezoo.data.text import files, loading, specs, topics

LINES = [f"line {n} of the file\n" for n in range(400)]
TREEBANK = {
    "ptb.train.txt": " a b a \n c a <unk> \n a b \n",
    "ptb.valid.txt": " a b \n zebra a \n",
    "ptb.test.txt": " b c \n",
}


@pytest.fixture
def treebank(tmp_path):
    for name, content in TREEBANK.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def restored(splits, split):
    """Returns the text of an evaluation split up to its last window."""
    batches = [np.concatenate([x[:, :1], y], 1) for x, y in getattr(splits, split).as_numpy_iterator()]
    windows = np.concatenate(batches)
    return splits.spec.tokenizer.decode(np.append(windows[0, 0], windows[:, 1:].ravel()))


def test_the_embedded_text_is_ascii_and_keeps_the_topics_words():
    from pydoc_data.topics import topics as published

    whole = topics.text()
    assert set(whole) <= set("\n" + string.printable[:95]) and len(whole) > 200_000
    assert text.spec("text").vocabulary == 96
    words = set(whole.split())
    for topic in published.values():
        plain = topic.translate(str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "…": "..."}))
        assert {word for word in plain.split() if word.isascii() and word.isprintable()} <= words


def test_typographic_characters_become_ascii_and_others_are_dropped():
    assert topics.ascii_text("“a”–‘b’—c…\t°dß\u00a0e\n") == "\"a\"-'b'--c...    d e\n"


def test_no_paragraph_of_the_embedded_text_is_in_two_splits():
    parts = [set(part.split("\n\n")) for part in files.split(topics.text())]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        # Only the paragraph at the cut may have parts, such as lines of one table, in both.
        assert not {p for p in parts[one] & parts[other] if len(p) > 20}
    whole = "".join(files.split(topics.text()))
    assert whole == topics.text()


def test_splits_of_the_embedded_text_decode_to_its_parts():
    splits = text.load("text", context=50)
    train, validation, test = files.split(topics.text())
    for split, part in (("validation", validation), ("test", test)):
        got = restored(splits, split)
        assert part.startswith(got) and len(part) - len(got) < 50
    for inputs, _ in splits.train.take(2).as_numpy_iterator():
        assert all(splits.spec.tokenizer.decode(row) in train for row in inputs)
    assert text.spec("text", context=50) == splits.spec
    np.testing.assert_allclose(len(train) / len(topics.text()), 0.9, atol=0.01)


def test_other_tokenizers_of_the_embedded_text_are_made_from_its_training_split():
    train, validation, _ = files.split(topics.text())
    for kind, expected in (
        ("bpe", text.BytePairTokenizer.train(train, 300)),
        ("words", text.WordTokenizer.train(train, 300)),
    ):
        splits = text.load("text", tokenizer=kind, vocabulary=300, context=20)
        assert splits.spec.tokenizer == expected and splits.spec.vocabulary == expected.size == 300
        got = next(iter(splits.validation))[0][0]
        np.testing.assert_array_equal(got, expected.encode(validation)[:20])


def test_provenance_states_the_version_of_python():
    assert text.provenance("text").startswith("embedded, Python 3.")
    assert text.provenance("tiny_shakespeare") == "text, as published"


def test_looking_up_tiny_shakespeare_needs_no_data():
    spec = text.spec("tiny_shakespeare", context=64, data_dir="/no/such/folder")
    assert (spec.vocabulary, spec.train, spec.validation, spec.test) == (65, 15684, 871, 871)


@pytest.mark.dataset("tiny_shakespeare")
def test_tiny_shakespeare_has_the_published_characters_and_alphabet():
    splits = text.load("tiny_shakespeare", context=64)
    assert splits.spec == text.spec("tiny_shakespeare", context=64)
    train, validation, test = loading._texts("tiny_shakespeare", None)
    assert [len(train), len(validation), len(test)] == [1003854, 55770, 55770]
    assert "".join(sorted(set(train))) == specs.SHAKESPEARE
    assert train.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    assert validation.startswith(restored(splits, "validation"))
    assert test.startswith(restored(splits, "test"))


def test_a_copy_of_tiny_shakespeare_of_another_size_is_rejected(prepare, tmp_path):
    prepare("tiny_shakespeare", tmp_path, {s: [{"text": "abc"}] for s in ("train", "validation", "test")})
    with pytest.raises(ValueError, match=r"published \(1003854, 55770, 55770\) characters, got \(3, 3, 3\)"):
        text.load("tiny_shakespeare", data_dir=tmp_path)


def test_one_file_is_split_at_line_ends(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("".join(LINES).replace("\n", "\r\n").encode("utf-8-sig"))
    parts = files.texts(path)
    assert "".join(parts) == "".join(LINES)
    assert [len(part.splitlines()) for part in parts] == [361, 20, 19]
    splits = text.load(path, context=8)
    assert splits.spec.name == str(path) and splits.spec.vocabulary == len(set("".join(LINES)))
    assert parts[1].startswith(restored(splits, "validation"))
    assert data.load(str(path), context=8).spec == text.spec(path, context=8) == splits.spec
    assert text.provenance(path) == "the user's own"


@pytest.mark.parametrize("validation", ["validation.txt", "valid.txt"])
def test_a_folder_holds_a_file_for_each_split(tmp_path, validation):
    (tmp_path / "train.txt").write_text("abcabcabc")
    (tmp_path / validation).write_text("bca")
    (tmp_path / "test.txt").write_text("cdé")
    splits = text.load(tmp_path, context=2, batch_size=1)
    assert (restored(splits, "validation"), restored(splits, "test")) == ("bca", "cdé")
    assert splits.spec.tokenizer.alphabet == "abcdé"


def test_treebank_files_give_words_with_line_ends_and_unigram_perplexity(treebank):
    splits = text.load(treebank, context=1, batch_size=1)
    tokenizer = splits.spec.tokenizer
    # 4 a, 3 line ends, 2 b, 1 c and 1 unknown word; equal counts in alphabetical order.
    assert tokenizer.words == ("a", "<eos>", "b", "<unk>", "c")
    tokens = tokenizer.encode(TREEBANK["ptb.train.txt"])
    assert tokens.tolist() == [0, 2, 0, 1, 4, 0, 3, 1, 0, 2, 1]
    frequency = np.bincount(tokens, minlength=5) / len(tokens)
    targets = [int(y[0, 0]) for _, y in splits.validation.unbatch().batch(1).as_numpy_iterator()]
    # After "a" follow b, line end, unknown, a, line end.
    by_hand = (2 / 11 * 3 / 11 * 1 / 11 * 4 / 11 * 3 / 11) ** (-1 / 5)
    assert math.isclose(np.exp(-np.log(frequency[targets]).mean()), by_hand)
    assert text.is_text_source(treebank) and not text.is_text_source(treebank / "no.txt")


def test_a_tokenizer_of_another_text_can_be_given(treebank):
    tokenizer = text.load(treebank, context=1, batch_size=1).spec.tokenizer
    splits = text.from_texts("b c\n", "c b", "zebra\n", context=1, batch_size=1, tokenizer=tokenizer)
    assert splits.spec.tokenizer is tokenizer
    assert restored(splits, "test") == "<unk>\n"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"train.txt": "a", "test.txt": "a"}, r"must hold a validation text, validation\.txt or valid\.txt"),
        ({"train.txt": "a", "valid.txt": "a", "test.txt": " \n"}, r"test\.txt' must not be empty"),
        ({"train.txt": b"ab\xff", "valid.txt": "a"}, r"train\.txt' must be UTF-8 .* 0xff at position 2"),
        ({"notes.txt": "a"}, r"must hold train\.txt or ptb\.train\.txt; got neither"),
    ],
)
def test_wrong_files_are_named(tmp_path, contents, message):
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        text.load(tmp_path)


def test_a_short_file_and_an_unknown_name_are_rejected(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("one line\n")
    with pytest.raises(ValueError, match=r"short\.txt' must have enough lines to split"):
        text.load(path)
    path.write_text("".join(LINES))
    with pytest.raises(ValueError, match=r"validation text of '.*short\.txt' must have more tokens"):
        text.load(path, context=1000)
    with pytest.raises(ValueError, match=r"'tiny'.*text, tiny_shakespeare, lm1b; or the path of a text file"):
        text.load("tiny")
    with pytest.raises(ValueError, match=r"name must be a text's name or the path .* got 3"):
        text.load(3)
