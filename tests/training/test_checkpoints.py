import keras
import numpy as np
import pytest

from curvezoo.training import checkpoints
from curvezoo.variables import assign, named_variables, state_of


class Fit:
    """The part of a learner that checkpoints need: a compiled model."""

    def __init__(self, seed=0, features=5):
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
        self.model = keras.Sequential([keras.Input((features,)), *layers])
        self.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.model.optimizer.build(self.model.trainable_variables)

    def fit(self, data, epochs):
        self.model.fit(*data, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
        return self

    def state(self):
        return state_of(named_variables(self.model, self.model.optimizer))

    def restore(self, state):
        assign(named_variables(self.model, self.model.optimizer), state)


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.standard_normal((64, 5)).astype("float32"), generator.integers(0, 3, 64)


def save(folder, learner, history, best=None):
    return checkpoints.save(folder, "epoch", learner.state(), history, best or len(history))


def test_a_restored_model_continues_like_an_uninterrupted_one(data, tmp_path):
    whole = Fit().fit(data, 4)
    save(tmp_path, Fit().fit(data, 2), [{"loss": 1.0}, {"loss": 0.5}])
    resumed = Fit(seed=9)
    history = checkpoints.restore(checkpoints.latest(tmp_path), resumed)
    resumed.fit(data, 2)
    assert history == [{"loss": 1.0}, {"loss": 0.5}]
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, resumed.state()[name], err_msg=name)


def test_names_do_not_depend_on_models_built_earlier_in_the_process(data):
    first, second = Fit(), Fit()
    assert [v.path for v in first.model.variables] != [v.path for v in second.model.variables]
    assert list(first.state()) == list(second.state())
    names = set(first.state())
    names_of_slots = "model.optimizer/sequential_dense_1_kernel_momentum"
    assert {names_of_slots, "model/sequential/dense/kernel", "model/sequential/dense_1/bias"} <= names
    assert len(names) == len(first.model.variables) + len(first.model.optimizer.variables)


def test_keeps_the_newest_and_the_best(tmp_path):
    learner, history = Fit(), []
    for loss in (3.0, 1.0, 2.0, 2.5, 2.2):
        history.append({"val_loss": loss})
        save(tmp_path, learner, history, int(np.argmin([row["val_loss"] for row in history])) + 1)
    assert [p.name for p in checkpoints.every(tmp_path)] == ["epoch-0002", "epoch-0004", "epoch-0005"]


def test_partial_checkpoints_are_ignored(tmp_path):
    save(tmp_path, Fit(), [{"loss": 1.0}])
    (tmp_path / ".epoch-0002.77.partial").mkdir()
    assert checkpoints.latest(tmp_path).name == "epoch-0001"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_non_finite_weight_is_found(bad):
    learner = Fit()
    assert checkpoints.first_non_finite(learner.state()) is None
    learner.model.trainable_variables[0].assign(np.full((5, 8), bad))
    assert checkpoints.first_non_finite(learner.state()) == "model/sequential/dense/kernel"


def test_a_checkpoint_of_another_model_is_rejected(tmp_path):
    path = save(tmp_path, Fit(), [{"loss": 1.0}])
    with pytest.raises(ValueError, match=r"epoch-0001 does not fit: .*model/sequential/dense/kernel differs"):
        checkpoints.restore(path, Fit(features=4))


def test_the_error_for_a_truncated_checkpoint_names_it(tmp_path):
    path = save(tmp_path, Fit(), [{"loss": 1.0}])
    state = path / "state.npz"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"epoch-0001 can't be read"):
        checkpoints.restore(path, Fit())
