"""Windows of a text whose n-th character is token n, so that a window's tokens are its positions."""

import numpy as np
import pytest

from curvezoo.data import text
from curvezoo.data.text import windows

TRAIN, VALIDATION, TEST, CONTEXT = 103, 45, 11, 10
EPOCHS = 80


def build(**settings):
    letters = [chr(1000 + n) for n in range(TRAIN + VALIDATION + TEST)]
    parts = letters[:TRAIN], letters[TRAIN : TRAIN + VALIDATION], letters[TRAIN + VALIDATION :]
    return text.from_texts(*map("".join, parts), **{"context": CONTEXT, "batch_size": 3, **settings})


def batches(dataset):
    return [(inputs, targets) for inputs, targets in dataset.as_numpy_iterator()]


def assert_same(one, other):
    one, other = batches(one), batches(other)
    assert len(one) == len(other) > 0
    np.testing.assert_array_equal(one, other)


def starts(dataset):
    """Returns the first position of each window [batches, B], after checking the windows."""
    for inputs, targets in batches(dataset):
        assert inputs.dtype == targets.dtype == np.int32
        np.testing.assert_array_equal(inputs, inputs[:, :1] + np.arange(CONTEXT))
        np.testing.assert_array_equal(targets, inputs + 1)
    return np.stack([inputs[:, 0] for inputs, _ in batches(dataset)])


def test_an_epoch_has_every_window_once_from_one_offset():
    splits = build(batch_size=1)
    assert (splits.spec.train, splits.steps_per_epoch) == (9, 9)
    seen, orders = set(), set()
    for epoch in range(EPOCHS):
        first = starts(splits.epochs(epoch, epoch + 1))[:, 0]
        offset = first.min()
        np.testing.assert_array_equal(np.sort(first), offset + CONTEXT * np.arange(9))
        seen.add(int(offset))
        orders.add(tuple(first - offset))
    # All offsets from which 9 windows and the last target fit, so that every token becomes a target.
    assert seen == set(range(TRAIN - 9 * CONTEXT))
    assert len(orders) > EPOCHS / 2


def test_the_last_partial_batch_is_dropped():
    splits = build(batch_size=4)
    assert splits.steps_per_epoch == 2
    first = starts(splits.epochs(0, 1))
    assert first.shape == (2, 4) and len(np.unique(first)) == 8


def test_each_row_of_a_contiguous_batch_continues_that_of_the_previous_batch():
    first = starts(build(order="contiguous").epochs(3, 4))
    np.testing.assert_array_equal(np.diff(first, axis=0), np.full((2, 3), CONTEXT))
    np.testing.assert_array_equal(np.diff(first, axis=1), np.full((3, 2), 3 * CONTEXT))


@pytest.mark.parametrize("order", windows.ORDERS)
def test_epochs_depend_on_seed_and_number_only(order):
    splits, again = build(seed=5, order=order), build(seed=5, order=order)
    assert splits.epochs(0, 4).cardinality() == 4 * splits.steps_per_epoch
    assert_same(again.epochs(2, 4), splits.epochs(0, 4).skip(2 * splits.steps_per_epoch))
    for epoch in range(2):
        assert_same(splits.train, splits.epochs(epoch, epoch + 1))
    others = np.array([starts(build(seed=seed, order=order).epochs(0, 1)) for seed in range(6)])
    assert len(np.unique(others.reshape(6, -1), axis=0)) > 2


def test_evaluation_windows_are_consecutive_and_each_target_counts_once(monkeypatch):
    for tokens, sizes in ((2**16, [4]), (30, [3, 1]), (1, [1, 1, 1, 1])):
        monkeypatch.setattr(windows, "_EVALUATION_TOKENS", tokens)
        splits = build()
        assert [len(inputs) for inputs, _ in batches(splits.validation)] == sizes
        targets = np.concatenate([targets.ravel() for _, targets in batches(splits.validation)])
        np.testing.assert_array_equal(targets, TRAIN + 1 + np.arange(40))
    inputs, targets = batches(splits.test)[0]
    np.testing.assert_array_equal(inputs, [TRAIN + VALIDATION + np.arange(10)])
    np.testing.assert_array_equal(targets, inputs + 1)
    assert (splits.spec.validation, splits.spec.test) == (4, 1)


def test_an_evaluation_batch_has_few_enough_logits(monkeypatch):
    monkeypatch.setattr(windows, "_EVALUATION_LOGITS", 20 * (TRAIN + VALIDATION + TEST))
    assert [len(inputs) for inputs, _ in batches(build().validation)] == [2, 2]


def test_rebuilt_splits_equal_splits_built_with_those_settings():
    settings = {"batch_size": 2, "seed": 4, "order": "contiguous"}
    rebuilt, built = build().with_batches(**settings), build(**settings)
    assert rebuilt.spec == built.spec and rebuilt.steps_per_epoch == built.steps_per_epoch == 4
    assert_same(rebuilt.epochs(1, 3), built.epochs(1, 3))
    assert_same(rebuilt.validation, built.validation)
    with pytest.raises(ValueError, match="batch_size must be an integer from 1 to 9, got 10"):
        built.with_batches(batch_size=10)
    with pytest.raises(TypeError, match="augment"):
        built.with_batches(augment=())


def test_shapes_are_static_and_the_repr_states_the_facts():
    splits = build()
    assert [spec.shape.as_list() for spec in splits.train.element_spec] == [[3, CONTEXT]] * 2
    expected = "Splits('texts', context=10, vocabulary=159, train=9, validation=4, test=1, batch_size=3)"
    assert repr(splits) == expected
    assert "<tr><th>tokenizer</th><td>characters</td></tr>" in splits._repr_html_()


def test_replicas_share_the_batches_of_one_device(mirrored):
    splits = build(batch_size=4)
    distributed = list(mirrored.experimental_distribute_dataset(splits.epochs(1, 2)))
    for per_replica, batch in zip(distributed, batches(splits.epochs(1, 2)), strict=True):
        for component, values in zip(per_replica, batch, strict=True):
            parts = mirrored.experimental_local_results(component)
            np.testing.assert_array_equal(np.concatenate(parts), values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": 0}, "context must be an integer of at least 1, got 0"),
        ({"context": 11}, "the test text of 'texts' must have more tokens than the context, got 11 tokens"),
        ({"batch_size": 10}, "batch_size must be an integer from 1 to 9, got 10"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"order": "random"}, "order must be one of shuffled, contiguous, got 'random'"),
        ({"tokenizer": "chars"}, "tokenizer must be one of characters, words, bpe, got 'chars'"),
        ({"vocabulary": 10}, "vocabulary must be None for the tokenizer 'characters', got 10"),
        ({"tokenizer": "bpe", "vocabulary": 255}, "vocabulary must be an integer of at least 256, got 255"),
        (
            {"tokenizer": text.CharacterTokenizer("a"), "vocabulary": 1},
            "vocabulary must be None for a given tokenizer, got 1",
        ),
        ({"tokenizer": text.CharacterTokenizer("a")}, "tokenizer's 1 characters, got 'Ϩ'"),
    ],
)
def test_an_error_names_the_wrong_argument(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)
