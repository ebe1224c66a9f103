"""Oracles: gradient descent by hand, `minimize` on the model, the entropy of the pixels."""

import contextlib
import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logit
from sklearn.datasets import load_digits

from curvezoo import optimizers
from curvezoo.losses.binary import BernoulliNLL
from curvezoo.studies import optimizer_comparison as comparison
from curvezoo.studies.optimizer_comparison import (
    AUTOENCODER,
    CLASSIFIER,
    METHODS,
    PROBLEMS,
    Comparison,
    Method,
    Run,
    measure,
    table,
)

EXAMPLES, STEPS = 200, 3


@contextlib.contextmanager
def eager_execution():
    """Runs without graphs: a few iterations take less time than to trace their line searches."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def result():
    settings = {"steps": STEPS, "examples": EXAMPLES}
    last = {name: METHODS[name] for name in ("conjugate gradients", "L-BFGS", "BFGS")}
    others = {name: method for name, method in METHODS.items() if name not in last}
    stepwise = measure(CLASSIFIER, others, **settings)
    with eager_execution():
        full_batch = measure(CLASSIFIER, last, **settings)
    return dataclasses.replace(stepwise, runs=stepwise.runs | full_batch.runs)


def digits():
    images, labels = load_digits(return_X_y=True)
    return tf.constant(images[:EXAMPLES] / 16, tf.float32), tf.constant(labels[:EXAMPLES], tf.int32)


def network(problem):
    keras.utils.set_random_seed(0)
    return PROBLEMS[problem].build()


def test_sgd_is_gradient_descent_from_the_same_weights(result):
    x, y = digits()
    model, run, losses = network(CLASSIFIER), result.runs["SGD"], []
    for _ in range(STEPS + 1):
        with tf.GradientTape() as tape:
            logits = model(x)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        losses.append(float(loss))
        for variable, slope in zip(
            model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            variable.assign_sub(run.rate * slope)
    np.testing.assert_allclose(run.excess, losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("L-BFGS", optimizers.LBFGS),
        ("BFGS", optimizers.BFGS),
        ("conjugate gradients", optimizers.ConjugateGradient),
    ],
)
def test_full_batch_methods_agree_with_minimize_on_the_model(result, name, make):
    with eager_execution():
        expected = make(max_iterations=STEPS).minimize(
            network(CLASSIFIER), digits(), PROBLEMS[CLASSIFIER].loss, verbose=False
        )
    np.testing.assert_allclose(result.runs[name].excess, expected.losses, rtol=1e-4)


def test_all_methods_start_from_the_same_weights_at_time_zero(result):
    assert list(result.runs) == list(METHODS)
    start = result.runs["SGD"].excess[0]
    for name, run in result.runs.items():
        assert run.excess[0] == pytest.approx(start, rel=1e-6), name
        assert len(run.excess) == len(run.seconds) == STEPS + 1, name
        assert run.seconds[0] < 1e-3, name
        assert np.all(np.diff(run.seconds) > 0), name
        assert run.last < start, name


def test_results_do_not_depend_on_earlier_trainings(result):
    rates = METHODS["Adam"].rates[CLASSIFIER]
    for rate in (rates[0], rates[-1]):
        alone = Method(lambda _, rate=rate: keras.optimizers.Adam(rate), STEPS, {CLASSIFIER: (rate,)})
        again = measure(CLASSIFIER, {"Adam": alone}, examples=EXAMPLES)
        assert again.searches["Adam"] == {rate: pytest.approx(result.searches["Adam"][rate], rel=1e-5)}


def test_the_run_has_the_best_rate_and_the_search_has_all(result):
    searched = {name for name, method in METHODS.items() if method.rates}
    assert set(result.searches) == searched
    for name in METHODS:
        run = result.runs[name]
        if name not in searched:
            assert run.rate is None
            continue
        search = result.searches[name]
        assert tuple(search) == METHODS[name].rates[CLASSIFIER]
        assert search[run.rate] == min(search.values()) == run.last


def test_the_bound_of_the_autoencoder_is_the_loss_of_perfect_reconstructions():
    x = digits()[0].numpy().astype(float)
    with np.errstate(divide="ignore"):
        perfect = np.clip(logit(x), -100, 100)
    expected = float(BernoulliNLL(dtype="float64")(x, perfect))
    assert PROBLEMS[AUTOENCODER].floor(x, None) == pytest.approx(expected, rel=1e-12)


def test_a_training_ends_when_it_diverges_or_reaches_the_solution():
    wild = Method(keras.optimizers.SGD, 40, {AUTOENCODER: (3e38, 0.1)})
    diverged = measure(AUTOENCODER, {"wild": wild}, examples=50)
    assert diverged.searches["wild"][3e38] == math.inf
    assert diverged.runs["wild"].rate == 0.1
    arrived = measure(CLASSIFIER, {"L-BFGS": METHODS["L-BFGS"]}, examples=20).runs["L-BFGS"]
    assert arrived.excess[-1] < comparison.SOLVED <= arrived.excess[-2]


def made_comparison(problem):
    runs = {
        "a": Run(0.1, np.array([9.0, 6.0, 4.0, 0.005]), np.array([0.0, 0.5, 1.0, 1.5])),
        "b": Run(None, np.array([9.0, 8.0]), np.array([0.0, 0.25])),
    }
    return Comparison(problem, 10, runs, {})


def test_the_table_shows_when_each_method_reached_the_goal():
    header, rows = table([made_comparison(CLASSIFIER), made_comparison(AUTOENCODER)])
    assert header[1::5] == ["classifier: steps to 0.01 nats", "autoencoder: steps to 5 nats"]
    assert rows[0] == ["a", "3", "1.5", "5e+02", "0.1", "0.005", "2", "1", "5e+02", "0.1", "0.005"]
    assert rows[1][1:6] == ["not in 1", "", "2.5e+02", "default", "8"]


def test_invalid_arguments_are_errors():
    with pytest.raises(ValueError, match="problem must be one of classifier, autoencoder, got 'x'"):
        measure("x")
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        measure(CLASSIFIER, steps=0)
