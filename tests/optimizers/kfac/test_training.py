"""K-FAC under `fit`: learning, hostile input, saving and resuming, two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from curvezoo import zoo
from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers.kfac.optimizer import KFAC

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 5)), RNG.integers(0, 3, 32)


def test_it_learns_in_mixed_bfloat16(compiled):
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = compiled(KFAC(), perceptron(), run_eagerly=False)
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target
    losses = model.fit(x, y, batch_size=256, epochs=4, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.2


HOSTILE = {
    "rate": ({"learning_rate": 1e8}, X, Y),
    "rate and momentum": ({"learning_rate": 1e8, "momentum": 0.99}, X, Y),
    "damping": ({"damping": 1e-8}, X, Y),
    "zeros": ({}, 0 * X, Y),
    "alike": ({}, 0 * X + 3, Y),
    "one class": ({}, X, 0 * Y),
    "large": ({}, 1e6 * X, Y),
    "small": ({}, 1e-12 * X, Y),
}


@pytest.mark.parametrize("eigenbasis", [False, True])
@pytest.mark.parametrize("case", HOSTILE)
def test_weights_stay_finite_on_hostile_input(case, eigenbasis, compiled):
    """In single precision, with a layer that is inactive from the start and batches of 15, 2 and 1."""
    settings, x, y = HOSTILE[case]
    dead = layers.Dense(3, "relu", bias_initializer=keras.initializers.Constant(-1e9), dtype="float32")
    inputs = keras.Input((5,), dtype="float32")
    hidden = layers.Dense(4, "relu", dtype="float32")(inputs)
    outputs = layers.Dense(3, dtype="float32")(layers.Concatenate(dtype="float32")([hidden, dead(inputs)]))
    keras.config.set_floatx("float32")
    model = compiled(KFAC(eigenbasis=eigenbasis, **settings), keras.Model(inputs, outputs))
    x = x.astype("float32")
    start = model.evaluate(x, y, verbose=0)
    model.fit(x[:30], y[:30], batch_size=15, verbose=0)
    end = model.evaluate(x, y, verbose=0)
    # So few examples teach little about the others.
    for count in (2, 1):
        model.train_on_batch(x[:count], y[:count])
    for variable in [*model.variables, *model.optimizer.variables]:
        assert np.isfinite(variable.numpy()).all(), variable.path
    assert end < start + 0.5, (start, end)


@pytest.mark.parametrize("settings", [{}, {"eigenbasis": True}, {"noise_memory": None}], ids=str)
def test_training_resumes_exactly(settings, tmp_path, compiled):
    def fit(model, epochs):
        model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)

    first = compiled(KFAC(0.3, damping=0.1, **settings))
    fit(first, 1)
    first.save(tmp_path / "model.keras")
    second = keras.models.load_model(tmp_path / "model.keras")
    assert second.optimizer.get_config() == first.optimizer.get_config()
    for a, b in zip(second.optimizer.variables, first.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    second.run_eagerly = True
    fit(second, 1)
    fit(first, 1)
    for a, b in zip(second.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Killed(Exception):
    """Interrupts a training run."""


def test_a_killed_training_resumes_from_its_backup(compiled, tmp_path):
    """With Keras's `BackupAndRestore`, a new model continues with the losses of an undisturbed run."""

    def fit(*callbacks):
        model = compiled(KFAC(0.3, damping=0.1))
        callbacks = [keras.callbacks.BackupAndRestore(tmp_path), *callbacks]
        history = model.fit(X, Y, batch_size=16, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
        return model, history.history["loss"]

    def kill(epoch, logs):
        if epoch == 2:
            raise Killed

    straight, losses = fit()
    with pytest.raises(Killed):
        fit(keras.callbacks.LambdaCallback(on_epoch_begin=kill))
    resumed, rest = fit()
    assert rest == losses[2:]
    for a, b in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_in_hdf5_restores_the_optimizer(compiled, tmp_path):
    """HDF5 files need unique variable names, also for layers of one name and layers with several blocks."""
    tokens = keras.Input((3,), dtype="int32")
    x = layers.LSTM(4, name="lstm")(layers.LayerNormalization()(layers.Embedding(11, 4)(tokens)))
    for _ in range(2):
        x = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")])(x)
    model = compiled(KFAC(eigenbasis=True), keras.Model(tokens, layers.Dense(3)(x)))
    data = RNG.integers(0, 11, (16, 3)), RNG.integers(0, 3, 16)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "c.h5")
    model.fit(*data, batch_size=8, shuffle=False, verbose=0, callbacks=[checkpoint])
    loaded = keras.models.load_model(tmp_path / "c.h5")
    paths = [v.path for v in model.optimizer.variables]
    assert len(set(paths)) == len(paths) and "kfac/lstm_lstm_cell_recurrent_kernel_A" in paths
    for a, b in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def mixture():
    """A layer of each kind, and one that has no block of its own."""
    tokens = keras.Input((3,), dtype="int32")
    x = layers.Embedding(11, 8)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.Conv1D(8, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(layers.PReLU()(x))
    return keras.Model(tokens, layers.Dense(3)(layers.SimpleRNN(5)(layers.Dropout(0.1)(x))))


def test_all_kinds_of_layers_train_together(compiled):
    """Full batches reach a loss that no constant prediction reaches."""
    tokens = np.random.default_rng(1).integers(0, 11, (64, 3))
    labels = tokens[:, 0] % 3
    model = compiled(KFAC(eigenbasis=True), mixture(), run_eagerly=False)
    history = model.fit(tokens, labels, batch_size=64, epochs=25, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < 0.6 < np.log(2.9) < history[0] + 0.5
    with pytest.raises(ValueError, match=r"p_re_lu.* \(PReLU\) has no block of its own"):
        compiled(KFAC(fallback="raise"), mixture())


def perceptron():
    hidden = layers.Dense(64, "tanh"), layers.Dense(32, "tanh")
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])


def autoencoder():
    hidden = [layers.Dense(n, activation) for n, activation in ((48, "tanh"), (6, None), (48, "tanh"))]
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(64)])


PROBLEMS = {
    "perceptron": (perceptron, None, load_digits().target),
    "mean of 64 pixels": (autoencoder, keras.losses.BinaryCrossentropy(from_logits=True), None),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_defaults_beat_tuned_sgd_in_four_epochs(problem, compiled):
    """They reach a loss that SGD with momentum does not reach at the best of four rates."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    make, loss, targets = PROBLEMS[problem]
    x = (load_digits().data / 16).astype("float32")
    targets = x if targets is None else targets

    def final_loss(model):
        # The seed of the order of the examples.
        keras.utils.set_random_seed(1)
        model.fit(x, targets, batch_size=256, epochs=4, verbose=0)
        return float(model.loss(targets, model(x)))

    # One compiled model for all rates, since compiling takes longer than training.
    descent = compiled(keras.optimizers.SGD(momentum=0.9), make(), loss, run_eagerly=False)
    descent.optimizer.build(descent.trainable_variables)
    start, best = [v.numpy() for v in (*descent.variables, *descent.optimizer.variables)], np.inf
    for rate in (0.1, 0.3, 1.0, 3.0):
        for variable, value in zip((*descent.variables, *descent.optimizer.variables), start, strict=True):
            variable.assign(value)
        descent.optimizer.learning_rate = rate
        best = np.fmin(best, final_loss(descent))
    assert final_loss(compiled(KFAC(), make(), loss, run_eagerly=False)) < (0.8 if loss else 0.5) * best


@pytest.mark.parametrize("name", ["softmax_digits", "mlp_digits", "cnn_digits"])
def test_defaults_reach_half_the_loss_of_adam_on_the_zoo(name):
    """With dropout and batch norm, 6 epochs reach less than half the training loss of the recipe's Adam."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    digits = load_digits()
    x, y = (digits.images / 16).astype("float32")[..., None], digits.target
    final = []
    for optimizer in (KFAC(), keras.optimizers.Adam(zoo.recipe(name).optimizer.learning_rate)):
        keras.utils.set_random_seed(0)
        model = zoo.build(name)
        model.compile(optimizer, CategoricalNLL())
        model.fit(x, y, batch_size=256, epochs=6, verbose=0)
        final.append(float(model.loss(y, model(x))))
    assert final[0] < final[1] / 2


def test_two_replicas_equal_one(mirrored):
    """This includes sampled labels, whose random numbers depend only on the position in the batch."""
    settings = {"curvature_examples": 8, "adapt_every": 3, "eigenbasis": True, "kl_clip": 0.01}
    settings |= {"damping": 0.1, "statistics_every": 1, "noise_memory": 0.8, "weight_decay": 0.01}
    batches = tf.data.Dataset.from_tensor_slices((RNG.normal(size=(64, 5)), RNG.integers(0, 3, 64))).batch(32)

    def trained(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            hidden = layers.Dense(6, "tanh"), layers.LayerNormalization()
            model = keras.Sequential([keras.Input((5,)), *hidden, layers.Dense(3)])
            model.compile(KFAC(0.5, **settings), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = model.fit(batches, epochs=4, verbose=0).history["loss"]
        optimizer = model.optimizer
        return losses, [
            *model.get_weights(),
            optimizer.damping.numpy(),
            optimizer._noise.positions.numpy(),
        ]

    (losses, one), (mirrored_losses, two) = trained(tf.distribute.get_strategy()), trained(mirrored)
    assert losses[3] < losses[0] and one[-1] == pytest.approx(32)
    np.testing.assert_allclose(mirrored_losses, losses, atol=1e-5)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
