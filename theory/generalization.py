r"""Generalization and overfitting of a linear student, averaged over teachers and noise (chapter 6).

A teacher with P weights labels D examples, and a student with P weights starts from random weights and
descends the squared error (theory/student_teacher.py). Averaged over the weights and the noise, only the
eigenvalues lambda of X X^T matter. If a fraction f(lambda) of each mode has been learned,

    E_test  = sigma^2 + < S (1 - f)^2 + sigma^2 f^2 / lambda >,
    E_train = 1/r < (S lambda + sigma^2) (1 - f)^2 >_{lambda > 0} + sigma^2 (1 - rank / D),

with S = sigma_w^2 + sigma_0^2, r = D/P, inputs of variance 1/P, and the mean over the P eigenvalues. Gradient
flow has f = 1 - exp(-lambda t), Eq. 6.0.14; descent with steps of size eta has f = 1 - (1 - eta lambda)^n; an
L2 penalty gamma |w|^2 / 2 has f = lambda / (lambda + gamma) and S = sigma_w^2, because its minimum does not
depend on the initial weights. A mode with lambda = 0 is never learned and contributes S.

The mean in E_test is smallest for f = lambda / (lambda + sigma^2 / S), mode by mode. With w(0) = 0 an L2
penalty of sigma^2 / sigma_w^2 has this f in all modes at once, so no other function of the eigenvalues
generalizes better, and early stopping does not. For Gaussian teachers and noise the student is then the mean
of the posterior distribution, and no estimator at all is better.

Legend: M eigenvalues (with equal weights, or the nodes of a quadrature), P parameters, D examples.

References:
    Advani and Saxe, "High-dimensional dynamics of generalization error in neural networks" (2017),
    arXiv:1710.03667.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from .. import arguments
from .random_matrix import MarchenkoPastur


class Errors(NamedTuple):
    """Mean squared errors of a student.

    Args:
        test: The error on new examples with new noise, Eq. 6.0.5.
        train: The error on the training examples.
    """

    test: np.ndarray
    train: np.ndarray


class Stopping(NamedTuple):
    """Early stopping at the best time.

    Args:
        time: The time of the smallest test error; infinite without noise.
        errors: The `Errors` at that time.
    """

    time: float
    errors: Errors


@dataclass(frozen=True, eq=False)
class LinearStudent:
    """A linear student that learns from a linear teacher, averaged over weights and noise.

    `limit` and `of_inputs` create it.

    Args:
        eigenvalues: Eigenvalues of X X^T for inputs of variance 1/P, [M]; zeros included.
        weights: Fractions of the P eigenvalues, [M], which sum to 1.
        ratio: r = D/P, examples per parameter.
        noise: Standard deviation sigma of the noise of the labels.
        teacher: Standard deviation sigma_w of the teacher's weights.
        initial: Standard deviation sigma_0 of the student's initial weights.

    Raises:
        ValueError: If an eigenvalue, a weight, `noise` or `initial` is negative, `ratio` or `teacher` is not
            positive, or the weights do not sum to 1.
    """

    eigenvalues: np.ndarray
    weights: np.ndarray
    ratio: float
    noise: float
    teacher: float = 1.0
    initial: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "eigenvalues", arguments.nonnegative("eigenvalues", self.eigenvalues, 1))
        object.__setattr__(self, "weights", arguments.distributions("weights", self.weights))
        arguments.same_shape(eigenvalues=self.eigenvalues, weights=self.weights)
        arguments.positive_number("ratio", self.ratio)
        _check_deviations(self.noise, self.teacher, self.initial)

    @classmethod
    def limit(cls, ratio, *, noise, teacher=1.0, initial=0.0):
        """Returns the student in the limit P, D -> infinity, with the Marchenko-Pastur law of Eq. 6.0.15.

        Args:
            ratio: r = D/P, examples per parameter.
            noise: Standard deviation of the noise.
            teacher: Standard deviation of the teacher's weights.
            initial: Standard deviation of the student's initial weights.

        Raises:
            ValueError: If an argument is out of range.
        """
        return cls(*MarchenkoPastur(ratio).quadrature(), ratio, noise, teacher, initial)

    @classmethod
    def of_inputs(cls, inputs, *, noise, teacher=1.0, initial=0.0):
        """Returns the student for given training inputs.

        Args:
            inputs: The training inputs X, [P, D], of variance 1/P.
            noise: Standard deviation of the noise.
            teacher: Standard deviation of the teacher's weights.
            initial: Standard deviation of the student's initial weights.

        Raises:
            ValueError: If an argument is out of range.
        """
        inputs = arguments.finite("inputs", inputs, 2)
        parameters, examples = inputs.shape
        if not inputs.size:
            raise ValueError(f"inputs must hold at least one example and parameter, got shape {inputs.shape}")
        roots = np.linalg.svd(inputs, compute_uv=False)
        roots[roots <= max(parameters, examples) * np.finfo(float).eps * roots[0]] = 0.0
        eigenvalues = np.append(roots**2, np.zeros(parameters - len(roots)))
        weights = np.full(parameters, 1 / parameters)
        return cls(eigenvalues, weights, examples / parameters, noise, teacher, initial)

    def flow(self, time):
        """Returns the `Errors` of gradient flow, Eq. 6.0.14.

        Args:
            time: Times t, of any shape, in units of 1 / lambda.

        Raises:
            ValueError: If a time is negative.
        """
        time = arguments.nonnegative("time", time)[..., None]
        return self._errors(-np.expm1(-self.eigenvalues * time), self._signal)

    def descent(self, learning_rate, steps):
        """Returns the `Errors` of gradient descent on the sum over examples of the squared error / 2.

        Above a learning rate of 2 / lambda of the largest eigenvalue, they diverge with the steps.

        Args:
            learning_rate: Step size eta; `learning_rate * steps` is the time of gradient flow.
            steps: Numbers of steps, of any shape.

        Raises:
            ValueError: If `learning_rate` is not positive or a number of steps is not an integer of at least
                0.
        """
        rate = arguments.positive_number("learning_rate", learning_rate)
        steps = arguments.integers("steps", steps, 0)[..., None]
        # Errors of a descent that diverges may exceed 1.8e308.
        with np.errstate(over="ignore"):
            return self._errors(1 - (1 - rate * self.eigenvalues) ** steps, self._signal)

    def final(self):
        """Returns the `Errors` of gradient flow at infinite time, those of the pseudo-inverse if w(0) = 0.

        With noise, the test error is infinite in the limit of `ratio=1`, where the quadrature gives a large
        number; `final_test_error` returns infinity.
        """
        return self._errors((self.eigenvalues > 0).astype(float), self._signal)

    def ridge(self, strength):
        """Returns the `Errors` of the minimum of the loss with an L2 penalty.

        Args:
            strength: Factors gamma of |w|^2 / 2, of any shape.

        Raises:
            ValueError: If a factor is negative.
        """
        strength = arguments.nonnegative("strength", strength)[..., None]
        learned = np.zeros(np.broadcast_shapes(strength.shape, self.eigenvalues.shape))
        np.divide(self.eigenvalues, self.eigenvalues + strength, out=learned, where=self.eigenvalues > 0)
        return self._errors(learned, self.teacher**2)

    @property
    def best_strength(self):
        """The factor of the L2 penalty with the smallest test error, sigma^2 / sigma_w^2."""
        return (self.noise / self.teacher) ** 2

    def best_stopping(self):
        """Returns the `Stopping` of gradient flow with the smallest test error.

        A single mode is best stopped at log(1 + lambda S / sigma^2) / lambda, which decreases with lambda.
        The best time for all modes is between those of the largest and of the smallest positive eigenvalue.
        """
        if self.noise == 0:
            return Stopping(np.inf, self.final())
        positive = self.eigenvalues[self.eigenvalues > 0]
        if not len(positive):
            return Stopping(0.0, self.flow(0.0))
        extremes = np.array([positive.max(), positive.min()])
        low, high = np.log(np.log1p(extremes * self._signal / self.noise**2) / extremes)
        grid = np.linspace(low, high, 200)
        best = np.argmin(self.flow(np.exp(grid)).test)
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = minimize_scalar(
            lambda log: self.flow(np.exp(log)).test, bounds=around, method="bounded", options={"xatol": 1e-9}
        )
        return Stopping(float(np.exp(found.x)), self.flow(np.exp(found.x)))

    @property
    def _signal(self):
        """S = sigma_w^2 + sigma_0^2, the mean squared distance per weight of student and teacher at t = 0."""
        return self.teacher**2 + self.initial**2

    def _errors(self, learned, signal):
        """Returns the `Errors` for learned fractions f, [..., M], and a signal S."""
        variance = self.noise**2
        positive = self.eigenvalues > 0
        overfit = np.zeros(learned.shape)
        if variance:
            np.divide(variance * learned**2, self.eigenvalues, out=overfit, where=positive)
        test = np.sum(self.weights * (signal * (1 - learned) ** 2 + overfit), axis=-1) + variance
        fitted = self.weights * positive / self.ratio
        train = np.sum(fitted * (signal * self.eigenvalues + variance) * (1 - learned) ** 2, axis=-1)
        # Rounding may make the fraction of examples that no mode reaches slightly negative.
        return Errors(test, train + variance * max(0.0, 1 - np.sum(fitted)))


def final_test_error(ratio, *, noise, teacher=1.0, initial=0.0):
    r"""Returns the test error of gradient flow at infinite time for P, D -> infinity, in closed form.

    \[ E = \begin{cases} (1 - r) S + \sigma^2 / (1 - r) & r < 1 \\ \sigma^2 r / (r - 1) & r > 1 \end{cases} \]

    With noise it diverges at r = 1.

    Args:
        ratio: Ratios r = D/P, of any shape.
        noise: Standard deviation sigma of the noise.
        teacher: Standard deviation of the teacher's weights.
        initial: Standard deviation of the student's initial weights.

    Returns:
        The errors, infinite at r = 1 with noise.

    Raises:
        ValueError: If an argument is out of range.
    """
    r = arguments.positive("ratio", ratio)
    _check_deviations(noise, teacher, initial)
    distance = np.abs(1 - r)
    inverse = np.divide(np.minimum(r, 1), distance, out=np.full(r.shape, np.inf), where=distance > 0)
    overfit = noise * (noise * inverse) if noise else 0.0
    return np.maximum(1 - r, 0) * (teacher**2 + initial**2) + noise**2 + overfit


def expected_final_test_error(parameters, examples, *, noise, teacher=1.0, initial=0.0):
    r"""Returns the exact mean over Gaussian inputs of the test error at infinite time, for finite P and D.

    The mean of \(\mathrm{tr} (X X^T)^{-1}\) over Gaussian X is that of an inverse Wishart matrix, so that
    \(\sigma^2 \min(r, 1) / |1 - r|\) becomes \(\sigma^2 \min(D, P) / (|D - P| - 1)\).

    Args:
        parameters: Number P of parameters.
        examples: Number D of examples.
        noise: Standard deviation sigma of the noise.
        teacher: Standard deviation of the teacher's weights.
        initial: Standard deviation of the student's initial weights.

    Returns:
        The error, infinite if |D - P| is at most 1 and there is noise.

    Raises:
        ValueError: If an argument is out of range.
    """
    p, d = arguments.integer("parameters", parameters, 1), arguments.integer("examples", examples, 1)
    _check_deviations(noise, teacher, initial)
    gap = abs(d - p) - 1
    overfit = noise**2 * (min(d, p) / gap if gap > 0 else np.inf) if noise else 0.0
    return max(1 - d / p, 0.0) * (teacher**2 + initial**2) + noise**2 + overfit


def ridge_test_error(ratio, strength, *, noise, teacher=1.0):
    r"""Returns the test error with an L2 penalty for P, D -> infinity, in closed form.

    With the resolvent m of `random_matrix`,

    \[ E = \sigma^2 - \sigma_w^2 \gamma^2 m'(\gamma) + \sigma^2 (m(\gamma) + \gamma m'(\gamma)), \]

    which is \(\sigma^2 (1 + m(\gamma))\) at the best strength \(\gamma = \sigma^2 / \sigma_w^2\).

    Args:
        ratio: r = D/P.
        strength: Positive factors gamma of |w|^2 / 2, of any shape.
        noise: Standard deviation sigma of the noise.
        teacher: Standard deviation of the teacher's weights.

    Raises:
        ValueError: If an argument is out of range.
    """
    law = MarchenkoPastur(ratio)
    gamma = arguments.positive("strength", strength)
    _check_deviations(noise, teacher, 0.0)
    # With t = gamma m, m' is -m (1 + m) / R and m + gamma m' is (1 - t) / R, which does not cancel.
    m = law.resolvent(gamma)
    t = gamma * m
    root = t + 1 / m
    return noise**2 * (1 + (1 - t) / root) + teacher**2 * t * ((gamma + t) / root)


def _check_deviations(noise, teacher, initial):
    arguments.nonnegative_number("noise", noise)
    arguments.positive_number("teacher", teacher)
    arguments.nonnegative_number("initial", initial)
