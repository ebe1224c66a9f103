"""Conjugate gradients: solve a linear system using only products with its matrix (section 4.7.2)."""

import collections
import dataclasses
from collections.abc import Callable

import tensorflow as tf

from ... import arguments
from ..vectors import dot, norm, shifted

Solution = collections.namedtuple(
    "Solution", ["solution", "residual", "value", "steps", "negative_curvature", "direction", "iterates"]
)
Solution.__doc__ = """The result of `conjugate_gradients`.

Args:
    solution: x, in the structure of b.
    residual: |b - A x| / |b|, a scalar; 0 if b is 0.
    value: The quadratic model x^T A x / 2 - b^T x, a scalar.
    steps: The number of updates of x, an integer.
    negative_curvature: Whether the iteration stopped at a direction of curvature p^T A p <= 0.
    direction: The last direction p, in the structure of b; one of negative curvature if the iteration stopped
        at it.
    iterates: x after each of the steps in `keep`, in the structure of b with an additional first axis for the
        steps. Steps after the end of the iteration hold the last x.
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

    Each step moves along a direction that is conjugate to the earlier ones, \(p_i^T A p_j = 0\):

        x <- x + a p      r <- r - a A p      a = r^T z / p^T A p
        p <- z + c p      z = M^-1 r          c = (new r^T z) / (old r^T z)

    In exact arithmetic with M = 1, this takes as many steps as A has distinct eigenvalues.

    A direction with \(p^T A p \le 0\) shows that A is not positive definite: the iteration stops before it
    and reports it. A non-finite number also stops the iteration, at the last finite x.

    Args:
        product: Function that returns A times a vector, in the structure of b.
        b: The right-hand side: a tensor, or a list or other nest of tensors.
        x0: The initial x, in the structure of b; None for zero.
        preconditioner: Function that returns M^-1 times a vector, with M near A + damping; None for M = 1.
        damping: A nonnegative number or scalar tensor that is added to the diagonal of A.
        steps: The maximum number of steps.
        tolerance: Stop when |b - A x| <= tolerance |b|.
        relative_progress: Also stop when, in the last k = max(10, steps / 10) steps, the quadratic model
            decreased by less than k times this fraction of itself; None to disable. Martens uses 0.0005.
        keep: Increasing step numbers whose x is returned in `iterates`.
        unroll: Whether to unroll all steps, without control flow. This is needed for products that sum over
            replicas, as collective operations are not allowed inside loops. Steps after the end of the
            iteration change nothing.

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
    keep = [arguments.integer("keep", number, 1) for number in keep]

    b = tf.nest.map_structure(tf.convert_to_tensor, b)
    iteration = _Iteration(
        product=lambda v: shifted(product(v), damping, v),
        precondition=preconditioner or (lambda v: v),
        b=b,
        residual_goal=tolerance * norm(b),
        relative_progress=relative_progress,
        keep=keep,
    )
    return _solution(_run(iteration, iteration.start(x0, steps), steps, unroll), b)


@dataclasses.dataclass(frozen=True)
class _Iteration:
    """The linear system and the stopping rules.

    Args:
        product: Function from a vector to (A + damping) times it.
        precondition: Function from a vector to M^-1 times it.
        b: The right-hand side.
        residual_goal: The norm of the residual to reach.
        relative_progress: As in `conjugate_gradients`.
        keep: As in `conjugate_gradients`.
    """

    product: Callable
    precondition: Callable
    b: object
    residual_goal: tf.Tensor
    relative_progress: float | None
    keep: list

    def start(self, x0, steps):
        """Returns the state before the first step."""
        if x0 is None:
            x, r = tf.nest.map_structure(tf.zeros_like, self.b), self.b
        else:
            x = tf.nest.map_structure(tf.convert_to_tensor, x0)
            r = shifted(self.b, -1.0, self.product(x))
        z = self.precondition(r)
        rz = dot(r, z)
        values = tf.concat([[self.value(x, r)], tf.zeros(steps, rz.dtype)], 0)
        running = norm(r) > self.residual_goal
        iterates = tf.nest.map_structure(lambda x: tf.repeat(x[None], len(self.keep), axis=0), x)
        return _State(x, r, z, rz, values, tf.constant(0), running, tf.constant(False), iterates)

    def value(self, x, r):
        """Returns the quadratic model x^T A x / 2 - b^T x, from A x = b - r."""
        return -0.5 * (dot(x, r) + dot(x, self.b))

    def step(self, old):
        """Returns the state after a step, or the old one if the iteration has ended or the step fails."""
        new, finite, negative = self._advance(old)
        moved = old.running & finite & ~negative
        state = tf.nest.map_structure(lambda a, b: tf.where(moved, a, b), new, old)
        state = state._replace(running=moved & new.running, negative=old.negative | (old.running & negative))
        return self._with_iterates(state) if self.keep else state

    def _advance(self, old):
        """Returns the state after a step, whether it is finite, and whether its curvature was negative."""
        ap = self.product(old.p)
        curvature = dot(old.p, ap)
        length = tf.math.divide_no_nan(old.rz, curvature)
        x, r = shifted(old.x, length, old.p), shifted(old.r, -length, ap)
        z = self.precondition(r)
        rz = dot(r, z)
        p = shifted(z, tf.math.divide_no_nan(rz, old.rz), old.p)
        value, steps = self.value(x, r), old.steps + 1
        values = tf.tensor_scatter_nd_update(old.values, [[steps]], [value])
        running = norm(r) > self.residual_goal
        if self.relative_progress is not None:
            running &= ~_stalls(values, steps, self.relative_progress)
        finite = tf.math.is_finite(curvature) & tf.math.is_finite(rz) & tf.math.is_finite(value)
        new = _State(x, r, p, rz, values, steps, running, tf.constant(False), old.iterates)
        return new, finite, finite & (curvature <= 0)

    def _with_iterates(self, state):
        """Returns the state with its x in all iterates from this step on, in case it is the last."""
        not_passed = tf.stack([number >= state.steps for number in self.keep])

        def replaced(iterates, x):
            return tf.where(tf.reshape(not_passed, [-1] + [1] * x.shape.rank), x[None], iterates)

        return state._replace(iterates=tf.nest.map_structure(replaced, state.iterates, state.x))


def _run(iteration, state, steps, unroll):
    """Returns the state after the last step."""
    if unroll:
        for _ in range(steps):
            state = iteration.step(state)
        return state
    (state,) = tf.while_loop(
        lambda s: s.running, lambda s: (iteration.step(s),), (state,), maximum_iterations=steps
    )
    return state


def _solution(state, b):
    return Solution(
        solution=state.x,
        residual=tf.math.divide_no_nan(norm(state.r), norm(b)),
        value=tf.gather(state.values, state.steps),
        steps=state.steps,
        negative_curvature=state.negative,
        direction=state.p,
        iterates=state.iterates,
    )


def _stalls(values, steps, relative_progress):
    """Returns whether the last k values decreased by less than k times a fraction of the last one."""
    k = tf.maximum(10, steps // 10)
    last, before = tf.gather(values, steps), tf.gather(values, tf.maximum(steps - k, 0))
    limit = tf.cast(k, last.dtype) * relative_progress * tf.abs(last)
    return (steps > k) & (last < 0) & (before - last < limit)
