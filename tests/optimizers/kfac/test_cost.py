"""What a K-FAC step evaluates: examples, losses, forward derivatives and inversions."""

import keras
import numpy as np
import pytest
from keras import layers

from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.kfac import acceptance
from curvezoo.optimizers.kfac import statistics as statistics_module
from curvezoo.optimizers.kfac.optimizer import KFAC

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2048, 5)), RNG.integers(0, 3, 2048)


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(("size", "every"), [(24, 1), (128, 2), (256, 4), (2048, 8)])
def test_by_default_f_is_measured_on_a_quarter_of_the_batch(size, every, eager, compiled):
    """These are at least 64 examples and at most 256, evenly spaced, for known and unknown batch sizes."""
    model = compiled(KFAC(), run_eagerly=eager)
    model.fit(X[:size], Y[:size], batch_size=size, shuffle=False, verbose=0)
    a = np.append(X[:size:every], np.ones((-(-size // every), 1)), 1)
    actual = model.optimizer._statistics.states[0]["A"]
    np.testing.assert_allclose(actual, a.T @ a / len(a), rtol=1e-10, atol=1e-12)


class OwnStep(keras.Model):
    """A model whose train step hands another number to the optimizer."""

    def train_step(self, data):
        self.optimizer.scale_loss(1.0)
        return super().train_step(data)

    def curvature_objective(self, **batch):
        return CompiledObjective(self, **batch)


@pytest.mark.parametrize(("kind", "evaluations"), [(keras.Model, 1), (OwnStep, 2)])
def test_a_trial_takes_the_loss_from_keras_own_train_step(kind, evaluations, monkeypatch, compiled):
    inputs = keras.Input((5,))
    model = compiled(KFAC(), kind(inputs, layers.Dense(3)(inputs)))
    losses, original = [], CompiledObjective.loss

    def counted(self, values):
        losses.append(float(original(self, values)))
        return original(self, values)

    monkeypatch.setattr(CompiledObjective, "loss", counted)
    before = float(model.evaluate(X[:32], Y[:32], batch_size=32, verbose=0))
    model.train_on_batch(X[:32], Y[:32])
    assert len(losses) == evaluations and losses[-1] < before
    assert float(model.optimizer._acceptance.last_loss) == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize(("settings", "measured"), [({}, False), ({"weight_decay": 0.01}, True)])
def test_the_curvature_of_a_tried_step_is_measured_once(settings, measured, monkeypatch, compiled):
    """Steps that minimize the quadratic model have a known s^T F s, unless weight decay is added to them."""
    calls, original = [], acceptance.fisher_forms

    def counted(*arguments):
        calls.append(original(*arguments))
        return calls[-1]

    monkeypatch.setattr(acceptance, "fisher_forms", counted)
    results = []
    for always in (False, True):
        model = compiled(KFAC(0.9, damping=0.3, adapt_every=1, **settings))
        model.optimizer.build(model.trainable_variables)
        model.optimizer._acceptance.divergence_is_exact &= not always
        for _ in range(5):
            model.train_on_batch(X[:32], Y[:32])
        assert bool(calls) == (measured or always)
        results.append([*model.get_weights(), float(model.optimizer.damping)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_wider_factors_are_inverted_less_often(monkeypatch, compiled):
    """Factors of up to four rows every two steps, and one of six rows every four."""
    monkeypatch.setattr(statistics_module, "WIDE", 4)
    monkeypatch.setattr(statistics_module, "EARLY", 0)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.Dense(3)])
    model = compiled(KFAC(0.1, statistics_every=1, inverse_every=2), model)
    last = None
    for step in range(9):
        model.train_on_batch(X[32 * step : 32 * step + 32], Y[32 * step : 32 * step + 32])
        now = [np.array(state["A_inverse"]) for state in model.optimizer._statistics.states]
        if last is not None:
            changed = [not np.array_equal(a, b) for a, b in zip(now, last, strict=True)]
            assert changed == [step % 4 == 0, step % 2 == 0], step
        last = now
