"""Recurrent models of characters, and of words in the sizes of Zaremba et al. (section 5.2).

T positions, V vocabulary.
"""

from ...training.parts import Architecture, Execution, NextToken, Optimizer, Text
from ...training.supervised import Supervised
from .texts import LIMITS


def recurrent(
    spec,
    cell: str = "lstm",
    num_layers: int = 2,
    width: int = 256,
    embedding: int | None = None,
    dropout: float = 0.0,
    tied: bool = False,
    initial_range: float | None = None,
):
    """Returns a recurrent language model.

    Args:
        spec: The text's `TextSpec`.
        cell: `rnn` (Eq. 5.2.1), `lstm`, or `layer_norm_lstm`.
        num_layers: Number of recurrent layers.
        width: Number of units of each.
        embedding: Features of an embedded token; `None` for `width`.
        dropout: Dropout rate of what enters each layer and the map to the logits.
        tied: Whether the logits are products with the embedding matrix.
        initial_range: Draw all matrices uniformly between minus and plus this; `None` for Keras's defaults.

    Returns:
        A `RecurrentLanguageModel` from tokens `[B, T]` to logits `[B, T, V]`.
    """
    from .recurrent import RecurrentLanguageModel

    return RecurrentLanguageModel(
        spec.vocabulary, cell, num_layers, width, embedding, dropout, tied, initial_range
    )


def _treebank(size, width, context, dropout, initial_range, epochs, largest_gradient):
    """Returns the recipe of one of Zaremba's sizes.

    They sum the loss over the time steps, so that their learning rate of 1 and largest norm of a gradient are
    a rate of T, and a norm smaller by T, for our mean.
    """
    return Supervised(
        name=f"lstm_ptb_{size}",
        section="5.2",
        summary=f"word-level LSTM, {width} units, on the user's Penn Treebank",
        model=Architecture(recurrent, {"width": width, "dropout": dropout, "initial_range": initial_range}),
        data=Text("ptb", tokenizer="words", vocabulary=10_000, context=context, batch_size=20),
        objective=NextToken(),
        optimizer=Optimizer(
            "sgd",
            learning_rate=float(context),
            schedule="cosine",
            arguments={"momentum": 0.0, "nesterov": False, "global_clipnorm": largest_gradient / context},
        ),
        execution=Execution(jit_compile=True),
        epochs=epochs,
        limits=f"{LIMITS['ptb']} Unlike in Zaremba et al. (2014), each window starts from a zero state, and "
        "the learning rate decays as a cosine.",
    )


RECIPES = (
    Supervised(
        name="lstm_text",
        section="5.2",
        summary="character LSTM on the documentation of Python",
        model=Architecture(recurrent, {"num_layers": 1, "width": 128}),
        data=Text("text", context=64, batch_size=32),
        objective=NextToken(),
        optimizer=Optimizer(
            "adam", learning_rate=5e-3, schedule="cosine", arguments={"global_clipnorm": 1.0}
        ),
        execution=Execution(jit_compile=True),
        epochs=6,
        limits=LIMITS["text"],
    ),
    Supervised(
        name="rnn_shakespeare",
        section="5.2",
        summary="character ReLU network (Eq. 5.2.1) on Shakespeare",
        model=Architecture(recurrent, {"cell": "rnn", "num_layers": 1, "width": 512, "embedding": 64}),
        data=Text("tiny_shakespeare", context=128, batch_size=32),
        objective=NextToken(),
        optimizer=Optimizer(
            "adam", learning_rate=1e-3, schedule="cosine", warmup=1, arguments={"global_clipnorm": 1.0}
        ),
        execution=Execution(jit_compile=True),
        epochs=8,
        limits=LIMITS["tiny_shakespeare"],
    ),
    Supervised(
        name="lstm_shakespeare",
        section="5.2",
        summary="character LSTM on Shakespeare",
        model=Architecture(recurrent, {"width": 256, "embedding": 64, "dropout": 0.25}),
        data=Text("tiny_shakespeare", context=128, batch_size=32),
        objective=NextToken(),
        optimizer=Optimizer(
            "adam", learning_rate=3e-3, schedule="cosine", arguments={"global_clipnorm": 1.0}
        ),
        execution=Execution(jit_compile=True),
        epochs=12,
        limits=LIMITS["tiny_shakespeare"],
    ),
    _treebank("small", 200, 20, dropout=0.0, initial_range=0.1, epochs=13, largest_gradient=5.0),
    _treebank("medium", 650, 35, dropout=0.5, initial_range=0.05, epochs=39, largest_gradient=5.0),
    _treebank("large", 1500, 35, dropout=0.65, initial_range=0.04, epochs=55, largest_gradient=10.0),
    Supervised(
        name="lstm_lm1b",
        section="5.2",
        summary="word-level LSTM on the One Billion Word Benchmark, streamed",
        model=Architecture(recurrent, {"num_layers": 1, "width": 512, "tied": True, "dropout": 0.1}),
        data=Text("lm1b", tokenizer="words", vocabulary=10_000, context=32, batch_size=64),
        objective=NextToken(),
        optimizer=Optimizer(
            "adam", learning_rate=1e-3, schedule="cosine", arguments={"global_clipnorm": 1.0}
        ),
        execution=Execution(jit_compile=True),
        epochs=1,
        limits=LIMITS["lm1b"],
    ),
)
