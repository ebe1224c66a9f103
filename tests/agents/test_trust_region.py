"""Oracles: dense second derivatives of the mean divergence by autodiff, and solutions by NumPy, in float64.

Legend: B states, P parameters of the actions, W weights of the policy.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.agents.actions import CategoricalActions, GaussianActions
from curvezoo.agents.policy_objective import Experience, PolicyObjective
from curvezoo.agents.trust_region import natural_direction, trust_region_step
from curvezoo.layers.log_std import LogStd
from curvezoo.optimizers.curvature.products import fisher_product
from curvezoo.optimizers.vectors import flat, unflat

STATES, KINDS = 30, ("categorical", "gaussian")


class Problem:
    """A small policy in float64 on random experience, with compiled programs of what is measured."""

    def __init__(self, kind):
        keras.utils.set_random_seed(0)
        states = keras.Input((3,), dtype="float64")
        hidden = keras.layers.Dense(3, "tanh", dtype="float64", bias_initializer="random_normal")(states)
        outputs = keras.layers.Dense(3 if kind == "categorical" else 2, dtype="float64")(hidden)
        if kind == "gaussian":
            outputs = LogStd(-0.3, dtype="float64")(outputs)
        self.kind, self.model = kind, keras.Model(states, outputs)
        self.initial = self.model.get_weights()
        self.actions = CategoricalActions(3) if kind == "categorical" else GaussianActions([-1, -1], [1, 1])
        self.step, self.direction, self.product, self.hessians = (
            tf.function(function, autograph=False)
            for function in (self._step, self._direction, self._product, self._hessians)
        )

    def experience(self, seed=0, scale=1.0, weights=None, transform=None):
        """Returns random states and `Experience`, and sets the weights of the old policy."""
        rng = np.random.default_rng(seed)
        states, advantages = rng.normal(size=(STATES, 3)), scale * rng.normal(size=STATES)
        self.model.set_weights(self.initial if weights is None else weights)
        if transform is not None:
            states = states @ transform
        draw = rng.integers(3, size=STATES).astype("int32")
        taken = tf.constant(draw if self.kind == "categorical" else rng.normal(size=(STATES, 2)))
        states = tf.constant(states)
        log_probs = self.actions.distribution(self.model(states)).log_prob(taken)
        return states, Experience(taken, log_probs, tf.constant(advantages))

    def objective(self, states, experience):
        return PolicyObjective(self.model, states, experience, self.actions)

    def vector(self, seed=1):
        rng = np.random.default_rng(seed)
        return [tf.constant(rng.normal(size=weight.shape)) for weight in self.initial]

    def outputs(self, states, weights):
        """Returns the parameters of the actions at other weights."""
        self.model.set_weights(weights)
        return self.model(states).numpy()

    def _gradient(self, batch):
        values = batch.values
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = batch.loss(values)
        return tape.gradient(loss, values)

    def _step(self, states, experience, limit, damping):
        return trust_region_step(self.objective(states, experience), limit, damping, solver_steps=40)

    def _direction(self, states, experience, damping):
        batch = self.objective(states, experience)
        gradient = self._gradient(batch)
        return gradient, *natural_direction(batch, batch.values, gradient, damping, 60)

    def _product(self, states, experience, vector):
        batch = self.objective(states, experience)
        return fisher_product(batch, batch.values, vector)

    def _hessians(self, states, experience):
        """Returns the Hessians [W, W] of the mean divergence from the current policy, and to it."""
        batch = self.objective(states, experience)
        values = batch.values
        old, point = tf.stop_gradient(batch.outputs(values)), flat(values)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(point)
            with tf.GradientTape(persistent=True) as inner:
                inner.watch(point)
                outputs = batch.outputs(unflat(point, values))
                means = batch.divergence(outputs, old), batch.divergence(old, outputs)
            slopes = [inner.gradient(mean, point) for mean in means]
        return [outer.jacobian(slope, point, experimental_use_pfor=False) for slope in slopes]


def number(value):
    return tf.constant(value, tf.float64)


@pytest.fixture(scope="module", params=KINDS)
def problem(request):
    return Problem(request.param)


def test_fisher_products_are_the_hessian_of_the_mean_divergence_in_both_directions(problem):
    data, vector = problem.experience(), problem.vector()
    product = flat(problem.product(*data, vector)).numpy()
    for hessian in problem.hessians(*data):
        np.testing.assert_allclose(product, hessian.numpy() @ flat(vector).numpy(), rtol=1e-9, atol=1e-12)


def test_the_fisher_matrix_does_not_depend_on_the_rewards(problem):
    vector = problem.vector()
    one, other = (flat(problem.product(*problem.experience(scale=s), vector)) for s in (1.0, 7.0))
    np.testing.assert_array_equal(one, other)


def test_the_log_standard_deviations_have_the_fisher_matrix_two(problem):
    if problem.kind == "gaussian":
        *zeros, _ = [tf.zeros_like(v) for v in problem.vector()]
        vector = [*zeros, number([1.0, -3.0])]
        *others, last = problem.product(*problem.experience(), vector)
        np.testing.assert_allclose(last, [2.0, -6.0], rtol=1e-12)
        assert max(np.abs(other).max() for other in others) < 1e-12


@pytest.mark.equation("8.5.1")
def test_the_divergence_is_the_mean_over_states_of_new_relative_to_old(problem):
    rng = np.random.default_rng(3)
    new, old = rng.normal(size=(2, STATES, 3 if problem.kind == "categorical" else 4))
    if problem.kind == "categorical":
        p, q = (np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True) for x in (new, old))
        expected = np.sum(p * np.log(p / q), axis=1).mean()
    else:
        difference, log_ratio = new[:, :2] - old[:, :2], 2 * (new - old)[:, 2:]
        terms = (np.exp(log_ratio) - 1 - log_ratio + difference**2 * np.exp(-2 * old[:, 2:])) / 2
        expected = terms.sum(axis=1).mean()
    batch = problem.objective(*problem.experience())
    assert float(batch.divergence(tf.constant(new), tf.constant(old))) == pytest.approx(expected, rel=1e-10)
    assert float(batch.divergence(tf.constant(old), tf.constant(new))) != pytest.approx(expected, rel=1e-3)


def test_the_direction_solves_the_damped_system(problem):
    data = problem.experience()
    gradient, x, form = problem.direction(*data, number(0.1))
    fisher = problem.hessians(*data)[0].numpy()
    expected = np.linalg.solve(fisher + 0.1 * np.eye(len(fisher)), flat(gradient).numpy())
    np.testing.assert_allclose(flat(x), expected, rtol=1e-6, atol=1e-9)
    assert float(form) == pytest.approx(expected @ fisher @ expected, rel=1e-6)


def test_no_step_of_the_same_divergence_improves_more_to_first_order(problem):
    data = problem.experience()
    gradient, x, form = problem.direction(*data, number(1e-7))
    slope, fisher = flat(gradient).numpy(), problem.hessians(*data)[0].numpy()
    best = slope @ flat(x).numpy() / np.sqrt(form)
    others = np.random.default_rng(2).normal(size=(2000, len(slope)))
    lengths = np.sqrt(np.einsum("ni,ij,nj->n", others, fisher, others))
    assert np.max(others @ slope / lengths) < best
    assert slope @ slope / np.sqrt(slope @ fisher @ slope) < 0.99 * best


@pytest.mark.equation("8.5.2")
def test_the_expected_return_rises_along_the_natural_gradient_and_falls_as_printed():
    # A bandit: J = sum_a p_a r_a is exact, and so is its gradient.
    rewards, logits = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.1, -0.6])

    def probabilities(logits):
        return np.exp(logits) / np.sum(np.exp(logits))

    p = probabilities(logits)
    fisher = np.diag(p) - np.outer(p, p)
    natural = np.linalg.pinv(fisher) @ (p * (rewards - p @ rewards))
    assert probabilities(logits + 0.1 * natural) @ rewards > p @ rewards + 0.01
    assert probabilities(logits - 0.1 * natural) @ rewards < p @ rewards - 0.01
    # The step of the trust region has the first direction. The batch holds each action once, and its
    # weight contains the probability.
    dense = keras.layers.Dense(3, use_bias=False, dtype="float64")
    model = keras.Sequential([keras.Input((1,), dtype="float64"), dense])
    model.set_weights([logits[None]])
    experience = Experience(tf.range(3), tf.constant(np.log(p)), tf.constant(3 * p * rewards))
    batch = PolicyObjective(model, tf.ones((3, 1), tf.float64), experience, CategoricalActions(3))
    (values,) = trust_region_step(batch, 1e-6, damping=0.0).values
    step = values.numpy()[0] - logits
    cosine = step @ natural / np.linalg.norm(step) / np.linalg.norm(natural)
    assert cosine == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("limit", [1e-4, 0.01, 0.3])
def test_an_accepted_step_keeps_its_bound_and_improves_the_surrogate(problem, limit):
    for seed in range(4):
        data = problem.experience(seed)
        step = problem.step(*data, number(limit), number(0.1))
        assert bool(step.accepted)
        batch = problem.objective(*data)
        divergence = float(batch.divergence(batch.outputs(step.values), batch.outputs(batch.values)))
        assert 0 < divergence <= limit * (1 + 1e-9)
        assert divergence == pytest.approx(float(step.divergence), rel=1e-7)
        improvement = float(batch.loss(batch.values) - batch.loss(step.values))
        assert improvement == pytest.approx(float(step.improvement), rel=1e-6)
        assert improvement > 0
        if limit == 1e-4:
            # To second order the first trial has the divergence itself, and the second 0.64 of it.
            assert int(step.trials) <= 2 and divergence > 0.6 * limit


def test_the_step_does_not_depend_on_the_scale_of_the_advantages_without_damping(problem):
    steps = [problem.step(*problem.experience(scale=s), number(0.01), number(0.0)) for s in (1.0, 1e3)]
    np.testing.assert_allclose(*(flat(step.values) for step in steps), rtol=1e-4, atol=1e-5)


def test_the_new_policy_does_not_depend_on_the_units_of_the_observations(problem):
    transform = np.array([[3.0, 0.2, 0.0], [0.0, 0.5, 0.0], [1.0, 0.0, 4.0]])
    kernel, *rest = problem.initial
    natural, plain = [], []
    for change, weights in (
        (None, problem.initial),
        (transform, [np.linalg.solve(transform, kernel), *rest]),
    ):
        data = problem.experience(weights=weights, transform=change)
        gradient, x, form = problem.direction(*data, number(0.0))
        before = problem.outputs(data[0], weights)
        for list_, step in ((natural, [v / np.sqrt(form) for v in x]), (plain, gradient)):
            moved = [w - 1e-4 * s.numpy() for w, s in zip(weights, step, strict=True)]
            list_.append((problem.outputs(data[0], moved) - before) / 1e-4)
    np.testing.assert_allclose(*natural, atol=2e-3 * np.abs(natural[0]).max())
    assert np.abs(plain[0] - plain[1]).max() > 0.3 * np.abs(plain[0]).max()


def test_the_old_weights_are_kept_bit_for_bit_if_no_trial_is_accepted(problem):
    # No gradient, and one that is not finite.
    for scale in (0.0, np.nan):
        step = problem.step(*problem.experience(scale=scale), number(0.01), number(0.1))
        assert not bool(step.accepted)
        assert float(step.divergence) == float(step.improvement) == 0
        for value, weight in zip(step.values, problem.initial, strict=True):
            np.testing.assert_array_equal(value, weight)
    # The bound is violated: the divergence is larger than its limit in every trial.
    data = problem.experience()
    batch = problem.objective(*data)
    batch.divergence = lambda outputs, old: number(1.0)
    step = trust_region_step(batch, 0.01, solver_steps=2, trials=3)
    assert int(step.trials) == 3 and not bool(step.accepted)
    for value, weight in zip(step.values, problem.initial, strict=True):
        np.testing.assert_array_equal(value, weight)
