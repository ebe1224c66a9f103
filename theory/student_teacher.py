r"""A linear student learns from the noisy labels of a linear teacher (Eqs. 6.0.1 to 6.0.13).

The labels are y = w_teacher X + noise. The student descends

    L(w) = 1/2 sum_i (w . x_i - y_i)^2,        dL/dw = X (X^T w - y),

and gradient flow is dw/dt = -dL/dw. With X = V Lambda^(1/2) U^T, the modes z = V^T w are independent:

    dz/dt = s - Lambda z,        s = V^T X y = Lambda z_teacher + Lambda^(1/2) U^T noise.

A mode with lambda = 0 keeps its initial value. The sign of the noise in Eqs. 6.0.2 to 6.0.4 of the notes is
wrong (docs/errata.md). Errors on new examples are per example: for inputs of variance v they are
v |w - w_teacher|^2 + sigma^2. With v = 1/P this is Eq. 6.0.14.

Legend: P parameters, D examples, T times, R repetitions.

References:
    Advani and Saxe, "High-dimensional dynamics of generalization error in neural networks" (2017),
    arXiv:1710.03667.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import arguments


class Modes(NamedTuple):
    """The eigenvectors of X X^T and what drives them.

    Args:
        eigenvalues: Eigenvalues lambda in descending order, zeros included, [P].
        vectors: Eigenvectors V in columns, [P, P], Eq. 6.0.7.
        drive: s = V^T X y, [P], Eq. 6.0.8.
        noise: The noise of each mode, U^T noise, [P], Eq. 6.0.11; zero if lambda is.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    drive: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True, eq=False)
class Regression:
    """Training examples of a linear teacher.

    Args:
        inputs: Inputs X, [P, D].
        teacher: The teacher's weights, [P].
        noise: The noise of the labels, [D].
        variance: The variance v of the inputs' distribution.

    Raises:
        ValueError: If the shapes do not match, a value is not finite, or `variance` is not positive.
    """

    inputs: np.ndarray
    teacher: np.ndarray
    noise: np.ndarray
    variance: float

    def __post_init__(self):
        for name, axes in (("inputs", 2), ("teacher", 1), ("noise", 1)):
            object.__setattr__(self, name, arguments.finite(name, getattr(self, name), axes))
        parameters, examples = self.inputs.shape
        arguments.has_shape("teacher", self.teacher, (parameters,))
        arguments.has_shape("noise", self.noise, (examples,))
        arguments.positive_number("variance", self.variance)

    @functools.cached_property
    def targets(self):
        """The labels y, [D], Eq. 6.0.1."""
        return self.teacher @ self.inputs + self.noise

    def loss(self, weights):
        """Returns the loss L, Eq. 6.0.2, [...], for weights [..., P]."""
        return np.sum((weights @ self.inputs - self.targets) ** 2, axis=-1) / 2

    def gradient(self, weights):
        """Returns the gradient of the loss, Eq. 6.0.3, [..., P], for weights [..., P]."""
        return (weights @ self.inputs - self.targets) @ self.inputs.T

    def train_error(self, weights):
        """Returns the mean squared error on the training examples, 2 L / D, [...], for weights [..., P]."""
        return 2 * self.loss(weights) / len(self.noise)

    def test_error(self, weights, noise):
        """Returns the expected squared error on a new example, Eq. 6.0.5, [...], for weights [..., P].

        Args:
            weights: Weights, [..., P].
            noise: Standard deviation of the noise of the new example.
        """
        return self.variance * np.sum((weights - self.teacher) ** 2, axis=-1) + noise**2

    @functools.cached_property
    def modes(self):
        """The `Modes` of the inputs, Eqs. 6.0.7, 6.0.8 and 6.0.11."""
        # Only the P eigenvectors of X X^T must be complete, not the D of X^T X.
        parameters, examples = self.inputs.shape
        vectors, roots, other = np.linalg.svd(self.inputs, full_matrices=parameters > examples)
        roots = np.where(
            roots > max(parameters, examples) * np.finfo(float).eps * roots.max(initial=0.0), roots, 0.0
        )
        missing = parameters - len(roots)
        noise = np.append((other @ self.noise)[: len(roots)] * (roots > 0), np.zeros(missing))
        roots = np.append(roots, np.zeros(missing))
        drive = roots**2 * (self.teacher @ vectors) + roots * noise
        return Modes(roots**2, vectors, drive, noise)

    def flow(self, initial, time):
        """Returns the weights under gradient flow, the solution of Eqs. 6.0.4 and 6.0.10.

        Args:
            initial: Initial weights, [P].
            time: Times, [T].

        Returns:
            Weights [T, P].

        Raises:
            ValueError: If `initial` has another shape or a time is negative.
        """
        initial, time = self._checked(initial), arguments.nonnegative("time", time, 1)[:, None]
        eigenvalues, vectors, drive, _ = self.modes
        target = np.divide(drive, eigenvalues, out=np.zeros_like(drive), where=eigenvalues > 0)
        z = (initial @ vectors) * np.exp(-eigenvalues * time) - target * np.expm1(-eigenvalues * time)
        return z @ vectors.T

    def mode_errors(self, initial, time):
        """Returns the teacher's minus the student's mode under gradient flow, Eq. 6.0.13.

        Args:
            initial: Initial weights, [P].
            time: Times, [T].

        Returns:
            Errors [T, P], in the order of `modes`.

        Raises:
            ValueError: If `initial` has another shape or a time is negative.
        """
        initial, time = self._checked(initial), arguments.nonnegative("time", time, 1)[:, None]
        eigenvalues, vectors, _, noise = self.modes
        overfit = np.divide(noise, np.sqrt(eigenvalues), out=np.zeros_like(noise), where=eigenvalues > 0)
        start = (self.teacher - initial) @ vectors
        return start * np.exp(-eigenvalues * time) + overfit * np.expm1(-eigenvalues * time)

    def limit(self, initial):
        """Returns the weights at infinite time, [P], Eq. 6.0.6.

        They are those of the pseudo-inverse plus the part of the initial weights that no example reaches.

        Args:
            initial: Initial weights, [P].

        Raises:
            ValueError: If `initial` has another shape.
        """
        initial = self._checked(initial)
        # The shortest of the corrections that remove as much of the residuals as possible.
        residuals = self.targets - initial @ self.inputs
        return initial + np.linalg.lstsq(self.inputs.T, residuals, rcond=None)[0]

    def ridge(self, strength):
        """Returns the minimum of L + strength |w|^2 / 2, [P].

        With strength sigma^2 / sigma_w^2 it is the mean of the posterior distribution of the teacher's
        weights, if they and the noise are Gaussian.

        Args:
            strength: A positive number.

        Raises:
            ValueError: If `strength` is not positive.
        """
        strength = arguments.positive_number("strength", strength)
        eigenvalues, vectors, drive, _ = self.modes
        return vectors @ (drive / (eigenvalues + strength))

    def _checked(self, initial):
        initial = arguments.finite("initial", initial, 1)
        arguments.has_shape("initial", initial, self.teacher.shape)
        return initial


def draw(parameters, examples, *, noise, teacher=1.0, variance=None, seed=0):
    """Draws Gaussian inputs, a Gaussian teacher and Gaussian noise.

    Args:
        parameters: Number P of parameters.
        examples: Number D of examples.
        noise: Standard deviation of the noise.
        teacher: Standard deviation of the teacher's weights.
        variance: Variance of the inputs; `None` for 1/P.
        seed: Seed, or a `numpy.random.Generator`.

    Returns:
        A `Regression`.

    Raises:
        ValueError: If an argument is out of range.
    """
    p, d = arguments.integer("parameters", parameters, 1), arguments.integer("examples", examples, 1)
    noise, teacher = (arguments.nonnegative_number(k, v) for k, v in (("noise", noise), ("teacher", teacher)))
    variance = arguments.positive_number("variance", 1 / p if variance is None else variance)
    rng = np.random.default_rng(seed)
    inputs = np.sqrt(variance) * rng.normal(size=(p, d))
    return Regression(inputs, teacher * rng.normal(size=p), noise * rng.normal(size=d), variance)


class Simulation(NamedTuple):
    """Errors of simulated students.

    Args:
        steps: Numbers of steps, [T].
        test: Test errors of each student, Eq. 6.0.5, [R, T].
        train: Training errors of each student, [R, T].
        regressions: The `Regression`s, R of them.
    """

    steps: np.ndarray
    test: np.ndarray
    train: np.ndarray
    regressions: list


def simulate(
    parameters,
    examples,
    *,
    learning_rate,
    steps,
    noise,
    teacher=1.0,
    initial=0.0,
    repeats=20,
    seed=0,
):
    """Trains students by gradient descent on Gaussian data, each with a teacher, inputs and noise of its own.

    Args:
        parameters: Number P of parameters.
        examples: Number D of examples.
        learning_rate: Step size.
        steps: Increasing numbers of steps after which to measure, [T].
        noise: Standard deviation of the noise.
        teacher: Standard deviation of the teacher's weights.
        initial: Standard deviation of the initial weights.
        repeats: Number R of students.
        seed: Seed of all draws.

    Returns:
        A `Simulation`.

    Raises:
        ValueError: If an argument is out of range, or the descent diverges beyond 1.8e308.
    """
    rate = arguments.positive_number("learning_rate", learning_rate)
    steps = arguments.integers("steps", steps, 0).astype(int)
    if steps.ndim != 1 or np.any(np.diff(steps) <= 0):
        raise ValueError(
            f"steps must be an increasing sequence of integers, got {arguments.described(steps)}"
        )
    initial = arguments.nonnegative_number("initial", initial)
    rng = np.random.default_rng(seed)
    kinds = {"noise": noise, "teacher": teacher, "seed": rng}
    regressions = [
        draw(parameters, examples, **kinds) for _ in range(arguments.integer("repeats", repeats, 1))
    ]
    test, train = np.empty((2, repeats, len(steps)))
    for row, regression in enumerate(regressions):
        weights, done = initial * rng.normal(size=parameters), 0
        for column, count in enumerate(steps):
            with np.errstate(over="ignore", invalid="ignore"):
                for _ in range(count - done):
                    weights = weights - rate * regression.gradient(weights)
                done = count
                test[row, column] = regression.test_error(weights, noise)
                train[row, column] = regression.train_error(weights)
    if not np.isfinite([test, train]).all():
        raise ValueError(f"learning_rate must be so small that the descent does not diverge, got {rate:.9g}")
    return Simulation(steps, test, train, regressions)
