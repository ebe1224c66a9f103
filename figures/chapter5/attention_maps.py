"""Where the heads of a trained Transformer look (Sec. 5.4).

The attention weights S of Eq. 5.4.6 are drawn for one sentence. Their averages over many passages say what
each head does: every earlier character has one of five relations to the character that looks.

Legend: L blocks, B passages, H heads, T characters.
"""

from dataclasses import dataclass

import numpy as np

from ... import zoo
from ...data import text
from ...publishing.page import style
from ..figure import Figure

MODEL = "transformer_text"
SENTENCE = "Mappings are mutable objects."
RELATIONS = ("itself", "previous", "same word", "white space", "other")
"""Relations between characters, of which the first that applies counts."""

_COLORS = dict(
    zip(RELATIONS, (style.MUTED, style.VERMILION, style.BLUE, style.GREEN, style.INK), strict=True)
)


@dataclass(frozen=True)
class Heads:
    """Averages of attention weights over characters and passages.

    Args:
        distances: Mean distance to the characters looked at, [L, H].
        shares: Total weight on the characters of each of the `RELATIONS`, [L, H] each; they sum to 1.
    """

    distances: np.ndarray
    shares: dict

    def role(self, layer, head):
        """Returns the relation with the largest share of a head, and the share."""
        relation = max(RELATIONS, key=lambda name: self.shares[name][layer, head])
        return relation, float(self.shares[relation][layer, head])


def attention(model, tokens):
    """Returns the attention weights of all heads, [L, B, H, T, T].

    Args:
        model: A `TransformerLanguageModel`.
        tokens: int32 [B, T].
    """
    return np.stack([np.asarray(weights) for weights in model.attention_weights(tokens)])


def relations(spaces):
    """Returns which characters have which relation to each character.

    A word ends with the white space after it.

    Args:
        spaces: Whether each character is white space, [B, T].

    Returns:
        A dict of boolean arrays [B, T, T] by `RELATIONS`. Of each pair (t, s) with s <= t exactly one is
        true, of other pairs none.
    """
    length = spaces.shape[1]
    back = np.arange(length)[:, None] - np.arange(length)[None, :]
    words = np.cumsum(spaces, axis=1) - spaces
    candidates = {
        "itself": back == 0,
        "previous": back == 1,
        "same word": words[:, :, None] == words[:, None, :],
        "white space": spaces[:, None, :],
        "other": True,
    }
    left, found = np.broadcast_to(back >= 0, (len(spaces), length, length)), {}
    for name, candidate in candidates.items():
        found[name] = left & candidate
        left = left & ~found[name]
    return found


def average(weights, spaces, start=1):
    """Averages attention weights.

    Args:
        weights: [L, B, H, T, T].
        spaces: Whether each character is white space, [B, T].
        start: First position whose weights count: earlier ones have few characters to look at.

    Returns:
        The `Heads`.
    """
    length = spaces.shape[1]
    back = np.arange(length)[:, None] - np.arange(length)[None, :]

    def mean(factor, expression="lbhts,bts->lhbt"):
        return np.einsum(expression, weights, factor)[..., start:].mean(axis=(2, 3))

    return Heads(
        mean(np.maximum(back, 0), "lbhts,ts->lhbt"),
        {name: mean(related) for name, related in relations(spaces).items()},
    )


def uniform(spaces, start=1):
    """Returns the `Heads` of a single head that looks at all characters up to its own equally.

    Args:
        spaces: As for `average`.
        start: As for `average`.
    """
    rows, length = spaces.shape
    weights = np.tril(np.ones((length, length))) / np.arange(1, length + 1)[:, None]
    return average(np.broadcast_to(weights, (1, rows, 1, length, length)), spaces, start)


def white_space(tokenizer, tokens):
    """Returns which tokens are white space.

    Args:
        tokenizer: A `Tokenizer` of characters.
        tokens: int32, of any shape.
    """
    return np.array([tokenizer.decode([token]).isspace() for token in range(tokenizer.size)])[tokens]


def table(heads, reference):
    """Returns the header and the rows of the table: one row for each head, and one for equal weights.

    Args:
        heads: The `Heads` of the model.
        reference: The `Heads` of equal weights.
    """
    header = ("block, head", "mean distance", *RELATIONS)
    rows = [_row("equal weights", reference, 0, 0)]
    for layer, head in np.ndindex(heads.distances.shape):
        rows.append(_row(f"{layer + 1}, {head + 1}", heads, layer, head))
    return header, rows


def plot(weights, characters, heads):
    """Draws the attention weights of each block (rows) and head (columns) for one sentence.

    Args:
        weights: [L, H, T, T].
        characters: The sentence, a string of T characters.
        heads: The `Heads`, whose largest shares are the panels' titles.
    """
    layers, number, length, _ = weights.shape
    figure, axes = style.canvas(
        2.5 * number + 0.6, 2.55 * layers + 0.4, rows=layers, columns=number, sharex=True, sharey=True
    )
    labels = ["\N{OPEN BOX}" if character == " " else character for character in characters]
    for (layer, head), axis in np.ndenumerate(axes):
        image = axis.imshow(weights[layer, head], cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(visible=False)
        relation, share = heads.role(layer, head)
        title = f"{layer + 1}, {head + 1}: {relation} {share:.0%}"
        axis.set_title(title, loc="left", fontsize=9, color=_COLORS[relation])
        axis.set_xticks(range(length), labels)
        axis.set_yticks(range(length), labels)
        axis.tick_params(length=0, labelsize=5.5, labelfontfamily="monospace", pad=1)
    for axis in axes[-1]:
        axis.set_xlabel("looked at", fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel("looking", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.4, pad=0.01, aspect=30)
    bar.set_label("attention weight", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return figure


def draw(passages=32):
    """Draws the weights of the published model, and returns the averages over passages, too."""
    model = zoo.load(MODEL)
    splits = text.load("text", tokenizer=model.tokenizer, context=model.context)
    tokens = next(iter(splits.test))[0][:passages].numpy()
    spaces, start = white_space(model.tokenizer, tokens), model.context // 2
    heads = average(attention(model, tokens), spaces, start)
    sentence = attention(model, model.tokenizer.encode(SENTENCE)[None])[:, 0]
    return plot(sentence, SENTENCE, heads), table(heads, uniform(spaces, start))


def _row(label, heads, layer, head):
    shares = (f"{heads.shares[name][layer, head]:.0%}" for name in RELATIONS)
    return (label, f"{heads.distances[layer, head]:.1f}", *shares)


FIGURE = Figure(
    section="5.4",
    name="attention_maps",
    draw=draw,
    caption=(
        "Attention weights (Eq. 5.4.6) of every block (row) and head (column) of transformer_text for one "
        "sentence: each character (row) averages values of itself and earlier characters (columns). Titles "
        "name the relation on which a head puts most weight in held-out passages, and that weight. The table "
        "has all weights, and the mean distance in characters. `Same word` and `white space` are at least "
        "two characters back; `white space` includes indentation, and `other` earlier words."
    ),
)
