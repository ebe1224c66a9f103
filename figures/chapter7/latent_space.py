"""Straight lines and single latents in the latent space of variational autoencoders (Sec. 7.3).

Legend: N images, H height, W width, C channels, Z latents, P pairs of images, L traversed latents, S steps.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from ... import zoo
from ...data.images.stochastic import binarized
from ...publishing.page import images, style
from ..figure import Figure
from .published import listed, published, stored_images

ZOO_MODELS = ("vae_mnist", "beta_vae_mnist")
STEPS = 9
VALUES = np.linspace(-3, 3, STEPS)

_DRAWN, _TRAVERSED = 1000, 6
# The variance above which Burda et al. (2015) call a latent active.
_ACTIVE = 0.01


@dataclass(frozen=True)
class LatentSpace:
    """What a model decodes in its latent space.

    Args:
        name: The model's name.
        interpolations: Images on the lines between pairs of images, [P, S, H, W, C].
        latents: Indices of the most active latents, [L].
        traversals: Images of one real digit with another value of one latent, [L, S, H, W, C].
        activity: Variance of each latent's posterior mean over images, [Z].
    """

    name: str
    interpolations: np.ndarray
    latents: np.ndarray
    traversals: np.ndarray
    activity: np.ndarray


def activity(model, count=_DRAWN, seed=0):
    """Returns the variance of the posterior mean of each latent over images that the model draws, [Z].

    Args:
        model: A `VAE` of binary pixels.
        count: Number of images.
        seed: Seed of the draws.
    """
    drawn = np.asarray(binarized(model.sample(count, seed=seed), [seed, 1]))
    return model.encode(drawn).var(axis=0)


def measure(name, model, real, latents=_TRAVERSED):
    """Decodes lines between all pairs of images, and the first image with other values of single latents.

    Args:
        name: The model's name.
        model: A `VAE` of binary pixels.
        real: Images [N, H, W, C]; they make P = N (N - 1) / 2 pairs.
        latents: Number L of latents to traverse.

    Returns:
        The `LatentSpace`.
    """
    lines = np.stack([model.interpolate(*pair, STEPS) for pair in itertools.combinations(real, 2)])
    found = activity(model)
    chosen = np.argsort(-found)[:latents]
    traversals = np.stack([model.traverse(real[0], latent, VALUES) for latent in chosen])
    return LatentSpace(name, lines, chosen, traversals, found)


def plot(spaces):
    """Draws lines, traversals and the activity of the latents, in a row for each model.

    Args:
        spaces: `LatentSpace`s.
    """
    height = 0.42 * len(spaces[0].traversals) + 0.8
    figure, axes = style.canvas(12, height * len(spaces), len(spaces), 3, width_ratios=(1, 1, 0.5))
    for (left, middle, right), space in zip(axes, spaces, strict=True):
        _grid(left, space.interpolations)
        left.set_title(f"{space.name}: lines between test digits", loc="left", fontsize=10)
        _grid(middle, space.traversals)
        middle.set_title(f"one latent from {VALUES[0]:g} to {VALUES[-1]:g}", loc="left", fontsize=10)
        pitch = space.traversals.shape[2] + 1
        places = pitch * (np.arange(len(space.latents)) + 0.5) - 1
        middle.set_yticks(places, [f"{space.activity[latent]:.2f}" for latent in space.latents])
        middle.tick_params(length=0, labelsize=8)
        _bars(right, space.activity)
    return figure


def draw():
    """Returns the figure of all published models."""
    names = published(ZOO_MODELS)
    return plot([measure(name, zoo.load(name), stored_images(name)) for name in names])


def _grid(axis, rows):
    images.show(axis, rows.reshape(-1, *rows.shape[2:]), columns=rows.shape[1])


def _bars(axis, variances):
    ordered = np.sort(variances)[::-1]
    colors = [style.BLUE if variance > _ACTIVE else style.MUTED for variance in ordered]
    axis.bar(np.arange(1, len(ordered) + 1), ordered, color=colors)
    axis.axhline(_ACTIVE, color=style.INK, linewidth=0.8, linestyle="--")
    axis.set(yscale="log", xlabel="latent, sorted", ylabel="variance of its mean")
    axis.set_title(
        f"{np.sum(variances > _ACTIVE)} of {len(ordered)} latents are active", loc="left", fontsize=10
    )


FIGURE = Figure(
    section="7.3",
    name="latent_space",
    draw=draw,
    caption=(
        f"The latent space of {listed(ZOO_MODELS)}. Left: means of p(x|z) on the straight lines between the "
        "posterior means of four digits of the test split, which stand at the ends of the rows as the model "
        "reconstructs them. Middle: the first of the digits with another value of one latent in each row, in "
        "units of the prior's standard deviation, for the latents that vary most. Right: the variance of "
        "each latent's posterior mean over images, which also labels the rows in the middle. For the other "
        "latents the divergence of Eq. 7.3.10 has made the posterior nearly equal to the prior."
    ),
)
