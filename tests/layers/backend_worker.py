"""Small models that together contain every layer; as a script, runs them on the backend of KERAS_BACKEND.

    python backend_worker.py REFERENCE.npz RESULT.npz

takes the weights from REFERENCE and writes the outputs of each model and its weights after one fit step, what
models of language and of pixels draw, and the results of `run_sampling`.
"""

import sys
import types
from unittest import mock

import keras
import numpy as np

from curvezoo import data, layers, losses, zoo
from curvezoo.zoo.generative.raster import fill
from curvezoo.zoo.programs import Programs

IMAGE, VECTOR, SEQUENCE = (6, 6, 4), (12,), (5, 8)
# Without these flags XLA's optimizations and fusions would take most of the time.
JAX_ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
}


def cases():
    """Returns {name: (input shape, list of layers)}."""
    leaky = keras.layers.LeakyReLU(negative_slope=0.1)
    return {
        "dense": (VECTOR, [layers.DenseBlock(8), layers.DenseBlock(5, "softmax")]),
        "dense_norms": (VECTOR, [layers.DenseBlock(8, leaky, normalization=n) for n in ("batch", "layer")]),
        "dense_weight_norm": (VECTOR, [layers.DenseBlock(8, "tanh", "weight")]),
        "dense_dropout": (VECTOR, [layers.DenseBlock(8, dropout=0.5)]),
        "conv": (IMAGE, [layers.ConvBlock(6, 5, 2), layers.ConvBlock(5, normalization="batch")]),
        "conv_norms": (IMAGE, [layers.ConvBlock(6, normalization=n) for n in ("layer", "weight")]),
        "causal_conv": (
            IMAGE,
            [layers.CausalConv2D(6, 5, strict=True), layers.CausalConv2D(5, stack="horizontal")],
        ),
        "per_unit_weight_norm": (
            IMAGE,
            [layers.WeightNormalization(keras.layers.Conv2D(3, 3, activation="relu"), per_unit=True)],
        ),
        "unit_variance": (
            IMAGE,
            [
                layers.UnitVarianceConv2D(6, 3, activation="relu"),
                keras.layers.Flatten(),
                layers.UnitVarianceDense(4, scheme="fan_out"),
            ],
        ),
        "residual_v1": (
            IMAGE,
            [layers.ResidualBlock(8, 2, version=1), layers.ResidualBlock(12, version=1, shortcut="pad")],
        ),
        "residual_v2": (
            IMAGE,
            [
                layers.ResidualBlock(8, 2, shortcut="pad", normalization=None, depth=2, residual_scale=True),
                layers.ResidualBlock(3, 2, bottleneck=True, depth=2, residual_scale=True),
                layers.ResidualBlock(12, normalization="layer"),
            ],
        ),
        "residual_dense": (VECTOR, [layers.ResidualDense(), layers.ResidualDense(3, depth=2)]),
        "straight_through": (
            VECTOR,
            [layers.DenseBlock(5, None), layers.StraightThrough(), layers.DenseBlock(3)],
        ),
        "relu_rnn": (SEQUENCE, [layers.ReLURNN(4), layers.ReLURNN(2, return_sequences=False)]),
        "lstm": (SEQUENCE, [layers.LSTM(4), layers.LSTM(3)]),
        "layer_norm_lstm": (SEQUENCE, [layers.LayerNormLSTM(4)]),
        "attention": (
            SEQUENCE,
            [
                layers.SinusoidalPositions(6),
                layers.MultiHeadAttention((2, 4), value_sizes=(3, 1), causal=True, rotary=True),
                layers.FeedForward(5),
            ],
        ),
        "transformer_blocks": (
            SEQUENCE,
            [
                layers.LearnedPositions(5),
                layers.TransformerBlock(2, causal=True, rotary=True, remat=True),
                layers.TransformerBlock(2, 12, norm="post", activation="gelu"),
            ],
        ),
        "global_scale": (VECTOR, [layers.GlobalScale(0.3), layers.DenseBlock(3)]),
    }


# A small model of each family of image models in the zoo.
MODELS = {
    "softmax_digits": {},
    "mlp_digits": {"widths": (16, 8), "dropout": 0.0, "normalization": "layer"},
    "cnn_digits": {"channels": (4, 8), "units": 8, "dropout": 0.0, "downsampling": "stride"},
    "resnet20_cifar10": {"blocks": 1},
    "resnet20v2_cifar10": {"blocks": 1, "version": 2, "residual_scale": True},
    "denoiser_digits": {"filters": 4, "blocks": 2},
    "realnvp_digits": {"couplings": 3, "checkerboards": 1, "width": 4, "kernel_size": 3},
    "pixelcnn_digits": {"patch": 2, "filters": 4, "blocks": 2, "first_kernel_size": 3},
}
# Settings of small models of sequences with 7 tokens, and a context of 6.
LANGUAGE_MODELS = {
    "transformer_text": {"num_layers": 1, "width": 8, "heads": 2},
    "lstm_text": {"width": 4},
    "seq2seq_dates": {"num_layers": 1, "width": 8, "heads": 2},
}
TOKENS, LENGTH, SIDE = 7, 6, 8


def names():
    """Returns the names of the cases and of the models."""
    return [*cases(), *MODELS, *LANGUAGE_MODELS]


def build(name):
    """Returns the functional model of a case, or a model for 8x8 images or for texts."""
    if name in LANGUAGE_MODELS:
        text = types.SimpleNamespace(vocabulary=TOKENS, context=LENGTH)
        for side in ("source", "target"):
            vars(text).update({f"{side}_vocabulary": TOKENS, f"{side}_length": LENGTH})
        return zoo.recipe(name).model.changed(LANGUAGE_MODELS[name]).build(text)
    if name in MODELS:
        return zoo.recipe(name).model.changed(MODELS[name]).build(data.spec("digits"))
    shape, stack = cases()[name]
    inputs = outputs = keras.Input(shape)
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name=name)


def batch(model):
    """Returns eight inputs and targets, the same on every backend."""
    rng = np.random.default_rng(0)
    if hasattr(model, "generate"):
        tokens = rng.integers(0, TOKENS, (8, LENGTH)).astype("int32")
        x = [tokens, tokens[::-1]] if len(model.inputs) > 1 else tokens
        return x, rng.normal(size=(8, LENGTH, TOKENS)).astype("float32")
    draw = rng.uniform if hasattr(model, "log_prob") else rng.normal
    # Fully convolutional models leave the size of an image open.
    shapes = [[size or SIDE for size in shape[1:]] for shape in (model.input_shape, model.output_shape)]
    x = draw(size=(8, *shapes[0])).astype("float32")
    return x, rng.normal(size=(8, *shapes[1])).astype("float32")


def run(model):
    """Returns the outputs before and the weights after one fit step by gradient descent."""
    x, y = batch(model)
    jit = keras.backend.backend() == "jax"
    rate, loss = (1e-6, losses.NegativeLogDensity()) if hasattr(model, "log_prob") else (0.1, "mse")
    model.compile(keras.optimizers.SGD(rate), loss, jit_compile=jit, run_eagerly=not jit)
    # On JAX a compiled prediction takes a third of the time of a call, which compiles every operation.
    results = {"outputs": model.predict_on_batch(x)}
    if hasattr(model, "generate"):
        results |= written(model)
    if hasattr(model, "decoded"):
        latents = np.random.default_rng(1).normal(size=(8, model.latent_size))
        results |= {
            "log_prob": model.log_prob(x),
            "latents": model.encode(x),
            "decoded": model.decode(latents),
        }
    if hasattr(model, "complete"):
        results["drawn"] = drawn(model)
    history = model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    results["loss"] = np.array(history.history["loss"])
    return results | {f"after/{i}": w for i, w in enumerate(model.get_weights())}


def written(model):
    """Returns the most probable continuations, past the context, or translations, and a beam search's."""
    if hasattr(model, "translate"):
        greedy, beam = model.generate([[1, 2, 3], [4]]), model.generate([1, 2, 3], beam=2)
        return {"greedy": np.concatenate(greedy), "beams": beam}
    greedy = model.generate([[1, 2, 3], [4]], 10, temperature=0)
    return {"greedy": np.stack(greedy), "beams": model.generate([1, 2, 3], 3, beam=2, stop=[[6]])}


def drawn(model):
    """Returns the symbols that a `PixelCNN` draws below the first row."""
    rng = np.random.default_rng(1)
    known = rng.integers(0, 16, (4, 4, 4)).astype("int32")
    uniforms = rng.uniform(size=(4, 16)).astype("float32")

    def filled(model, known, uniforms):
        return fill(model.network, known, 1, uniforms)

    return np.asarray(Programs(model, jit_compile=False).run(filled, known, uniforms))


def build_undrawn(name):
    """Returns the model with zero initial kernels: JAX compiles a random draw for every shape of kernel."""
    if name in ("dense", "conv"):
        # The draws of the other cases differ from these only in their shapes.
        return build(name)

    def zeros(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    with mock.patch.object(keras.initializers.VarianceScaling, "__call__", zeros):
        return build(name)


def run_sampling():
    """Returns statistics of the sampling layers, before, during and after the training of a model."""
    logits = np.tile(np.array([1, 0, -1, 2], "float32"), (20_000, 1))
    inputs = keras.Input((4,))
    gumbel = layers.GumbelSoftmax(0.5, final_beta=8.0, annealing_steps=4, seed=5)
    dense = keras.layers.Dense(4, kernel_initializer="identity")
    model = keras.Model(inputs, gumbel(dense(inputs)))
    first, second = model.predict(logits, batch_size=20_000, verbose=0), np.asarray(model(logits))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=True)
    model.fit(logits, logits, batch_size=5000, epochs=1, verbose=0)
    model.optimizer.learning_rate = 10.0
    before = np.asarray(dense.kernel)
    model.fit(logits[:10_000], logits[:10_000], batch_size=5000, epochs=1, verbose=0)
    relaxed = np.asarray(gumbel(logits, training=True))
    draws = np.asarray(layers.GaussianSampling(seed=2)([logits, logits]))
    return {
        "calls": int(gumbel.calls),
        "beta": float(gumbel.beta),
        "moved": np.abs(np.asarray(dense.kernel) - before).max(),
        "repeated": np.mean(first.argmax(1) == second.argmax(1)),
        "counts": np.bincount(first.argmax(1), minlength=4),
        "relaxed_sums": relaxed.sum(1),
        "mean": draws.mean(0),
        "variance": draws.var(0),
        "straight": np.asarray(layers.StraightThrough()(logits))[0],
    }


def run_all(reference, path, make, **results):
    """Runs `make(name)` for every case from the weights `CASE/before/i` of `reference`, saves the results."""
    for name in names():
        model = make(name)
        model.set_weights([reference[f"{name}/before/{i}"] for i in range(len(model.weights))])
        results.update({f"{name}/{key}": value for key, value in run(model).items()})
    np.savez(path, **results)


if __name__ == "__main__":
    sampling = {f"sampling/{key}": value for key, value in run_sampling().items()}
    run_all(np.load(sys.argv[1]), sys.argv[2], build_undrawn, backend=keras.backend.backend(), **sampling)
    if "tensorflow" in sys.modules and keras.backend.backend() != "tensorflow":
        sys.exit("layers or architectures have imported TensorFlow")
