"""Single products of a curvature matrix of a model's loss with a vector.

Each call compiles anew; for several products create an operator from `operators` once.

Legend: d number of trainable parameters.
"""

from .operators import EmpiricalFisher, Fisher, GaussNewton, Hessian


def hessian_vector_product(model, data, vector, loss=None, **options):
    r"""Returns \(\nabla\nabla L\, v\), the Hessian of the loss times a vector, a NumPy array [d].

    Args:
        model: As in `Hessian`.
        data: The data.
        vector: The vector v, [d].
        loss: The loss, or None for the compiled one.
        **options: Further options of the operator, such as `batch_size`.

    Raises:
        ValueError: As `Hessian`, or if the shape of the vector is wrong.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        >>> x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.zeros((2, 1))
        >>> hessian_vector_product(model, (x, y), [1.0, 1.0], keras.losses.MeanSquaredError()).tolist()
        [1.0, 4.0]
    """
    return Hessian(model, data, loss, **options) @ vector


def gauss_newton_vector_product(model, data, vector, loss=None, **options):
    r"""Returns \(J^T (\nabla_f \nabla_f L) J v\), the Gauss-Newton matrix times a vector, a NumPy array [d].

    Args:
        model: As in `GaussNewton`.
        data: The data.
        vector: The vector v, [d].
        loss: The loss, or None for the compiled one.
        **options: Further options of the operator, such as `batch_size`.

    Raises:
        ValueError: As `GaussNewton`, or if the shape of the vector is wrong.
    """
    return GaussNewton(model, data, loss, **options) @ vector


def fisher_vector_product(model, data, vector, loss=None, **options):
    r"""Returns \(E_{y \sim p_\theta}[\nabla \log p\, (\nabla \log p)^T] v\), a NumPy array [d] (Eq. 4.6.16).

    Args:
        model: As in `Fisher`.
        data: As in `Fisher`; the labels are not used.
        vector: The vector v, [d].
        loss: The loss, or None for the compiled one.
        **options: Further options of `Fisher`, such as `samples` and `batch_size`.

    Raises:
        ValueError: As `Fisher`, or if the shape of the vector is wrong.
    """
    return Fisher(model, data, loss, **options) @ vector


def empirical_fisher_vector_product(model, data, vector, loss=None, **options):
    """Returns the empirical Fisher matrix, which uses the labels of the data, times a vector [d].

    This is NOT a product with the Fisher matrix (see `EmpiricalFisher`).

    Args:
        model: As in `EmpiricalFisher`.
        data: The data.
        vector: The vector v, [d].
        loss: The loss, or None for the compiled one.
        **options: Further options of the operator, such as `batch_size`.

    Raises:
        ValueError: As `EmpiricalFisher`, or if the shape of the vector is wrong.
    """
    return EmpiricalFisher(model, data, loss, **options) @ vector
