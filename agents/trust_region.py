r"""The step of trust region policy optimization: natural gradient, length and line search (Sec. 8.5).

With the gradient g of the surrogate loss (`PolicyObjective`) and the Fisher matrix F of the policy,

    x = (F + lambda)^-1 g                                by conjugate gradients on products F v
    s = -sqrt(2 delta / x^T F x) x                       so that s^T F s / 2 = delta
    theta <- theta + b^j s                               with the first j = 0, 1, ... that is accepted

s is the direction +F^-1 grad J, as g = -grad J; Eq. 8.5.2 has the other sign (docs/errata.md). F is the
Hessian of the mean divergence of Eq. 8.5.1 at the old policy. The length is measured with F alone: s then has
the divergence delta to second order whatever the damping lambda is, which bends the direction only. Many
implementations divide by x^T (F + lambda) x, and make shorter steps.
"""

import collections

import tensorflow as tf

from ..optimizers.curvature.products import fisher_product
from ..optimizers.curvature.solvers import conjugate_gradients
from ..optimizers.vectors import dot, scaled, select, shifted

TrustRegionStep = collections.namedtuple(
    "TrustRegionStep", ["values", "loss", "divergence", "improvement", "trials", "accepted"]
)
TrustRegionStep.__doc__ = """The result of `trust_region_step`.

Args:
    values: The new trainable values; the old ones, bit for bit, if no trial was accepted.
    loss: The surrogate loss before the step.
    divergence: The mean divergence of the step (Eq. 8.5.1), 0 if none was accepted.
    improvement: By how much the step lowers the surrogate loss, 0 if none was accepted.
    trials: Number of steps that were tried.
    accepted: Whether one was accepted.
"""


def natural_direction(objective, values, gradient, damping=0.0, solver_steps=10):
    r"""Solves \((F + \lambda) x = g\) approximately and returns x and the number \(x^T F x\).

    Args:
        objective: The `Objective` of the batch.
        values: The trainable values.
        gradient: The gradient g, a tensor for each value.
        damping: The damping lambda.
        solver_steps: Largest number of iterations of conjugate gradients.
    """

    def product(vector):
        return fisher_product(objective, values, vector)

    # A fixed number of iterations, unless the residual has vanished to rounding.
    x = conjugate_gradients(product, gradient, damping=damping, steps=solver_steps, tolerance=1e-10).solution
    return x, dot(x, product(x))


def trust_region_step(objective, kl_limit, damping=0.1, solver_steps=10, backtracking=0.8, trials=10):
    """Returns the step from the current values within the trust region.

    A trial is accepted if its mean divergence from the old policy on the batch's states (Eq. 8.5.1) is at
    most `kl_limit`, and it lowers the surrogate loss. Each following trial is shorter by `backtracking`.

    Args:
        objective: The `PolicyObjective` of the batch.
        kl_limit: The bound delta, in nats.
        damping: The damping lambda.
        solver_steps: Iterations of conjugate gradients.
        backtracking: The factor between trials, in (0, 1).
        trials: Largest number of trials.

    Returns:
        A `TrustRegionStep`.

    References:
        Schulman, Levine, Moritz, Jordan and Abbeel, "Trust Region Policy Optimization" (2015),
            arXiv:1502.05477.
    """
    values = objective.values
    with tf.GradientTape() as tape:
        tape.watch(values)
        old = objective.outputs(values)
        loss = objective.data_loss(old)
    gradient = tape.gradient(loss, values, unconnected_gradients="zero")
    x, form = natural_direction(objective, values, gradient, damping, solver_steps)
    # Where the gradient vanishes there is no direction, and no trial improves.
    length = tf.sqrt(tf.math.divide_no_nan(2 * tf.cast(kl_limit, form.dtype), form))
    step = scaled(-length, x)

    def trial(index, *_):
        factor = backtracking ** tf.cast(index, form.dtype)
        outputs = objective.outputs(shifted(values, factor, step))
        divergence, improvement = objective.divergence(outputs, old), loss - objective.data_loss(outputs)
        # Comparisons with nan are false, so that no step that is not finite is accepted.
        accepted = (divergence <= kl_limit) & (improvement > 0)
        return index + 1, factor, divergence, improvement, accepted

    zero = tf.zeros_like(loss)
    begin = tf.constant(0), tf.ones_like(form), zero, zero, tf.constant(False)
    count, factor, divergence, improvement, accepted = tf.while_loop(
        lambda *state: ~state[-1], trial, begin, maximum_iterations=trials
    )
    moved = shifted(values, factor, step)
    keep = [tf.where(accepted, number, zero) for number in (divergence, improvement)]
    return TrustRegionStep(select(accepted, moved, values), loss, *keep, count, accepted)
