"""A Gaussian fitted to a bimodal density by the forward and by the reverse KL divergence.

The forward divergence D(p || q) is infinite if q excludes what p allows. Its minimum covers both modes: it is
the Gaussian with the mean and variance of p. The reverse divergence D(q || p) is infinite if q allows what p
excludes. It has a minimum at each mode, and the initial Gaussian decides between them. If the modes are far
apart, the reverse fit is the mode itself, and its divergence is -log of the weight of the mode.

Legend: X grid points of the integrals, A means, B standard deviations.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.optimize import minimize

from ...publishing.page import style
from ..figure import Figure

tfd = tfp.distributions

WEIGHTS, MEANS, SCALES = np.array([0.65, 0.35]), np.array([-1.5, 2.0]), np.array([0.8, 0.5])
"""Weights, means and standard deviations of the two modes."""

GRID = np.linspace(-12.0, 12.0, 1201)
"""Grid of the integrals, [X]. The integrands are smooth and vanish at its ends, so that sums are exact."""

_LOOKS = {
    "forward": (style.BLUE, "forward", "o"),
    "reverse, left": (style.VERMILION, "reverse, left start", "s"),
    "reverse, right": (style.ORANGE, "reverse, right start", "^"),
}


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian that minimizes a KL divergence.

    Args:
        mean: Its mean.
        scale: Its standard deviation.
        divergence: The divergence at the minimum, in nats.
    """

    mean: float
    scale: float
    divergence: float


def bimodal():
    """Returns the bimodal density p, a mixture of two Gaussians in float64."""
    return tfd.MixtureSameFamily(tfd.Categorical(probs=WEIGHTS), tfd.Normal(MEANS, SCALES))


def moments():
    """Returns the mean and the standard deviation of p in closed form."""
    mean = WEIGHTS @ MEANS
    return float(mean), float(np.sqrt(WEIGHTS @ (SCALES**2 + MEANS**2) - mean**2))


def divergence(direction, mean, scale):
    """Computes the KL divergence between p and Gaussians q as a sum over the grid.

    Args:
        direction: `forward` for D(p || q), `reverse` for D(q || p).
        mean: Means of q, of any shape.
        scale: Standard deviations of q, of the same shape.

    Returns:
        The divergences in nats, a tensor of that shape.

    Raises:
        ValueError: If `direction` is neither of these.
    """
    if direction not in ("forward", "reverse"):
        raise ValueError(f"direction must be 'forward' or 'reverse', got {direction!r}")
    mean, scale = (tf.convert_to_tensor(x, tf.float64) for x in (mean, scale))
    log_p = bimodal().log_prob(GRID)
    log_q = tfd.Normal(mean[..., None], scale[..., None]).log_prob(GRID)
    first, second = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    return tf.reduce_sum(tf.exp(first) * (first - second), -1) * (GRID[1] - GRID[0])


def fit(direction, mean, scale=1.0):
    """Minimizes a KL divergence, starting from a given Gaussian.

    Args:
        direction: `forward` or `reverse`.
        mean: Mean of the initial Gaussian.
        scale: Its standard deviation.

    Returns:
        A `GaussianFit`, the local minimum.

    Raises:
        ValueError: If `direction` is neither of these.
    """

    def value_and_gradient(parameters):
        parameters = tf.constant(parameters)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = divergence(direction, parameters[0], tf.exp(parameters[1]))
        return value.numpy(), tape.gradient(value, parameters).numpy()

    start = [mean, np.log(scale)]
    result = minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-8})
    return GaussianFit(float(result.x[0]), float(np.exp(result.x[1])), float(result.fun))


def measure():
    """Returns the fits by name: `forward`, and `reverse` from the left and from the right."""
    return {
        "forward": fit("forward", 0.0),
        "reverse, left": fit("reverse", -2.0),
        "reverse, right": fit("reverse", 2.5),
    }


def landscape(direction, mean, scale):
    """Computes the KL divergence for each pair of mean and standard deviation.

    Args:
        direction: `forward` or `reverse`.
        mean: Means, [A].
        scale: Standard deviations, [B].

    Returns:
        The divergences in nats, an array [B, A].
    """
    return np.stack([divergence(direction, mean, np.full(len(mean), s)) for s in scale])


def plot(fits):
    """Draws the fitted Gaussians on the density, and the minima in the landscapes of both divergences.

    Args:
        fits: `GaussianFit`s by name, from `measure`.
    """
    figure, axes = style.canvas(9.0, 3.7, columns=3, width_ratios=[1.25, 1, 1])
    densities, *maps = axes[0]
    _densities(densities, fits)
    titles = {"forward": r"$D(p\,\|\,q)$, forward", "reverse": r"$D(q\,\|\,p)$, reverse"}
    for axis, (direction, title) in zip(maps, titles.items(), strict=True):
        _landscape(axis, direction, fits)
        axis.set_title(title, loc="left", fontsize=11)
    maps[0].set_ylabel("standard deviation of $q$")
    return figure


def draw():
    """Fits the Gaussians and draws them."""
    return plot(measure())


def _densities(axis, fits):
    x = np.linspace(-5.0, 4.6, 400)
    axis.fill_between(x, bimodal().prob(x), color=style.MUTED, alpha=0.4, linewidth=0, label="density $p$")
    for name, gaussian in fits.items():
        color, label, _ = _LOOKS[name]
        z = (x - gaussian.mean) / gaussian.scale
        density = np.exp(-(z**2) / 2) / (gaussian.scale * np.sqrt(2 * np.pi))
        axis.plot(x, density, color=color, label=f"{label}, {gaussian.divergence:.2f} nats")
    axis.set(xlabel="$x$", ylabel="density", xlim=(-5.0, 4.6), ylim=(0, 1.18))
    axis.legend(frameon=False, fontsize=9, loc="upper left", borderpad=0.1)


def _landscape(axis, direction, fits):
    means, scales = np.linspace(-4.0, 4.0, 49), np.geomspace(0.25, 4.0, 33)
    values, levels = landscape(direction, means, scales), np.geomspace(0.3, 30.0, 13)
    axis.contourf(means, scales, values, levels, cmap="Blues_r", norm="log", extend="both")
    axis.contour(means, scales, values, levels, colors="white", linewidths=0.5)
    for name, gaussian in fits.items():
        color, _, marker = _LOOKS[name]
        if name.startswith(direction):
            axis.plot(
                gaussian.mean, gaussian.scale, marker, color=color, markeredgecolor="white", markersize=8
            )
    axis.set(xlabel="mean of $q$", yscale="log")
    axis.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    axis.minorticks_off()
    axis.grid(False)


FIGURE = Figure(
    section="2.3",
    name="kl_fits",
    draw=draw,
    caption=(
        "A Gaussian q fitted to a bimodal density p by the forward or the reverse KL divergence (Eq. 2.3.3). "
        "The forward divergence D(p||q) is least where q has the mean and variance of p, and covers both "
        "modes. The reverse divergence D(q||p) has a minimum at each mode (square and triangle in the "
        "landscape), where it is about minus the log of the weight of the mode."
    ),
    place=2,
)
