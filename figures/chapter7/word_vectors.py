"""Words as vectors: nearest words, and relations of words as parallel offsets (Sec. 7.1).

Legend: V words, D dimensions, P pairs of words, Q questions.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib import patheffects

from ...data.text import topics
from ...publishing.page import style
from ...zoo.embedding import WordVectors, latent_semantic_analysis, ppmi_vectors
from ..figure import Figure

_NOUNS = (
    "statement expression exception value object class instance function method module attribute argument "
    "type name string list tuple sequence integer number item key block clause pattern literal operator "
    "parameter variable keyword identifier descriptor definition reference operation assignment annotation "
    "character"
)
_PARTICIPLES = (
    "return/returned raise/raised define/defined call/called use/used execute/executed evaluate/evaluated "
    "bind/bound create/created import/imported assign/assigned pass/passed access/accessed find/found "
    "implement/implemented specify/specified match/matched handle/handled convert/converted "
    "support/supported replace/replaced print/printed delete/deleted invoke/invoked produce/produced "
    "provide/provided compare/compared include/included"
)
_THIRD_PERSONS = (
    "return/returns raise/raises define/defines call/calls use/uses execute/executes evaluate/evaluates "
    "bind/binds contain/contains support/supports provide/provides implement/implements occur/occurs "
    "allow/allows follow/follows represent/represents refer/refers need/needs make/makes take/takes have/has "
    "do/does exist/exists continue/continues succeed/succeeds include/includes become/becomes"
)
RELATIONS = {
    "noun → plural": [(noun, f"{noun}es" if noun.endswith("s") else f"{noun}s") for noun in _NOUNS.split()],
    "verb → participle": [tuple(pair.split("/")) for pair in _PARTICIPLES.split()],
    "verb → third person": [tuple(pair.split("/")) for pair in _THIRD_PERSONS.split()],
}
"""Pairs of words by relation."""

_DRAWN = ("noun → plural", "verb → participle")
_DRAWN_EVERY = 4  # One pair of four is drawn; the others determine the direction of the relation.
_LISTED = ("list", "float", "exception", "import", "global", "bytes", "coroutine", "mutable", "pattern")
_NEIGHBORS = 5
_METHODS = {
    "mean offset": ("mean offset of all other pairs", style.BLUE),
    "offset": ("offset of one other pair", style.GREEN),
    "nearest": ("no offset: nearest words", style.ORANGE),
    "random": ("offset of one other pair, random vectors", style.MUTED),
}


@dataclass(frozen=True)
class Accuracy:
    """How often the second word of a pair is found from the first.

    Args:
        first: Fraction of questions whose first answer is right.
        in_five: Fraction of questions with the right word among the first five answers.
    """

    first: float
    in_five: float


@dataclass(frozen=True)
class Measurement:
    """Word vectors of a text and the accuracy of analogies.

    Args:
        vectors: `WordVectors` from the words near each word.
        topical: `WordVectors` of latent semantic analysis.
        relations: Pairs by relation whose words are in the vocabulary.
        accuracy: `Accuracy` by relation and method.
    """

    vectors: WordVectors
    topical: WordVectors
    relations: dict[str, list[tuple[str, str]]]
    accuracy: dict[str, dict[str, Accuracy]]


def measure(text=None, relations=None, seed=0):
    """Computes the vectors of a text and answers analogies with them.

    Args:
        text: A string; `None` for the topics of Python's language reference.
        relations: Pairs of words by relation; `None` for `RELATIONS`. Pairs with a word that has no vector
            are left out, because the text depends on the version of Python.
        seed: Seed of the random vectors.

    Returns:
        A `Measurement`.
    """
    text = topics.text() if text is None else text
    vectors, topical = ppmi_vectors(text), latent_semantic_analysis(text).words
    noise = np.random.default_rng(seed).standard_normal(vectors.vectors.shape)
    random = WordVectors(vectors.words, noise)
    known = {
        relation: [pair for pair in pairs if all(word in vectors for word in pair)]
        for relation, pairs in (RELATIONS if relations is None else relations).items()
    }
    accuracy = {
        relation: {
            "mean offset": mean_offset_accuracy(vectors, pairs),
            "offset": offset_accuracy(vectors, pairs),
            "nearest": nearest_accuracy(vectors, pairs),
            "random": offset_accuracy(random, pairs),
        }
        for relation, pairs in known.items()
    }
    return Measurement(vectors, topical, known, accuracy)


def offset_accuracy(vectors, pairs):
    """Returns the `Accuracy` of `vectors.analogy(a, b, c)` for all pairs (a, b) and (c, right answer).

    Args:
        vectors: `WordVectors`.
        pairs: P pairs of words that have vectors.
    """
    one, other = _rows(vectors, pairs)
    i, j = np.nonzero(~np.eye(len(pairs), dtype=bool))
    queries = vectors.unit[other[i]] - vectors.unit[one[i]] + vectors.unit[one[j]]
    return _accuracy(vectors, queries, other[j], [one[i], other[i], one[j]])


def mean_offset_accuracy(vectors, pairs):
    """Returns the `Accuracy` of the word nearest to the first word plus the mean offset of all other pairs.

    Args:
        vectors: `WordVectors`.
        pairs: P pairs of words that have vectors.
    """
    one, other = _rows(vectors, pairs)
    offsets = vectors.unit[other] - vectors.unit[one]
    means = (offsets.sum(axis=0) - offsets) / (len(pairs) - 1)
    return _accuracy(vectors, vectors.unit[one] + means, other, [one])


def nearest_accuracy(vectors, pairs):
    """Returns the `Accuracy` of the word nearest to the first word.

    Args:
        vectors: `WordVectors`.
        pairs: P pairs of words that have vectors.
    """
    one, other = _rows(vectors, pairs)
    return _accuracy(vectors, vectors.unit[one], other, [one])


def relation_plane(vectors, drawn, others):
    """Projects pairs of words on a plane that shows a relation.

    The vertical axis is the mean offset of other pairs, so that the drawn pairs point along it only if they
    share the relation. The horizontal axis is the direction at right angles in which the centers of the drawn
    pairs differ most.

    Args:
        vectors: `WordVectors`.
        drawn: P pairs to project.
        others: Pairs that determine the vertical axis.

    Returns:
        Coordinates (horizontal, vertical), [P, 2, 2]: pair, word of the pair, axis.
    """
    one, other = _rows(vectors, others)
    vertical = np.mean(vectors.unit[other] - vectors.unit[one], axis=0)
    vertical /= np.linalg.norm(vertical)
    points = vectors.unit[np.stack(_rows(vectors, drawn), axis=1)]
    centers = points.mean(axis=1)
    centers = centers - centers.mean(axis=0)
    centers -= np.outer(centers @ vertical, vertical)
    horizontal = np.linalg.svd(centers, full_matrices=False)[2][0]
    # The sign of a component is arbitrary: choose the one that makes the largest coordinate positive.
    coordinates = centers @ horizontal
    horizontal *= np.sign(coordinates[np.abs(coordinates).argmax()])
    return points @ np.stack([horizontal, vertical], axis=1)


def split_pairs(pairs):
    """Returns the pairs to draw, every fourth one, and the others."""
    drawn = pairs[::_DRAWN_EVERY]
    return drawn, [pair for pair in pairs if pair not in drawn]


def plot(measurement):
    """Draws two relations, each as the offsets of pairs in a plane, and the accuracy of analogies.

    Args:
        measurement: A `Measurement`.
    """
    figure, axes = style.canvas(12, 6, columns=3, width_ratios=(1.2, 1.2, 1))
    labels = []
    for axis, relation in zip(axes[0], _DRAWN, strict=False):
        drawn, others = split_pairs(measurement.relations[relation])
        labels += _plane(axis, drawn, relation_plane(measurement.vectors, drawn, others))
        axis.set_title(relation, loc="left", fontsize=11)
        axis.set_ylabel(f"mean offset of {len(others)} other pairs")
        axis.set_xlabel("first principal component of the pairs' centers")
    _bars(axes[0, 2], measurement)
    # The extents of labels are known once the axes have their places.
    figure.draw_without_rendering()
    for words, step in zip(labels, (1, -1, 1, -1), strict=True):
        _separate(words, step)
    return figure


def table(measurement):
    """Returns (header, rows) with the nearest words of a few words by both kinds of vectors.

    Args:
        measurement: A `Measurement`.
    """
    both = measurement.topical, measurement.vectors
    rows = [
        [word, *(", ".join(near for near, _ in each.nearest(word, _NEIGHBORS)) for each in both)]
        for word in _LISTED
        if all(word in each for each in both)
    ]
    return ["word", "nearest in latent semantic analysis", "nearest by adjacent words"], rows


def draw():
    """Returns the figure and the table of nearest words."""
    measurement = measure()
    return plot(measurement), table(measurement)


def _rows(vectors, pairs):
    """Returns the rows of the first words and of the second words, [P] each."""
    rows = {word: row for row, word in enumerate(vectors.words)}
    return tuple(np.array([rows[word] for word in words]) for words in zip(*pairs, strict=True))


def _accuracy(vectors, queries, answers, given):
    """Returns the accuracy of the words nearest to queries [Q, D], without the given words."""
    cosines = queries @ vectors.unit.T
    questions = np.arange(len(queries))
    for words in given:
        cosines[questions, words] = -np.inf
    better = np.sum(cosines > cosines[questions, answers][:, None], axis=1)
    return Accuracy(float(np.mean(better == 0)), float(np.mean(better < 5)))


def _plane(axis, pairs, points):
    """Draws an arrow for each pair, with its words at the ends; returns the labels above and below arrows."""
    halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    above, below = [], []
    for (one, other), (start, end) in zip(pairs, points, strict=True):
        axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": style.BLUE, "linewidth": 1})
        first, second = (one, start, end, style.INK), (other, end, start, style.VERMILION)
        for word, place, opposite, color in (first, second):
            upper = place[1] > opposite[1]
            label = axis.annotate(
                word,
                place,
                (0, 2 if upper else -2),
                textcoords="offset points",
                size=9,
                color=color,
                ha="center",
                va="bottom" if upper else "top",
                path_effects=halo,
            )
            (above if upper else below).append(label)
    # Annotations alone do not extend the axes.
    axis.plot(*points.reshape(-1, 2).T, linestyle="none")
    axis.margins(0.16, 0.08)
    return above, below


def _separate(labels, step):
    """Moves labels up or down, by steps in points, until none covers another."""
    placed = []
    for label in sorted(labels, key=lambda label: label.xy[1] * step):
        box = label.get_window_extent()
        while any(box.overlaps(other) for other in placed):
            x, y = label.get_position()
            label.set_position((x, y + step))
            box = box.translated(0, step * label.figure.dpi / 72)
        placed.append(box)


def _bars(axis, measurement):
    height = 0.2
    for place, (method, (label, color)) in enumerate(_METHODS.items()):
        accuracies = [by_method[method] for by_method in measurement.accuracy.values()]
        y = np.arange(len(accuracies)) + (place - (len(_METHODS) - 1) / 2) * height
        in_five = [100 * each.in_five for each in accuracies]
        axis.barh(y, in_five, 0.85 * height, color=color, alpha=0.35)
        axis.barh(y, [100 * each.first for each in accuracies], 0.85 * height, color=color, label=label)
        for at, each in zip(y, accuracies, strict=True):
            text = f"{100 * each.first:.0f} / {100 * each.in_five:.0f}"
            axis.text(100 * each.in_five + 1.5, at, text, size=8, va="center", color=style.INK)
    counted = [f"{relation}\n{len(pairs)} pairs" for relation, pairs in measurement.relations.items()]
    axis.set_yticks(range(len(counted)), counted)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set(xlim=(0, 100), xlabel="right word first / among five, %")
    axis.set_title("finding the second word of a pair", loc="left", fontsize=11)
    style.legend_below(axis.figure, columns=4)


FIGURE = Figure(
    section="7.1",
    name="word_vectors",
    draw=draw,
    caption=(
        "Principal components of the correlations of words in the topics of Python's language reference. "
        "Left and middle: every fourth pair of a relation, from the first word (black) to the second (red). "
        "The vertical axis is the mean offset of the other pairs. Right: how often the second word of a pair "
        "is the word nearest to the first plus an offset (dark), or among the five nearest (light). The "
        "table lists the nearest words: words of the same documents share a topic, and words with the same "
        "neighbors can often replace each other."
    ),
)
