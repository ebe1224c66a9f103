"""The measure of translators: translations that equal the target exactly.

N pairs, S and T lengths of source and target, V vocabulary of the targets.
"""

import dataclasses
from typing import Any

from ..evaluation import Evaluation
from .measure import Measure

# Token of the end of a sequence; 0 is padding and 1 the start.
_END = 2
_SHOWN = 20


class Translation(Measure):
    """The fraction of exact translations with its interval, and the likelihood of the targets."""

    name = "translation"
    columns = {  # noqa: RUF012
        "exact match (95 % interval)": lambda scores: (
            f"{100 * scores['exact_match']:.2f} % "
            f"({100 * scores['exact_match_low']:.2f}-{100 * scores['exact_match_high']:.2f})"
        ),
        "nats/token": lambda scores: f"{scores['nats_per_token']:.4f}",
    }

    def brief(self, scores):
        """Returns the fraction of exact translations."""
        return f"{scores['exact_match']:.2%} exact match"

    def check(self, model, spec):
        """Checks that a model has both vocabularies of the pairs, and their tokenizers."""
        for side in ("source", "target"):
            size, own = (getattr(model, f"{side}_{name}", None) for name in ("vocabulary", "tokenizer"))
            other = getattr(spec, f"{side}_vocabulary")
            if size is not None and size != other:
                raise ValueError(
                    f"{spec.name} must have a {side} vocabulary of {size} tokens, the model's, got {other}"
                )
            given = getattr(spec, f"{side}_tokenizer")
            if own is not None and given is not None and own != given:
                raise ValueError(
                    f"{spec.name} must be in tokens of the model's {side} tokenizer, {own!r}, got those of "
                    f"another, {given!r}"
                )

    def measure(self, model, splits, data):
        """Measures a translator on the test split.

        Args:
            model: A `keras.Model` from source and start of the target to logits `[B, T, V]`, with a method
                `translate`.
            splits: The `Splits` of ((sources, starts of the targets), targets).
            data: The `data` section of the card.

        Returns:
            The `Evaluation` with these scores: `exact_match`, the fraction of sources whose most probable
            translation, chosen token by token, is the target; `exact_match_low` and `exact_match_high`, the
            ends of its 95 % Wilson interval; `nats_per_token`, the mean of -log p over the target tokens
            after the true ones before them, without padding; `errors`; and `examples`.
        """
        from ...losses.classifier_scores import wilson_interval

        evidence = evidence_of(model, splits)
        examples = len(evidence.exact)
        matches = int(evidence.exact.sum())
        low, high = wilson_interval(matches, examples)
        scores = {
            "exact_match": matches / examples,
            "exact_match_low": float(low),
            "exact_match_high": float(high),
            "nats_per_token": evidence.nats_per_token,
            "errors": examples - matches,
            "examples": examples,
        }
        return Evaluation(
            self.name, scores, data, summary=summary(scores), sections=lambda: sections(model, evidence)
        )


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a translator made of a split.

    Args:
        sources: Tokens of each source, [N, S].
        predictions: Tokens of each translation before its end, N lists.
        targets: Tokens of each target before its end, N lists.
        exact: Whether each translation is the target, [N].
        nats_per_token: Mean of -log p over the target tokens without padding.
    """

    sources: Any
    predictions: Any
    targets: Any
    exact: Any
    nats_per_token: float


def evidence_of(model, splits):
    """Returns the `Evidence` of a model on the test split.

    Args:
        model: The `keras.Model`.
        splits: The `Splits`.
    """
    import numpy as np
    import tensorflow as tf

    from .predictions import token_losses

    translate = tf.function(model.translate, reduce_retracing=True)
    sources, predictions, targets = [], [], []
    for (source, _), target in splits.test:
        sources += list(source.numpy())
        predictions += [upto_end(row) for row in translate(source).numpy()]
        targets += [upto_end(row) for row in target.numpy()]
    exact = np.array([p == t for p, t in zip(predictions, targets, strict=True)])
    total = count = 0.0
    for nats, _, tokens in token_losses(model, splits.test):
        total += nats[tokens != 0].sum()
        count += (tokens != 0).sum()
    return Evidence(sources, predictions, targets, exact, float(total / count))


def upto_end(tokens):
    """Returns the tokens of a sequence before its end or padding, as a list.

    Args:
        tokens: Integers, [T].
    """
    plain = [int(token) for token in tokens]
    ends = [index for index, token in enumerate(plain) if token in (0, _END)]
    return plain[: ends[0]] if ends else plain


def summary(scores):
    """Returns the scores as rows (name, value).

    Args:
        scores: The scores.
    """
    low, high = (100 * scores[f"exact_match_{end}"] for end in ("low", "high"))
    return [
        ("Exact match", f"{100 * scores['exact_match']:.2f} %"),
        ("Exact match, 95 % interval", f"{low:.2f} % to {high:.2f} %"),
        ("Negative log-likelihood of a target token", f"{scores['nats_per_token']:.4f} nats"),
        ("Mistakes", f"{scores['errors']:,}"),
        ("Pairs", f"{scores['examples']:,}"),
    ]


def sections(model, evidence):
    """Returns the section that lists mistakes.

    Args:
        model: The `keras.Model`; its `source_tokenizer` and `target_tokenizer` turn tokens into text.
        evidence: The `Evidence`.
    """
    import numpy as np

    from ..page.report import Section

    wrong = np.flatnonzero(~evidence.exact)
    rows = []
    for index in wrong[:_SHOWN]:
        source = _text(model, "source", upto_end(evidence.sources[index]))
        predicted, true = (
            _text(model, "target", side[index]) for side in (evidence.predictions, evidence.targets)
        )
        rows.append((source, f"{predicted} (true: {true})"))
    text = (
        f"The first {len(rows)} of {len(wrong):,} mistakes: source, translation, and true translation."
        if rows
        else "None."
    )
    return [Section("Mistakes", text, rows=rows)]


def _text(model, side, tokens):
    """Returns tokens as text, or as numbers if the model has no tokenizer."""
    tokenizer = getattr(model, f"{side}_tokenizer", None)
    return " ".join(map(str, tokens)) if tokenizer is None else tokenizer.decode(tokens)
