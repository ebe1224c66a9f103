"""Losses that ignore a class: the same matrices and steps as on the data without the ignored examples."""

import keras
import numpy as np
import pytest

from curvezoo.losses import CategoricalNLL, MaskedCategoricalNLL
from curvezoo.optimizers import KFAC
from curvezoo.optimizers.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective

L = keras.layers
N, CLASSES = 9, 3
WEIGHTED = "mean_with_sample_weight"
SPARSE = keras.losses.SparseCategoricalCrossentropy
OPERATORS = {"hessian": Hessian, "gauss_newton": GaussNewton, "fisher": Fisher, "empirical": EmpiricalFisher}


@pytest.fixture(autouse=True)
def double_precision(double_precision_rates):
    keras.utils.set_random_seed(0)


def network(*head):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((2,)), L.Dense(4, "tanh"), L.Dense(CLASSES), *head])


def data(ignored):
    """Examples of which every third has the ignored label; no other has it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 2)), rng.integers(0, CLASSES, N)
    y[y == ignored] = (ignored + 1) % CLASSES
    y[::3] = ignored
    return x, y


LOSSES = {
    "keras": (lambda ignored: SPARSE(from_logits=True, ignore_class=ignored), -1),
    "keras, a valid class": (lambda ignored: SPARSE(from_logits=True, ignore_class=ignored), 0),
    "own": (lambda ignored: CategoricalNLL(ignore_class=ignored), 255),
    "own, smoothed": (lambda ignored: CategoricalNLL(0.1, ignore_class=ignored), 1),
    "weighted mean": (
        lambda ignored: CategoricalNLL(0.1, WEIGHTED, ignore_class=ignored),
        -1,
    ),
    "padding": (lambda ignored: CategoricalNLL() if ignored is None else MaskedCategoricalNLL(ignored), 2),
    "sum": (lambda ignored: CategoricalNLL(reduction="sum", ignore_class=ignored), -1),
}


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("case", LOSSES)
def test_matrices_are_those_of_the_data_without_ignored_examples(kind, case):
    """In microbatches, one of which has only ignored examples left over."""
    make, ignored = LOSSES[case]
    x, y = data(ignored)
    used, model = y != ignored, network()
    vector = np.random.default_rng(3).normal(size=model.count_params())
    expected = OPERATORS[kind](model, (x[used], y[used]), make(None)) @ vector
    assert np.abs(expected).max() > 0.01
    order = np.argsort(used, kind="stable")
    actual = OPERATORS[kind](model, (x[order], y[order]), make(ignored), batch_size=3) @ vector
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["gauss_newton", "fisher"])
def test_ignored_examples_of_a_softmax_do_not_count(kind):
    x, y = data(-1)
    model, used = network(L.Softmax()), y != -1
    vector = np.random.default_rng(3).normal(size=model.count_params())
    expected = OPERATORS[kind](model, (x[used], y[used]), SPARSE()) @ vector
    actual = OPERATORS[kind](model, (x, y), SPARSE(ignore_class=-1)) @ vector
    np.testing.assert_allclose(actual, expected, atol=1e-10)


def test_positions_of_an_ignored_class_have_no_weight():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 4, 2)), rng.integers(0, CLASSES, (3, 4))
    y[0, 1:], y[2] = -1, -1
    model, sample_weight = network(), rng.uniform(0.5, 2, (3, 4))
    model = keras.Sequential([keras.Input((4, 2)), *model.layers])
    for loss in (CategoricalNLL(ignore_class=-1), SPARSE(from_logits=True, ignore_class=-1)):
        model.compile("sgd", loss)
        for weights in (None, sample_weight):
            objective = CompiledObjective(model, x, y, weights)
            expected = (y != -1) / np.sum(y != -1) * (1 if weights is None else weights)
            actual = objective.nll_weights(objective.predictions(objective.values))
            np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("make", [LOSSES["keras"][0], LOSSES["own"][0]], ids=["keras", "own"])
def test_kfac_takes_the_steps_of_the_data_without_ignored_examples(make):
    """With the labels of the data, as drawn ones depend on an example's place in the batch."""
    x, y = data(-1)
    used, weights = y != -1, []
    for arrays, ignored in (((x[used], y[used]), None), ((x, y), -1)):
        model = network()
        model.compile(KFAC(fisher="empirical", damping=0.1), make(ignored))
        for _ in range(3):
            model.train_on_batch(*arrays)
        weights.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    assert np.abs(weights[0] - np.concatenate([np.ravel(w) for w in network().get_weights()])).max() > 0.1
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-9)


def test_embeddings_count_the_indices_of_examples_that_are_used():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (N, 3)), data(-1)[1]
    used, factors = y != -1, []
    for arrays, ignored in (((x[used], y[used]), None), ((x, y), -1)):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), L.Embedding(5, 2), L.Flatten(), L.Dense(CLASSES)])
        model.compile(KFAC(fisher="empirical"), CategoricalNLL(ignore_class=ignored))
        model.train_on_batch(*arrays)
        factors.append(model.optimizer._statistics.states[0])
    for name in "AG":
        np.testing.assert_allclose(factors[1][name], factors[0][name], rtol=1e-10, atol=1e-14)
