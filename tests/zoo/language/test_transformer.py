"""The language model as a Keras model: its graph, its file, its folder, and its optimizers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.data.text.tokenizers import CharacterTokenizer
from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.publishing import saved_model
from curvezoo.training.parts import NextToken
from curvezoo.zoo.generative import PixelCNN
from curvezoo.zoo.language import RecurrentLanguageModel, TransformerLanguageModel, Translator

TOKENS = np.random.default_rng(0).integers(0, 5, (3, 8)).astype("int32")


@pytest.fixture(scope="module")
def published(make_model, publish, tmp_path_factory):
    """A tiny model and its folder."""
    model, folder = make_model(num_layers=1), tmp_path_factory.mktemp("published") / "model"
    publish(model, NextToken(), [TOKENS], {"tokenizer.json": CharacterTokenizer("abcde")}, folder)
    return model, folder


def test_the_saved_model_has_the_golden_outputs_and_generates_without_keras(published, uncompiled):
    model, folder = published
    loaded = tf.saved_model.load(str(folder))
    for endpoint in ("serve", "generate"):
        inputs, outputs = saved_model.golden(folder, endpoint)
        np.testing.assert_allclose(
            getattr(loaded, endpoint)(*map(tf.constant, inputs)), outputs, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(loaded.serve(TOKENS[:1, :5]), model(TOKENS[:1, :5]), rtol=1e-4, atol=1e-5)
    written = loaded.generate([[1, 2, 3], [4, 0, 0]], [3, 1], 12, 0.0, 0).numpy()
    expected = model.generate([[1, 2, 3], [4]], 12, temperature=0)
    np.testing.assert_array_equal(written[0, 3:15], expected[0])
    np.testing.assert_array_equal(written[1, 1:13], expected[1])


def test_a_loaded_model_writes_text_as_the_published_one_writes_tokens(published, uncompiled):
    model, folder = published
    loaded = saved_model.load(folder)
    assert loaded.get_config() == model.get_config()
    settings = {"max_new_tokens": 12, "temperature": 0}
    texts = loaded.generate(["bcd", "e"], **settings)
    tokens = model.generate([[1, 2, 3], [4]], **settings)
    assert texts == ["".join("abcde"[token] for token in row) for row in tokens]
    # A text is its own stop: the third new character, where it comes first.
    end = texts[0].index(texts[0][2]) + 1
    assert loaded.generate(["bcd", "e"], stop=texts[0][2], **settings)[0] == texts[0][:end]


def test_a_saved_model_file_comes_back_with_all_settings(random_weights, tmp_path):
    model = random_weights(
        TransformerLanguageModel(
            5, 8, 2, 12, heads=(2, 4), feed_forward=7, positions="learned", norm="post", tied=True,
            use_bias=True, remat=True, activation="relu", dropout=0.1, name="other",
        )
    )  # fmt: skip
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is TransformerLanguageModel and loaded.name == "other"
    assert {**loaded.get_config(), "heads": (2, 4)} == model.get_config()
    np.testing.assert_array_equal(loaded(TOKENS), model(TOKENS))


@pytest.mark.parametrize("positions", ["rotary", "learned", "sinusoidal", "none"])
def test_logits_have_no_gradient_from_later_tokens(positions, make_model):
    """The gradient is with respect to the embedded tokens."""
    model = make_model(positions=positions)
    x = tf.Variable(model.get_layer("embedding")(TOKENS[:1]))
    rest = keras.Model(model.get_layer("embedding").output, model.output)
    with tf.GradientTape(persistent=True) as tape:
        logits = rest(x)
        parts = tf.reduce_sum(tf.sin(logits), 2)
    jacobian = np.abs(tape.jacobian(parts, x, experimental_use_pfor=False)[0, :, 0]).sum(2)  # [T, T]
    assert np.all(jacobian[np.triu_indices(8, 1)] == 0)
    assert np.all(jacobian[np.tril_indices(8)] > 1e-7)


def test_only_without_positions_does_the_order_of_earlier_tokens_not_matter(make_model):
    """One block: with several, each position has seen another set of earlier ones."""
    tokens, order = TOKENS[:, :5], [2, 0, 3, 1, 4]
    for positions in ("none", "rotary", "learned", "sinusoidal"):
        model = make_model(positions=positions, num_layers=1)
        last, permuted = model(tokens)[:, -1], model(tokens[:, order])[:, -1]
        assert np.allclose(last, permuted, rtol=1e-4, atol=1e-5) == (positions == "none")


def test_the_attention_weights_of_all_heads_are_causal_distributions(make_model):
    for norm in ("pre", "post"):
        model = make_model(norm=norm)
        weights = np.asarray(model.attention_weights(TOKENS))
        assert weights.shape == (2, 3, 2, 8, 8)
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
        assert np.all(weights[..., *np.triu_indices(8, 1)] == 0)
        # Those of the second block follow from its inputs in the functional graph.
        block = model.get_layer("block_1")
        inputs = keras.Model(model.input, model.get_layer("block_0").output)(TOKENS)
        inputs = block.attention_norm(inputs) if norm == "pre" else inputs
        np.testing.assert_allclose(weights[1], block.attention.weights_of(inputs), rtol=1e-5)


def test_recomputed_activations_give_the_same_training_step(make_model):
    results = []
    for remat in (False, True):
        keras.utils.set_random_seed(0)
        model = make_model(remat=remat, dropout=0.2, num_layers=1)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        results.append([model.train_on_batch(TOKENS[:, :-1], TOKENS[:, 1:]), *model.get_weights()])
    for plain, recomputed in zip(*results, strict=True):
        np.testing.assert_allclose(recomputed, plain, rtol=1e-5, atol=1e-6)


def test_bfloat16_decodes_close_to_float32(make_model):
    model, policy = make_model(), keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed = make_model()
    finally:
        keras.config.set_dtype_policy(policy)
    mixed.set_weights(model.get_weights())
    expected, logits = model(TOKENS).numpy(), keras.ops.cast(mixed(TOKENS), "float32").numpy()
    assert np.sqrt(np.mean((logits - expected) ** 2)) < 0.03 * np.sqrt(np.mean(expected**2))
    state = mixed.prefill(TOKENS, mixed.initial_state(3, 8))
    last, _ = mixed.step(TOKENS[:, -1], 7, state)
    assert last.dtype == tf.bfloat16
    np.testing.assert_allclose(keras.ops.cast(last, "float32"), logits[:, -1], atol=0.1 * expected.std())


@pytest.mark.parametrize(
    "settings, fallbacks",
    [
        ({}, []),
        ({"norm": "post", "use_bias": True, "positions": "sinusoidal", "heads": (2, 4)}, []),
        ({"positions": "learned"}, ["positions"]),
        ({"tied": True}, ["embedding"]),
        ({"remat": True}, ["block_0", "block_1"]),
    ],
    ids=["rotary", "heads of two sizes", "learned positions", "tied", "remat"],
)
def test_kfac_has_blocks_for_all_layers_but_those_named(settings, fallbacks, make_model):
    model = make_model(**settings)
    blocks = blocks_of(model)
    covered = sorted(id(v) for block in blocks for v in block.variables)
    assert covered == sorted(id(v) for v in model.trainable_variables)
    assert [b.layer.name for b in blocks if type(b).__name__ == "FallbackBlock"] == fallbacks
    if fallbacks:
        with pytest.raises(ValueError, match=f"'{fallbacks[0]}'.*has no block of its own"):
            blocks_of(model, fallback="raise")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"vocabulary": 0}, "vocabulary must be an integer of at least 1, got 0"),
        ({"context": 1.5}, "context must be an integer of at least 1, got 1.5"),
        ({"num_layers": 0}, "num_layers must be an integer of at least 1, got 0"),
        ({"heads": 3}, "heads must divide the 8 features, got 3"),
        ({"heads": 8}, r"rotary heads must have even sizes, got \(1, 1, 1, 1, 1, 1, 1, 1\)"),
        ({"positions": "rotery"}, "positions must be one of learned, sinusoidal, rotary, none, got 'rotery'"),
        ({"norm": None}, "norm must be one of pre, post, got None"),
        ({"feed_forward": 0}, "units must be an integer of at least 1, got 0"),
    ],
)
def test_settings_of_a_model_that_are_not_valid_are_named(settings, message, make_model):
    with pytest.raises(ValueError, match=message):
        make_model(**settings)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: TransformerLanguageModel(n, n, num_layers=n // 8, width=n, heads=2),
        lambda n: RecurrentLanguageModel(n, num_layers=n // 8, width=n, embedding=n),
        lambda n: Translator(n, n, n, n, num_layers=n // 8, width=n, heads=2),
        lambda n: PixelCNN((n, n, n // 8), filters=n, blocks=n // 8, hidden=n),
    ],
)
def test_numpy_integers_are_sizes_and_survive_saving(make, tmp_path):
    make(np.int64(8)).save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").get_config() == make(8).get_config()
