r"""Curvature matrices of a model's loss over data as linear operators on flat vectors.

    hessian = Hessian(model, (x, y), batch_size=500)
    hessian @ v                                  # product with a vector of length hessian.dimension
    lanczos_spectrum(hessian, steps=20).values   # extreme eigenvalues
    conjugate_gradients(hessian.matvec, b)       # linear system

A flat vector concatenates the trainable variables in the order of `model.trainable_variables`, or those of
`variables`, for which the matrix is the block of the whole one, at the cost of their share. The matrix is
that of the loss over ALL examples, equal to that of one large batch. The data are processed in microbatches,
so that memory depends on `batch_size` and not on the data. Each microbatch is weighted by the divisor of the
loss's `reduction`: its number of examples, of unmasked positions, or its sample weights. The model runs in
inference mode, without dropout and with the moving statistics of batch normalization, at the values of its
variables at the time of a product.

A product costs one pass over the data; each microbatch takes one compiled step of two to three gradients.

Legend: N examples, B batch, T positions of an example, d dimension (the number of trainable parameters).
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ... import arguments
from ..all_examples import check_loss, checked, microbatches
from ..keras_bridge.compiled_objective import CompiledObjective
from ..keras_bridge.model_objective import position_weights
from ..vectors import flat, unflat
from . import products
from .derivatives import second_derivative
from .summed_loss import Count, SummedObjective, stand_in

LARGEST_DENSE = 5000


class CurvatureOperator:
    """Base class of the curvature matrices of a loss. Subclasses implement the product on a microbatch.

    Args:
        model: A built `keras.Model`.
        data: Arrays `(x, y)` or `(x, y, sample_weight)` of N examples; or a `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of these, with the same examples in every pass.
        loss: A loss as accepted by `compile`; None for the compiled one.
        variables: The trainable variables that the matrix belongs to, in the order of its rows, such as
            `model.layers[-1].trainable_variables`; None for all. The others are constant.
        batch_size: Number of examples in a microbatch, for arrays.
        jit_compile: Whether XLA compiles the products.

    Raises:
        ValueError: If the model has no trainable variables or is not built, there is no loss, `variables` are
            not trainable variables of the model, or the data have any other form or change from pass to pass.
    """

    # Whether the matrix depends on labels that are drawn by the position of an example in the data.
    draws_labels = False
    needs_distribution = False

    def __init__(self, model, data, loss=None, *, variables=None, batch_size=256, jit_compile=False):
        self.model, self.data = model, checked(data, ordered=self.draws_labels)
        self.batch_size = arguments.integer("batch_size", batch_size, 1)
        if not model.built or not model.trainable_variables:
            raise ValueError(f"model must be built and have trainable variables, got {model.name!r}")
        self._trainable = list(model.trainable_variables)
        self._stand_in = stand_in(model, loss, variables)
        self._variables = self._stand_in.trainable_variables
        if self.needs_distribution:
            CompiledObjective(self._stand_in, None).require_distribution()
        check_loss(self.data, self._microbatch_divisor)
        self._factors = None
        self._step = tf.function(self._microbatch, jit_compile=jit_compile)
        self._divisor = tf.function(self._microbatch_divisor, jit_compile=jit_compile)

    @property
    def dimension(self):
        """The number d of trainable parameters."""
        return sum(math.prod(v.shape) for v in self._variables)

    @property
    def shape(self):
        """(d, d)."""
        return self.dimension, self.dimension

    @property
    def dtype(self):
        """The NumPy data type of vectors, that of the first trainable variable."""
        return np.dtype(self._variables[0].dtype)

    def matvec(self, vector):
        """Returns the matrix times a vector, a NumPy array [d].

        Args:
            vector: The vector, [d].

        Raises:
            ValueError: If its shape is wrong, it is not finite, or the trainable variables of the model have
                changed since the operator was created.
        """
        if [*map(id, self.model.trainable_variables)] != [*map(id, self._trainable)]:
            raise ValueError(
                f"the trainable variables of {self.model.name!r} are no longer those that the operator was "
                "made for: create a new operator"
            )
        vector = arguments.finite("vector", vector, 1)
        if vector.shape != (self.dimension,):
            raise ValueError(f"vector must have shape {(self.dimension,)}, got shape {vector.shape}")
        vector = tf.constant(vector, self.dtype)
        batches = enumerate(microbatches(self.data, self.batch_size))
        total = sum(self._step(*batch, vector, self._seed(i), self._loss_factors()) for i, batch in batches)
        return self._with_penalty(total, vector).numpy()

    def __matmul__(self, other):
        """Returns the matrix times a vector [d] or, column by column, a matrix [d, k]."""
        other = np.asarray(other)
        if other.ndim != 2:
            return self.matvec(other)
        return np.stack([self.matvec(column) for column in other.T], axis=1)

    def dense(self):
        """Returns the dense matrix [d, d], from d products, symmetrized.

        Raises:
            ValueError: If d is above 5,000.
        """
        if self.dimension > LARGEST_DENSE:
            raise ValueError(
                f"a dense matrix needs at most {LARGEST_DENSE} trainable parameters, got {self.dimension}: "
                "use products, lanczos_spectrum or conjugate_gradients"
            )
        matrix = self @ np.eye(self.dimension, dtype=self.dtype)
        return (matrix + matrix.T) / 2

    def product(self, objective, values, tangents, seed):
        """Returns the matrix of a microbatch's summed loss times a vector, lists of tensors.

        Args:
            objective: The `Objective` of the microbatch, whose loss is the sum over its examples.
            values: The trainable values.
            tangents: The vector.
            seed: Two integers, for this microbatch.
        """
        raise NotImplementedError

    def _microbatch(self, x, y, sample_weight, vector, seed, factors):
        """Returns the product of a microbatch as a flat vector."""
        objective = SummedObjective(self._stand_in, x, y, sample_weight, factors)
        values = objective.values
        return tf.cast(flat(self.product(objective, values, unflat(vector, values), seed)), vector.dtype)

    def _microbatch_divisor(self, x, y, sample_weight):
        """Returns a microbatch's part of the divisor of each loss, its number of values or their weights."""
        objective = SummedObjective(self._stand_in, x, y, sample_weight)
        return objective.counts(objective.outputs(objective.values), self._count)

    def _count(self, term, output):
        return Count(term.loss)(term.targets, output, term.sample_weight)

    def _loss_factors(self):
        """Returns the factor of each loss's sum over all data; it does not depend on the trainable values."""
        if self._factors is None:
            batches = microbatches(self.data, self.batch_size)
            first = next(batches)
            example = keras.tree.map_structure(lambda t: None if t is None else t[:1], first)
            losses = [term.loss for term in CompiledObjective(self._stand_in, *example).terms]
            is_mean = np.array([loss.reduction != "sum" for loss in losses])
            totals = np.ones(len(losses))
            if is_mean.any():
                others = (self._divisor(*batch).numpy() for batch in batches)
                totals = np.where(is_mean, sum(others, self._divisor(*first).numpy()), 1)
            if not (totals > 0).all():
                raise ValueError("data must have an unmasked example with positive weight, got none")
            self._factors = tf.constant(1 / totals, self.dtype)
        return self._factors

    def _with_penalty(self, product, vector):
        """Returns the product with the terms added that do not depend on the data."""
        return product

    @staticmethod
    def _seed(index):
        return tf.constant([0, index])


class Hessian(CurvatureOperator):
    """The Hessian of the loss, including weight regularizers (Eq. 4.7.1).

    Regularizers enter once, independent of the microbatches. Activity regularization and other losses of
    layers are not supported, as their dependence on the batch is unknown.

    Args:
        model: A built `keras.Model`.
        data: Arrays `(x, y)` or `(x, y, sample_weight)` of N examples; or a `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of these, with the same examples in every pass.
        loss: A loss as accepted by `compile`; None for the compiled one.
        variables: The trainable variables that the matrix belongs to, in the order of its rows, such as
            `model.layers[-1].trainable_variables`; None for all. The others are constant.
        batch_size: Number of examples in a microbatch, for arrays.
        jit_compile: Whether XLA compiles the products.

    Raises:
        ValueError: As `CurvatureOperator`, and from a product if a layer has other losses.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        >>> x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.zeros((2, 1))
        >>> Hessian(model, (x, y), "mse").dense().tolist()
        [[1.0, 0.0], [0.0, 4.0]]
    """

    def product(self, objective, values, tangents, seed):
        """Returns the Hessian of a microbatch's summed loss, without regularization, times a vector."""

        def loss(values):
            outputs, losses = objective.outputs_and_losses(values)
            others = len(losses) - len(_regularizers(self._trainable))
            if others > 0:
                raise ValueError(
                    f"model must have no losses besides weight regularizers for a Hessian, got {others}"
                )
            return objective.data_loss(outputs)

        return second_derivative(loss, values, tangents)

    def _with_penalty(self, product, vector):
        regularized = _regularizers(self._variables)
        if not regularized:
            return product

        def loss(values):
            return tf.add_n([tf.reduce_sum(regularizer(values[i])) for i, regularizer in regularized])

        values = [tf.convert_to_tensor(v.value) for v in self._variables]
        penalty = flat(second_derivative(loss, values, unflat(vector, values)))
        return product + tf.cast(penalty, vector.dtype)


class GaussNewton(CurvatureOperator):
    r"""The Gauss-Newton matrix, J^T (d^2 L / df^2) J summed over examples (Eq. 4.7.4, docs/errata.md).

    It is the Hessian without the second derivatives of the network. It is positive semidefinite if the loss
    is convex in the outputs, and equals the Fisher matrix for Keras's cross-entropies and the squared error.
    For a cross-entropy of probabilities, f are the logits behind them. Regularizers do not enter.

    Args:
        model: A built `keras.Model`.
        data: Arrays `(x, y)` or `(x, y, sample_weight)` of N examples; or a `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of these, with the same examples in every pass.
        loss: A loss as accepted by `compile`; None for the compiled one.
        variables: The trainable variables that the matrix belongs to, in the order of its rows, such as
            `model.layers[-1].trainable_variables`; None for all. The others are constant.
        batch_size: Number of examples in a microbatch, for arrays.
        jit_compile: Whether XLA compiles the products.

    Raises:
        ValueError: As `CurvatureOperator`.

    Example:
        The loss (uv - 2)^2 at u = v = 1, where the Hessian is [[2, 0], [0, 2]].

        >>> def dense():
        ...     return keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = keras.Sequential([keras.Input((1,)), dense(), dense()])
        >>> GaussNewton(model, (np.ones((1, 1)), 2 * np.ones((1, 1))), "mse").dense().tolist()
        [[2.0, 2.0], [2.0, 2.0]]

    References:
        Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent" (2002).
        Martens, "New insights and perspectives on the natural gradient method" (2014), sections 8 and 9.
    """

    def product(self, objective, values, tangents, seed):
        """Returns the Gauss-Newton matrix of a microbatch's summed loss times a vector."""
        return products.gauss_newton_product(objective, values, tangents)


class Fisher(CurvatureOperator):
    r"""The Fisher matrix of the model's distribution of labels (Eq. 4.6.16).

    \(F = \sum_p c_p\, E_{y \sim p_\theta(y | x_p)}\, \nabla \log p_\theta(y | x_p) \nabla \log p_\theta(y |
    x_p)^T\) over the inputs of the data and labels drawn from the MODEL, with c_p the weight of position p in
    the loss, 1/N for a mean over examples. The labels y of the data are not used. Regularizers do not enter.

    Args:
        model: A built `keras.Model`.
        data: Arrays `(x, y)` or `(x, y, sample_weight)` of N examples; or a `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of these, with the same examples in every pass.
        loss: A loss with a distribution, as accepted by `compile`; None for the compiled one.
        samples: None for the expectation over labels in closed form, or the number of labels drawn at each
            position. The seeds are fixed, so that all products use the same matrix, provided that the
            data keep their order.
        seed: Seed of the labels.
        variables: The trainable variables that the matrix belongs to, in the order of its rows, such as
            `model.layers[-1].trainable_variables`; None for all. The others are constant.
        batch_size: Number of examples in a microbatch, for arrays.
        jit_compile: Whether XLA compiles the products.

    Raises:
        ValueError: As `CurvatureOperator`, if the loss has no distribution, and from a product if the Fisher
            matrix has no closed form and `samples` is None.

    Example:
        Logistic regression at p = 3/4, where the Fisher matrix is p (1 - p).

        >>> start = keras.initializers.Constant(np.log(3))
        >>> dense = keras.layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer=start)
        >>> model = keras.Sequential([keras.Input((1,)), dense])
        >>> Fisher(model, (np.ones((1, 1)), np.ones((1, 1))), "binary_crossentropy").dense().round(4).item()
        0.1875

    References:
        Martens, "New insights and perspectives on the natural gradient method" (2014), section 5.
    """

    needs_distribution = True

    def __init__(
        self,
        model,
        data,
        loss=None,
        *,
        variables=None,
        samples=None,
        seed=0,
        batch_size=256,
        jit_compile=False,
    ):
        self.samples = None if samples is None else arguments.integer("samples", samples, 1)
        self.draws_labels = samples is not None
        options = {"variables": variables, "batch_size": batch_size, "jit_compile": jit_compile}
        super().__init__(model, data, loss, **options)
        self.seed = arguments.integer("seed", seed, 0)

    def product(self, objective, values, tangents, seed):
        """Returns the Fisher matrix of a microbatch's summed loss times a vector."""
        if self.samples is None:
            return products.fisher_product(objective, values, tangents)
        return products.sampled_fisher_product(objective, values, tangents, seed, self.samples)

    def _count(self, term, output):
        # The Fisher matrix must not depend on the targets.
        return tf.reduce_sum(position_weights(term, output))

    def _seed(self, index):
        return tf.constant([self.seed, index])


class EmpiricalFisher(CurvatureOperator):
    r"""The empirical Fisher matrix: outer products of per-example gradients at the labels of the data.

    \(\tilde F = \sum_b g_b g_b^T\), with \(g_b\) the gradient of \(\sum_t \sqrt{c_{bt}} (-\log p(y_{bt} |
    x_b))\). For one position and a mean over examples it is \(\frac1N \sum_b \nabla \log p(y_b | x_b) \nabla
    \log p(y_b | x_b)^T\) (Eq. 4.6.18).

    **This is not the Fisher matrix**, whose labels are drawn from the model. It is also positive
    semidefinite, but it is not the metric of the natural gradient, as the notes warn. It does not approach
    the Hessian, is close to zero where the model fits the data, for any curvature, and equals the Fisher
    matrix in expectation only if the labels come from the model. `Fisher(samples=1)` costs the same.

    Args:
        model: A built `keras.Model`.
        data: Arrays `(x, y)` or `(x, y, sample_weight)` of N examples; or a `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches of these, with the same examples in every pass.
        loss: A loss with a distribution, as accepted by `compile`; None for the compiled one.
        variables: The trainable variables that the matrix belongs to, in the order of its rows, such as
            `model.layers[-1].trainable_variables`; None for all. The others are constant.
        batch_size: Number of examples in a microbatch, for arrays.
        jit_compile: Whether XLA compiles the products.

    Raises:
        ValueError: As `CurvatureOperator`, or if the loss has no distribution.

    Example:
        Logistic regression at p = 3/4 and label 1: (1 - p)^2, whereas the Fisher matrix is p (1 - p).

        >>> start = keras.initializers.Constant(np.log(3))
        >>> dense = keras.layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer=start)
        >>> model = keras.Sequential([keras.Input((1,)), dense])
        >>> data = np.ones((1, 1)), np.ones((1, 1))
        >>> EmpiricalFisher(model, data, "binary_crossentropy").dense().round(4).item()
        0.0625

    References:
        Kunstner, Balles and Hennig, "Limitations of the Empirical Fisher Approximation for Natural Gradient
        Descent" (2019).
    """

    needs_distribution = True

    def product(self, objective, values, tangents, seed):
        """Returns the empirical Fisher matrix of a microbatch's summed loss times a vector."""
        return products.empirical_fisher_product(objective, values, tangents)


def _regularizers(variables):
    """Returns (index, regularizer) of the variables that have one."""
    return [(i, v.regularizer) for i, v in enumerate(variables) if v.regularizer is not None]
