"""Transformers that translate: number words, dates, and talks (section 5.4.2)."""

from ...training.parts import Architecture, Execution, Optimizer, Pairs, Translate
from ...training.supervised import Supervised
from .texts import LIMITS


def translator(
    spec,
    num_layers: int = 2,
    width: int = 128,
    heads: int = 4,
    feed_forward: int | None = None,
    positions: str = "sinusoidal",
    norm: str = "pre",
    activation: str = "relu",
    dropout: float = 0.0,
):
    """Returns a `Translator` for pairs of texts.

    Args:
        spec: The `PairSpec` of the pairs.
        num_layers: As for `Translator`.
        width: As for `Translator`.
        heads: As for `Translator`.
        feed_forward: As for `Translator`.
        positions: As for `Translator`.
        norm: As for `Translator`.
        activation: As for `Translator`.
        dropout: As for `Translator`.
    """
    settings = {key: value for key, value in locals().items() if key != "spec"}

    from .translator import Translator

    vocabularies = (spec.source_vocabulary, spec.target_vocabulary)
    return Translator(*vocabularies, spec.source_length, spec.target_length, **settings)


def _recipe(name, summary, pairs, epochs, **settings):
    return Supervised(
        name=name,
        section="5.4",
        summary=summary,
        model=Architecture(translator, settings),
        data=Pairs(pairs, batch_size=64),
        objective=Translate(),
        optimizer=Optimizer("adam", learning_rate=1e-3, schedule="cosine", warmup=0.5),
        execution=Execution(jit_compile=True),
        epochs=epochs,
        limits=LIMITS[pairs],
    )


RECIPES = (
    _recipe("seq2seq_numbers", "a Transformer from number words to digits", "numbers", 6, width=64),
    _recipe("seq2seq_dates", "a Transformer from written dates to ISO 8601", "dates", 5, width=64),
    _recipe(
        "seq2seq_ted",
        "a Transformer from Portuguese to English, on transcripts of talks",
        "ted_hrlr_translate/pt_to_en",
        20,
        num_layers=4,
        heads=8,
        dropout=0.1,
    ),
)
