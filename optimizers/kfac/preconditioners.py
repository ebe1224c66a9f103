r"""Damped inverses of the blocks of the Fisher matrix, amortized over many steps.

A preconditioner defines a block's state, a dict of tensors, and multiplies gradients by an approximation of
\((F + \lambda)^{-1}\):

    diagonal          F ~ diag(d)    M / (d + lambda)
    full              F              (F + lambda)^-1 M
    kronecker         F ~ A (x) G    (A + pi sqrt(lambda))^-1 M (G + sqrt(lambda) / pi)^-1
    eigenbasis        F ~ U S U^T    U_A [(U_A^T M U_G) / (S + lambda)] U_G^T,  U = U_A (x) U_G

The product of the two damped factors exceeds A (x) G + lambda by two cross terms. The square root pi of the
ratio of the factors' mean eigenvalues makes them equal in trace norm, which minimizes their sum (Martens and
Grosse 2015, section 6.3). The eigenbasis needs no such split. Its S starts as the products of the eigenvalues
and is averaged with the second moments of the examples' gradients in that basis, the diagonal that is closest
to F (George et al. 2018).

Legend: B examples, m rows and n columns of a block's matrix M of gradients, d entries of a vector.

References:
    Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature" (2015),
    arXiv:1503.05671. George et al., "Fast approximate natural gradient descent in a Kronecker-factored
    eigenbasis" (2018), arXiv:1806.03884.
"""

import numpy as np
import tensorflow as tf

from ..vectors import finite

# Inverses use a damping of at least this many units in the last place of the matrix's trace.
ROUNDING = 4


def preconditioner_of(block, eigenbasis=False):
    """Returns the preconditioner of a block.

    Args:
        block: A `Block` of a layer.
        eigenbasis: Whether Kronecker factors are inverted in their eigenbasis.
    """
    if block.kind == "kronecker":
        return EigenbasisPreconditioner(block) if eigenbasis else KroneckerPreconditioner(block)
    return {"full": FullPreconditioner, "diagonal": DiagonalPreconditioner}[block.kind](block)


class DiagonalPreconditioner:
    """F ~ diag(d), whose state is d alone; also the base class of the others.

    Args:
        block: The block.
    """

    def __init__(self, block):
        self.block = block

    @property
    def shapes(self):
        """The shape of each tensor of the state by name."""
        return dict(self.block.shapes)

    @property
    def averaged(self):
        """Names of the tensors that are averaged over replicas; the others follow from them."""
        return list(self.block.shapes)

    def observe(self, state, calls, gradients, weight, replicas=1, share=1.0, counted=None):
        """Returns the state after a batch.

        Args:
            state: The state.
            calls: The layer's `taps.Call`s.
            gradients: As in `Block.statistics`.
            weight: The weight of the new batch in the averages; zero if its statistics are not finite.
            replicas: The number of replicas, each of which sees a share of the batch.
            share: The weight of this replica's means; the mean of all replicas' weights is 1.
            counted: As in `Block.statistics`.
        """
        fresh = self.block.statistics(calls, gradients, counted)
        return {**state, **self._average(state, fresh, weight, replicas, share)}

    def refresh(self, state, damping):
        """Returns the state with inverses of the current averages.

        Args:
            state: The state.
            damping: The damping lambda.
        """
        return state

    def trace(self, state):
        """Returns the trace of F.

        Args:
            state: The state.
        """
        return _trace(state["d"])

    def norm(self, state):
        """Returns the Frobenius norm of F.

        Args:
            state: The state.
        """
        return tf.norm(state["d"])

    def precondition(self, matrix, state, damping):
        """Returns the gradients times the damped inverse.

        Args:
            matrix: The block's matrix of gradients, [m, n] or [d].
            state: The state.
            damping: The damping lambda.
        """
        return matrix / (state["d"] + damping)

    def _average(self, state, fresh, weight, replicas, share):
        """The running averages, scaled such that their mean over the replicas is the whole batch's."""
        usable = finite(fresh)
        averages = {}
        for name, tensor in fresh.items():
            whole = tf.cast(share if name == "A" else replicas, tensor.dtype) * tensor
            change = tf.where(usable, whole - state[name], tf.zeros_like(whole))
            averages[name] = state[name] + tf.cast(weight, whole.dtype) * change
        return averages


class FullPreconditioner(DiagonalPreconditioner):
    """The full block F and its inverse."""

    @property
    def shapes(self):
        """The shape of each tensor of the state by name."""
        return {**self.block.shapes, "inverse": self.block.shapes["F"]}

    def trace(self, state):
        """Returns the trace of F."""
        return _trace(state["F"])

    def norm(self, state):
        """Returns the Frobenius norm of F."""
        return tf.norm(state["F"])

    def refresh(self, state, damping):
        """Returns the state with the inverse of F."""
        return {**state, "inverse": _inverse(state["F"], damping)}

    def precondition(self, matrix, state, damping):
        """Returns the vector times the inverse."""
        return tf.linalg.matvec(state["inverse"], matrix)


class KroneckerPreconditioner(DiagonalPreconditioner):
    """F ~ A (x) G, each factor inverted with its part of the damping."""

    @property
    def shapes(self):
        """The shape of each tensor of the state by name."""
        shapes = self.block.shapes
        return {**shapes, "A_inverse": shapes["A"], "G_inverse": shapes["G"]}

    def trace(self, state):
        """Returns the trace of A (x) G."""
        return _trace(state["A"]) * _trace(state["G"])

    def norm(self, state):
        """Returns the Frobenius norm of A (x) G."""
        return tf.norm(state["A"]) * tf.norm(state["G"])

    def refresh(self, state, damping):
        """Returns the state with the inverses of the factors."""
        root, balance = tf.sqrt(damping), factor_balance(state["A"], state["G"])
        inverses = {
            "A_inverse": _inverse(state["A"], root * balance),
            "G_inverse": _inverse(state["G"], root / balance),
        }
        return {**state, **inverses}

    def precondition(self, matrix, state, damping):
        """Returns the matrix between the two inverses."""
        matrix, columns = _times(state["A_inverse"], matrix), state["G_inverse"]
        return matrix * columns if columns.shape.rank == 1 else matrix @ columns


class EigenbasisPreconditioner(KroneckerPreconditioner):
    """F ~ U S U^T in the eigenbasis of A (x) G; a diagonal factor needs no basis."""

    @property
    def shapes(self):
        """The shape of each tensor of the state by name."""
        shapes = self.block.shapes
        rows, columns = shapes["A"][0], shapes["G"][0]
        bases = {f"{name}_basis": shapes[name] for name in "GA" if len(shapes[name]) == 2}
        return {**shapes, **bases, "S": (rows, columns), "batches": ()}

    @property
    def averaged(self):
        """Names of the tensors that are averaged over replicas; the others follow from them."""
        return [*self.block.shapes, "S"]

    def observe(self, state, calls, gradients, weight, replicas=1, share=1.0, counted=None):
        """Returns the state after a batch; second moments are averaged since the last new basis."""
        bases = state.get("A_basis"), state.get("G_basis")
        moments = {"S": self.block.second_moments(calls, gradients, *bases)}
        batches = state["batches"] + 1
        moments = self._average(state, moments, 1 / (batches + 1), replicas, share)
        averages = super().observe(state, calls, gradients, weight, replicas, share, counted)
        return {**averages, **moments, "batches": batches}

    def refresh(self, state, damping):
        """Returns the state in the eigenbasis of the current factors."""
        fresh, eigenvalues = {"batches": tf.zeros_like(state["batches"])}, []
        for name in "AG":
            values = state[name]
            if f"{name}_basis" in state:
                values, fresh[f"{name}_basis"] = tf.linalg.eigh(values)
            # Rounding may make eigenvalues of semidefinite matrices negative.
            eigenvalues.append(tf.nn.relu(values))
        fresh["S"] = eigenvalues[0][:, None] * eigenvalues[1]
        return {**state, **fresh}

    def precondition(self, matrix, state, damping):
        """Returns the matrix divided by S and the damping in the eigenbasis."""
        rows, columns = state.get("A_basis"), state.get("G_basis")
        if rows is not None:
            matrix = tf.matmul(rows, matrix, transpose_a=True)
        if columns is not None:
            matrix = matrix @ columns
        matrix = matrix / (state["S"] + damping)
        if columns is not None:
            matrix = tf.matmul(matrix, columns, transpose_b=True)
        return matrix if rows is None else rows @ matrix


def factor_balance(a, g):
    r"""Returns \(\pi = \sqrt{(\mathrm{tr} A / m) / (\mathrm{tr} G / n)}\), and 1 if a trace is zero.

    Args:
        a: The factor A, [m, m], or its diagonal [m].
        g: The factor G, [n, n], or its diagonal [n].
    """
    mean_a, mean_g = (_trace(factor) / factor.shape[0] for factor in (a, g))
    usable = (mean_a > 0) & (mean_g > 0)
    # Take the roots first, since the ratio may overflow.
    return tf.where(usable, tf.sqrt(mean_a) / tf.sqrt(tf.where(usable, mean_g, 1)), 1)


def _trace(matrix):
    """The trace of a matrix, or of its diagonal."""
    return tf.reduce_sum(matrix) if matrix.shape.rank == 1 else tf.linalg.trace(matrix)


def _inverse(matrix, damping):
    """The inverse of a positive semidefinite matrix, or of its diagonal, plus the damping."""
    if matrix.shape.rank == 1:
        return 1 / (matrix + damping)
    # TensorFlow raises an error for a matrix that is singular to rounding.
    rounding = np.finfo(matrix.dtype.as_numpy_dtype).eps
    damping = tf.maximum(damping, ROUNDING * rounding * _trace(matrix))
    return tf.linalg.inv(matrix + damping * tf.eye(matrix.shape[0], dtype=matrix.dtype))


def _times(factor, matrix):
    return factor[:, None] * matrix if factor.shape.rank == 1 else factor @ matrix
