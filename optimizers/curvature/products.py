r"""Products of curvature matrices with a vector: the Hessian and its approximations on one batch.

For outputs f(theta) of the network with Jacobian J, and the loss L(f),

    Hessian          H = J^T (d^2 L / df^2) J + sum_k (dL / df_k) d^2 f_k / dtheta^2
    Gauss-Newton     G = J^T (d^2 L / df^2) J
    Fisher           F = sum_p c_p J_p^T F_p J_p

where p runs over the positions of all examples, c_p is the weight of the negative log-likelihood of position
p in the loss, and F_p is the Fisher matrix of its distribution. None of these matrices is formed. A product
with G or F is a forward derivative J v, a product with the middle matrix in output space, and a backward
derivative J^T u; a product with H is the gradient of (gradient . v). It costs two to three gradients of the
batch.

Regularization enters the Hessian, but not the Gauss-Newton and Fisher matrices, which depend on the outputs
only.

Vectors are lists with a tensor for each trainable variable. Under a strategy a product is this replica's
share, to be summed over the replicas.

Legend: B batch, T positions of an example, D outputs of a position.
"""

import tensorflow as tf

from ..vectors import scaled, shifted
from . import hidden_logits
from .derivatives import pull_back, push_forward, second_derivative


def hessian_product(objective, values, tangents):
    """Returns the Hessian of the loss, with regularization, times a vector (Eq. 4.7.1).

    Args:
        objective: An `Objective`.
        values: The trainable values, a list of tensors.
        tangents: The vector, a list of tensors of the same shapes.

    Returns:
        The product, a list of tensors.
    """
    return second_derivative(objective.loss, values, tangents)


def gauss_newton_product(objective, values, tangents):
    r"""Returns the Gauss-Newton matrix of the loss times a vector.

    For a squared error it is the first term of the Hessian in Eq. 4.7.4 (docs/errata.md):
    \(2 \langle \nabla f \nabla f \rangle\) for one output, \(\frac{2}{D} \langle J^T J \rangle\) for Keras's
    mean over D outputs. It is positive semidefinite if the loss is convex in the outputs. For a cross-entropy
    of probabilities the outputs f are their logits (`hidden_logits`).

    Args:
        objective: An `Objective`.
        values: The trainable values, a list of tensors.
        tangents: The vector, a list of tensors of the same shapes.

    Returns:
        The product, a list of tensors.
    """

    losses = []

    def outputs_and_logits(values):
        outputs = objective.outputs(values)
        losses[:] = objective.output_losses(outputs)
        return outputs, hidden_logits.expose(outputs, losses)

    def data_loss(outputs_and_logits):
        return objective.data_loss(hidden_logits.attach(*outputs_and_logits, losses))

    def output_product(outputs, output_tangents):
        return second_derivative(data_loss, outputs, output_tangents)

    return _through(outputs_and_logits, values, tangents, output_product)


def fisher_product(objective, values, tangents):
    r"""Returns the Fisher matrix times a vector, with labels averaged in closed form (Eq. 4.6.16).

    Args:
        objective: An `Objective` whose loss has a distribution.
        values: The trainable values, a list of tensors.
        tangents: The vector, a list of tensors of the same shapes.

    Returns:
        The product, a list of tensors.

    Raises:
        ValueError: If the loss has no distribution, or its Fisher matrix no closed form.
    """
    distribution = objective.distribution

    def output_product(outputs, output_tangents):
        return distribution.fisher_product(outputs, output_tangents, objective.nll_weights(outputs))

    return _through(objective.predictions, values, tangents, output_product)


def sampled_fisher_product(objective, values, tangents, seed, samples=1):
    """Returns an unbiased estimate of the Fisher matrix, from labels drawn at each position, times a vector.

    The estimate is a sum of outer products and therefore positive semidefinite. The same seed and values give
    the same matrix.

    Args:
        objective: An `Objective` whose loss has a distribution.
        values: The trainable values, a list of tensors.
        tangents: The vector, a list of tensors of the same shapes.
        seed: Two integers, a seed of `tf.random.stateless_uniform`.
        samples: The number of labels for each position.

    Returns:
        The product, a list of tensors.

    Raises:
        ValueError: If the loss has no distribution.
    """
    distribution = objective.distribution

    def output_product(outputs, output_tangents):
        weights = scaled(1 / samples, objective.nll_weights(outputs))

        def draw(seed):
            targets = distribution.sample(outputs, seed)
            return score_product(distribution, targets, outputs, output_tangents, weights)

        if samples == 1:
            return draw(seed)
        _, total = tf.while_loop(
            lambda index, total: index < samples,
            lambda index, total: (
                index + 1,
                shifted(total, 1.0, draw(tf.random.experimental.stateless_fold_in(seed, index))),
            ),
            (tf.constant(0), tf.nest.map_structure(tf.zeros_like, outputs)),
        )
        return total

    return _through(objective.predictions, values, tangents, output_product)


def empirical_fisher_product(objective, values, tangents):
    r"""Returns the empirical Fisher matrix, which uses the labels of the data, times a vector (Eq. 4.6.18).

    It is the sum over examples b of \(g_b g_b^T\), with \(g_b\) the gradient of
    \(\sum_t \sqrt{c_{bt}} (-\log p(y_{bt} | x_b))\). It includes the cross terms between positions of an
    example. It is not the Fisher matrix.

    Args:
        objective: An `Objective` whose loss has a distribution.
        values: The trainable values, a list of tensors.
        tangents: The vector, a list of tensors of the same shapes.

    Returns:
        The product, a list of tensors.

    Raises:
        ValueError: If the loss has no distribution.
    """
    distribution = objective.distribution

    def output_product(outputs, output_tangents):
        weights = tf.nest.flatten(objective.nll_weights(outputs))
        targets = distribution.valid_targets(objective.targets)

        def examples(f):
            losses = tf.nest.flatten(distribution.nll(targets, f))
            losses = [tf.sqrt(w) * loss for w, loss in zip(weights, losses, strict=True)]
            return tf.add_n([tf.reduce_sum(loss, list(range(1, loss.shape.rank))) for loss in losses])

        return _outer_product(examples, outputs, output_tangents)

    return _through(objective.predictions, values, tangents, output_product)


def score_product(distribution, targets, outputs, tangents, weights):
    r"""Returns \(\sum_p c_p s_p s_p^T\) times a vector, with s_p the score of the target at position p.

    Args:
        distribution: An `OutputDistribution`.
        targets: Targets in the form that the loss expects.
        outputs: Outputs of the model, [B, ..., D].
        tangents: The vector, [B, ..., D].
        weights: The factors c_p, [B, ...].
    """
    return _outer_product(lambda f: distribution.nll(targets, f), outputs, tangents, weights)


def _through(function, values, tangents, output_product):
    """Returns J^T output_product(J v) with the Jacobian J of a function of the values."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        outputs = function(values)
    cotangents = output_product(outputs, push_forward(tape, outputs, values, tangents))
    return pull_back(tape, outputs, values, cotangents)


def _outer_product(losses, outputs, tangents, weights=None):
    """Returns the weighted sum of the outer products of the losses' gradients times a vector."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(outputs)
        results = losses(outputs)
    slopes = push_forward(tape, results, outputs, tangents)
    if weights is not None:
        slopes = tf.nest.map_structure(tf.multiply, weights, slopes)
    return pull_back(tape, results, outputs, slopes)
