"""The block against NumPy step by step, its cache, its recomputation, and its per-example gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.layers.transformer import TransformerBlock

B, T, S, D = 2, 4, 3, 6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def made(memory=None, features=D, **settings):
    """Returns a built block in float64 with random weights."""
    block = TransformerBlock(2, dtype="float64", **settings)
    block.build((B, T, features), memory)
    block.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(block.get_weights())])
    return block


def layer_norm(x, norm):
    deviation = x - x.mean(-1, keepdims=True)
    scaled = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * norm.gamma.numpy() + norm.beta.numpy()


def attended(layer, x, memory, allowed):
    """Multi-head attention with two heads in NumPy."""
    q, k, v = (
        (m @ w.kernel.numpy() + w.bias.numpy())
        for m, w in ((x, layer.query), (memory, layer.key), (memory, layer.value))
    )
    heads, size = [], q.shape[-1] // 2
    for part in (slice(0, size), slice(size, None)):
        scores = np.exp(q[..., part] @ np.swapaxes(k[..., part], 1, 2) / np.sqrt(size)) * allowed
        heads.append(scores / scores.sum(-1, keepdims=True) @ v[..., part])
    return np.concatenate(heads, -1) @ layer.output_map.kernel.numpy() + layer.output_map.bias.numpy()


def fed_forward(layer, x):
    hidden = np.maximum(x @ layer.hidden.kernel.numpy() + layer.hidden.bias.numpy(), 0)
    return hidden @ layer.output_map.kernel.numpy() + layer.output_map.bias.numpy()


CAUSAL = np.tri(T)


@pytest.mark.equation("5.4.14")
@pytest.mark.equation("5.4.15")
def test_a_post_norm_block_normalizes_the_sums():
    block, v = made(norm="post", causal=True), normal(B, T, D)
    x = layer_norm(v + attended(block.attention, v, v, CAUSAL), block.attention_norm)
    expected = layer_norm(x + fed_forward(block.feed_forward, x), block.feed_forward_norm)
    np.testing.assert_allclose(block(v), expected, rtol=1e-9)


def test_a_pre_norm_block_normalizes_the_inputs_of_its_branches():
    block, v = made(norm="pre"), normal(B, T, D)
    normed = layer_norm(v, block.attention_norm)
    x = v + attended(block.attention, normed, normed, 1)
    expected = x + fed_forward(block.feed_forward, layer_norm(x, block.feed_forward_norm))
    np.testing.assert_allclose(block(v), expected, rtol=1e-9)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_cross_block_attends_to_the_memory_in_between(norm):
    memory, v, visible = normal(B, S, 5, seed=1), normal(B, T, D), np.array([[1, 1, 0], [1, 1, 1]], bool)
    block = made(memory.shape, norm=norm, causal=True, cross=True)

    def residual(x, branch, norm):
        if block.norm == "pre":
            return x + branch(layer_norm(x, norm))
        return layer_norm(x + branch(x), norm)

    x = residual(v, lambda x: attended(block.attention, x, x, CAUSAL), block.attention_norm)
    to_memory = visible[:, None]
    x = residual(x, lambda x: attended(block.cross_attention, x, memory, to_memory), block.cross_norm)
    expected = residual(x, lambda x: fed_forward(block.feed_forward, x), block.feed_forward_norm)
    outputs = block(v, memory, memory_padding_mask=visible)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9)
    cache, pieces = block.initial_cache(B, T, tf.constant(memory)), []
    for position, size in ((0, 1), (1, 2), (3, 1)):
        inputs = v[:, position : position + size]
        piece, cache = block.extend(inputs, cache, position, visible)
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces, 1), outputs, rtol=1e-9)


@pytest.mark.parametrize("policy", ["float64", "mixed_bfloat16"])
def test_a_block_is_extended_in_its_own_dtype(policy):
    block, v = TransformerBlock(2, causal=True, dtype=policy), tf.constant(normal(B, T, D), "float32")
    outputs = block(v)
    extended, _ = block.extend(v, block.initial_cache(B, T), 0)
    assert extended.dtype == outputs.dtype == block.compute_dtype
    outputs, extended = (np.asarray(tf.cast(x, "float64")) for x in (outputs, extended))
    np.testing.assert_allclose(extended, outputs, atol=1e-6 if policy == "float64" else 0.05)


@pytest.mark.parametrize("rotary", [False, True])
def test_a_block_is_equivariant_to_permutations_unless_rotary(rotary):
    block, x, order = made(rotary=rotary, head_size=4), normal(B, T, D), [2, 0, 3, 1]
    permuted, outputs = block(x[:, order]), block(x).numpy()[:, order]
    assert np.allclose(permuted, outputs, rtol=1e-10) != rotary


def test_a_causal_block_has_no_gradient_from_later_inputs():
    block, x = made(causal=True), tf.constant(normal(1, T, D))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = block(x)
    jacobian = np.abs(tape.jacobian(outputs, x)[0, :, :, 0]).sum((1, 3))  # [T, T]
    assert np.all(jacobian[np.triu_indices(T, 1)] == 0)
    assert np.all(jacobian[np.tril_indices(T)] > 1e-6)


def test_padded_positions_do_not_change_the_others():
    block, x, mask = made(), normal(B, T, D), np.arange(T) < np.array([[2], [4]])
    changed = np.where(mask[..., None], x, 50.0)
    outputs = [np.asarray(block(inputs, padding_mask=mask))[mask] for inputs in (x, changed)]
    np.testing.assert_array_equal(*outputs)
    own = np.broadcast_to(np.eye(T, dtype=bool), (B, T, T))
    alone = block(np.reshape(x, (B * T, 1, D)))
    np.testing.assert_allclose(np.reshape(block(x, attention_mask=own), (B * T, 1, D)), alone, rtol=1e-10)


@pytest.mark.parametrize("norm, graph", [("pre", True), ("post", False)], ids=["pre-norm graph", "post-norm"])
def test_recomputing_activations_leaves_outputs_and_gradients_unchanged(norm, graph):
    """With dropout, too: the masks are not drawn again in the backward pass."""
    x, memory, results = tf.constant(normal(B, T, D)), tf.constant(normal(B, S, D, seed=1)), []
    products = []
    for remat in (False, True):
        block = made((B, S, D), norm=norm, causal=True, cross=True, dropout=0.3, remat=remat)
        block.drop.seed_generator.state.assign([1, 2])

        def gradients(block=block):
            with tf.GradientTape() as tape:
                tape.watch((x, memory))
                outputs = block(x, memory, training=True)
                loss = tf.reduce_sum(outputs**2)
            sources = [x, memory, *(v.value for v in block.trainable_variables)]
            return outputs, *tape.gradient(loss, sources)

        function = tf.function(gradients, autograph=False) if graph else gradients
        results.append(function())
        if graph:
            operations = function.get_concrete_function().graph.get_operations()
            products.append(sum("MatMul" in operation.type for operation in operations))
    for plain, recomputed in zip(*results, strict=True):
        np.testing.assert_allclose(recomputed, plain, rtol=1e-8, atol=1e-9)
    # Each of three branches runs again: at least its maps but the last.
    assert not graph or products[1] >= products[0] + 4 + 4 + 1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"norm": "middle"}, "norm must be one of pre, post, got 'middle'"),
        ({"units": 0}, "units must be an integer of at least 1, got 0"),
        ({"heads": 4}, "heads must divide the 6 features, got 4"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), got -0.1"),
        ({"remat": True, "attention_dropout": 0.1}, "attention_dropout must be 0 with remat, got 0.1"),
    ],
)
def test_invalid_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        TransformerBlock(**{"heads": 2, **settings}).build((None, T, D))


def test_a_memory_is_for_cross_blocks_and_they_need_it():
    x = normal(B, T, D)
    with pytest.raises(ValueError, match="memory must be given to a block with cross=True, got None"):
        made((B, T, D), cross=True)(x)
    with pytest.raises(ValueError, match=r"memory must be None without cross=True, got shape \(2, 4, 6\)"):
        made()(x, x)


def test_a_saved_decoder_with_masks_comes_back(tmp_path):
    inputs, memory = keras.Input((T, D)), keras.Input((S, D))
    visible = keras.Input((S,), dtype="bool")
    block = TransformerBlock(2, cross=True, causal=True, remat=True)
    model = keras.Model([inputs, memory, visible], block(inputs, memory=memory, memory_padding_mask=visible))
    model.save(tmp_path / "model.keras")
    arrays = [
        normal(B, T, D).astype("f4"),
        normal(B, S, D).astype("f4"),
        np.array([[1, 1, 0], [1, 0, 1]], bool),
    ]
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(arrays), model(arrays))
    assert loaded.layers[-1].get_config() == block.get_config()
