"""Blocks of every kind: per-example gradients against Jacobians, and the split of a model into blocks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import curvezoo.layers
from curvezoo.optimizers.keras_bridge import taps
from curvezoo.optimizers.layer_rules import vector
from curvezoo.optimizers.layer_rules.blocks import blocks_of
from curvezoo.optimizers.layer_rules.diagonal import FallbackBlock


def frozen(layer, shape, *names):
    layer.build((None, *shape))
    for name in names:
        getattr(layer, name).trainable = False
    return layer


def frozen_in_cell(layer, shape, name):
    layer.build((None, *shape))
    getattr(layer.cell, name).trainable = False
    return layer


def einsum(equation, output_shape, bias_axes=None):
    return layers.EinsumDense(
        equation, output_shape, bias_axes=bias_axes, activation="tanh", bias_initializer="normal"
    )


def unit_variance(name, *args, **kwargs):
    return getattr(curvezoo.layers, name)(*args, activation="tanh", **kwargs)


# A function that makes a layer, and the shape of one example.
CASES = {
    "dense": (lambda: layers.Dense(3, activation="tanh"), (4,)),
    "dense softmax": (lambda: layers.Dense(3, activation="softmax"), (4,)),
    "dense no bias": (lambda: layers.Dense(3, use_bias=False), (4,)),
    "dense images": (lambda: layers.Dense(3, activation="tanh"), (2, 3, 4)),
    "dense frozen bias": (lambda: frozen(layers.Dense(3), (4,), "bias"), (4,)),
    "dense frozen kernel": (lambda: frozen(layers.Dense(3, activation="tanh"), (5, 4), "_kernel"), (5, 4)),
    "dense unit variance": (lambda: unit_variance("UnitVarianceDense", 3), (4,)),
    "conv1d": (lambda: layers.Conv1D(3, 3, padding="same", activation="tanh"), (7, 2)),
    "conv1d causal": (lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=3), (7, 2)),
    "conv2d": (lambda: layers.Conv2D(3, (2, 3), activation="tanh"), (5, 6, 2)),
    "conv2d strides": (lambda: layers.Conv2D(3, 3, strides=2, padding="same"), (5, 6, 2)),
    "conv2d strides valid": (lambda: layers.Conv2D(3, 2, strides=(3, 2), use_bias=False), (8, 5, 2)),
    "conv2d dilation": (lambda: layers.Conv2D(2, 3, dilation_rate=(2, 1), padding="same"), (6, 5, 2)),
    "conv2d frozen kernel": (lambda: frozen(layers.Conv2D(2, 3), (6, 5, 2), "_kernel"), (6, 5, 2)),
    "conv2d unit variance": (lambda: unit_variance("UnitVarianceConv2D", 3, 3, padding="same"), (4, 4, 2)),
    "conv3d": (lambda: layers.Conv3D(2, 2, strides=2), (4, 5, 4, 2)),
    "einsum query": (lambda: einsum("abc,cde->abde", (None, 2, 3), "de"), (5, 4)),
    "einsum output": (lambda: einsum("abcd,cde->abe", (None, 4), "e"), (5, 2, 3)),
    "einsum permuted": (lambda: einsum("abcd,dec->aeb", (4, 5), None), (5, 2, 3)),
    "einsum bias permuted": (lambda: einsum("abc,edc->adeb", (2, 3, 5), "de"), (5, 4)),
    "einsum bias of some": (lambda: einsum("abc,cde->abde", (None, 2, 3), "e"), (5, 4)),
    "einsum bias of one before": (lambda: einsum("abc,cde->abde", (None, 2, 3), "d"), (5, 4)),
    "einsum bias of positions": (lambda: einsum("abc,cd->abd", (5, 3), "bd"), (5, 4)),
    "einsum ellipsis": (lambda: einsum("...x,xy->...y", 3, "y"), (5, 2, 4)),
    "einsum ellipsis right": (lambda: einsum("ab...,bc->ac...", 3), (4, 2, 5)),
    "layer norm": (lambda: layers.LayerNormalization(), (5, 4)),
    "layer norm axes": (lambda: layers.LayerNormalization(axis=(1, 2), gamma_initializer="zeros"), (5, 4)),
    "layer norm middle": (lambda: layers.LayerNormalization(axis=1, center=False), (5, 4)),
    "group norm": (lambda: layers.GroupNormalization(2, gamma_initializer="normal"), (5, 4)),
    "group norm first": (lambda: layers.GroupNormalization(2, axis=1, scale=False), (4, 5)),
    "rms norm": (lambda: layers.RMSNormalization(), (5, 4)),
    "batch norm inference": (lambda: layers.BatchNormalization(gamma_initializer="zeros"), (5, 4)),
    "simple": (lambda: layers.SimpleRNN(3, return_sequences=True), (3, 2)),
    "simple frozen kernel": (lambda: frozen_in_cell(layers.SimpleRNN(3), (3, 2), "kernel"), (3, 2)),
    "lstm": (lambda: layers.LSTM(3, go_backwards=True), (3, 2)),
    "lstm no bias": (lambda: layers.LSTM(3, use_bias=False), (3, 2)),
    "own lstm": (lambda: curvezoo.layers.LSTM(3), (3, 2)),
    "relu rnn": (lambda: curvezoo.layers.ReLURNN(3, bias_initializer="normal"), (3, 2)),
    "gru": (lambda: layers.GRU(3, bias_initializer="normal", return_sequences=True), (3, 2)),
    "rnn": (lambda: layers.RNN(layers.LSTMCell(3)), (3, 2)),
    "bidirectional": (lambda: layers.Bidirectional(layers.GRU(3)), (2, 2)),
}


class Attention(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x, value=x[:, 1:] ** 2)


class Tied(keras.Model):
    """A layer that is called four times, once on fewer positions and once without effect on the loss."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4, activation="tanh")

    def call(self, x):
        self.dense(x + 1)
        return tf.concat([self.dense(self.dense(x)), self.dense(x[:, :2])], 1)


CASES |= {
    "multi-head": (lambda: Attention(layers.MultiHeadAttention(2, 3)), (5, 4)),
    "grouped query": (lambda: Attention(layers.GroupQueryAttention(3, 4, 2)), (5, 4)),
    "tied": (Tied, (5, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_per_example_gradients_are_the_jacobian_of_the_losses(name, record_blocks, random_values, losses_of):
    """Norms and second moments follow, each variable is in one block, and unmatrix inverts matrix."""
    make, shape = CASES[name]
    x = random_values((3, *shape))
    model = make()
    model(x)
    blocks = blocks_of(model, fallback="raise")
    covered = sorted(id(v) for block in blocks for v in block.variables)
    assert covered == sorted(id(v) for v in model.trainable_variables)
    pairs, _ = record_blocks(blocks, lambda: model(x))
    with tf.GradientTape(persistent=True) as tape:
        losses = tf.unstack(losses_of(model(x)))
    for block, (calls, gradients) in zip(blocks, pairs, strict=True):
        each = [tape.gradient(loss, [v.value for v in block.variables]) for loss in losses]
        expected = np.stack([block.matrix(one) for one in each])
        np.testing.assert_allclose(block.per_example(calls, gradients), expected, rtol=1e-9, atol=1e-12)
        norms = (expected.reshape(3, -1) ** 2).sum(1)
        np.testing.assert_allclose(block.squared_norms(calls, gradients), norms, rtol=1e-9)
        for back, gradient in zip(block.unmatrix(block.matrix(each[0])), each[0], strict=True):
            np.testing.assert_array_equal(back, gradient)
        if block.kind == "kronecker":
            rng = np.random.default_rng(9)
            rows, columns = (np.linalg.qr(rng.normal(size=shape))[0] for shape in block.shapes.values())
            squares = ((rows.T @ expected @ columns) ** 2).sum(0)
            moments = block.second_moments(calls, gradients, rows, columns)
            np.testing.assert_allclose(moments, squares, rtol=1e-9, atol=1e-13)
        statistics = block.statistics(calls, gradients)
        assert {name: tuple(statistic.shape) for name, statistic in statistics.items()} == block.shapes


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_embeddings_have_the_jacobian_of_the_losses(shape, record_blocks, losses_of):
    layer = layers.Embedding(6, 3)
    indices = tf.constant(np.random.default_rng(0).integers(-2, 6, (4, *shape)))
    layer(indices)
    [block] = blocks_of(layer)
    [(calls, gradients)], _ = record_blocks([block], lambda: layer(indices))
    with tf.GradientTape(persistent=True) as tape:
        losses = losses_of(layer(indices))
    jacobian = tape.jacobian(losses, layer.embeddings.value, experimental_use_pfor=False)
    np.testing.assert_allclose(block.per_example(calls, gradients), jacobian, rtol=1e-12)
    norms = tf.reduce_sum(jacobian**2, (1, 2))
    np.testing.assert_allclose(block.squared_norms(calls, gradients), norms, rtol=1e-12)
    columns = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]
    expected = ((jacobian.numpy() @ columns) ** 2).sum(0)
    moments = block.second_moments(calls, gradients, None, columns)
    np.testing.assert_allclose(moments, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["dense", "dense softmax", "dense unit variance", "einsum ellipsis", "lstm"])
def test_one_example_at_one_position_has_an_exact_block(name, record_blocks, random_values):
    """A (x) G = vec(P) vec(P)^T for the example's gradient P, whatever the activation."""
    make, shape = CASES[name]
    x = random_values((1, *[1] * (len(shape) - 1), shape[-1]))
    model = make()
    model(x)
    blocks = blocks_of(model)
    for block, (calls, gradients) in zip(blocks, record_blocks(blocks, lambda: model(x))[0], strict=True):
        statistics = block.statistics(calls, gradients)
        [vector] = tf.reshape(block.per_example(calls, gradients), (1, -1)).numpy()
        exact = np.outer(vector, vector)
        np.testing.assert_allclose(np.kron(statistics["A"], statistics["G"]), exact, rtol=1e-8, atol=1e-14)


def test_vectors_have_a_full_block_if_short_and_a_diagonal_if_long(record_blocks, random_values, monkeypatch):
    """F = P^T P for the per-example gradients P."""
    layer, x = layers.LayerNormalization(), random_values((6, 5, 4))
    layer(x)
    [full] = blocks_of(layer)
    monkeypatch.setattr(vector, "FULL_LIMIT", 7)
    [diagonal] = blocks_of(layer)
    assert (full.kind, diagonal.kind) == ("full", "diagonal")
    [(calls, gradients), _], _ = record_blocks([full, diagonal], lambda: layer(x))
    p = full.per_example(calls, gradients).numpy()
    np.testing.assert_allclose(full.statistics(calls, gradients)["F"], p.T @ p, rtol=1e-12)
    np.testing.assert_allclose(diagonal.statistics(calls, gradients)["d"], np.diag(p.T @ p), rtol=1e-12)


def test_deep_linear_net_has_exact_blocks(record_blocks, random_values):
    """A (x) G is the Gauss-Newton block of the mean squared error, as g does not depend on a.

    The sum over the unit vectors e_k replaces the mean over drawn targets: the score of a unit Gaussian is a
    standard normal vector, whose second moment is sum_k e_k e_k^T. c = 2 / (B D) for Keras's loss.
    """
    model = keras.Sequential([layers.Dense(5), layers.Dense(2, use_bias=False), layers.Dense(3)])
    x = random_values((6, 4))
    model(x)
    blocks, c = blocks_of(model), 2 / (6 * 3)
    factors = []
    for k in range(3):
        pairs, _ = record_blocks(
            blocks, lambda: model(x), loss=lambda outputs, k=k: np.sqrt(c) * outputs[:, k]
        )
        factors.append([block.statistics(*pair) for block, pair in zip(blocks, pairs, strict=True)])
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x)
    for place, block in enumerate(blocks):
        a, g = factors[0][place]["A"], sum(factor[place]["G"] for factor in factors)
        values = [v.value for v in block.variables]
        jacobians = tape.jacobian(outputs, values, experimental_use_pfor=False)
        rows = np.stack(
            [[np.ravel(block.matrix([j[b, k] for j in jacobians])) for k in range(3)] for b in range(6)]
        )
        exact = c * np.einsum("bki,bkj->ij", rows, rows)
        np.testing.assert_allclose(np.kron(a, g), exact, rtol=1e-8, atol=1e-12)


class Scale(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale


def test_the_fallback_is_the_fisher_diagonal_in_expectation(record_blocks, random_values):
    """The expectation is an exact sum over all labels of three Bernoulli outputs."""
    layer = Scale()
    x, weights = random_values((3, 2)), tf.constant([0.5, 1.0, 2.0], tf.float64)
    layer(x)
    [block] = blocks_of(layer)
    assert isinstance(block, FallbackBlock) and block.shapes == {"d": (2,)}

    def logits(x):
        return tf.reduce_sum(tf.sin(layer(x)), 1)

    with tf.GradientTape(persistent=True) as tape:
        outputs = logits(x)
    jacobian = tape.jacobian(outputs, layer.scale.value, experimental_use_pfor=False).numpy()
    p = tf.sigmoid(outputs)
    expected = np.einsum("b,bi->i", weights * p * (1 - p), jacobian**2)
    total = 0
    for labels in np.ndindex(2, 2, 2):
        y = tf.constant(labels, tf.float64)

        def loss(outputs, y=y):
            return tf.sqrt(weights) * tf.nn.sigmoid_cross_entropy_with_logits(y, outputs)

        [pair], _ = record_blocks([block], lambda: logits(x), loss=loss)
        probability = np.prod(np.where(labels, p, 1 - p))
        total += probability * block.statistics(*pair)["d"].numpy()
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=f"{layer.name}.*Scale.*no per-example gradients"):
        block.per_example(*pair)
    assert block.statistics([], [None])["d"].numpy().tolist() == [0, 0]


class Negated(layers.Dense):
    def call(self, x):
        return super().call(-x)


def with_lora():
    layer = layers.Dense(3)
    layer.build((None, 4))
    layer.enable_lora(2)
    return layer


def recomputed():
    with keras.RematScope(mode="full"):
        return layers.Dense(3)


FALLBACKS = {
    "subclass": (lambda: Negated(3), (4,)),
    "low rank": (with_lora, (4,)),
    "recomputed": (recomputed, (4,)),
    "weight norm": (lambda: curvezoo.layers.WeightNormalization(layers.Dense(3)), (4,)),
    "spectral": (lambda: layers.SpectralNormalization(layers.Dense(3)), (4,)),
    "time": (lambda: layers.TimeDistributed(layers.Dense(3)), (5, 4)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3), (5, 5, 2)),
    "transposed": (lambda: layers.Conv2DTranspose(3, 3), (5, 5, 2)),
    "groups": (lambda: layers.Conv2D(4, 3, groups=2), (5, 5, 2)),
    "shared axis": (lambda: layers.EinsumDense("abc,bcd->abd", (5, 3)), (5, 4)),
    "layer norm lstm": (lambda: curvezoo.layers.LayerNormLSTM(3), (3, 2)),
    "gru": (lambda: layers.GRU(3, reset_after=False), (5, 4)),
    "gates": (lambda: layers.LSTM(3, implementation=1), (5, 4)),
    "stacked": (lambda: layers.RNN([layers.LSTMCell(3), layers.LSTMCell(3)]), (5, 4)),
    "renorm": (lambda: layers.BatchNormalization(renorm=True), (4,)),
    "prelu": (lambda: layers.PReLU(), (4,)),
    "own": (Scale, (4,)),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_layers_without_a_rule_fall_back_or_raise(name, random_values):
    make, shape = FALLBACKS[name]
    layer = make()
    layer(random_values((2, *shape)))
    blocks = blocks_of(layer)
    assert {type(block) for block in blocks} == {FallbackBlock}
    variables = [id(v) for block in blocks for v in block.variables]
    assert variables == [id(v) for v in layer.trainable_variables]
    with pytest.raises(ValueError, match=f"{type(layer).__name__}.*no block of its own.*Supported: Dense"):
        blocks_of(layer, fallback="raise")


def test_the_blocks_of_a_model_cover_its_trainable_variables(random_values):
    inputs = keras.Input((4, 4, 1))
    x = curvezoo.layers.ConvBlock(2, normalization="batch")(inputs)
    x = curvezoo.layers.DenseBlock(3, normalization="weight")(layers.Flatten()(x))
    idle = layers.Dense(3, trainable=False)(x)
    outputs = Scale()(layers.PReLU()(layers.Dense(3)(layers.Add()([x, idle]))))
    model = keras.Model(inputs, outputs)
    blocks = blocks_of(model)
    kinds = [(type(block).__name__, len(block.variables)) for block in blocks]
    assert kinds == [
        ("ConvolutionBlock", 1),
        ("NormalizationBlock", 2),
        ("FallbackBlock", 3),
        ("DenseBlock", 2),
        ("FallbackBlock", 1),
        ("FallbackBlock", 1),
    ]
    assert [v.path for block in blocks for v in block.variables] == [
        v.path for v in model.trainable_variables
    ]


def test_a_variable_of_two_layers_is_refused(random_values):
    first, second = layers.Dense(4, name="first"), layers.Dense(4, name="second")
    first.build((None, 4))
    second.build((None, 4))
    second._tracker.unlock()
    second._kernel = first._kernel
    model = keras.Sequential([first, second])
    model(random_values((2, 4)))
    with pytest.raises(ValueError, match="'first' and 'second' share the variable 'first/kernel'"):
        blocks_of(model)


def test_bad_models_are_refused(random_values):
    with pytest.raises(ValueError, match=r"fallback must be one of 'diagonal', 'raise', got 'none'"):
        blocks_of(keras.Sequential([layers.Dense(2)]), fallback="none")
    with pytest.raises(ValueError, match="model must be built"):
        blocks_of(keras.Sequential([layers.Dense(2)]))
    layer = layers.Dense(2, name="idle")
    layer(random_values((2, 3)))
    [block] = blocks_of(layer)
    with pytest.raises(
        ValueError, match=r"'idle' \(Dense\) has trainable weights, but the model did not call it"
    ):
        block.statistics([], [])


def test_each_replica_computes_the_statistics_of_its_share(mirrored):
    x = np.random.default_rng(0).normal(size=(6, 2, 4))
    with mirrored.scope():
        # Its moving averages are assigned in the forward pass, where the replicas' threads take turns.
        norm = layers.BatchNormalization()
        model = keras.Sequential([keras.Input((2, 4)), norm, layers.SimpleRNN(3), layers.Dense(2)])
    blocks = blocks_of(model)
    before = dict(vars(norm))

    def statistics(x):
        with tf.GradientTape(persistent=True) as tape:
            with taps.record({block.layer for block in blocks}, tape) as records:
                outputs = model(x, training=True)
            loss = tf.reduce_sum(tf.sin(outputs))
        calls = [records[block.layer] for block in blocks]
        gradients = [tape.gradient(loss, [call.preactivation for call in each]) for each in calls]
        return [block.statistics(*pair) for block, *pair in zip(blocks, calls, gradients, strict=True)]

    batches = mirrored.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(6))
    of_replicas = tf.function(lambda x: mirrored.run(statistics, (x,)))(next(iter(batches)))
    assert len(of_replicas) == 4 and before == dict(vars(norm))
    shares = [statistics(tf.constant(x[:3])), statistics(tf.constant(x[3:]))]
    for block, statistic in enumerate(of_replicas):
        for name, value in statistic.items():
            for replica, share in zip(value.values, shares, strict=True):
                np.testing.assert_allclose(replica, share[block][name], rtol=1e-10, atol=1e-12)
                assert np.abs(replica).max() > 1e-3
