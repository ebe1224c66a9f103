"""Conjugate gradients: a linear system from products with its matrix alone (section 4.7.2)."""

import collections

import tensorflow as tf

from ... import arguments
from ..vectors import dot, norm, shifted

Solution = collections.namedtuple(
    "Solution", ["solution", "residual", "value", "steps", "negative_curvature", "direction", "iterates"]
)
Solution.__doc__ = """What `conjugate_gradients` found.

Args:
    solution: x, in the structure of b.
    residual: |b - A x| / |b|, a scalar; 0 if b is.
    value: The quadratic model x^T A x / 2 - b^T x, a scalar.
    steps: The number of updates of x, an integer.
    negative_curvature: Whether a direction of curvature p^T A p <= 0 was met, where x stopped.
    direction: The last direction p, in the structure of b: that of negative curvature, if there was one.
    iterates: The x after each of the steps that were to be kept, in the structure of b with an axis for the
        steps in front; the last x in place of those after the end.
"""

_State = collections.namedtuple(
    "_State", ["x", "r", "p", "rz", "values", "steps", "running", "negative", "iterates"]
)


def conjugate_gradients(
    product,
    b,
    *,
    x0=None,
    preconditioner=None,
    damping=0.0,
    steps=100,
    tolerance=1e-5,
    relative_progress=None,
    keep=(),
    unroll=False,
):
    r"""Solves (A + damping) x = b for a symmetric positive definite matrix (Eqs. 4.7.10-4.7.13).

    Each step moves along a direction that is conjugate to the ones before, \(p_i^T A p_j = 0\):

        x <- x + a p      r <- r - a A p      a = r^T z / p^T A p
        p <- z + c p      z = M^-1 r          c = (r^T z after) / (r^T z before)

    which takes as many steps as A has distinct eigenvalues, with exact arithmetic and M = 1.

    A direction with \(p^T A p \le 0\) shows that A is not positive definite: the iteration stops before it
    and says so. Numbers that are not finite stop it too, with the last finite x.

    Args:
        product: Function that returns A times a vector, in the structure of b.
        b: The right-hand side: a tensor, or a list or other nest of tensors.
        x0: Where to start, in the structure of b; None for zero.
        preconditioner: Function that returns M^-1 times a vector, M near A + damping; None for M = 1.
        damping: A number or scalar tensor of at least 0 that is added to the diagonal of A.
        steps: The largest number of steps.
        tolerance: Stop where |b - A x| <= tolerance |b|.
        relative_progress: Stop also where the quadratic model gained less than k times this share of itself
            in the last k = max(10, steps / 10) steps (Martens); None for no such rule, 0.0005 is his choice.
        keep: Increasing numbers of steps after which x is kept.
        unroll: Whether to write out all steps one after the other, without control flow: for products that
            sum over replicas, since collectives may not stand inside loops. Steps after the end change
            nothing.

    Returns:
        A `Solution`.

    Raises:
        ValueError: If `steps`, `tolerance`, `relative_progress` or `damping` is out of range.

    Example:
        >>> A = tf.constant([[2.0, 1.0], [1.0, 3.0]])
        >>> x = conjugate_gradients(lambda v: tf.linalg.matvec(A, v), tf.constant([3.0, 4.0])).solution
        >>> [round(float(number), 5) for number in x]
        [1.0, 1.0]

    References:
        Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems" (1952).
        Martens, "Deep learning via Hessian-free optimization" (2010), section 4.4.
    """
    steps = arguments.integer("steps", steps, 1)
    tolerance = float(arguments.nonnegative("tolerance", tolerance, 0))
    if relative_progress is not None:
        relative_progress = float(arguments.positive("relative_progress", relative_progress, 0))
    if not tf.is_tensor(damping):
        damping = float(arguments.nonnegative("damping", damping, 0))

    b = tf.nest.map_structure(tf.convert_to_tensor, b)

    def damped(v):
        return shifted(product(v), damping, v)

    precondition = preconditioner or (lambda v: v)
    keep = [arguments.integer("keep", number, 1) for number in keep]
    state = _start(damped, precondition, b, x0, steps, len(keep))
    goal = tolerance * tf.sqrt(dot(b, b))
    state = state._replace(running=norm(state.r) > goal)

    def step(state):
        return _step(state, damped, precondition, b, goal, relative_progress, keep)

    if unroll:
        for _ in range(steps):
            state = step(state)
    else:
        (state,) = tf.while_loop(
            lambda s: s.running, lambda s: (step(s),), (state,), maximum_iterations=steps
        )
    return Solution(
        solution=state.x,
        residual=tf.math.divide_no_nan(norm(state.r), norm(b)),
        value=tf.gather(state.values, state.steps),
        steps=state.steps,
        negative_curvature=state.negative,
        direction=state.p,
        iterates=state.iterates,
    )


def _start(product, precondition, b, x0, steps, kept):
    """Returns the state before the first step."""
    if x0 is None:
        x, r = tf.nest.map_structure(tf.zeros_like, b), b
    else:
        x = tf.nest.map_structure(tf.convert_to_tensor, x0)
        r = shifted(b, -1.0, product(x))
    z = precondition(r)
    rz = dot(r, z)
    values = tf.concat([[-0.5 * (dot(x, r) + dot(x, b))], tf.zeros(steps, rz.dtype)], 0)
    iterates = tf.nest.map_structure(lambda x: tf.repeat(x[None], kept, axis=0), x)
    return _State(x, r, z, rz, values, tf.constant(0), tf.constant(True), tf.constant(False), iterates)


def _step(old, product, precondition, b, goal, relative_progress, keep):
    """Returns the state after a step, or the old one where it does not run, or the step fails."""
    ap = product(old.p)
    curvature = dot(old.p, ap)
    length = tf.math.divide_no_nan(old.rz, curvature)
    x, r = shifted(old.x, length, old.p), shifted(old.r, -length, ap)
    z = precondition(r)
    rz = dot(r, z)
    value = -0.5 * (dot(x, r) + dot(x, b))
    finite = tf.math.is_finite(curvature) & tf.math.is_finite(rz) & tf.math.is_finite(value)
    negative = finite & (curvature <= 0)
    steps = old.steps + 1
    values = tf.tensor_scatter_nd_update(old.values, [[steps]], [value])
    running = norm(r) > goal
    if relative_progress is not None:
        running &= ~_stalls(values, steps, relative_progress)
    p = shifted(z, tf.math.divide_no_nan(rz, old.rz), old.p)
    new = _State(x, r, p, rz, values, steps, running, tf.constant(False), old.iterates)
    moved = old.running & finite & ~negative
    kept = tf.nest.map_structure(lambda a, b: tf.where(moved, a, b), new, old)
    kept = kept._replace(running=moved & running, negative=old.negative | (old.running & negative))
    if not keep:
        return kept
    # Into all places that are not behind, so that an early end leaves the last x there.
    here = [number >= kept.steps for number in keep]
    iterates = tf.nest.map_structure(lambda kept, x: _replaced(kept, here, x), kept.iterates, kept.x)
    return kept._replace(iterates=iterates)


def _replaced(stacked, places, x):
    """Returns the stacked tensors with x in the places of a list of flags."""
    return tf.where(tf.reshape(tf.stack(places), [-1] + [1] * x.shape.rank), x[None], stacked)


def _stalls(values, steps, relative_progress):
    """Whether the last k values of the quadratic model fell by less than k times a share of the last."""
    k = tf.maximum(10, steps // 10)
    last, before = tf.gather(values, steps), tf.gather(values, tf.maximum(steps - k, 0))
    limit = tf.cast(k, last.dtype) * relative_progress * tf.abs(last)
    return (steps > k) & (last < 0) & (before - last < limit)
