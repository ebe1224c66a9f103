"""Test error against the number of parameters, through the interpolation threshold (chapter 6).

Models regress one-hot labels of digits, a part of which is random, by least squares. With random features
only the last layer is fitted, and the solution of smallest norm is exact. A two-layer network trains both.

Legend: N training images, K = 10 classes, F features or hidden units, M sizes, S seeds.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from ...publishing.page import style
from ..figure import Figure
from . import training_curves

_EXAMPLES, _RANDOM_LABELS, _CLASSES = 200, 0.2, 10


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
        tf.constant(np.stack([part[i][j] for part in parts]), tf.float32) for i in (0, 1) for j in (0, 1)
    )
    inputs = x.shape[-1]
    errors = np.array([_train_two_layers(x, y, new_x, new_y, size, steps) for size in sizes])
    train, test = errors.transpose(1, 2, 0)
    threshold = (examples * _CLASSES - _CLASSES) / (inputs + 1 + _CLASSES)
    return Descent(np.array(sizes), threshold, train, test)


def _train_two_layers(x, y, new_x, new_y, size, steps):
    """Returns the training and test errors, [2, S], of S networks after the last step."""
    seeds, _, inputs = x.shape
    rng = np.random.default_rng(size)

    def variable(*shape, scale):
        return tf.Variable(rng.normal(scale=scale, size=(seeds, *shape)).astype(np.float32))

    weights = [
        variable(inputs, size, scale=(2 / inputs) ** 0.5),
        variable(1, size, scale=0.0),
        variable(size, _CLASSES, scale=size**-0.5),
        variable(1, _CLASSES, scale=0.0),
    ]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, steps))
    optimizer.build(weights)

    def error(images, targets):
        hidden = tf.nn.relu(images @ weights[0] + weights[1])
        squares = tf.reduce_sum((hidden @ weights[2] + weights[3] - targets) ** 2, axis=-1)
        return tf.reduce_mean(squares, axis=-1)

    @tf.function
    def run():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                # The networks are independent: the gradient of the sum is that of each.
                loss = tf.reduce_sum(error(x, y))
            optimizer.apply(tape.gradient(loss, weights), weights)
        return error(x, y), error(new_x, new_y)

    return np.array(run())


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
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.set_title(title, loc="left", fontsize=11)
    axes[0, 0].set(ylim=(0.05, 1500), ylabel="squared error, summed over classes")
    axes[0, 1].set(ylim=(0.08, 3))
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
        "4,000 steps; dotted, as many parameters as images times classes."
    ),
    place=6,
)
