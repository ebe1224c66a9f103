"""The figures of `language.py`: the cost of a token against its position, and the memory of training."""

from curvezoo.publishing.page import style


def draw_positions(positions, curves, path):
    """Draws ms per token against the position, and writes a PNG.

    Args:
        positions: The positions.
        curves: {variant: ms per token at each position}; the first is drawn in blue.
        path: The file.
    """
    figure, axes = style.canvas(6.5, 3.6)
    axis = axes[0, 0]
    for (name, curve), color in zip(curves.items(), (style.BLUE, style.VERMILION), strict=False):
        axis.plot(positions, curve, color=color, label=name, linewidth=1.8)
    axis.set(xlabel="position of the token", ylabel="ms a token", yscale="log", xlim=(0, None))
    style.legend_below(figure)
    figure.savefig(path, dpi=144)


def draw_memory(sizes, measured, path):
    """Draws the memory of a training step against batch and length, and writes a PNG.

    Args:
        sizes: {"batch": pairs (batch, length), "length": the same}.
        measured: {(axis, jit, remat): MB at each pair}, with or without those of XLA.
        path: The file.
    """
    figure, axes = style.canvas(7.5, 3.6, columns=2)
    for axis, (name, pairs) in zip(axes[0], sizes.items(), strict=True):
        index = ("batch", "length").index(name)
        for remat, color in ((False, style.VERMILION), (True, style.BLUE)):
            for jit, line in ((False, "-"), (True, "--")):
                if (name, jit, remat) not in measured:
                    continue
                label = f"{'recomputed' if remat else 'kept'}{', XLA' if jit else ''}"
                values = [pair[index] for pair in pairs]
                axis.plot(values, measured[name, jit, remat], line, marker="o", color=color, label=label)
        other = f"length {pairs[0][1]}" if name == "batch" else f"batch {pairs[0][0]}"
        axis.set(xlabel=f"{name} ({other})", ylabel="MB of a training step", ylim=(0, None))
    style.legend_below(figure)
    figure.savefig(path, dpi=144)
