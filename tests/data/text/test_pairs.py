"""Number words and dates against independent parsers, padded tokens, and translations from made records."""

import datetime
import hashlib
import re

import numpy as np
import pytest

from curvezoo.data import text
from curvezoo.data.text import dates, numbers, padding, pairs

BY_HAND = {
    0: "zero",
    7: "seven",
    13: "thirteen",
    40: "forty",
    85: "eighty-five",
    100: "one hundred",
    101: "one hundred and one",
    999: "nine hundred and ninety-nine",
    1000: "one thousand",
    1001: "one thousand and one",
    1100: "one thousand one hundred",
    3405: "three thousand four hundred and five",
    12012: "twelve thousand and twelve",
    90210: "ninety thousand two hundred and ten",
    100000: "one hundred thousand",
    105000: "one hundred and five thousand",
    421005: "four hundred and twenty-one thousand and five",
    999999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
VALUES = {word: n for n, word in enumerate(ONES.split())}
VALUES |= {word: 10 * n for n, word in enumerate(TENS.split(), start=2)}
PARSED = (
    *("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%b %d %Y", "%b %d, %Y", "%A, %d %B %Y", "%A, %B %d, %Y"),
    *("%A %d %b %Y", "%a, %d %b %Y", "%a %b %d %Y", "%d of %B %Y", "the %d of %B, %Y"),
    *("%A, the %d of %B %Y", "%d-%b-%Y", "%Y %B %d", "%Y, %B %d", "%d.%m.%Y", "%d. %B %Y", "%Y/%m/%d"),
    *("%Y.%m.%d", "%Y%m%d"),
)
SENTENCES = {
    "train": [
        ("um gato preto", "a black cat"),
        ("dois gatos", "two cats"),
        ("qwertyuiopasdfghjklzxcvbnm", "long"),
        ("gato", "cat"),
    ],
    "validation": [("preto", "black"), ("dois " * 20, "two")],
    "test": [("um", "a")],
}


def value(words):
    """Returns the number that English words denote, whatever their punctuation."""
    total = part = 0
    for word in words.replace("-", " ").replace(" and ", " ").split():
        if word == "thousand":
            total, part = 1000 * part, 0
        elif word == "hundred":
            part *= 100
        else:
            part += VALUES[word]
    return total + part


def meanings(written):
    """Returns all dates that a text may denote, from the standard library's parser."""
    plain = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", written)
    found = set()
    for form in PARSED:
        try:
            found.add(datetime.datetime.strptime(plain, form).date())
        except ValueError:
            continue
    return found


def batches(dataset):
    return [(*inputs, targets) for inputs, targets in dataset.as_numpy_iterator()]


@pytest.fixture(scope="module")
def talks(tmp_path_factory, prepare):
    folder = tmp_path_factory.mktemp("ted")
    rows = {split: [{"pt": pt, "en": en} for pt, en in rows] for split, rows in SENTENCES.items()}
    prepare("ted_hrlr_translate/pt_to_en", folder, rows)
    return folder


def test_numbers_are_written_as_in_english():
    for number, words in BY_HAND.items():
        assert numbers.in_words(number) == words


def test_the_words_of_numbers_denote_them():
    for number in (*range(2000), *range(0, 1_000_000, 997)):
        words = numbers.in_words(number)
        assert value(words) == number
        assert len(words) <= numbers.LONGEST_SOURCE and set(words) <= set(numbers.SOURCE_ALPHABET)
    assert len(numbers.in_words(878878)) == numbers.LONGEST_SOURCE


def test_numbers_below_zero_or_of_seven_digits_are_rejected():
    for number in (-1, 10**6, 2.0):
        with pytest.raises(ValueError, match="number must be an integer from 0 to 999999"):
            numbers.in_words(number)


def test_pairs_of_numbers_agree_and_no_number_is_in_two_splits():
    splits = numbers.pairs()
    assert [len(sources) for sources, _ in splits] == [50000, 1000, 3000]
    assert all(value(source) == int(target) for pair in splits for source, target in zip(*pair, strict=True))
    together = [target for _, targets in splits for target in targets]
    assert len(set(together)) == len(together)
    assert {str(n) for n in range(100)} <= set(splits[0][1])
    lengths = np.bincount([len(target) for target in splits[2][1]])
    assert lengths.tolist() == [0, 0, 0, 70, 700, 1000, 1230]


def test_the_standard_library_reads_every_date_in_one_way():
    train, validation, test = dates.pairs()
    sources, targets = validation[0] + test[0] + train[0][::40], validation[1] + test[1] + train[1][::40]
    for source, target in zip(sources, targets, strict=True):
        assert meanings(source) == {datetime.date.fromisoformat(target)}, source


def test_weekdays_of_dates_are_right():
    names = [datetime.date(2024, 1, day).strftime("%A") for day in range(1, 8)]
    seen = 0
    for source, target in zip(*dates.pairs()[0], strict=True):
        words = re.findall("[A-Za-z]+day", source)
        assert words in ([], [names[datetime.date.fromisoformat(target).weekday()]])
        seen += len(words)
    assert seen > 5000


def test_every_form_of_a_date_occurs_and_fits():
    forms = {dates.written(datetime.date(2000, 9, 4), form) for form in range(dates.FORMS)}
    assert len(forms) == dates.FORMS
    longest = (dates.written(datetime.date(2000, 9, 27), form) for form in range(dates.FORMS))
    assert max(map(len, longest)) == dates.LONGEST_SOURCE
    assert [
        dates.written(datetime.date(1996, 3, d), 10).split()[0] for d in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23)
    ] == [*("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd")]


def test_every_day_of_two_centuries_is_in_one_split():
    splits = dates.pairs()
    assert [len(sources) for sources, _ in splits] == [69049, 1000, 3000]
    together = sorted(target for _, targets in splits for target in targets)
    first = datetime.date(1900, 1, 1)
    assert together == [(first + datetime.timedelta(n)).isoformat() for n in range(73049)]
    assert all(set("".join(sources)) <= set(dates.SOURCE_ALPHABET) for sources, _ in splits)


@pytest.mark.parametrize(("module", "digest"), [(numbers, "07157d3f3ea58268"), (dates, "c851a6b3f36c6d07")])
def test_the_test_split_is_the_one_used_for_published_results(module, digest):
    sources, targets = module.pairs()[2]
    assert hashlib.sha256("\n".join(sources + targets).encode()).hexdigest()[:16] == digest


def test_padded_tokens_have_start_and_end_at_the_right_places():
    tokenizer = text.CharacterTokenizer("abc", reserved=3)
    assert padding.encode_sources(tokenizer, ["ab", "", "cba"], 4).tolist() == [
        [3, 4, 2, 0],
        [2, 0, 0, 0],
        [5, 4, 3, 2],
    ]
    inputs, targets = padding.encode_targets(tokenizer, ["ab", "", "cba"], 4)
    assert inputs.tolist() == [[1, 3, 4, 0], [1, 0, 0, 0], [1, 5, 4, 3]]
    assert targets.tolist() == [[3, 4, 2, 0], [2, 0, 0, 0], [5, 4, 3, 2]]
    assert padding.decode_targets(tokenizer, targets) == ["ab", "", "cba"]
    assert padding.decode_targets(tokenizer, [[3, 4, 5], [3, 2, 5]]) == ["abc", "a"]
    inputs, targets = padding.encode_targets(tokenizer, ["abc"], 2, truncate=True)
    assert (inputs.tolist(), targets.tolist()) == ([[1, 3]], [[3, 4]])
    assert padding.encode_sources(tokenizer, [], 2).shape == (0, 2)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "abcab"], r"texts\[1\] must have at most 4 tokens, got 5 of 'abcab'"),
        (["aé"], "got 'é'; valid are 'a' to 'c'"),
        ("ab", "texts must be a list of strings, got 'ab'"),
    ],
)
def test_texts_that_do_not_fit_are_rejected(texts, message):
    with pytest.raises(ValueError, match=message):
        padding.encode_sources(text.CharacterTokenizer("abc", reserved=3), texts, 5)


@pytest.mark.parametrize("name", ["numbers", "dates"])
def test_splits_decode_to_the_pairs_and_an_epoch_has_each_pair_once(name):
    splits = text.load_pairs(name, batch_size=1000)
    spec = splits.spec
    assert spec == text.pair_spec(name)
    train, validation, test = pairs._GENERATED[name].pairs()
    for dataset, expected in ((splits.validation, validation), (splits.test, test)):
        sources, inputs, targets = (np.concatenate(tokens) for tokens in zip(*batches(dataset), strict=True))
        assert text.decode_targets(spec.source_tokenizer, sources) == expected[0]
        assert text.decode_targets(spec.target_tokenizer, targets) == expected[1]
        assert sources.dtype == inputs.dtype == targets.dtype == np.int32
        assert (inputs[:, 0] == 1).all() and (inputs[:, 1:][targets[:, :-1] > 2] > 2).all()
    seen = [
        target
        for _, _, y in batches(splits.train)
        for target in text.decode_targets(spec.target_tokenizer, y)
    ]
    assert len(seen) == len(set(seen)) == 1000 * (spec.train // 1000) and set(seen) <= set(train[1])
    assert (spec.source_length, spec.target_length) == tuple(
        batches(splits.test)[0][i].shape[1] for i in (0, 2)
    )


def test_epochs_of_pairs_depend_on_seed_and_number_only():
    splits, again = (text.load_pairs("numbers", 5000, seed=seed) for seed in (3, 3))
    one, other = batches(again.epochs(1, 3)), batches(splits.epochs(0, 3))[10:]
    assert len(one) == len(other) == 20
    for batch, expected in zip(one, other, strict=True):
        for tokens, values in zip(batch, expected, strict=True):
            np.testing.assert_array_equal(tokens, values)
    assert not np.array_equal(one[0][0], one[10][0])
    rebuilt = splits.with_batches(seed=4)
    assert rebuilt.batch_size == 5000
    assert not np.array_equal(batches(rebuilt.epochs(1, 2))[0][0], one[0][0])
    expected = (
        "Splits('numbers', source_length=73, target_length=7, source_vocabulary=24, target_vocabulary=13, "
        "train=50000, validation=1000, test=3000, batch_size=5000)"
    )
    assert repr(splits) == expected


def test_translations_are_encoded_long_ones_dropped_or_cut(talks):
    settings = {"vocabulary": 264, "length": 16, "data_dir": talks}
    splits = text.load_pairs("ted_hrlr_translate/pt_to_en", batch_size=1, **settings)
    spec = splits.spec
    assert spec == text.pair_spec("ted_hrlr_translate/pt_to_en", **settings)
    assert (spec.train, spec.validation, spec.test) == (3, 2, 1)
    portuguese = text.BytePairTokenizer.train([pt for pt, _ in SENTENCES["train"]], 264, reserved=3)
    assert spec.source_tokenizer == portuguese and spec.source_vocabulary == portuguese.size
    got = [
        (*text.decode_targets(spec.source_tokenizer, x), *text.decode_targets(spec.target_tokenizer, y))
        for x, _, y in batches(splits.train)
    ]
    assert sorted(got) == sorted(pair for pair in SENTENCES["train"] if len(pair[0]) < 16)
    [(sources, _, targets)] = batches(splits.validation)
    assert sources[1].tolist() == portuguese.encode("dois " * 20)[:16].tolist()
    assert text.decode_targets(spec.target_tokenizer, targets) == ["black", "two"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "number"}, "Unknown set of pairs 'number'; did you mean 'numbers'"),
        ({"batch_size": 50001}, "batch_size must be an integer from 1 to 50000, got 50001"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"length": 20}, "length must be None for 'numbers', got 20"),
        ({"vocabulary": 20}, "vocabulary must be None for 'numbers', got 20"),
        (
            {"name": "ted_hrlr_translate/pt_to_en", "vocabulary": 258},
            "vocabulary must be an integer of at least 259, got 258",
        ),
    ],
)
def test_an_error_names_the_wrong_argument(settings, message):
    with pytest.raises(ValueError, match=message):
        text.load_pairs(**{"name": "numbers", **settings})
