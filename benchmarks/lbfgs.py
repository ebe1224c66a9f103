"""Compares L-BFGS with SciPy's L-BFGS-B on compiled functions of 100,000 and of a million parameters.

    python benchmarks/lbfgs.py [--rounds 3] [--sizes 100000 1000000]

Both minimize the same function from the same start in double precision, with ten pairs of differences, to the
same largest component of the gradient (1e-9 for softmax regression, 1e-5 for the others). They evaluate it
with the same compiled TensorFlow function and differ only in the search direction, the line search and the
bookkeeping. Each function is compiled once, before the rounds; a separate column gives the time of the first
minimization, which includes further compilation. The two alternate, each starting every other round. The
ratio is the median over rounds, with the minimum and the maximum; below 1, curvezoo is faster. TensorFlow
Probability's `lbfgs_minimize`, compiled with XLA, is timed once after its first run.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import scipy.optimize
import tensorflow as tf
import tensorflow_probability as tfp

from curvezoo.optimizers.full_batch.optimizer import CompiledFunction
from curvezoo.optimizers.full_batch.quasi_newton import LBFGS

HISTORY, LIMIT = 10, 500
# Number of input values of the softmax regression, independent of its size, and its weight decay.
INPUTS, DECAY = 5_000_000, 1e-3


def softmax_regression(size):
    """A regularized softmax regression on random examples, with ten classes and size / 10 features."""
    rng, features = np.random.default_rng(0), size // 10
    count = max(1, INPUTS // features)
    inputs = tf.constant(rng.normal(size=(count, features)))
    labels = tf.constant(rng.integers(0, 10, count))

    def loss(x):
        logits = inputs @ tf.reshape(x, (features, 10))
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(nll) + DECAY * tf.reduce_sum(x * x) / 2

    return loss, np.zeros(size)


def rosenbrock(x):
    """The extended Rosenbrock function, with D / 2 curved valleys."""
    a, b = x[::2], x[1::2]
    return tf.reduce_sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def spectrum(x):
    """A quadratic with curvatures spaced logarithmically over two decades, plus a quartic term."""
    curvatures = tf.exp(tf.linspace(tf.zeros((), x.dtype), np.log(100.0), x.shape[0]))
    distance = x - 1.0
    return tf.reduce_sum(curvatures * distance**2 / 2.0 + distance**4)


# For each problem, a function from the size to the loss and its start, and the gradient tolerance.
PROBLEMS = {
    "softmax regression": (softmax_regression, 1e-9),
    "rosenbrock": (lambda size: (rosenbrock, np.tile([-1.2, 1.0], size // 2)), 1e-5),
    "spectrum": (lambda size: (spectrum, np.random.default_rng(0).uniform(-2, 2, size)), 1e-5),
}


def curvezoo_engine(tolerance):
    """Returns a function from loss and start to (iterations, evaluations, loss, gradient norm)."""
    optimizer = LBFGS(history=HISTORY, gradient_tolerance=tolerance, max_iterations=LIMIT)

    def run(loss, start):
        result = optimizer.minimize_function(loss, start)
        return result.iterations, result.evaluations, result.loss, result.gradient_norm

    return run


def scipy_engine(tolerance):
    """Returns the same function for SciPy."""
    options = {"maxcor": HISTORY, "gtol": tolerance, "ftol": 0.0, "maxiter": LIMIT, "maxfun": 10 * LIMIT}

    def run(loss, start):
        def function(x):
            value, gradient = loss(tf.constant(x))
            return value.numpy(), gradient.numpy()

        result = scipy.optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options)
        return result.nit, result.nfev, float(result.fun), float(np.abs(result.jac).max())

    return run


def tfp_engine(tolerance, loss):
    """Returns the same function for TensorFlow Probability, as one compiled graph."""

    @tf.function(jit_compile=True)
    def minimize(start):
        return tfp.optimizer.lbfgs_minimize(
            loss, start, num_correction_pairs=HISTORY, tolerance=tolerance, max_iterations=LIMIT
        )

    def run(loss, start):
        result = minimize(tf.constant(start))
        norm = float(tf.reduce_max(tf.abs(result.objective_gradient)))
        counts = int(result.num_iterations), int(result.num_objective_evaluations)
        return *counts, float(result.objective_value), norm

    return run


def timed(engine, loss, start):
    """Returns the seconds of a minimization, and its results."""
    begin = time.perf_counter()
    results = engine(loss, start)
    return time.perf_counter() - begin, results


def compare(name, size, rounds):
    """Prints three rows of the table: curvezoo, SciPy, TFP."""
    make_problem, tolerance = PROBLEMS[name]
    function, start = make_problem(size)
    loss = CompiledFunction(function)
    loss(tf.constant(start))
    engines = {
        "curvezoo": curvezoo_engine(tolerance),
        "SciPy": scipy_engine(tolerance),
        "TFP": tfp_engine(tolerance, loss),
    }
    first = {side: timed(engine, loss, start) for side, engine in engines.items()}
    times = {side: [] for side in engines}
    for index in range(rounds):
        for side in ("curvezoo", "SciPy") if index % 2 else ("SciPy", "curvezoo"):
            times[side].append(timed(engines[side], loss, start)[0])
    times["TFP"].append(timed(engines["TFP"], loss, start)[0])
    for side, (seconds, (iterations, evaluations, final, norm)) in first.items():
        ratios = [a / b for a, b in zip(times[side], times["SciPy"], strict=False)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        counts = f"{iterations} | {evaluations} | {final:.3e} | {norm:.1e}"
        median = statistics.median(times[side])
        print(
            f"| {name} | {size:,} | {side} | {counts} | {seconds:.2f} | {median:.2f} | {spread} |", flush=True
        )


def main():
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments = parser.parse_args()
    names = ("tensorflow", "tensorflow-probability", "numpy", "scipy")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}")
    print(f"float64, {HISTORY} pairs\n")
    print("| function | D | engine | iterations | evaluations | loss | gradient | s, first | s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        for name in PROBLEMS:
            compare(name, size, arguments.rounds)


if __name__ == "__main__":
    main()
