"""Test error against the number of parameters, through the interpolation threshold (chapter 6).

Models regress one-hot labels of digits, a part of which is random, by least squares. With random features
only the last layer is fitted, and the solution of smallest norm is exact. A two-layer network trains both.

Legend: N training images, K = 10 classes, F features or hidden units, M sizes, S seeds.
"""

from dataclasses import dataclass

import numpy as np
import threadpoolctl

from ...publishing.page import style
from ..figure import Figure
from . import training_curves

_EXAMPLES, _RANDOM_LABELS, _CLASSES = 200, 0.2, 10
# Keras's defaults of Adam.
_BETAS, _EPSILON = (0.9, 0.999), 1e-7
# The threads of BLAS would mostly wait for each other on matrices this small.
_ONE_THREAD = threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Descent:
    """Errors against the size of a model.

    Args:
        sizes: Numbers of features or hidden units, [M].
        threshold: The size with as many fitted parameters as equations.
        train: Mean squared error on the training labels, summed over classes, [S, M].
        test: The same on the test images.
        regularized: That with the best of several L2 penalties, [S, M]; `None` if it was not measured.
    """

    sizes: np.ndarray
    threshold: float
    train: np.ndarray
    test: np.ndarray
    regularized: np.ndarray | None = None


@_ONE_THREAD
def random_features(sizes=None, examples=_EXAMPLES, seeds=5):
    """Fits the least squares of smallest norm on random ReLU features of digits.

    Args:
        sizes: Numbers F of features, [M]; `None` for 17 from 10 to 4,000.
        examples: Number N of training images.
        seeds: Number S of seeds of the features and of the random labels.

    Returns:
        A `Descent`.
    """
    if sizes is None:
        around = (0.5, 0.75, 0.9, 1.0, 1.1, 1.3, 2.0)
        sizes = [10, 20, 40, 70, *(round(f * examples) for f in around), 700, 1200, 2000, 4000]
    train, test, regularized = np.empty((3, seeds, len(sizes)))
    for seed in range(seeds):
        (x, y), (new_x, new_y) = _regression(examples, seed)
        for column, size in enumerate(sizes):
            matrix = np.random.default_rng([seed, size]).normal(size=(x.shape[1], size))
            features, new = (np.maximum(each @ matrix, 0) / np.sqrt(size) for each in (x, new_x))
            shortest, penalized = least_squares(features, y, np.geomspace(1e-3, 100, 11))
            train[seed, column] = _squared_error(features @ shortest, y)
            test[seed, column] = _squared_error(new @ shortest, new_y)
            regularized[seed, column] = min(_squared_error(new @ each, new_y) for each in penalized)
    return Descent(np.array(sizes), examples, train, test, regularized)


def least_squares(features, targets, strengths):
    """Returns the least-squares coefficients of smallest norm, and those with L2 penalties.

    Args:
        features: Features, [N, F].
        targets: Targets, [N, K].
        strengths: Factors gamma of |w|^2, added to the sum of squared errors.

    Returns:
        (coefficients [F, K], a list of coefficients [F, K] for each factor).
    """
    left, roots, right = np.linalg.svd(features, full_matrices=False)
    rotated = (left.T @ targets).T  # [K, rank]
    kept = roots > max(features.shape) * np.finfo(float).eps * roots[0]
    inverse = np.divide(1.0, roots, out=np.zeros_like(roots), where=kept)
    filters = [inverse, *(roots / (roots**2 + gamma) for gamma in strengths)]
    shortest, *penalized = (right.T @ (each * rotated).T for each in filters)
    return shortest, penalized


@_ONE_THREAD
def two_layers(sizes=(2, 4, 8, 12, 16, 20, 26, 34, 50, 100, 250), examples=_EXAMPLES, seeds=3, steps=4000):
    """Trains networks with one hidden layer of ReLUs by full-batch Adam, all seeds at a time.

    Args:
        sizes: Numbers F of hidden units, [M].
        examples: Number N of training images.
        seeds: Number S of seeds of the weights and of the random labels.
        steps: Number of steps.

    Returns:
        A `Descent`. A network has as many parameters as equations, N K, at the threshold.
    """
    parts = [_regression(examples, seed) for seed in range(seeds)]
    x, y, new_x, new_y = (
        np.stack([part[i][j] for part in parts]).astype(np.float32) for i in (0, 1) for j in (0, 1)
    )
    train, test = np.empty((2, seeds, len(sizes)))
    for column, size in enumerate(sizes):
        networks = Networks(seeds, x.shape[-1], size, y.shape[-1], seed=size)
        networks.train(x, y, steps)
        train[:, column], test[:, column] = networks.error(x, y), networks.error(new_x, new_y)
    threshold = (examples * _CLASSES - _CLASSES) / (x.shape[-1] + 1 + _CLASSES)
    return Descent(np.array(sizes), threshold, train, test)


class Networks:
    """Networks of one hidden layer of ReLUs, one for each seed, in NumPy.

    On data this small, a framework spends more time on its operations than on their arithmetic.

    Args:
        seeds: Number S of networks.
        inputs: Number D of inputs.
        size: Number F of hidden units.
        outputs: Number K of outputs.
        seed: Seed of the weights.
        dtype: Their type.

    Attributes:
        flat: All weights, [S, P].
        weights: Views of them: kernel [S, D, F] and bias [S, 1, F] of the first layer, and kernel [S, F, K]
            and bias [S, 1, K] of the second.
    """

    def __init__(self, seeds, inputs, size, outputs, seed, dtype=np.float32):
        self._shapes = ((inputs, size), (1, size), (size, outputs), (1, outputs))
        rng = np.random.default_rng(seed)
        self.flat = np.zeros((seeds, sum(rows * columns for rows, columns in self._shapes)), dtype)
        self.weights = self._views(self.flat)
        for kernel, scale in ((self.weights[0], (2 / inputs) ** 0.5), (self.weights[2], size**-0.5)):
            kernel[:] = rng.normal(scale=scale, size=kernel.shape)

    def error(self, x, y):
        """Returns the squared error of each network, summed over outputs, [S].

        Args:
            x: Inputs of each network, [S, N, D].
            y: Targets, [S, N, K].
        """
        return np.mean(np.sum((self._forward(x)[1] - y) ** 2, axis=-1), axis=-1)

    def gradient(self, x, y):
        """Returns the gradient of each network's error with respect to its weights, [S, P]."""
        hidden, predictions = self._forward(x)
        gradient = np.empty_like(self.flat)
        kernel, bias, last_kernel, last_bias = self._views(gradient)
        residuals = (predictions - y) * (2 / y.shape[1])
        np.matmul(hidden.swapaxes(1, 2), residuals, out=last_kernel)
        np.sum(residuals, axis=1, keepdims=True, out=last_bias)
        slopes = residuals @ self.weights[2].swapaxes(1, 2)
        slopes *= hidden > 0
        np.matmul(x.swapaxes(1, 2), slopes, out=kernel)
        np.sum(slopes, axis=1, keepdims=True, out=bias)
        return gradient

    def train(self, x, y, steps, rate=0.01):
        """Trains the networks by Adam on all examples at a time, with a rate that falls to zero as a cosine.

        Args:
            x: Inputs, [S, N, D].
            y: Targets, [S, N, K].
            steps: Number of steps.
            rate: Learning rate of the first step.
        """
        mean, square = np.zeros((2, *self.flat.shape), self.flat.dtype)
        for step in range(steps):
            gradient = self.gradient(x, y)
            mean += (1 - _BETAS[0]) * (gradient - mean)
            square += (1 - _BETAS[1]) * (gradient**2 - square)
            now = rate * (1 + np.cos(np.pi * step / steps)) / 2
            now *= np.sqrt(1 - _BETAS[1] ** (step + 1)) / (1 - _BETAS[0] ** (step + 1))
            self.flat -= float(now) * mean / (np.sqrt(square) + _EPSILON)

    def _forward(self, x):
        """Returns the hidden units [S, N, F] and the outputs [S, N, K]."""
        kernel, bias, last_kernel, last_bias = self.weights
        hidden = x @ kernel
        hidden += bias
        np.maximum(hidden, 0, out=hidden)
        return hidden, hidden @ last_kernel + last_bias

    def _views(self, flat):
        """Returns the parts of each layer of arrays [S, P]."""
        views, start = [], 0
        for shape in self._shapes:
            stop = start + shape[0] * shape[1]
            views.append(flat[:, start:stop].reshape(len(flat), *shape))
            start = stop
        return views


def plot(features, network):
    """Draws the errors of both models against the number of parameters.

    Args:
        features: The `Descent` of random features.
        network: The `Descent` of two-layer networks.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=2)
    titles = ("Random features, shortest least squares", "Two-layer network, trained by Adam")
    labels = ("random features", "hidden units")
    for axis, descent, title, label in zip(axes[0], (features, network), titles, labels, strict=True):
        _line(axis, descent.sizes, descent.test, style.VERMILION, "-", "test")
        _line(axis, descent.sizes, descent.train, style.MUTED, "--", "training")
        if descent.regularized is not None:
            _line(axis, descent.sizes, descent.regularized, style.BLUE, "-", r"test, best $L^2$ penalty")
        axis.axvline(descent.threshold, color=style.INK, linewidth=1, linestyle=":")
        # A training error of zero is below the axis.
        axis.set(xscale="log", yscale="log", ylim=(0.05, 3 * descent.test.max()), xlabel=label)
        axis.set_title(title, loc="left", fontsize=11)
    axes[0, 0].set_ylabel("squared error, summed over classes")
    style.legend_below(figure)
    return figure


def draw():
    """Fits and trains all models and draws their errors."""
    return plot(random_features(), two_layers())


def _regression(examples, seed):
    """Returns inputs and one-hot labels for training and for testing, from which means are subtracted."""
    train, test = training_curves.digits(examples, _RANDOM_LABELS, seed)
    mean = train.images.reshape(examples, -1).mean(axis=0)

    def part(images):
        x = images.images.reshape(len(images.labels), -1) - mean
        return x.astype(np.float64), np.eye(_CLASSES)[images.labels] - 1 / _CLASSES

    return part(train), part(test)


def _squared_error(predictions, targets):
    return np.mean(np.sum((predictions - targets) ** 2, axis=1))


def _line(axis, sizes, errors, color, line, label):
    axis.plot(sizes, np.median(errors, axis=0), line, color=color, linewidth=1.8, label=label)
    axis.fill_between(sizes, errors.min(axis=0), errors.max(axis=0), color=color, alpha=0.15, linewidth=0)


FIGURE = Figure(
    section="6",
    name="double_descent",
    draw=draw,
    caption=(
        "Double descent on 200 digits, a fifth of them with random labels: squared error of one-hot labels "
        "against the size of the model (medians and ranges over seeds). Left: ReLU features with random "
        "weights and the least-squares solution of smallest norm. The test error peaks where the training "
        "error vanishes, at as many features as images (dotted), and falls again beyond, below its first "
        "minimum. The best L² penalty removes the peak. Right: networks whose two layers are trained for "
        "4,000 steps. Their test error, too, rises until the training error nearly vanishes, here with fewer "
        "parameters than images times classes (dotted), and falls in larger networks."
    ),
    place=6,
)
