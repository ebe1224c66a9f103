"""Oracles: a list of all steps, frequencies of draws, and cumulative sums."""

import tracemalloc

import numpy as np
import pytest

from curvezoo.agents.replay import PrioritizedReplay, Replay, SumTree


def fill(replay, steps, copies=1, first=0):
    """Adds steps whose numbers are in each column."""
    for number in range(first, first + steps * copies, copies):
        numbers = np.arange(number, number + copies, dtype="float32")
        pairs = np.stack([numbers, -numbers], axis=1)
        ends = numbers % 3 == 0
        replay.add(pairs, numbers.astype("int32"), numbers / 2, pairs + 1, ends, numbers / 2)


def buffer(capacity, prioritized=False, **settings):
    kind = PrioritizedReplay if prioritized else Replay
    return kind(capacity, np.zeros(2, "float32"), np.int32(0), **settings)


@pytest.mark.parametrize("copies", [1, 3])
def test_the_buffer_holds_the_last_steps_in_matching_rows(copies):
    replay = buffer(10)
    fill(replay, 9, copies)
    held = set()
    for _ in range(20):
        _, batch = replay.sample(np.random.default_rng(len(held)), 2, 25)
        numbers = batch.actions
        assert np.array_equal(batch.observations, np.stack([numbers, -numbers], axis=-1))
        assert np.array_equal(batch.next_observations, np.stack([numbers, -numbers], axis=-1) + 1)
        assert np.array_equal(batch.rewards, numbers / 2)
        assert np.array_equal(batch.terminated, (numbers % 3 == 0).astype("float32"))
        assert np.array_equal(batch.discounts, np.float32(0.5) * numbers)
        held |= set(numbers.ravel().tolist())
    count = 9 * copies
    assert held == set(range(max(0, count - 10), count))
    assert len(replay) == min(count, 10)


def test_draws_are_uniform_over_the_filled_rows():
    replay = buffer(100)
    fill(replay, 8)
    rows, batch = replay.sample(np.random.default_rng(0), 400, 20)
    assert rows.shape == batch.weights.shape == (400, 20)
    # 1000 expected of each row with a standard deviation of 30.
    assert np.all(np.abs(np.bincount(rows.ravel(), minlength=8) - 1000) < 150)
    assert np.all(batch.weights == 1)


@pytest.mark.parametrize("prioritized", [False, True])
def test_memory_stays_flat_over_a_million_steps(prioritized):
    replay = buffer(5000, prioritized)
    steps = np.zeros((1000, 2), "float32"), np.zeros(1000, "int32"), np.zeros(1000), np.ones((1000, 2))
    rest = np.zeros(1000, bool), np.ones(1000)
    replay.add(*steps, *rest)
    tracemalloc.start()
    for _ in range(1000):
        replay.add(*steps, *rest)
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(replay) == 5000
    # One further row for each of a million steps would take 29 MB.
    assert now < 1e5


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("steps", [4, 25])
def test_a_restored_buffer_goes_on_as_the_original(prioritized, steps):
    replay, other = buffer(10, prioritized), buffer(10, prioritized)
    fill(replay, steps)
    replay.update(np.array([[0, 2], [3, 2]]), np.array([[0.5, -3.0], [7.0, 1.0]]))
    state = replay.state()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    assert all(len(array) == min(steps, 10) for array in state.values() if array.ndim)
    fill(other, 7, first=100)
    other.restore(state)
    for each in (replay, other):
        fill(each, 3, first=50)
    drawn = [each.sample(np.random.default_rng(3), 5, 4, 0.5) for each in (replay, other)]
    assert np.array_equal(drawn[0][0], drawn[1][0])
    for one, two in zip(drawn[0][1], drawn[1][1], strict=True):
        assert np.array_equal(one, two)


def test_later_changes_of_the_buffer_leave_its_state_alone():
    replay = buffer(4)
    fill(replay, 4)
    state = replay.state()
    fill(replay, 2, first=9)
    assert np.array_equal(state["actions"], [0, 1, 2, 3])


def test_draws_follow_the_priorities_and_weights_undo_them():
    replay = buffer(8, prioritized=True, exponent=0.5)
    fill(replay, 5)
    errors = np.array([1.0, -4.0, 9.0, 0.0, 16.0])
    replay.update(np.arange(5), errors)
    rows, batch = replay.sample(np.random.default_rng(0), 500, 20, importance=0.7)
    expected = (np.abs(errors) + 1e-6) ** 0.5
    expected /= expected.sum()
    assert np.allclose(replay.priorities() / replay.priorities().sum(), expected, rtol=1e-12)
    assert np.all(np.abs(np.bincount(rows.ravel(), minlength=5) / 10_000 - expected) < 0.01)
    weights = (5 * expected[rows]) ** -0.7
    assert np.allclose(batch.weights, weights / weights.max(axis=1, keepdims=True), rtol=1e-6)


def test_full_importance_weights_make_prioritized_means_unbiased():
    replay = buffer(8, prioritized=True, exponent=1.0)
    fill(replay, 4)
    replay.update(np.arange(4), np.array([1.0, 2.0, 3.0, 10.0]))
    rows, batch = replay.sample(np.random.default_rng(1), 4000, 16, importance=1.0)
    # Weights of one batch are known up to a factor, which their mean gives.
    values = np.array([5.0, -1.0, 2.0, 0.0])[rows]
    means = (batch.weights * values).sum(axis=1) / batch.weights.sum(axis=1)
    assert abs(means.mean() - 1.5) < 0.1
    assert abs(values.mean() - 1.5) > 0.5


def test_new_steps_have_the_largest_priority_so_far():
    replay = buffer(4, prioritized=True, exponent=1.0)
    fill(replay, 2)
    replay.update(np.array([0, 1]), np.array([6.0, 0.5]))
    replay.update(np.array([0]), np.array([0.1]))
    fill(replay, 1, first=2)
    assert np.allclose(replay.priorities(), [0.1, 0.5, 6.0], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_the_sum_tree_agrees_with_cumulative_sums(count):
    generator = np.random.default_rng(count)
    tree, values = SumTree(count), np.zeros(count)
    for _ in range(30):
        indices = generator.integers(count, size=5)
        changes = generator.random(5) * (generator.random(5) < 0.8)
        tree.set(indices, changes)
        for index, change in zip(indices, changes, strict=True):
            values[index] = change
        assert np.array_equal(tree.get(np.arange(count)), values)
        assert np.isclose(tree.total, values.sum(), rtol=1e-12)
        if values.sum() == 0:
            continue
        sums = generator.random((3, 50)) * values.sum()
        expected = np.searchsorted(np.cumsum(values), sums, side="right")
        assert np.mean(tree.find(sums) == expected) > 0.98
        assert np.all(values[tree.find(np.array([0.0, tree.total, 2 * tree.total]))] > 0)


def test_bad_buffers_and_draws_are_rejected():
    with pytest.raises(ValueError, match="capacity must be an integer of at least 1, got 0"):
        buffer(0)
    with pytest.raises(ValueError, match="must hold a step before"):
        buffer(4).sample(np.random.default_rng(0), 1, 1)
    with pytest.raises(ValueError, match="capacity must be at least the 5 copies, got 4"):
        fill(buffer(4), 1, copies=5)
    full = buffer(6)
    fill(full, 6)
    with pytest.raises(ValueError, match="capacity must be at least the 6 stored steps, got 4"):
        buffer(4).restore(full.state())
