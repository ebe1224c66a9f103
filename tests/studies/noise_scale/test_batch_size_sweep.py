"""The sweep finds the best rates and the hyperbola of a quadratic loss with known expectation."""

import numpy as np
import pytest

from curvezoo.figures.chapter4 import trade_off as theory
from curvezoo.studies.noise_scale import batch_size_sweep
from curvezoo.theory.trade_off import fit_trade_off

SIZES = (2, 8, 32, 128, 512)
TARGET = 0.05


class Quadratic:
    """The expected loss of SGD on a quadratic by its exact recursion, the same for all seeds."""

    size = 10**6

    def __init__(self):
        self.trainings = 0

    def restart(self, seed, rate):
        self.rate, self.step, self.batch_size = rate, 0, 1
        self.trainings += 1

    def advance(self, steps, batch_size):
        self.step, self.batch_size = self.step + steps, batch_size

    def loss(self):
        with np.errstate(all="ignore"):
            return float(theory.expected_loss(float(self.step), self.rate, float(self.batch_size)))


def swept(problem, sizes=SIZES, **options):
    return batch_size_sweep.sweep(problem, TARGET, sizes, 0.3, **options)


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
def test_the_sweep_recovers_the_hyperbola():
    tuned = swept(Quadratic())
    grid = np.geomspace(1e-4, 1.99, 1000)
    best = theory.expected_steps(grid, np.array(SIZES)[:, None])
    # The grid of rates has factors of sqrt 2, and the mean over the last fifth of the steps lags by a tenth
    # to a fifth. All S exceed the best one by a similar fraction, which does not change B_crit.
    excess = np.array([each.mean_steps for each in tuned]) / best.min(axis=1)
    assert np.all((excess > 1) & (excess < 1.35))
    rates = grid[best.argmin(axis=1)]
    assert np.all(np.abs(np.log2([each.rate for each in tuned] / rates)) < 0.75)
    exact = fit_trade_off(SIZES, best.min(axis=1)).critical_batch_size
    fit = fit_trade_off(SIZES, [each.mean_steps for each in tuned])
    assert fit.critical_batch_size == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize("rate", [1e-3, 300.0])
def test_the_search_recovers_from_a_wrong_initial_rate(rate):
    limits = [100, 400, 1600]
    tuned = batch_size_sweep.tune(Quadratic(), TARGET, 32, rate, limits)
    best = theory.expected_steps(np.geomspace(1e-4, 1.99, 1000), 32).min()
    assert best < tuned.mean_steps < 1.35 * best


def test_an_interrupted_sweep_resumes_where_it_stopped(tmp_path):
    class Killed(Quadratic):
        def restart(self, seed, rate):
            if self.trainings == 20:
                raise KeyboardInterrupt
            super().restart(seed, rate)

    path = tmp_path / "trainings.json"
    whole = Quadratic()
    expected = swept(whole, seeds=(0, 1))
    with pytest.raises(KeyboardInterrupt):
        swept(Killed(), seeds=(0, 1), store=batch_size_sweep.Store(path))
    rest = Quadratic()
    assert swept(rest, seeds=(0, 1), store=batch_size_sweep.Store(path)) == expected
    assert rest.trainings == whole.trainings - 20
    again = Quadratic()
    assert swept(again, seeds=(0, 1), store=batch_size_sweep.Store(path)) == expected
    assert again.trainings == 0


def test_an_abandoned_training_is_repeated_with_more_steps(tmp_path):
    path = tmp_path / "trainings.json"
    store, problem = batch_size_sweep.Store(path), Quadratic()
    for limit in (5, 1000):
        training = batch_size_sweep.train_to(problem, TARGET, 32, 0.3, 0, limit)
        store.add(training)
        assert store.find(32, 0.3, 0, 5) == training
        saved = batch_size_sweep.Store(path)
        assert saved.find(32, 0.3, 0, 1000) == (training if training.steps else None)
        assert saved.find(32, 0.31, 0, 5) is None
    store.add(batch_size_sweep.train_to(problem, TARGET, 32, 300.0, 0, 1000))
    diverged = batch_size_sweep.Store(path).find(32, 300.0, 0, 10**6)
    assert diverged.loss == np.inf
    assert diverged.taken < 10


def test_the_mean_loss_decides_when_the_target_is_reached():
    class Fluctuating(Quadratic):
        def loss(self):
            # One step with a low loss, and a steady descent that reaches the target at step 200.
            return 0.01 if self.step == 30 else 1 - 0.00475 * self.step

    training = batch_size_sweep.train_to(Fluctuating(), TARGET, 128, 0.1, 0, 10**4)
    # The mean over steps from 0.8 s to s is the loss at 0.9 s.
    assert training.steps == pytest.approx(200 / 0.9, rel=0.03)


def test_several_seeds_give_a_standard_error():
    tuned = batch_size_sweep.Tuned(8, 0.1, (100.0, 121.0))
    assert tuned.mean_steps == pytest.approx(110)
    assert tuned.relative_error == pytest.approx(np.log(1.21) / 2)
    assert np.isnan(batch_size_sweep.Tuned(8, 0.1, (100.0,)).relative_error)


def test_invalid_arguments_are_errors():
    with pytest.raises(ValueError, match=r"batch_sizes must hold at least 3 different values, got \[4, 8\]"):
        swept(Quadratic(), sizes=(4, 8, 4))
    with pytest.raises(ValueError, match="batch_sizes must be"):
        swept(Quadratic(), sizes=(0, 8, 16))
    with pytest.raises(ValueError, match="target must be below the initial loss 1, got 2"):
        batch_size_sweep.sweep(Quadratic(), 2.0, SIZES, 0.1)
    with pytest.raises(ValueError, match=r"target=1e-09 was not reached .* of batch size 2 at .* lowest"):
        batch_size_sweep.sweep(Quadratic(), 1e-9, SIZES, 0.1, epochs=0.001)
