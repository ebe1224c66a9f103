"""What the codes of an InfoGAN change in its images (Sec. 7.5).

Legend: H height, W width, C channels, K categories, M continuous codes, N images of a row.
"""

import numpy as np

from ... import zoo
from ...publishing import measures
from ...publishing.page import images, style
from ..figure import Figure
from .published import published

ZOO_MODELS = ("infogan_mnist",)

_COLUMNS = 10


def by_category(model, columns=_COLUMNS, seed=0):
    """Returns images of all categories with the same noise in each column, [K, N, H, W, C].

    Args:
        model: An `InfoGANGenerator`.
        columns: Number N of draws of the noise.
        seed: Their seed.
    """
    codes = np.zeros(model.continuous)
    rows = [model.sample(columns, seed, category=k, codes=codes) for k in range(model.categories)]
    return np.stack(rows)


def plot(grids, heading=""):
    """Draws grids of images, whose rows are the categories.

    Args:
        grids: Images [K, N, H, W, C] by what changes from column to column.
        heading: Title of the figure.
    """
    figure, axes = style.canvas(3.9 * len(grids), 4.4, 1, len(grids))
    for axis, (label, grid) in zip(axes[0], grids.items(), strict=True):
        images.show(axis, grid.reshape(-1, *grid.shape[2:]), columns=grid.shape[1])
        axis.set_title(label, loc="left", fontsize=10)
        pitch = grid.shape[2] + 1
        axis.set_yticks(pitch * (np.arange(len(grid)) + 0.5) - 1, range(1, len(grid) + 1))
        axis.tick_params(length=0, labelsize=8)
    axes[0, 0].set_ylabel("category")
    figure.suptitle(heading, fontsize=10, x=0.01, ha="left")
    return figure


def draw():
    """Returns the figure of the published model."""
    name = ZOO_MODELS[0]
    card, model = published([name])[name], zoo.load(name)
    grids = {"columns: noise": by_category(model)}
    for index in range(model.continuous):
        grids[f"columns: continuous code {index + 1}, -1 to 1"] = model.traverse(index, _COLUMNS)
    return plot(grids, f"{name}: {measures.get(card['measure']).brief(card['metrics'])}")


FIGURE = Figure(
    section="7.5",
    name="codes",
    draw=draw,
    caption=(
        "Images of infogan_mnist, whose critic also reads the codes from the images (Eqs. 7.5.1 and 7.5.4). "
        "Left: one category in each row, and one draw of the noise in each column; the continuous codes are "
        "zero. Others: one continuous code from -1 to 1 in each row, with one draw of the noise for each "
        "category. No labels were used. The title gives the share of test images whose most probable "
        "category is not the one that matches their class, in the best one-to-one matching."
    ),
)
