"""Drawing images symbol by symbol, in one compiled loop that computes nothing twice.

A row of the vertical stack is computed once, from the latest rows of each layer, and a symbol of the
horizontal stack once, from the latest symbols of each layer in its row. The whole image then costs about as
much as one forward pass, instead of one for each symbol.

Legend: B batch, M rows and N columns of symbols, D pixels of a symbol, F filters.
"""

from keras import ops

from ..language.filters import draw


def fill(network, known, rows, uniforms, labels=None):
    """Draws the symbols below the known rows.

    Args:
        network: The `Network`.
        known: Numbers of symbols, int32 [B, M, N].
        rows: Number of rows of `known` to keep, an integer tensor.
        uniforms: Uniform numbers in [0, 1), [B, M N].
        labels: The classes, int32 [B], if there are classes.

    Returns:
        Numbers of symbols, int32 [B, M, N].
    """
    _, height, width = known.shape
    batch, blocks = ops.shape(known)[0], network.blocks
    biases = [block.biases(labels) for block in blocks]
    uniforms = ops.reshape(uniforms, (-1, height, width))

    def empty(*shape):
        return ops.zeros((batch, *shape), network.compute_dtype)

    def row(y, drawn, symbols, windows):
        v = network.first_vertical.row(symbols)
        added, after = [network.first_link(v)], []
        for block, window, bias in zip(blocks, windows, biases, strict=True):
            after.append(_appended(window, v))
            v, more = block.row(after[-1], bias)
            added.append(more)
        added = [ops.transpose(x, (1, 0, 2)) for x in added]
        given, chance = ops.take(known, y, axis=1), ops.take(uniforms, y, axis=1)

        def symbol(x, line, seen, windows):
            first, *more = [ops.take(a, x, axis=0) for a in added]
            h, after = network.first_horizontal.pixel(seen) + first, []
            for block, window, a in zip(blocks, windows, more, strict=True):
                after.append(_appended(window, h))
                h = block.pixel(after[-1], a)
            new = draw(network.head(h), ops.take(chance, x, axis=1), 1.0)
            new = ops.where(y < rows, ops.take(given, x, axis=1), new)
            seen = _appended(seen, network.inputs_of(new))
            return x + 1, _appended(line, new), seen, after

        start = (
            ops.zeros((), "int32"),
            ops.zeros((batch, width), "int32"),
            empty(network.first_horizontal.columns, network.size),
            [empty(block.horizontal.columns, network.filters) for block in blocks],
        )
        line = ops.while_loop(lambda x, *_: x < width, symbol, start)[1]
        return y + 1, _appended(drawn, line), _appended(symbols, network.inputs_of(line)), after

    start = (
        ops.zeros((), "int32"),
        known,
        empty(network.first_vertical.rows, width, network.size),
        [empty(block.vertical.rows, width, network.filters) for block in blocks],
    )
    return ops.while_loop(lambda y, *_: y < height, row, start)[1]


def _appended(window, latest):
    """Returns a window [B, n, ...] without its first entry and with a new last one, [B, ...]."""
    return ops.concatenate([window[:, 1:], latest[:, None]], axis=1)
