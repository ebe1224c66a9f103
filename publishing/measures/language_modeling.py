"""The measure of language models: the negative log-likelihood of each token after those before it.

N windows, T positions in a window, V vocabulary.
"""

import dataclasses
import math
from typing import Any

from ..evaluation import Evaluation
from .measure import Measure

_TEMPERATURES = (0.5, 0.8, 1.0)
_PROMPT_LENGTH, _NEW_TOKENS = 32, 300


class LanguageModeling(Measure):
    """Nats, bits and perplexity per token with a standard error, and the accuracy."""

    name = "language_modeling"
    columns = {  # noqa: RUF012
        "nats/token (± 2 s.e.)": lambda scores: (
            f"{scores['nats_per_token']:.4f}{_plus_minus(scores['nats_per_token_error'])}"
        ),
        "perplexity": lambda scores: f"{scores['perplexity']:.4g}",
        "nats/character": lambda scores: f"{scores.get('nats_per_character', scores['nats_per_token']):.4f}",
        "next token": lambda scores: f"{100 * scores['accuracy']:.2f} %",
    }

    def brief(self, scores):
        """Returns the negative log-likelihood of a token."""
        return f"{scores['nats_per_token']:.3f} nats/token"

    def check(self, model, spec):
        """Checks that a model has the vocabulary of a text, its tokenizer, and windows of its length."""
        vocabulary, context = vocabulary_of(model), getattr(model, "context", None)
        longer = context is not None and spec.context > context
        if vocabulary != spec.vocabulary or longer:
            raise ValueError(
                f"{spec.name} must have a vocabulary of {vocabulary} tokens"
                f"{'' if context is None else f' and windows of at most {context}'}, the model's, "
                f"got {spec.vocabulary} and {spec.context}"
            )
        own, other = getattr(model, "tokenizer", None), spec.tokenizer
        if own is not None and other is not None and own != other:
            raise ValueError(
                f"{spec.name} must be in tokens of the model's tokenizer, {own!r}, got those of another, "
                f"{other!r}; load it with tokenizer=model.tokenizer"
            )

    def measure(self, model, splits, data):
        """Measures a language model on the test split.

        The windows follow one another, and each token is predicted from those before it in its window. All
        sums are in float64.

        Args:
            model: A `keras.Model` from tokens `[B, T]` to logits `[B, T, V]`.
            splits: The `Splits` of (tokens, next tokens).
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores: `nats_per_token`, the mean of -log p; `nats_per_token_error`,
            its standard error, from the scatter of the windows' means, `None` for a single window;
            `bits_per_token`; `perplexity`, the exponential of the nats; `nats_per_character`, if a token is
            not a character; `accuracy` of the most probable token; and `tokens`.
        """
        evidence = evidence_of(model, splits)
        scores = scores_of(evidence)
        return Evaluation(
            self.name,
            scores,
            data,
            summary=summary(scores),
            sections=lambda: sections(model, evidence, splits),
        )


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a language model made of a split.

    Args:
        nats: Negative log-likelihood of each target, float64 [N, T].
        correct: Whether each target had the largest logit, [N, T].
        characters: Number of characters of the targets; `None` if a token is a character, or unknown.
    """

    nats: Any
    correct: Any
    characters: int | None = None


def vocabulary_of(model):
    """Returns the number of tokens that a language model knows.

    Args:
        model: A `keras.Model` with an attribute `vocabulary`, or of logits `[B, T, V]`.
    """
    return getattr(model, "vocabulary", None) or model.output_shape[-1]


def evidence_of(model, splits):
    """Returns the `Evidence` of a model on the test split.

    Args:
        model: The `keras.Model`.
        splits: The `Splits`.
    """
    import numpy as np

    from .predictions import token_losses

    tokenizer = getattr(model, "tokenizer", None) or splits.spec.tokenizer
    parts = zip(*token_losses(model, splits.test), strict=True)
    nats, correct, targets = map(np.concatenate, parts)
    characters = None
    if tokenizer is not None and tokenizer.kind != "characters":
        characters = len(tokenizer.decode(targets.ravel()))
    return Evidence(nats, correct, characters)


def scores_of(evidence):
    """Returns the scores by name, as `LanguageModeling.measure` describes them.

    Args:
        evidence: The `Evidence`.
    """
    nats = evidence.nats
    mean, windows = float(nats.mean()), nats.mean(axis=1)
    scores = {
        "nats_per_token": mean,
        "nats_per_token_error": float(windows.std(ddof=1)) / math.sqrt(len(windows))
        if len(windows) > 1
        else None,
        "bits_per_token": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
    }
    if evidence.characters:
        scores["nats_per_character"] = float(nats.sum()) / evidence.characters
    return scores | {"accuracy": float(evidence.correct.mean()), "tokens": nats.size}


def summary(scores):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
    """
    rows = [
        (
            "Negative log-likelihood of a token, ± 2 standard errors",
            f"{scores['nats_per_token']:.4f}{_plus_minus(scores['nats_per_token_error'])} nats",
        ),
        ("The same in bits", f"{scores['bits_per_token']:.4f}"),
        ("Perplexity", f"{scores['perplexity']:.4g}"),
    ]
    if "nats_per_character" in scores:
        rows.append(("Per character", f"{scores['nats_per_character']:.4f} nats"))
    return [
        *rows,
        ("Most probable token is right", f"{100 * scores['accuracy']:.2f} %"),
        ("Tokens", f"{scores['tokens']:,}"),
    ]


def sections(model, evidence, splits):
    """Returns the sections of a report: loss against position, and text that the model writes.

    Args:
        model: The `keras.Model`.
        evidence: The `Evidence`.
        splits: The `Splits`.
    """
    from ..page.language import loss_by_position
    from ..page.report import Section

    caption = (
        "Mean negative log-likelihood at each position of the window, with two standard errors. Later tokens "
        "have more context."
    )
    parts = [Section("Position", figures=[(loss_by_position(evidence.nats), caption)])]
    if getattr(model, "tokenizer", None) is not None and hasattr(model, "generate"):
        parts.append(_samples(model, splits))
    return parts


def _samples(model, splits):
    """Returns the section of text that continues the beginning of the test split."""
    import numpy as np

    from ..page.report import Section

    tokens = next(iter(splits.test))[0].numpy()[0]
    context = getattr(model, "context", None) or len(tokens) + _NEW_TOKENS
    prompt = tokens[: max(1, min(_PROMPT_LENGTH, context // 4))]
    decode = model.tokenizer.decode
    passages = [("Prompt, from the test split", decode(prompt))]
    for temperature in _TEMPERATURES:
        new = np.asarray(
            model.generate(prompt[None], max_new_tokens=_NEW_TOKENS, temperature=temperature, seed=0)[0]
        )
        passages.append((f"Temperature {temperature:g}", decode(new)))
    return Section("Samples", "How the model continues a prompt.", passages=passages)


def _plus_minus(error):
    """Returns two standard errors as text; empty if there is no error."""
    return "" if error is None else f" ± {2 * error:.4f}"
