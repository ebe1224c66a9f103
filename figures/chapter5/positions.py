"""Sinusoidal and rotary positions: what their products know about the distance (Sec. 5.4.2).

The product of the sinusoidal vectors of two positions depends on their distance k only,

    P_s . P_(s-k) / (D / 2) = (2 / D) sum_i cos(k / 10000^(2i/D)),

and so does the product of a rotated query and key. For a query equal to its key, with the same length in each
of the d/2 planes of rotation, the latter is the same function, of the size d of a head.

Legend: L positions, D features of a position, d size of a head.
"""

import numpy as np

from ... import layers
from ...publishing.page import style
from ..figure import Figure

FEATURES, HEAD_SIZES, LENGTH = 128, (8, 32, 128), 128


def products(features, length=LENGTH):
    """Returns the products of the sinusoidal vectors of positions 0 and k, relative to k = 0, [L].

    Args:
        features: Number D of features.
        length: Number L of positions.
    """
    vectors = layers.sinusoids(length, features)
    return vectors @ vectors[0] / (features / 2)


def rotary_scores(head_size, length=LENGTH):
    """Returns the products of a query at position k and an equal key at position 0, both rotated, [L].

    Args:
        head_size: Even size d of the head.
        length: Number L of positions.
    """
    vector = np.full((1, 1, length, head_size), head_size**-0.5)
    rotated = np.asarray(layers.rotate(vector))[0, 0]
    return rotated @ rotated[0]


def plot(features=FEATURES, head_sizes=HEAD_SIZES, length=LENGTH):
    """Draws the sinusoidal vectors (left) and the products against distance (right).

    Args:
        features: Number D of features of the vectors.
        head_sizes: Sizes d of heads, one a curve.
        length: Number L of positions.
    """
    figure, axes = style.canvas(8.3, 3.9, columns=2)
    left, right = axes[0]
    vectors = layers.sinusoids(length, features)
    image = left.imshow(vectors.T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    left.grid(visible=False)
    left.set(xlabel="position $s$", ylabel="feature")
    left.set_title("Sinusoidal vectors", loc="left", fontsize=11)
    bar = figure.colorbar(image, ax=left, pad=0.02, aspect=30, ticks=(-1, 0, 1))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9, length=3)
    for size, color in zip(head_sizes, (style.ORANGE, style.BLUE, style.INK), strict=True):
        right.plot(products(size, length), color=color, linewidth=1, label=f"$d$ = {size}")
        look = {"color": color, "linestyle": "none", "marker": "o", "markersize": 3}
        right.plot(np.arange(length)[::4], rotary_scores(size, length)[::4], **look)
    right.set(xlabel="distance $k$", ylabel="product relative to $k = 0$")
    right.set_title("lines sinusoidal, points rotary", loc="left", fontsize=11)
    right.legend(frameon=False, fontsize=9)
    return figure


FIGURE = Figure(
    section="5.4",
    name="positions",
    draw=plot,
    caption=(
        "Sinusoidal position vectors with 128 features (left), and their products at two positions against "
        "the distance (right, lines), on which alone they depend. Rotary positions, which rotate queries and "
        "keys, give a query and a key that are equal the same products (points). With few features distant "
        "positions can be as similar as close ones; with many, whose frequencies range from 1 to 1/10,000, "
        "the product falls off."
    ),
    place=2,
)
