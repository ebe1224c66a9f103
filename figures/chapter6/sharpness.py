"""Flat and sharp minima: the Hessian after training with small and large batches, and after a rescaling.

Multiplying the weights and biases of a layer of ReLUs by a, and dividing the weights of the next layer by a,
changes no output. The second derivatives with respect to the former are divided by a^2, and those with
respect to the latter are multiplied by it, so that the trace of the Hessian is

    T(a) = T_1 / a^2 + T_2 a^2 + T_rest.

Legend: S seeds, M factors a.

References:
    Keskar et al., "On large-batch training for deep learning: generalization gap and sharp minima" (2016),
    arXiv:1609.04836.
    Dinh et al., "Sharp minima can generalize for deep nets" (2017), arXiv:1703.04933.
"""

from dataclasses import dataclass

import keras
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ... import zoo
from ...losses.classification import CategoricalNLL
from ...optimizers.curvature import Hessian, hutchinson_trace, lanczos_spectrum
from ...publishing.page import style
from ..figure import Figure
from . import training_curves

SMALL, LARGE = 16, None
"""Batch sizes; `None` is all images."""

_WIDTHS = (32, 32)
_COLORS = {SMALL: style.BLUE, LARGE: style.VERMILION}
_LABELS = {SMALL: "batches of 16", LARGE: "all images in a batch"}


@dataclass(frozen=True)
class Minimum:
    """The end of a training run.

    Args:
        batch_size: Images in a batch; `None` for all.
        steps: Number of steps.
        train_loss: Mean negative log-likelihood on the training images, nats.
        test_loss: The same on the test images.
        test_accuracy: Accuracy on the test images.
        largest: Largest eigenvalue of the Hessian of the training loss.
        trace: Trace of the Hessian.
    """

    batch_size: int | None
    steps: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    largest: float
    trace: float


@dataclass(frozen=True)
class Rescaling:
    """The Hessian of one network after rescaling its layers.

    Args:
        factors: Factors a, [M].
        largest: Largest eigenvalues, [M].
        trace: Traces, [M].
        blocks: (T_1, T_2, T_rest), the parts of the trace at a = 1.
        change: The largest change of any logit of the test images over all factors.
    """

    factors: np.ndarray
    largest: np.ndarray
    trace: np.ndarray
    blocks: tuple[float, float, float]
    change: float


def train(batch_size, target=0.02, steps=6000, points=200, seed=0):
    """Trains a small network by SGD until its training loss is below a target.

    Args:
        batch_size: Images in a batch; `None` for all.
        target: Training loss at which to stop. The Hessian of the likelihood decreases with the loss, so that
            minima are compared at nearly the same loss.
        steps: Largest number of steps.
        points: Number of times at which the loss is measured.
        seed: Seed of the weights and of the batches.

    Returns:
        (model, `training_curves.Curves`).
    """
    keras.utils.set_random_seed(seed)
    model = zoo.build("mlp_digits", widths=_WIDTHS, dropout=0.0)
    images, test = training_curves.digits()
    measured = np.unique(np.geomspace(10, steps, points).round().astype(int))
    optimizer = keras.optimizers.SGD(0.1)
    curves = training_curves.train(
        model, images, test, optimizer, measured, batch_size=batch_size, target=target, seed=seed
    )
    return model, curves


def hessian_of(model, examples=None):
    """Returns the Hessian of the mean negative log-likelihood of the training images.

    Args:
        model: A classifier of digits.
        examples: Number of training images; `None` for all.
    """
    images, _ = training_curves.digits(examples)
    return Hessian(model, (images.images, images.labels), CategoricalNLL(), batch_size=len(images.labels))


def curvature(hessian, steps=15, probes=20):
    """Returns the largest eigenvalue and the trace of a Hessian.

    Args:
        hessian: The matrix.
        steps: Steps of the Lanczos iteration.
        probes: Random vectors of the estimate of the trace, half of which are used for its exact part.
    """
    rank = probes // 2
    return (
        lanczos_spectrum(hessian, steps).values[0],
        hutchinson_trace(hessian, probes - rank, rank=rank).value,
    )


def rescale(model, factor):
    """Multiplies the first hidden layer by a factor and divides the next weights by it, in place.

    Args:
        model: A network of dense layers of ReLUs.
        factor: The positive factor a.
    """
    first, bias, second = _rescaled(model)
    for variable, power in ((first, 1), (bias, 1), (second, -1)):
        variable.assign(variable * factor**power)


def block_traces(model, hessian, probes=40, seed=0):
    """Returns (T_1, T_2, T_rest), the trace of the Hessian over the two rescaled blocks and the rest.

    Args:
        model: The network.
        hessian: Its Hessian.
        probes: Random vectors for each block.
        seed: Seed of the vectors.
    """
    first, bias, second = (id(v) for v in _rescaled(model))
    blocks = np.concatenate(
        [
            np.full(np.size(v), 0 if id(v) in (first, bias) else 1 if id(v) == second else 2)
            for v in model.trainable_variables
        ]
    )

    def trace(block):
        inside = np.flatnonzero(blocks == block)

        def product(vector):
            whole = np.zeros(len(blocks))
            whole[inside] = vector
            return hessian.matvec(whole)[inside]

        rank = min(probes // 2, len(inside) - 1)
        estimate = hutchinson_trace(product, probes, rank=rank, dimension=len(inside), seed=seed)
        return estimate.value

    return tuple(trace(block) for block in range(3))


def measure(seeds=3):
    """Trains with small and with large batches and measures the Hessians.

    Args:
        seeds: Number S of seeds.

    Returns:
        (a list of `Minimum`, the model of seed 0 trained with small batches, its Hessian).
    """
    minima, first = [], None
    for batch_size in (SMALL, LARGE):
        for seed in range(seeds):
            model, curves = train(batch_size, seed=seed)
            if first is None:
                first, hessian, weights = model, hessian_of(model), model.get_weights()
            # The compiled products of one model take the weights of all.
            first.set_weights(model.get_weights())
            minima.append(
                Minimum(
                    batch_size,
                    int(curves.steps[-1]),
                    *(float(v[-1]) for v in (curves.train_loss, curves.test_loss, curves.test_accuracy)),
                    *curvature(hessian),
                )
            )
    first.set_weights(weights)
    return minima, first, hessian


def measure_rescaling(model, hessian, factors=(0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)):
    """Measures the Hessian of a network after each rescaling, and restores the network.

    Args:
        model: A network of dense layers of ReLUs.
        hessian: Its Hessian.
        factors: Factors a, [M].

    Returns:
        A `Rescaling`.
    """
    weights, (_, test) = model.get_weights(), training_curves.digits()
    logits = model(test.images).numpy()
    blocks, results, change = block_traces(model, hessian), [], 0.0
    for factor in factors:
        rescale(model, factor)
        results.append(curvature(hessian))
        change = max(change, float(np.abs(model(test.images).numpy() - logits).max()))
        model.set_weights(weights)
    return Rescaling(np.array(factors), *np.transpose(results), blocks, change)


def table(minima):
    """Returns the header and the rows of the table: a row for each minimum.

    Args:
        minima: A list of `Minimum`.
    """
    header = (
        "training",
        "steps",
        "training loss",
        "test loss",
        "test accuracy",
        "largest eigenvalue",
        "trace",
    )
    rows = [
        (
            _LABELS[m.batch_size],
            f"{m.steps:,}",
            f"{m.train_loss:.4f}",
            f"{m.test_loss:.3f}",
            f"{100 * m.test_accuracy:.1f} %",
            f"{m.largest:.1f}",
            f"{m.trace:.0f}",
        )
        for m in minima
    ]
    return header, rows


def plot(minima, rescaling):
    """Draws the curvature of the minima (left) and that of one network against the factor a (right).

    Args:
        minima: A list of `Minimum`.
        rescaling: A `Rescaling`.
    """
    figure, axes = style.canvas(9.6, 4.3, columns=2)
    left, right = axes[0]
    for batch_size, marker in ((SMALL, "o"), (LARGE, "s")):
        chosen = [m for m in minima if m.batch_size == batch_size]
        points = [m.largest for m in chosen], [m.trace for m in chosen]
        look = {"color": _COLORS[batch_size], "markersize": 8, "label": _LABELS[batch_size]}
        left.plot(*points, marker, **look)
    for index in (0, -1):
        label = f"the first, rescaled by a = {rescaling.factors[index]:g}"
        point = rescaling.largest[index], rescaling.trace[index]
        marker = "^" if index else "v"
        left.plot(*point, marker, color=style.BLUE, fillstyle="none", markersize=9, label=label)
    left.set(xscale="log", yscale="log", xlabel=r"largest eigenvalue $\lambda_{max}$ of the Hessian")
    left.set_ylabel("trace of the Hessian")
    left.set_title("Minima of nearly the same training loss", loc="left", fontsize=11)
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    left.legend(frameon=False, fontsize=9)
    grid = np.geomspace(rescaling.factors[0], rescaling.factors[-1], 100)
    first, second, rest = rescaling.blocks
    theory = first / grid**2 + second * grid**2 + rest
    right.plot(grid, theory, color=style.ORANGE, linewidth=1.5, label=r"$T_1/a^2 + T_2 a^2 + T_{rest}$")
    right.plot(rescaling.factors, rescaling.trace, "D", color=style.ORANGE, markersize=5, label="trace")
    right.plot(
        rescaling.factors, rescaling.largest, "o-", color=style.BLUE, markersize=5, label=r"$\lambda_{max}$"
    )
    right.set(xscale="log", yscale="log", xlabel="factor $a$: $W_1 → a W_1$, $W_2 → W_2 / a$")
    right.set_xticks(rescaling.factors[::2], [f"{factor:g}" for factor in rescaling.factors[::2]])
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_title("The same function, rescaled", loc="left", fontsize=11)
    right.legend(frameon=False, fontsize=9)
    return figure


def draw():
    """Trains the networks, rescales one, draws their curvature, and returns the table, too."""
    minima, *trained = measure()
    return plot(minima, measure_rescaling(*trained)), table(minima)


def _rescaled(model):
    """Returns the kernel and bias of the first hidden layer and the kernel of the second."""
    first, bias, second = model.trainable_variables[:3]
    return first, bias, second


FIGURE = Figure(
    section="6",
    name="sharpness",
    draw=draw,
    caption=(
        "Flat and sharp minima of a network of two hidden layers of 32 units on digits, trained by SGD with "
        "rate 0.1 from three initializations until the training loss is below 0.02. Left: full batches end "
        "in sharper minima than batches of 16, but classify test images as well (table). Right: multiplying "
        "a layer by a and dividing the next one by a changes no output, but it makes the largest eigenvalue "
        "and the trace of the Hessian as large as one likes (open markers on the left). They are not "
        "invariant to the parametrization and cannot explain generalization by themselves."
    ),
    place=7,
)
