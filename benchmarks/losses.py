"""Compares likelihoods, information measures and Sinkhorn's algorithm with other libraries.

    python -m pip install pot
    python benchmarks/losses.py [--rounds 15] [--batch 2048] [--outputs 64]

A likelihood is timed forward and backward (the mean over the batch and its gradient with respect to the
predictions) in a `tf.function`, and compared with the plain expression in Keras or TensorFlow Probability
with the same XLA setting. Keras's losses omit the constants and average over the outputs. The two are timed
in turns, and each is first in every other round. The ratio is the median over the rounds, with quartiles;
below 1 curvezoo is faster.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import ot
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from curvezoo import losses
from curvezoo.losses.binary import BernoulliNLL
from curvezoo.losses.likelihood import NegativeLogLikelihood
from curvezoo.losses.mixture import MixtureNLL
from curvezoo.losses.regression import CauchyNLL, GaussianNLL, Huber, LaplaceNLL, StudentTNLL
from curvezoo.theory import information, transport

tfd = tfp.distributions
COMPONENTS, DF = 5, 4.0


def scale_of(raw):
    """Returns the scale of a log-scale, with the floor of curvezoo's losses."""
    return tf.maximum(tf.exp(raw), 1e-12)


def mean_nll(family, predicted=False):
    """Returns the plain TFP expression: the negative log-density of rows, averaged over the batch."""

    def loss(y, p):
        location, raw = tf.split(p, 2, axis=-1) if predicted else (p, None)
        scale = scale_of(raw) if predicted else 0.5
        return -tf.reduce_mean(tfd.Independent(family(location, scale), 1).log_prob(y))

    return loss


def mixture(y, p):
    """Returns the loss of a Gaussian mixture as a plain TFP expression."""
    logits, parts = p[..., :COMPONENTS], p[..., COMPONENTS:]
    parts = tf.reshape(parts, (tf.shape(p)[0], COMPONENTS, -1))
    location, raw = tf.split(parts, 2, axis=-1)
    components = tfd.Independent(tfd.Normal(location, scale_of(raw)), 1)
    return -tf.reduce_mean(tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components).log_prob(y))


def likelihoods(batch, outputs):
    """Returns {name: (targets, predictions, our loss, name of the peer, plain expression)}."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return tf.constant(rng.normal(size=shape), tf.float32)

    y, one, two = normal(batch, outputs), normal(batch, outputs), normal(batch, 2 * outputs)
    many = normal(batch, COMPONENTS * (1 + 2 * outputs))
    labels = tf.constant(rng.integers(0, 2, (batch, outputs)), tf.float32)
    classes = tf.constant(rng.integers(0, outputs, batch))
    families = {
        "GaussianNLL": (GaussianNLL, tfd.Normal),
        "LaplaceNLL": (LaplaceNLL, tfd.Laplace),
        "CauchyNLL": (CauchyNLL, tfd.Cauchy),
        "StudentTNLL": (lambda **a: StudentTNLL(DF, **a), lambda m, s: tfd.StudentT(DF, m, s)),
    }
    cases = {}
    for name, (make, family) in families.items():
        cases[f"{name}, fixed scale"] = (y, one, make(scale=0.5), "TFP", mean_nll(family))
        cases[f"{name}, predicted scale"] = (y, two, make(scale=None), "TFP", mean_nll(family, True))

    def gaussian(p):
        location, raw = tf.split(p, 2, axis=-1)
        return tfd.Independent(tfd.Normal(location, scale_of(raw)), 1)

    bernoulli = mean_nll(lambda m, s: tfd.Bernoulli(logits=m))
    categorical = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    squared, absolute = keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()
    huber = keras.losses.Huber(1.345)
    general = NegativeLogLikelihood(gaussian)
    return cases | {
        "GaussianNLL, unit scale": (y, one, GaussianNLL(), "Keras MeanSquaredError", squared),
        "LaplaceNLL, unit scale": (y, one, LaplaceNLL(), "Keras MeanAbsoluteError", absolute),
        "Huber, unit scale": (y, one, Huber(1.345), "Keras Huber", huber),
        "BernoulliNLL (Keras)": (labels, one, BernoulliNLL(), "Keras BinaryCrossentropy", binary),
        "BernoulliNLL (TFP)": (labels, one, BernoulliNLL(), "TFP", bernoulli),
        "CategoricalNLL": (classes, one, losses.CategoricalNLL(), "Keras SparseCategorical...", categorical),
        "MixtureNLL of Gaussians": (y, many, MixtureNLL(COMPONENTS), "TFP", mixture),
        "NegativeLogLikelihood": (y, two, general, "TFP", mean_nll(tfd.Normal, True)),
    }


def compiled(loss, y, p, jit):
    """Returns a function without arguments that computes the loss and its gradient and waits for them."""

    @tf.function(jit_compile=jit)
    def step(y, p):
        with tf.GradientTape() as tape:
            tape.watch(p)
            value = loss(y, p)
        return value, tape.gradient(value, p)

    return lambda: step(y, p)[1].numpy()


def compare(ours, theirs, rounds, min_seconds=0.02):
    """Returns (our median ms, their median ms, quartiles of the ratio ours / theirs)."""
    pair = (ours, theirs)
    for function in pair:
        function()
        function()
    begin = time.perf_counter()
    ours()
    calls = max(1, round(min_seconds / (time.perf_counter() - begin)))
    times = ([], [])
    for index in range(rounds):
        for side in (0, 1) if index % 2 else (1, 0):
            begin = time.perf_counter()
            for _ in range(calls):
                pair[side]()
            times[side].append((time.perf_counter() - begin) * 1e3 / calls)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return *map(statistics.median, times), statistics.quantiles(ratios, n=4)


def report(name, peer, setting, result):
    """Prints one row of the table."""
    ours, theirs, (low, ratio, high) = result
    cells = (name, peer, setting, f"{ours:.3f}", f"{theirs:.3f}", f"{ratio:.2f} ({low:.2f}-{high:.2f})")
    print(f"| {' | '.join(cells)} |", flush=True)


def information_measures(rounds):
    """Times entropy, KL and mutual information of a million cells, and scipy.stats.entropy."""
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(1_000_000), 2)
    joint = p.reshape(1000, 1000)

    def scipy_mutual_information():
        product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        return scipy.stats.entropy(joint.ravel(), product.ravel())

    cases = {
        "entropy": (lambda: information.entropy(p), lambda: scipy.stats.entropy(p)),
        "kl_divergence": (lambda: information.kl_divergence(p, q), lambda: scipy.stats.entropy(p, q)),
        "mutual_information": (lambda: information.mutual_information(joint), scipy_mutual_information),
    }
    for name, (ours, theirs) in cases.items():
        np.testing.assert_allclose(ours(), theirs(), rtol=1e-9)
        report(name, "scipy.stats.entropy", "1,000,000 cells", compare(ours, theirs, rounds))


def sinkhorn(rounds, points=1000, tolerance=1e-9):
    """Times Sinkhorn's algorithm and POT on point clouds in the plane, with the same tolerance."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(points, 2)), rng.normal(size=(points, 2)) + 1.0
    a, b = rng.dirichlet(np.ones(points), 2)
    cost = transport.cost_matrix(x, y)
    for regularization in (1.0, 0.3):
        settings = {"tolerance": tolerance, "max_iterations": 10_000}

        def ours(regularization=regularization, settings=settings):
            return transport.sinkhorn(a, b, cost, regularization, **settings).plan

        def theirs(regularization=regularization):
            # POT checks its marginals in every tenth iteration and stops on their Euclidean error.
            return ot.sinkhorn(a, b, cost, regularization, stopThr=tolerance, numItermax=10_000)

        np.testing.assert_allclose(ours(), theirs(), atol=1e-9)
        name, setting = f"sinkhorn, {points} points", f"regularization {regularization}"
        report(name, "ot.sinkhorn", setting, compare(ours, theirs, rounds))


def main():
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--outputs", type=int, default=64)
    arguments = parser.parse_args()
    names = ("tensorflow", "keras", "tensorflow-probability", "numpy", "scipy", "pot")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print(f"likelihoods: batch {arguments.batch}, {arguments.outputs} outputs, float32\n")
    print("| curvezoo | peer | setting | ms | peer's ms | ratio (quartiles) |")
    print("|---|---|---|---|---|---|")
    for name, (y, p, ours, peer, plain) in likelihoods(arguments.batch, arguments.outputs).items():
        for jit in (False, True):
            steps = (compiled(loss, y, p, jit) for loss in (ours, plain))
            report(name, peer, "XLA" if jit else "no XLA", compare(*steps, arguments.rounds))
    information_measures(arguments.rounds)
    sinkhorn(max(3, arguments.rounds // 3))


if __name__ == "__main__":
    main()
