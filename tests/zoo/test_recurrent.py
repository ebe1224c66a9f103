"""Recurrent language models: counts by hand, decoding against the whole sequence, and causality."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.zoo.language.recurrent import CELLS, RecurrentLanguageModel

V, D, H = 7, 3, 4


@pytest.fixture(scope="module", params=CELLS)
def model(request):
    keras.utils.set_random_seed(0)
    return RecurrentLanguageModel(V, request.param, 2, H, D, dropout=0.5, initial_range=0.8)


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(0, V, (3, 6)).astype("int32")


@pytest.mark.equation("5.2.2")
def test_the_parameters_are_those_counted_by_hand(model):
    gates = 1 if model.get_config()["cell"] == "rnn" else 4
    recurrent = sum(gates * H * (inputs + H) + gates * H for inputs in (D, H))
    norms = 2 * (2 * 4 * H + 2 * H) if model.get_config()["cell"] == "layer_norm_lstm" else 0
    assert model.count_params() == V * D + recurrent + norms + (H + 1) * V


def test_tied_logits_share_the_embedding_matrix(tokens):
    tied = RecurrentLanguageModel(V, width=H, tied=True)
    assert tied.count_params() == V * H + 2 * (4 * H * (H + H) + 4 * H)
    logits, _ = tied.step(tokens[:, 0], 0, tied.initial_state(3, 6))
    np.testing.assert_allclose(logits, tied(tokens[:, :1])[:, 0], rtol=1e-5, atol=1e-6)


def test_steps_give_the_logits_of_the_whole_sequence(model, tokens):
    logits, state = model(tokens), model.initial_state(3, 6)
    for t in range(6):
        one, state = model.step(tf.constant(tokens[:, t]), t, state)
        np.testing.assert_allclose(one, logits[:, t], rtol=1e-4, atol=1e-6)


def test_logits_do_not_depend_on_later_tokens(model, tokens):
    embedding = model.get_layer("embedding")
    rest = keras.Model(model.get_layer("dropout").output, model.output)
    with tf.GradientTape() as tape:
        x = embedding(tokens)
        tape.watch(x)
        sums = tf.reduce_sum(rest(x)[..., 0], 0)
    jacobian = np.abs(tape.jacobian(sums, x).numpy()).sum((1, 3))  # [T, T]
    assert np.all(jacobian[np.triu_indices(6, 1)] == 0)
    assert np.all(jacobian[np.tril_indices(6)] > 0)


def test_a_saved_model_gives_the_same_logits_and_text(model, tokens, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(tokens), model(tokens))
    np.testing.assert_array_equal(loaded.generate([1, 2], 5, seed=3), model.generate([1, 2], 5, seed=3))


def test_greedy_writing_takes_the_most_probable_token_each_time(model):
    written = [2, 5, 1]
    for _ in range(4):
        written.append(int(np.argmax(model(np.array([written]))[0, -1])))
    np.testing.assert_array_equal(model.generate([2, 5, 1], 4, temperature=0), written[3:])


def test_k_fac_has_a_block_for_every_weight_but_those_of_layer_norm(model):
    if model.get_config()["cell"] != "layer_norm_lstm":
        blocks_of(model, fallback="raise")
    assert len(blocks_of(model)) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "gru"}, "cell must be one of rnn, lstm, layer_norm_lstm, got 'gru'"),
        ({"num_layers": 0}, "num_layers must be an integer of at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be .*got 1.0"),
        ({"tied": True, "embedding": 8}, "embedding must be width=256 for tied=True, got 8"),
        ({"initial_range": 0}, "initial_range must be a positive finite number, got 0"),
    ],
)
def test_invalid_settings_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        RecurrentLanguageModel(V, **settings)


@pytest.mark.parametrize(("size", "millions"), [("small", 4.65), ("medium", 19.8), ("large", 66.0)])
def test_the_treebank_models_have_the_sizes_of_zaremba(size, millions):
    """2 layers with as many units as features, embedding and map to 10,000 words; all matrices uniform."""
    recipe = zoo.recipe(f"lstm_ptb_{size}")
    settings = recipe.model.settings()
    width = settings["width"]
    counted = 2 * 10_000 * width + 10_000 + 2 * (4 * width * 2 * width + 4 * width)
    assert counted / 1e6 == pytest.approx(millions, rel=0.01)
    spec = data.text.spec("text", context=8)
    built = recipe.model.build(spec)
    assert built.count_params() == counted - (2 * width + 1) * (10_000 - spec.vocabulary)
    limit = settings["initial_range"]
    matrices = [w for w in built.get_weights() if w.ndim == 2]
    assert all(0.99 * limit < np.abs(w).max() <= limit for w in matrices)
    # Zaremba et al. sum the loss over the time steps.
    context, optimizer = recipe.data.context, recipe.optimizer
    assert optimizer.learning_rate / context == 1.0
    assert optimizer.arguments["global_clipnorm"] * context == pytest.approx(10 if size == "large" else 5)
