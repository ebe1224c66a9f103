"""The gradient by finite differences and by the chain rule (notes, section 1.4).

A difference quotient has two errors: truncation, which increases with the step, and rounding, which
decreases with it. With a rounding error |f| u of one evaluation (u = 2^-53 in double precision), the bounds

    forward difference    epsilon |f''| / 2   + 2 u |f| / epsilon
    central difference    epsilon^2 |f'''| / 6 +  u |f| / epsilon

are minimal at epsilon = 2 (u |f| / |f''|)^(1/2) and (3 u |f| / |f'''|)^(1/3). The complex step
Im f(x + i epsilon) / epsilon has no subtraction, so its step may be arbitrarily small. The chain rule needs
no step.

Legend: D coordinates of x (any shape, flattened), D_0, D_1, D_2 widths of the data, hidden and output
layers, M derivatives compared.

References:
    Griewank and Walther, "Evaluating Derivatives" (2008), SIAM.
    Squire and Trapp, "Using complex variables to estimate derivatives of real functions" (1998), SIAM Review
    40, 110-112.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..arguments import (
    boolean,
    described,
    finite,
    has_shape,
    number,
    one_of,
    positive,
    positive_number,
    require,
)

UNIT_ROUNDOFF = 2.0**-53
"""Relative rounding error u of one operation in double precision."""

# Every operation in a function rounds; this is the assumed relative error of its value, in units of u.
_ROUNDINGS = 8

Scalar = Callable[[np.ndarray], float]


def forward_difference(function: Scalar, x: np.ndarray, epsilon: float | None = None) -> np.ndarray:
    """Estimates the gradient by (f(x + epsilon) - f(x)) / epsilon, Eq. 1.4.1.

    The notes' equality is valid in the limit epsilon -> 0 of exact arithmetic. At finite epsilon the error is
    epsilon f'' / 2 + O(epsilon^2) (docs/errata.md).

    Args:
        function: The function f, from an array shaped like `x` to a number.
        x: The point, any shape.
        epsilon: The step; by default sqrt(u) max(1, |x_i|) for coordinate i.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If `x` or a value of `function` is not finite, or `epsilon` is not positive or is
            rounded away in x + epsilon.
    """
    x, steps = _point_and_steps(x, epsilon, UNIT_ROUNDOFF ** (1 / 2))
    value = _value(function, x)
    return _per_coordinate(x, lambda unit, i: (_value(function, x + steps[i] * unit) - value) / steps[i])


def central_difference(function: Scalar, x: np.ndarray, epsilon: float | None = None) -> np.ndarray:
    """Estimates the gradient by (f(x + epsilon) - f(x - epsilon)) / (2 epsilon).

    The error is epsilon^2 f''' / 6 + O(epsilon^4).

    Args:
        function: The function f, from an array shaped like `x` to a number.
        x: The point, any shape.
        epsilon: The step; by default u^(1/3) max(1, |x_i|) for coordinate i.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: As in `forward_difference`.
    """
    x, steps = _point_and_steps(x, epsilon, UNIT_ROUNDOFF ** (1 / 3))

    def quotient(unit, i):
        above, below = x + steps[i] * unit, x - steps[i] * unit
        return (_value(function, above) - _value(function, below)) / np.sum(above - below)

    return _per_coordinate(x, quotient)


def complex_step(function: Scalar, x: np.ndarray, epsilon: float = 1e-20) -> np.ndarray:
    """Computes the gradient by Im f(x + i epsilon) / epsilon, exact to rounding for small epsilon.

    Args:
        function: The function f, complex-analytic near `x`, from a complex array shaped like `x` to a complex
            number. It must not use `abs`, `max` or comparisons.
        x: The point, any shape.
        epsilon: The imaginary step. The truncation error is epsilon^2 f''' / 6.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If `x` or a value is not finite, `epsilon` is not positive, or `function` returns a real
            number.
    """
    x = _finite_array(x)
    epsilon = float(positive("epsilon", epsilon, 0))

    def quotient(unit, _):
        value = np.asarray(function(x + 1j * epsilon * unit))
        if not np.iscomplexobj(value):
            raise ValueError(
                f"function must be complex-analytic, got real {described(value[()])} for a complex x"
            )
        return _finite_number(value).imag / epsilon

    return _per_coordinate(x, quotient)


def optimal_step(value: float, derivative: float, *, order: int) -> float:
    """Returns the step that minimizes `difference_error`.

    Args:
        value: The value f(x).
        derivative: f''(x) for order 1, f'''(x) for order 2; not zero.
        order: 1 for the forward difference, 2 for the central difference.

    Returns:
        2 (u |f| / |f''|)^(1/2) or (3 u |f| / |f'''|)^(1/3).

    Raises:
        ValueError: If `order` is neither 1 nor 2, an argument is not finite, or `derivative` is zero, in
            which case there is no optimum.
    """
    one_of("order", order, (1, 2))
    value, derivative = number("value", value), number("derivative", derivative)
    if derivative == 0:
        raise ValueError("derivative must not be zero: without a truncation error there is no optimal step")
    ratio = UNIT_ROUNDOFF * abs(value / derivative)
    return 2 * ratio ** (1 / 2) if order == 1 else (3 * ratio) ** (1 / 3)


def difference_error(epsilon: float, value: float, derivative: float, *, order: int) -> float:
    """Returns a bound on the error of a difference quotient: truncation plus rounding of both values.

    Args:
        epsilon: The step, a number or an array.
        value: The value f(x).
        derivative: f''(x) for order 1, f'''(x) for order 2.
        order: 1 for the forward difference, 2 for the central difference.

    Returns:
        epsilon |f''| / 2 + 2 u |f| / epsilon, or epsilon^2 |f'''| / 6 + u |f| / epsilon.

    Raises:
        ValueError: If `order` is neither 1 nor 2, an argument is not finite, or a step is not positive.
    """
    one_of("order", order, (1, 2))
    epsilon = positive("epsilon", epsilon)[()]
    value, derivative = number("value", value), number("derivative", derivative)
    rounding = UNIT_ROUNDOFF * abs(value) / epsilon
    if order == 1:
        return epsilon * abs(derivative) / 2 + 2 * rounding
    return np.square(epsilon) * abs(derivative) / 6 + rounding


class TwoLayerDerivatives(NamedTuple):
    """Value and derivatives of `two_layer_derivatives`.

    Args:
        y: Outputs, [D_2].
        w2: Derivatives dy^i / dW_2^{ij}, [D_2, D_1]; y^i does not depend on other rows of W_2.
        hidden: Derivatives dy^i / dphi_j, [D_2, D_1].
        w1: Derivatives dy^i / dW_1^{jk}, [D_2, D_1, D_0].
    """

    y: np.ndarray
    w2: np.ndarray
    hidden: np.ndarray
    w1: np.ndarray


def two_layer_derivatives(x, w1, b1, w2, b2, phi, phi_prime) -> TwoLayerDerivatives:
    """Computes the derivatives of y = phi(W_2 phi(W_1 x + b_1) + b_2) by the chain rule, Eqs. 1.4.5 to 1.4.7.

    With a_1 = W_1 x + b_1, h = phi(a_1) and a_2 = W_2 h + b_2, and without sums over repeated indices:

        dy^i / dW_2^{ij} = phi'(a_2^i) h^j                        (1.4.6)
        dy^i / dphi_j    = phi'(a_2^i) W_2^{ij}                   (1.4.7)
        dy^i / dW_1^{jk} = (dy^i / dphi_j) phi'(a_1^j) x_k        (the next layer)

    Eq. 1.4.7 has b_1^b in place of b_1^k (docs/errata.md).

    Args:
        x: Data, [D_0].
        w1: Weights W_1, [D_1, D_0].
        b1: Biases b_1, [D_1].
        w2: Weights W_2, [D_2, D_1].
        b2: Biases b_2, [D_2].
        phi: The activation function, elementwise.
        phi_prime: Its derivative.

    Returns:
        A `TwoLayerDerivatives`.

    Raises:
        ValueError: If an entry is not finite, or the shapes do not match.
    """
    x, b1, b2 = (finite(*pair, 1) for pair in (("x", x), ("b1", b1), ("b2", b2)))
    w1, w2 = finite("w1", w1, 2), finite("w2", w2, 2)
    has_shape("w1", w1, (len(b1), len(x)))
    has_shape("w2", w2, (len(b2), len(b1)))
    a1 = w1 @ x + b1
    hidden = phi(a1)
    a2 = w2 @ hidden + b2
    slope = phi_prime(a2)[:, None]
    d_hidden = slope * w2
    d_w1 = (d_hidden * phi_prime(a1))[:, :, None] * x
    return TwoLayerDerivatives(phi(a2), slope * hidden, d_hidden, d_w1)


@dataclass(frozen=True)
class GradientReport:
    """Comparison of a gradient with numerical estimates of it.

    Args:
        labels: Names of the coordinates or directions of the M derivatives.
        given: The gradient under test, [M].
        estimates: Numerical estimates by method, each [M].
        resolutions: Rounding errors of the estimates by method, each [M]; smaller errors are not detected.
        tolerance: Allowed error, relative to the largest derivative.
    """

    labels: tuple[str, ...]
    given: np.ndarray
    estimates: dict[str, np.ndarray]
    resolutions: dict[str, np.ndarray] = field(default_factory=dict)
    tolerance: float = 1e-6

    @property
    def errors(self) -> dict[str, float]:
        """Largest absolute difference between the given gradient and each method's estimate."""
        return {name: float(np.max(self._difference(name))) for name in self.estimates}

    @property
    def scale(self) -> float:
        """Largest absolute derivative, given or estimated."""
        return float(max(np.max(np.abs(values)) for values in (self.given, *self.estimates.values())))

    @property
    def passed(self) -> bool:
        """Whether every difference is at most `tolerance` times `scale`, plus the method's resolution."""
        return not self.failures

    @property
    def failures(self) -> tuple[str, ...]:
        """Labels of the derivatives that disagree with some method."""
        bad = np.zeros(len(self.labels), bool)
        for name in self.estimates:
            allowed = self.tolerance * self.scale + self.resolutions.get(name, 0.0)
            bad |= self._difference(name) > allowed
        return tuple(label for label, wrong in zip(self.labels, bad, strict=True) if wrong)

    def _difference(self, name: str) -> np.ndarray:
        return np.abs(self.given - self.estimates[name])

    def __str__(self) -> str:
        lines = [f"{len(self.labels)} derivatives, the largest {self.scale:.3g}"]
        for name, error in self.errors.items():
            resolution = np.max(self.resolutions.get(name, 0.0))
            lines.append(f"{name}: largest error {error:.3g}, resolution {resolution:.3g}")
        verdict = "agree" if self.passed else "disagree at " + ", ".join(self.failures[:10])
        return "\n".join([*lines, verdict])


def gradient_check(
    function: Scalar,
    gradient: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    *,
    epsilon: float | None = None,
    analytic: bool = False,
    tolerance: float = 1e-6,
) -> GradientReport:
    """Compares a gradient, for example from automatic differentiation, with differences of the function.

    Args:
        function: The function f, from an array shaped like `x` to a number.
        gradient: The gradient under test, from an array shaped like `x` to another array of that shape.
        x: The point, any shape.
        epsilon: Step of the central difference, by default that of `central_difference`.
        analytic: Whether `function` accepts complex arrays and is analytic, as the complex step requires.
        tolerance: Allowed error, relative to the largest derivative.

    Returns:
        A `GradientReport`, M = D, with the methods `central difference` and, if analytic, `complex step`.

    Raises:
        ValueError: If the gradient's shape differs from that of `x`, a value is not finite, or the step or
            the tolerance is not positive.
    """
    x = _finite_array(x)
    require_tolerance(tolerance)
    boolean("analytic", analytic)
    given = np.asarray(gradient(x), np.float64)
    if given.shape != x.shape:
        raise ValueError(f"gradient must return the shape of x, {x.shape}, got {given.shape}")
    require("gradient(x)", given, np.isfinite(given), "be finite")
    _, steps = _point_and_steps(x, epsilon, UNIT_ROUNDOFF ** (1 / 3))
    estimates = {"central difference": central_difference(function, x, epsilon).ravel()}
    resolutions = {"central difference": resolution(_value(function, x), steps)}
    if analytic:
        estimates["complex step"] = complex_step(function, x).ravel()
    labels = tuple(f"x[{', '.join(map(str, index))}]" for index in np.ndindex(x.shape))
    return GradientReport(labels, given.ravel(), estimates, resolutions, tolerance)


def resolution(value: float, epsilon: np.ndarray) -> np.ndarray:
    """Estimates the rounding error of a central difference, 8 u |f| / epsilon for about 8 roundings in f.

    Args:
        value: The function's value f.
        epsilon: The steps, any shape.

    Returns:
        The errors, in the shape of `epsilon`.

    Raises:
        ValueError: If the value is not finite or a step is not positive.
    """
    return _ROUNDINGS * UNIT_ROUNDOFF * abs(number("value", value)) / positive("epsilon", epsilon)


def require_tolerance(tolerance: float) -> None:
    """Raises ValueError unless `tolerance` is positive and finite."""
    positive_number("tolerance", tolerance)


def _per_coordinate(x: np.ndarray, quotient: Callable[[np.ndarray, int], float]) -> np.ndarray:
    """Returns the difference quotients along all coordinates, shaped like `x`."""
    result = np.empty(x.size)
    for i in range(x.size):
        unit = np.zeros(x.size)
        unit[i] = 1.0
        result[i] = quotient(unit.reshape(x.shape), i)
    return result.reshape(x.shape)


def _point_and_steps(x, epsilon, relative) -> tuple[np.ndarray, np.ndarray]:
    """Returns `x` and one step per coordinate, rounded so that x + step is exact."""
    x = _finite_array(x)
    flat = x.ravel()
    if epsilon is None:
        nominal = relative * np.maximum(1.0, np.abs(flat))
    else:
        nominal = np.full(flat.shape, positive("epsilon", epsilon, 0))
    steps = (flat + nominal) - flat
    if np.any(steps == 0):
        position = flat[steps == 0][0]
        raise ValueError(f"epsilon must not be rounded away in x + epsilon, got {epsilon} for x = {position}")
    return x, steps


def _finite_array(x) -> np.ndarray:
    x = finite("x", x)
    if x.size == 0:
        raise ValueError(f"x must hold at least one number, got shape {x.shape}")
    return x


def _value(function: Scalar, x: np.ndarray) -> float:
    return float(_finite_number(np.asarray(function(x))))


def _finite_number(value: np.ndarray):
    """Returns the single value of a function as a scalar."""
    if value.size != 1 or not np.all(np.isfinite(value)):
        returned = value.item() if value.size == 1 else value
        raise ValueError(f"function must return one finite number, got {described(returned)}")
    return value.item()
