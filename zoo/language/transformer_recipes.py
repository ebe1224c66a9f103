"""Transformers that continue texts, by characters (section 5.4)."""

from ...training.parts import Architecture, Execution, NextToken, Optimizer, Text
from ...training.supervised import Supervised
from .texts import LIMITS


def transformer(
    spec,
    num_layers: int = 4,
    width: int = 128,
    heads: int = 4,
    feed_forward: int | None = None,
    positions: str = "rotary",
    norm: str = "pre",
    activation: str = "gelu",
    dropout: float = 0.0,
    tied: bool = False,
    use_bias: bool = False,
    remat: bool = False,
):
    """Returns a `TransformerLanguageModel` for a text.

    Args:
        spec: The text's `TextSpec`.
        num_layers: As for `TransformerLanguageModel`.
        width: As for `TransformerLanguageModel`.
        heads: As for `TransformerLanguageModel`.
        feed_forward: As for `TransformerLanguageModel`.
        positions: As for `TransformerLanguageModel`.
        norm: As for `TransformerLanguageModel`.
        activation: As for `TransformerLanguageModel`.
        dropout: As for `TransformerLanguageModel`.
        tied: As for `TransformerLanguageModel`.
        use_bias: As for `TransformerLanguageModel`.
        remat: As for `TransformerLanguageModel`.
    """
    settings = {key: value for key, value in locals().items() if key != "spec"}

    from .transformer import TransformerLanguageModel

    return TransformerLanguageModel(spec.vocabulary, spec.context, **settings)


RECIPES = (
    Supervised(
        name="transformer_text",
        section="5.4",
        summary="a small Transformer on Python's help texts, by characters",
        model=Architecture(transformer, {"num_layers": 2, "width": 96, "dropout": 0.0}),
        data=Text("text", context=128, batch_size=16),
        objective=NextToken(),
        optimizer=Optimizer("adamw", learning_rate=3e-3, schedule="cosine", warmup=0.5, weight_decay=0.1),
        execution=Execution(jit_compile=True),
        epochs=6,
        limits=LIMITS["text"],
    ),
    Supervised(
        name="transformer_shakespeare",
        section="5.4",
        summary="a Transformer on Shakespeare's plays, by characters",
        model=Architecture(transformer, {"dropout": 0.1}),
        data=Text("tiny_shakespeare", context=128, batch_size=32),
        objective=NextToken(),
        optimizer=Optimizer(
            "adamw",
            learning_rate=3e-3,
            schedule="cosine",
            warmup=0.5,
            weight_decay=0.1,
            arguments={"global_clipnorm": 1.0},
        ),
        execution=Execution(jit_compile=True),
        epochs=20,
        limits=LIMITS["tiny_shakespeare"],
    ),
)
