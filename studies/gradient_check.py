"""Comparison of a Keras model's gradient with central differences in double precision (Sec. 1.4).

In single precision a difference quotient has only two or three correct digits. The model is therefore rebuilt
in float64 with the same weights; the model itself is not changed. The derivatives are checked along random
directions, which involve all parameters at once, and along single parameters, which locate an error. A kink,
such as a ReLU that switches within the step, appears as a difference of order one in that derivative alone.

Legend: B batch, P trainable parameters, M compared derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from ..theory.differentiation import UNIT_ROUNDOFF, GradientReport, require_tolerance, resolution

_LOW_PRECISION = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def gradient_check(
    model: keras.Model,
    x,
    y,
    loss: str | Callable | keras.losses.Loss | None = None,
    *,
    directions: int = 4,
    coordinates: int = 16,
    epsilon: float | None = None,
    training: bool = False,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Compares the gradient of the loss from automatic differentiation with central differences.

    Args:
        model: A built Keras model that can be rebuilt from its config.
        x: Inputs, [B, ...] or a structure of such arrays.
        y: Targets, [B, ...].
        loss: The loss; by default the one that the model was compiled with. The values of a plain function
            are averaged.
        directions: Number of random unit directions in the space of all P parameters.
        coordinates: Number of single parameters, drawn without repetition; all if there are fewer.
        epsilon: The step; by default u^(1/3), times max(1, |theta_i|) for single parameters.
        training: Whether the model runs in training mode. Seeds and moving averages are reset before each
            evaluation, so that dropout draws the same mask.
        tolerance: Allowed error relative to the largest derivative.
        seed: Seed of the directions and of the drawn parameters.

    Returns:
        A `GradientReport` with M = directions + coordinates derivatives and the method `central difference`.

    Raises:
        ValueError: If the model is not built, has no trainable parameters or cannot be rebuilt in float64,
            if there is no loss, x and y have different numbers of examples, a number is out of range, or the
            loss is not finite.
    """
    _require_arguments(model, x, y, directions, coordinates, epsilon, tolerance)
    loss = getattr(model, "loss", None) if loss is None else loss
    if not (isinstance(loss, str) or callable(loss)):
        raise ValueError(f"loss must be given for a model compiled without a single loss, got {loss!r}")
    with _double_precision():
        twin = _in_double_precision(model, x)
        objective = _Objective(twin, _double(x), _double(y), _loss_in_double_precision(loss), training)
        steps = _steps(objective.point, directions, coordinates, epsilon, np.random.default_rng(seed))
        return _compare(objective, steps, tolerance)


class _Objective:
    """The loss as a function of the flat vector of all parameters, [P]."""

    def __init__(self, model, x, y, loss, training):
        self._variables = model.trainable_variables
        self.point = np.concatenate([np.ravel(variable.numpy()) for variable in self._variables])
        states = [(state, state.numpy()) for state in model.non_trainable_variables]

        def value():
            for state, initial in states:
                state.assign(initial)
            return tf.reduce_mean(loss(y, model(x, training=training))) + sum(model.losses)

        def gradient():
            with tf.GradientTape() as tape:
                total = value()
            return tape.gradient(total, [variable.value for variable in self._variables])

        self._value, self._gradient = tf.function(value), tf.function(gradient)

    def __call__(self, point: np.ndarray) -> float:
        self._assign(point)
        value = self._value().numpy()
        if value.dtype != np.float64:
            raise ValueError(f"loss must compute in the precision of its arguments, got {value.dtype}")
        if not np.isfinite(value):
            raise ValueError(f"loss must be finite, got {value}")
        return float(value)

    def gradient(self) -> np.ndarray:
        self._assign(self.point)
        gradients = self._gradient()
        zeros = (np.zeros(variable.shape) for variable in self._variables)
        arrays = (
            zero if gradient is None else tf.convert_to_tensor(gradient).numpy()
            for gradient, zero in zip(gradients, zeros, strict=True)
        )
        return np.concatenate([np.ravel(array) for array in arrays])

    def label(self, index: int) -> str:
        """Returns the name of a parameter in the flat vector, such as `dense/kernel[3, 2]`."""
        for variable in self._variables:
            size = int(np.prod(variable.shape))
            if index < size:
                indices = np.unravel_index(index, tuple(variable.shape))
                return f"{variable.path}[{', '.join(map(str, indices))}]"
            index -= size
        raise IndexError(index)

    def _assign(self, point: np.ndarray) -> None:
        start = 0
        for variable in self._variables:
            size = int(np.prod(variable.shape))
            variable.assign(point[start : start + size].reshape(variable.shape))
            start += size


def _steps(point, directions, coordinates, epsilon, rng) -> Iterator[tuple[int | None, np.ndarray, float]]:
    """Yields the index of a single parameter or `None`, the unit vector of the step [P] and its length."""
    base = UNIT_ROUNDOFF ** (1 / 3)
    for _ in range(directions):
        direction = rng.standard_normal(point.size)
        yield None, direction / np.linalg.norm(direction), epsilon or base
    for index in rng.choice(point.size, min(coordinates, point.size), replace=False):
        unit = np.zeros(point.size)
        unit[index] = 1.0
        yield int(index), unit, epsilon or base * max(1.0, abs(point[index]))


def _compare(objective: _Objective, steps, tolerance: float) -> GradientReport:
    gradient, value = objective.gradient(), objective(objective.point)
    labels, derivatives, differences, lengths = [], [], [], []
    for number, (index, unit, step) in enumerate(steps):
        above, below = objective.point + step * unit, objective.point - step * unit
        labels.append(f"direction {number}" if index is None else objective.label(index))
        # The derivative along the rounded step, so that rounding of the parameters causes no difference.
        derivatives.append(gradient @ (above - below) / (2 * step))
        differences.append((objective(above) - objective(below)) / (2 * step))
        lengths.append(step)
    method = "central difference"
    return GradientReport(
        tuple(labels),
        np.array(derivatives),
        {method: np.array(differences)},
        {method: resolution(value, np.array(lengths))},
        tolerance,
    )


@contextmanager
def _double_precision():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _in_double_precision(model: keras.Model, x) -> keras.Model:
    """Rebuilds the model from its config in float64 with the same weights."""
    try:
        twin = type(model).from_config(_with_double_dtypes(model.get_config()))
        twin(_double(keras.tree.map_structure(lambda array: array[:1], x)))
        for copy, original in zip(twin.variables, model.variables, strict=True):
            copy.assign(original.numpy())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(f"model must be one that its config rebuilds in float64, got {model!r}") from error
    variables = twin.trainable_variables
    low = [v.path for v in variables if keras.backend.standardize_dtype(v.dtype) != "float64"]
    if low:
        raise ValueError(f"model must use float64 in all layers, got a lower precision in {', '.join(low)}")
    return twin


def _with_double_dtypes(config):
    if isinstance(config, dict):
        return {
            key: "float64" if key == "dtype" and _is_low(value) else _with_double_dtypes(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_with_double_dtypes(value) for value in config)
    return config


def _is_low(dtype) -> bool:
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return dtype in _LOW_PRECISION or getattr(dtype, "name", None) in _LOW_PRECISION


def _loss_in_double_precision(loss) -> Callable:
    if isinstance(loss, keras.losses.Loss):
        return type(loss).from_config(loss.get_config())
    return keras.losses.get(loss)


def _double(structure):
    def convert(array):
        array = np.asarray(array)
        return tf.constant(array, tf.float64 if np.issubdtype(array.dtype, np.floating) else None)

    return keras.tree.map_structure(convert, structure)


def _require_arguments(model, x, y, directions, coordinates, epsilon, tolerance) -> None:
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"model must be a built keras.Model, got {model!r}")
    if not model.trainable_variables:
        raise ValueError(f"model must have trainable parameters, got none in {model.name!r}")
    sizes = {len(array) for array in keras.tree.flatten((x, y))}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"x and y must have the same number of examples, at least one, got {sorted(sizes)}")
    if directions < 0 or coordinates < 0 or directions + coordinates == 0:
        raise ValueError(
            f"directions and coordinates must not be negative or both zero, got {directions}, {coordinates}"
        )
    if epsilon is not None and not 0 < epsilon < np.inf:
        raise ValueError(f"epsilon must be positive and finite, got {epsilon}")
    require_tolerance(tolerance)
