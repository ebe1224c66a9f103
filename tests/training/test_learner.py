"""Early stopping decides from the history alone."""

from curvezoo.training import EarlyStopping


def test_patience_counts_from_the_lowest_value():
    history = [{"val_loss": loss} for loss in (3.0, 1.0, 2.0, 2.5)]
    stopping = EarlyStopping(patience=2)
    assert (stopping.best(history), stopping.result(history)) == (2, 2)
    assert stopping.exhausted(history)
    assert not stopping.exhausted(history[:3])
    assert not stopping.exhausted([])


def test_without_patience_the_last_unit_is_the_result_and_nothing_stops():
    history = [{"val_loss": loss} for loss in (1.0, 2.0, 3.0)]
    assert EarlyStopping().best(history) == 1
    assert EarlyStopping().result(history) == 3
    assert not EarlyStopping().exhausted(history)


def test_a_value_that_was_not_always_measured_makes_the_last_unit_the_best():
    assert EarlyStopping(patience=1).best([{"val_loss": 1.0}, {"loss": 2.0}]) == 2
