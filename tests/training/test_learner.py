"""Early stopping decides from the history alone."""

from curvezoo.training import EarlyStopping


def test_patience_counts_from_the_lowest_value():
    history = [{"val_loss": loss} for loss in (3.0, 1.0, 2.0, 2.5)]
    stopping = EarlyStopping(patience=2)
    assert (stopping.best(history), stopping.result(history)) == (2, 2)
    assert stopping.exhausted(history)
    assert not stopping.exhausted(history[:3])
    assert not stopping.exhausted([])


def test_without_patience_the_last_unit_is_kept_and_training_never_stops_early():
    history = [{"val_loss": loss} for loss in (1.0, 2.0, 3.0)]
    assert EarlyStopping().best(history) == 1
    assert EarlyStopping().result(history) == 3
    assert not EarlyStopping().exhausted(history)


def test_the_last_unit_is_best_if_the_monitored_value_is_sometimes_missing():
    assert EarlyStopping(patience=1).best([{"val_loss": 1.0}, {"loss": 2.0}]) == 2
