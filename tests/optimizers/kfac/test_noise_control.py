"""The two guards against noise, each alone, against whole steps and given damping."""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.optimizers.kfac.damping import PRIOR
from curvezoo.optimizers.kfac.optimizer import KFAC

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 5)), RNG.integers(0, 3, 32)
DAMPING = 1e-4
GUARDS = {
    "neither": {"noise_memory": None, "noise_floor": False},
    "c": {"noise_memory": 0.0, "noise_floor": False},
    "floor": {"noise_memory": None, "noise_floor": True},
    "both": {"noise_memory": 0.0, "noise_floor": True},
}


def second_step(compiled, settings):
    """A step with constant damping on other labels than those of the first step, and its optimizer."""
    model = compiled(KFAC(0.1, damping=DAMPING, adapt_every=None, statistics_every=1, **settings))
    model.train_on_batch(X, Y)
    before = np.concatenate([np.ravel(w) for w in model.get_weights()])
    model.train_on_batch(X, (Y + 1) % 3)
    return np.concatenate([np.ravel(w) for w in model.get_weights()]) - before, model.optimizer


def test_each_guard_works_without_the_other(compiled):
    """The second batch contradicts the first one and finds little signal in its step."""
    steps, optimizers = {}, {}
    for name, settings in GUARDS.items():
        steps[name], optimizers[name] = second_step(compiled, settings)
    for shortened, whole in (("c", "neither"), ("both", "floor")):
        signal = optimizers[shortened]._noise.signal
        fraction = float(signal._signals.value / signal._slopes.value)
        assert 0.01 < fraction < 0.5
        np.testing.assert_allclose(steps[shortened], fraction * steps[whole], rtol=1e-9, atol=1e-15)
    assert np.abs(steps["floor"] - steps["neither"]).max() > 1e-3 * np.abs(steps["neither"]).max() > 0
    for name, optimizer in optimizers.items():
        states = optimizer._statistics.states
        norms = [np.linalg.norm(state["A"]) * np.linalg.norm(state["G"]) for state in states]
        floor, damping = min(norms) / (PRIOR * 32), float(optimizer.damping)
        assert floor > 5 * DAMPING
        if name in ("floor", "both"):
            # The damping is at least each step's smallest floor, and may have fallen by a factor of 0.95.
            assert 0.94 * floor < damping < 2 * floor
        else:
            assert damping == pytest.approx(DAMPING, rel=1e-6)


@pytest.mark.parametrize("bounded", [True, False])
def test_the_inverse_of_each_block_has_the_floor_of_its_own_matrix(bounded, compiled):
    optimizer = KFAC(damping=1e-6, adapt_every=None, noise_floor=bounded)
    compiled(optimizer).train_on_batch(X, Y)
    statistics, floors = optimizer._statistics, []
    for preconditioner, variables in zip(statistics.preconditioners, statistics.states, strict=True):
        state = {name: tf.convert_to_tensor(variable) for name, variable in variables.items()}
        floor = np.linalg.norm(state["A"]) * np.linalg.norm(state["G"]) / (PRIOR * 32)
        floors.append(floor)
        expected = preconditioner.refresh(state, tf.constant(floor if bounded else 1e-6, tf.float64))
        for name in ("A_inverse", "G_inverse"):
            np.testing.assert_allclose(state[name], expected[name], rtol=1e-6)
    assert min(floors) > 10 * 1e-6 and max(floors) > 1.1 * min(floors)


@pytest.mark.parametrize("memory", [None, 0.9])
def test_by_default_the_floor_is_switched_with_the_signal_fraction(memory, compiled):
    """This holds for arguments, and for configs that were saved without the floor's own switch."""
    config = KFAC(0.1, noise_memory=memory).get_config()
    del config["noise_floor"]
    dampings = {}
    for name, optimizer in {
        "default": KFAC.from_config(config),
        "with": KFAC(0.1, noise_memory=memory, noise_floor=True),
        "without": KFAC(0.1, noise_memory=memory, noise_floor=False),
    }.items():
        # With one example of six inputs and three outputs the floor exceeds the first damping.
        compiled(optimizer).train_on_batch(X[:1], Y[:1])
        dampings[name] = float(optimizer.damping)
    assert dampings["with"] > 1.2 * dampings["without"]
    assert dampings["default"] == dampings["without" if memory is None else "with"]
