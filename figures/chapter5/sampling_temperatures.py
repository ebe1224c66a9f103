"""What a language model writes at several temperatures (Sec. 5.4).

At temperature T the next token is drawn from p_T(i) = softmax(logits / T)_i. For contexts of held-out text
these are exact: the entropy of p_T; the nats per token -sum_i p_T(i) log p_1(i) that the model assigns to
what is drawn; and the nats per token -log p_T of the text itself.

Legend: N contexts, V vocabulary, K temperatures, B prompts, P tokens of a prompt, M new tokens.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from ... import zoo
from ...data import text
from ...publishing.page import style
from ..figure import Figure

MODEL = "transformer_text"
PROMPT = "The value of this attribute is "
TEMPERATURES = (0.3, 0.7, 1.0, 1.5)
GRID = np.linspace(0.1, 2.0, 39)

_NEW_TOKENS = 160


@dataclass(frozen=True)
class Curves:
    """Averages over contexts against temperature.

    Args:
        temperatures: [K].
        entropy: Entropy of p_T, in nats, [K].
        drawn: Nats per token of tokens drawn from p_T under p_1, [K].
        text: Nats per token of the text under p_T, [K].
    """

    temperatures: np.ndarray
    entropy: np.ndarray
    drawn: np.ndarray
    text: np.ndarray


def curves(logits, targets, temperatures=GRID):
    """Computes the averages over contexts.

    Args:
        logits: Logits of the next token in each context, [N, V].
        targets: The next tokens of the text, [N].
        temperatures: Positive, [K].

    Returns:
        The `Curves`.
    """
    logits = np.asarray(logits, np.float64)
    log_p1 = log_softmax(logits, axis=-1)
    rows = []
    for temperature in temperatures:
        log_p = log_softmax(logits / temperature, axis=-1)
        p = np.exp(log_p)
        of_text = np.take_along_axis(log_p, np.asarray(targets)[:, None], axis=-1)
        rows.append([-(p * log_p).sum(-1).mean(), -(p * log_p1).sum(-1).mean(), -of_text.mean()])
    return Curves(np.asarray(temperatures), *np.array(rows).T)


def nats_per_token(model, tokens, start):
    """Returns the mean -log p_1 of tokens, given the tokens before them.

    Args:
        model: A `LanguageModel`.
        tokens: int32 [B, T].
        start: The first position that counts, at least 1.
    """
    log_p = log_softmax(np.asarray(model(tokens[:, :-1]), np.float64), axis=-1)[:, start - 1 :]
    return -np.take_along_axis(log_p, tokens[:, start:, None], axis=-1).mean()


def samples(model, prompts, new_tokens=_NEW_TOKENS, temperatures=TEMPERATURES):
    """Continues prompts at several temperatures, with the same random numbers.

    Args:
        model: A `LanguageModel`.
        prompts: int32 [B, P].
        new_tokens: Number M of new tokens.
        temperatures: [K].

    Returns:
        The prompts with their continuations, int32 [K, B, P + M].
    """
    written = [model.generate(list(prompts), new_tokens, temperature=float(t)) for t in temperatures]
    return np.stack([np.hstack([prompts, continuations]) for continuations in written])


def table(texts, temperatures=TEMPERATURES):
    """Returns the header and the rows of the table: a text for each temperature.

    Args:
        texts: The texts, of K temperatures.
        temperatures: [K].
    """
    line_break = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS} "
    shown = [" ".join(each.replace("\n", f" {line_break}").split()) for each in texts]
    return ("temperature", "text"), [(f"{t}", each) for t, each in zip(temperatures, shown, strict=True)]


def plot(found, temperatures, measured):
    """Draws the averages over contexts (lines) and the nats per token of samples (points).

    Args:
        found: The `Curves`.
        temperatures: Temperatures of the samples, [K].
        measured: Nats per token of the samples, [K].
    """
    figure, axes = style.canvas(6.6, 4.4)
    axis = axes[0, 0]
    x = found.temperatures
    axis.plot(x, found.entropy, color=style.BLUE, label="entropy of the distribution drawn from")
    axis.plot(x, found.drawn, color=style.VERMILION, label="drawn tokens in contexts of the text")
    look = {"color": style.VERMILION, "marker": "o", "linestyle": "none", "markersize": 6}
    axis.plot(temperatures, measured, label="samples that the model writes on its own", **look)
    axis.plot(x, found.text, "--", color=style.GREEN, label="the text, at the temperature")
    axis.axvline(1, color=style.MUTED, linewidth=0.8)
    axis.set(xlabel="temperature", ylabel="nats per token", ylim=(0, 1.05 * np.max(found.drawn)))
    style.legend_below(figure, columns=2)
    return figure


def draw(passages=16):
    """Computes the curves on held-out text, draws samples, and returns one at each temperature, too."""
    model = zoo.load(MODEL)
    splits = text.load("text", tokenizer=model.tokenizer, context=model.context)
    tokens, targets = (each[: 2 * passages].numpy() for each in next(iter(splits.test)))
    logits = np.asarray(model(tokens))
    found = curves(logits.reshape(-1, model.vocabulary), targets.ravel())
    prompt = model.tokenizer.encode(PROMPT)
    prompts = np.vstack([prompt, tokens[: passages - 1, : len(prompt)]])
    written = samples(model, prompts)
    # The last of them is not read, so that texts of one token more than the context are scored.
    measured = [nats_per_token(model, each[:, : model.context + 1], len(prompt)) for each in written]
    texts = [model.tokenizer.decode(each) for each in written[:, 0]]
    return plot(found, TEMPERATURES, measured), table(texts)


FIGURE = Figure(
    section="5.4",
    name="sampling_temperatures",
    draw=draw,
    caption=(
        "Sampling from transformer_text. In contexts of held-out text, the entropy of the distribution drawn "
        "from rises with the temperature, as do the nats per token that the model assigns to what is drawn; "
        "at temperature 1 they are equal. Texts that the model writes on its own are less probable (points), "
        "because it conditions on its own errors. The text itself has the fewest nats per token near "
        "temperature 1 (dashed) if the model's probabilities are calibrated."
    ),
    place=1,
)
