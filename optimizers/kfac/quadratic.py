r"""The best combination of a new direction and the last step, from the exact Fisher matrix.

Among the steps \(s = \mu v - \alpha d\), with the direction d, the last step v and the gradient g, the one
that minimizes the quadratic model

    M(s) = g^T s + s^T (F + lambda) s / 2

with the damping of each block on the diagonal of lambda, solves two linear equations (Martens and Grosse
2015, section 7). They give a learning rate and a momentum at once. They contain F only in d^T F d, d^T F v
and v^T F v, for which two forward derivatives of the outputs suffice.
"""

import tensorflow as tf

from ..curvature.derivatives import push_forward
from ..curvature.products import score_product
from ..vectors import dot, precision

# The squared sine of the angle between d and v, in the metric of F + lambda, below which v is left out.
PARALLEL = 1e-6


def fisher_forms(objective, values, vectors, draw):
    """Returns u^T F v for all pairs of vectors over this replica's examples, a matrix.

    F is exact, or estimated from labels drawn for each position where the distribution's divergence has no
    closed form.

    Args:
        objective: An `Objective` with a predictive distribution.
        values: The trainable values.
        vectors: A list of vectors, each a list with a tensor for each value.
        draw: Function of the distribution and its parameters that returns labels.
    """
    distribution = objective.distribution
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        predictions = objective.predictions(values)
    tangents = [push_forward(tape, predictions, values, vector) for vector in vectors]
    weights = objective.nll_weights(predictions)
    if distribution.has_closed_form(predictions):
        products = [distribution.fisher_product(predictions, tangent, weights) for tangent in tangents]
    else:
        labels = draw(distribution, predictions)
        products = [score_product(distribution, labels, predictions, t, weights) for t in tangents]
    dtype = precision(values)
    return tf.stack([tf.stack([tf.cast(dot(u, f), dtype) for f in products]) for u in tangents])


def best_coefficients(gradient, direction, velocity, forms):
    """Returns -alpha and mu of the step s that minimizes M, a tensor [2].

    Args:
        gradient: The gradient g, a list of tensors.
        direction: The direction d.
        velocity: The last step v; zero if there was none.
        forms: The matrix of F + lambda between d and v, [2, 2].
    """
    dd, dv, vv = forms[0, 0], forms[0, 1], forms[1, 1]
    gd, gv = dot(gradient, direction), dot(gradient, velocity)
    determinant = dd * vv - dv**2
    independent = determinant > PARALLEL * dd * vv
    safe = tf.where(independent, determinant, tf.ones_like(determinant))
    alpha = tf.where(independent, (gd * vv - gv * dv) / safe, tf.math.divide_no_nan(gd, dd))
    mu = tf.where(independent, (gd * dv - gv * dd) / safe, tf.zeros_like(gd))
    return tf.stack([-alpha, mu])
