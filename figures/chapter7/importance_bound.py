r"""The importance-weighted bound of log p(x) against the number of draws (Sec. 7.3).

With K draws from the encoder,

    log p(x) >= E log (1/K) sum_k w_k >= ELBO,    w_k = p(x|z_k) p(z_k) / q(z_k|x),

where K = 1 gives the ELBO of Eq. 7.3.8, and the bound rises with K to log p(x).

Legend: N images, M draws for each image, K draws of one estimate, S numbers K.

References:
    Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), arXiv:1509.00519.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ... import zoo
from ...data.images.stochastic import binarized
from ...publishing.page import images, style
from ..figure import Figure

ZOO_MODELS = ("vae_mnist",)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

_IMAGES, _DRAWS = 5, 10_000
_BLOCK = 500
_COLORS = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE)


@dataclass(frozen=True)
class Bounds:
    """Estimates of log p(x) with K draws, in nats.

    Args:
        sizes: The numbers K, [S].
        mean: Mean of the estimates, [S, N].
        error: Standard error of the mean, [S, N].
        spread: Standard deviation of one estimate, [S, N].
        total: The estimate with all M draws, [N].
    """

    sizes: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    spread: np.ndarray
    total: np.ndarray


def log_weights(model, drawn, draws=_DRAWS, seed=0):
    """Returns log w of independent draws from the encoder, [N, M] in float64.

    Args:
        model: A `VAE`.
        drawn: Images, [N, H, W, C].
        draws: Number M of draws, a multiple of 500 or less than that.
        seed: Seed of the draws.
    """
    block = min(draws, _BLOCK)
    keys = np.array([[seed, index] for index in range(draws // block)], np.int32)
    return np.hstack([np.float64(model.log_weights(drawn, key, block)) for key in keys])


def bounds(weights, sizes=SIZES):
    """Estimates log p(x) from disjoint groups of K draws.

    Args:
        weights: log w of independent draws, [N, M].
        sizes: Numbers K that divide M and are at most M / 2.

    Returns:
        The `Bounds`.
    """
    statistics = []
    for size in sizes:
        groups = weights.reshape(len(weights), -1, size)
        estimates = logsumexp(groups, axis=2) - np.log(size)
        spread = estimates.std(axis=1, ddof=1)
        statistics.append([estimates.mean(axis=1), spread / np.sqrt(estimates.shape[1]), spread])
    mean, error, spread = np.swapaxes(statistics, 0, 1)
    return Bounds(np.array(sizes), mean, error, spread, logsumexp(weights, axis=1) - np.log(weights.shape[1]))


def plot(drawn, found):
    """Draws the bound less the estimate of all draws, and the standard deviation of one estimate, against K.

    Args:
        drawn: The images, [N, H, W, C].
        found: The `Bounds` of at most five images.
    """
    colors = _COLORS[: len(drawn)]
    figure, [[axis]] = style.canvas(10, 5.2)
    axis.remove()
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.3, 3.9))
    for panel, image, color, total in zip(
        top.subplots(1, len(drawn)), drawn, colors, found.total, strict=True
    ):
        images.show(panel, image[None])
        panel.spines[:].set(visible=True, color=color, linewidth=2)
        panel.set_title(f"log p(x) ≈ {total:.1f}", fontsize=9, color=color)
    left, right = bottom.subplots(1, 2)
    for index, color in enumerate(colors):
        gap = found.mean[:, index] - found.total[index]
        look = {"color": color, "marker": "o", "markersize": 4, "linewidth": 1.2}
        left.errorbar(found.sizes, gap, 2 * found.error[:, index], capsize=2, **look)
        right.plot(found.sizes, found.spread[:, index], **look)
    for axis in (left, right):
        style.clean(axis)
        axis.set(xscale="log", xlabel="draws K of one estimate")
        axis.set_xticks([1, 10, 100], ["1 (ELBO)", "10", "100"])
    left.axhline(0, color=style.MUTED, linewidth=0.8)
    left.set(ylabel="bound - estimate of all draws, nats")
    right.set(yscale="log", ylabel="standard deviation of one estimate, nats")
    right.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    right.yaxis.set_minor_formatter("")
    return figure


def draw():
    """Returns the figure of images that the model draws itself."""
    model = zoo.load(ZOO_MODELS[0])
    drawn = np.asarray(binarized(model.sample(_IMAGES), [0, 1]))
    return plot(drawn, bounds(log_weights(model, drawn)))


FIGURE = Figure(
    section="7.3",
    name="importance_bound",
    draw=draw,
    caption=(
        f"The importance-weighted bound of {ZOO_MODELS[0]} for five images that the model draws itself, "
        f"against the number K of draws from the encoder. Left: its mean over groups of K of {_DRAWS:,} "
        "draws, less the estimate of log p(x) with all of them, which is still a little low; bars are two "
        "standard errors. K = 1 is the ELBO (Eqs. 7.3.8 to 7.3.10); it lies below log p(x) by the divergence "
        "of the encoder's distribution from the posterior (Eq. 7.3.7). Right: the standard deviation of one "
        "estimate."
    ),
    place=1,
)
