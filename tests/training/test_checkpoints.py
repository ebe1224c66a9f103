import keras
import numpy as np
import pytest

from curvezoo.training import checkpoints


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.standard_normal((64, 5)).astype("float32"), generator.integers(0, 3, 64)


def fresh_model(seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, data, epochs):
    model.fit(*data, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model


def test_a_restored_model_goes_on_as_if_never_stopped(data, tmp_path):
    whole = fit(fresh_model(), data, 4)
    checkpoints.save(tmp_path, fit(fresh_model(), data, 2), [{"loss": 1.0}, {"loss": 0.5}])
    resumed = fresh_model(seed=9)
    history = checkpoints.restore(checkpoints.latest(tmp_path), resumed)
    fit(resumed, data, 2)
    assert history == [{"loss": 1.0}, {"loss": 0.5}]
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_keeps_the_newest_and_the_best(tmp_path):
    model, history = fresh_model(), []
    for loss in (3.0, 1.0, 2.0, 2.5, 2.2):
        history.append({"val_loss": loss})
        checkpoints.save(tmp_path, model, history)
    assert [p.name for p in checkpoints.every(tmp_path)] == ["epoch-0002", "epoch-0004", "epoch-0005"]


def test_half_written_checkpoints_are_not_seen(tmp_path):
    checkpoints.save(tmp_path, fresh_model(), [{"loss": 1.0}])
    (tmp_path / ".epoch-0002.77.partial").mkdir()
    assert checkpoints.latest(tmp_path).name == "epoch-0001"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_found(bad):
    model = fresh_model()
    assert checkpoints.first_bad(model) is None
    model.trainable_variables[0].assign(np.full((5, 8), bad))
    assert checkpoints.first_bad(model) == model.trainable_variables[0].path


def test_another_models_checkpoint_is_refused(tmp_path):
    path = checkpoints.save(tmp_path, fresh_model(), [{"loss": 1.0}])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="of another model"):
        checkpoints.restore(path, other)


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = checkpoints.save(tmp_path, fresh_model(), [{"loss": 1.0}])
    state = path / "state.npz"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"epoch-0001 can't be read"):
        checkpoints.restore(path, fresh_model())
