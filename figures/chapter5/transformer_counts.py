"""Parameters and multiplications of Transformers against the length of the sequence (Sec. 5.4).

Legend: N lengths.
"""

from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory import counting
from ...theory.counting import TransformerShape
from ..figure import Figure

LENGTHS = 2 ** np.arange(4, 17)


@dataclass(frozen=True)
class Model:
    """A decoder with learned positions and tied logits.

    Args:
        name: Name in the figure.
        shape: Its `TransformerShape`.
        vocabulary: Number of tokens.
        context: Longest input.
    """

    name: str
    shape: TransformerShape
    vocabulary: int
    context: int


MODELS = (
    Model("Characters, 128 wide", TransformerShape(4, 128, 4), 65, 64),
    Model("Base model of 2017, 512 wide", TransformerShape(6, 512, 8, norm="post"), 37_000, 512),
    Model("GPT-2, 768 wide", TransformerShape(12, 768, 12), 50_257, 1024),
)
"""The first two are drawn, all are in the table."""

_COLORS = {
    "feed-forward": style.BLUE,
    "projections": style.GREEN,
    "embedding": style.ORANGE,
    "positions": style.PURPLE,
    "logits": style.SKY,
}


def parameters(model, lengths=LENGTHS):
    """Counts the parameters of each part of a model whose context is as long as the sequence.

    Args:
        model: A `Model`.
        lengths: Lengths of the sequence, [N].

    Returns:
        A dict of arrays [N]: `feed-forward`, `projections`, `embedding`, `positions`, and the `total`, which
        includes the layer norms.
    """
    shape, ones = model.shape, np.ones(len(lengths), int)
    block = shape.block().parameters
    feed_forward = counting.feed_forward(shape.width, shape.hidden, bias=shape.bias).parameters
    norms = 2 * counting.layer_norm(shape.width).parameters
    return {
        "feed-forward": shape.num_layers * feed_forward * ones,
        "projections": shape.num_layers * (block - norms - feed_forward) * ones,
        "embedding": counting.embedding(model.vocabulary, shape.width).parameters * ones,
        "positions": shape.width * np.asarray(lengths),
        "total": np.array([shape.decoder(model.vocabulary, int(n)).parameters for n in lengths]),
    }


def products(model, lengths=LENGTHS):
    """Counts the multiplications per token of each part of a model's forward pass over one sequence.

    Args:
        model: A `Model`.
        lengths: Lengths of the sequence, [N].

    Returns:
        A dict of arrays [N]: `feed-forward`, `projections`, their sum `linear`, the two products of all pairs
        of positions, `quadratic`, one of them, `printed`, as in Eq. 5.4.17, and the `logits`.
    """
    shape = model.shape
    logits = counting.unembedding(model.vocabulary, shape.width).forward
    layers = [shape.products(int(n)) for n in lengths]

    def per_token(part):
        return shape.num_layers * np.array([getattr(layer, part) for layer in layers]) / lengths

    return {
        "feed-forward": per_token("feed_forward"),
        "projections": per_token("projections"),
        "linear": per_token("linear"),
        "quadratic": per_token("quadratic"),
        "printed": per_token("scores"),
        "logits": np.full(len(lengths), logits),
    }


def table(models=MODELS):
    """Returns the header and the rows of the table.

    Args:
        models: `Model`s, one a row.
    """
    header = (
        "model",
        "d_emb",
        "parameters",
        "context",
        "multiplications per token",
        "n² terms at the context",
        "n² terms equal the others at",
    )
    rows = []
    for model in models:
        shape, n = model.shape, model.context
        count, layer = shape.decoder(model.vocabulary, n), shape.products(n)
        rows.append(
            (
                model.name,
                f"{shape.width}",
                f"{count.parameters:,}",
                f"{n:,}",
                f"{count.forward // n:,}",
                f"{layer.quadratic / layer.total:.0%} of a layer",
                f"{shape.crossover_length():,.0f} tokens",
            )
        )
    return header, rows


def plot(models, lengths=LENGTHS):
    """Draws parameters (left) and multiplications (right) of each model against the length.

    Args:
        models: `Model`s, one a row.
        lengths: Lengths of the sequence, [N].
    """
    figure, axes = style.canvas(8.3, 3.2 * len(models) + 0.7, rows=len(models), columns=2, sharex=True)
    for model, (left, right) in zip(models, axes, strict=True):
        _draw_parameters(left, parameters(model, lengths), lengths)
        _draw_products(right, model, lengths)
        left.set_title(f"{model.name}: parameters", loc="left", fontsize=11)
        right.set_title("multiplications per token", loc="left", fontsize=11)
        for axis in (left, right):
            axis.set(xscale="log", yscale="log")
    for axis in axes[-1]:
        axis.set_xlabel("length of the sequence $n_\\mathrm{seq}$")
    style.legend_below(figure, columns=4)
    return figure


def draw():
    """Draws the first two models, and returns the table of all."""
    return plot(MODELS[:2]), table()


def _draw_parameters(axis, counts, lengths):
    axis.plot(lengths, counts["total"], color=style.MUTED, linewidth=2, label="all parameters")
    for part in ("feed-forward", "projections", "embedding", "positions"):
        axis.plot(lengths, counts[part], color=_COLORS[part], label=part)


def _draw_products(axis, model, lengths):
    counts = products(model, lengths)
    axis.plot(lengths, counts["linear"], color=style.INK, linewidth=2, label="feed-forward + projections")
    for part in ("feed-forward", "projections"):
        axis.plot(lengths, counts[part], color=_COLORS[part], label=part)
    axis.plot(lengths, counts["logits"], ":", color=_COLORS["logits"], linewidth=2, label="logits")
    axis.plot(lengths, counts["quadratic"], color=style.VERMILION, linewidth=2, label="scores + averages")
    axis.plot(lengths, counts["printed"], "--", color=style.VERMILION, label="one of them, Eq. 5.4.17")
    crossing, height = model.shape.crossover_length(), counts["linear"][0]
    for length, offset, align in ((crossing, (-4, 7), "right"), (2 * crossing, (6, -13), "left")):
        axis.plot([length], [height], "o", color=style.VERMILION, markersize=5)
        label = f"${length / model.shape.width:.0f}\\,d_\\mathrm{{emb}}$"
        look = {"ha": align, "fontsize": 9, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0}}
        axis.annotate(label, (length, height), offset, textcoords="offset points", **look)


FIGURE = Figure(
    section="5.4",
    name="transformer_counts",
    draw=draw,
    caption=(
        "Parameters (left) and multiplications per token (right) of two Transformers against the length of "
        "the sequence (Eqs. 5.4.10 to 5.4.17), both as decoders with learned positions and tied logits. The "
        "parameters do not depend on the length, apart from learned positions. The scores and the averages "
        "of the values pair all positions: together they exceed the feed-forward network and the projections "
        "from 6 d_emb tokens on. Eq. 5.4.17 contains one of these two products (dashed), which does so from "
        "12 d_emb."
    ),
    place=9,
)
