"""Compares the largest Hessian eigenvalues of a published model by Lanczos and by ARPACK.

    TFDS_DATA_DIR=... python benchmarks/lanczos.py
        [--model mlp_mnist] [--examples 1000] [--steps 20] [--top 5]

The loss is the categorical negative log-likelihood of the logits, averaged over the first examples of the
training split, without regularization. Both methods use the same products. The error bound of a Ritz value is
the norm of its residual; an eigenvalue lies within this distance. The bound does not include the single
precision of the products, about 1e-7 of the largest eigenvalue. ARPACK (scipy.sparse.linalg.eigsh, tolerance
1e-6 in single precision) starts from another vector.

The Hessian of the whole network is too large for a dense matrix. The last table compares with a dense
eigensolver on the block of the last layer, which is a softmax regression on the features before it.

Times exclude compilation and are medians over rounds.
"""

import argparse
import os
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import scipy.special
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.losses import CategoricalNLL
from curvezoo.optimizers import curvature


def first_examples(name, count):
    """The first examples of the training split as arrays."""
    train = data.load(name, batch_size=count, seed=0).train
    x, y = next(iter(train))[:2]
    return np.asarray(x)[:count], np.asarray(y)[:count]


def seconds(function, rounds):
    """The median time of a call, after a first one that compiles."""
    function()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def gradient_of(model, x, y):
    """A compiled gradient of the same loss, for comparison."""
    loss = CategoricalNLL()

    @tf.function
    def gradient(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=False))
        return tape.gradient(value, model.trainable_variables)

    x, y = tf.constant(x), tf.constant(y)
    return lambda: gradient(x, y)[0].numpy()


def table(operator, exact, steps, top):
    """Prints a table of Ritz values and the reference."""
    spectrum = curvature.lanczos_spectrum(operator, steps=steps)
    print("| rank | Ritz value | error bound | reference | relative difference |")
    print("|---|---|---|---|---|")
    for rank in range(top):
        value, bound = spectrum.values[rank], spectrum.bounds[rank]
        difference = abs(value / exact[rank] - 1)
        print(f"| {rank + 1} | {value:.6g} | {bound:.1e} | {exact[rank]:.6g} | {difference:.1e} |")


def last_layer(model, x):
    """The last dense layer as a separate model, and its inputs."""
    layer = model.layers[-1]
    before = keras.Model(model.inputs, layer.input)
    inputs = keras.Input(layer.input.shape[1:])
    return keras.Model(inputs, layer(inputs)), before.predict(x, verbose=0)


def softmax_hessian(model, features):
    """The closed form of the Hessian of softmax regression, in double precision.

    The parameters are ordered as a flat [classes, features + 1] array.
    """
    p = scipy.special.softmax(model.predict(features, verbose=0).astype(float), axis=-1)
    h = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(float)
    k, n = p.shape[1], h.shape[1]
    dense = np.empty((k, n, k, n))
    for i in range(k):
        for j in range(k):
            weights = p[:, i] * ((i == j) - p[:, j]) / len(h)
            dense[i, :, j] = (h * weights[:, None]).T @ h
    return dense.reshape(k * n, k * n)


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mlp_mnist")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = zoo.load(arguments.model)
    x, y = first_examples(arguments.dataset, arguments.examples)
    options = {"loss": CategoricalNLL(), "batch_size": arguments.examples}
    hessian = curvature.Hessian(model, (x, y), **options)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, TensorFlow {tf.__version__}")
    print(f"{arguments.model}, {hessian.dimension} parameters, {len(x)} examples, float32\n")

    counts = {"products": 0}

    def product(v):
        counts["products"] += 1
        return hessian @ v.ravel()

    linear = scipy.sparse.linalg.LinearOperator(hessian.shape, matvec=product, dtype=np.float32)
    start = np.random.default_rng(1).normal(size=hessian.dimension).astype(np.float32)
    begin = time.perf_counter()
    exact = scipy.sparse.linalg.eigsh(linear, k=arguments.top, which="LA", v0=start, tol=1e-6)[0][::-1]
    theirs = time.perf_counter() - begin
    for steps in (arguments.steps, 3 * arguments.steps):
        print(f"Lanczos, {steps} steps, against ARPACK")
        table(hessian, exact, steps, arguments.top)
        print()
    ours = seconds(lambda: curvature.lanczos_spectrum(hessian, steps=arguments.steps), arguments.rounds)
    print(
        f"Lanczos: {ours:.2f} s for {arguments.steps} steps; "
        f"ARPACK: {theirs:.2f} s, {counts['products']} products"
    )

    v, rounds = start, 4 * arguments.rounds
    gradient = seconds(gradient_of(model, x, y), rounds)
    print("\n| product | ms | gradients |\n|---|---|---|")
    print(f"| gradient | {1e3 * gradient:.1f} | 1 |")
    for kind in (curvature.Hessian, curvature.GaussNewton, curvature.Fisher, curvature.EmpiricalFisher):
        operator = kind(model, (x, y), **options)
        cost = seconds(lambda operator=operator: operator @ v, rounds)
        print(f"| {kind.__name__} | {1e3 * cost:.1f} | {cost / gradient:.1f} |")

    small, features = last_layer(model, x)
    block = curvature.Hessian(small, (features, y), **options)
    largest = [block.dimension - arguments.top, block.dimension - 1]
    dense = scipy.linalg.eigvalsh(softmax_hessian(small, features), subset_by_index=largest)[::-1]
    print(
        f"\nLanczos, {arguments.steps} steps, on the block of the last layer, {block.dimension} parameters,"
    )
    print("against scipy.linalg.eigvalsh of its closed form in double precision")
    table(block, dense, arguments.steps, arguments.top)


if __name__ == "__main__":
    main()
