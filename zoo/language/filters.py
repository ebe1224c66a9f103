"""The distributions from which tokens are drawn: temperature, top-k and top-p (nucleus) sampling.

Legend: B batch, V vocabulary.
"""

from keras import ops

from ... import arguments

_LARGEST_UNIFORM = 1 - 2.0**-20


def check(vocabulary, temperature=1.0, top_k=None, top_p=None):
    """Raises a ValueError unless the settings of a distribution are valid.

    Args:
        vocabulary: Size V of the vocabulary.
        temperature: At least 0; 0 takes the most probable token.
        top_k: Number of most probable tokens to draw from, 1 to V; `None` for all.
        top_p: Probability of the smallest set of most probable tokens to draw from, in (0, 1]; `None` for 1.
    """
    arguments.nonnegative_number("temperature", temperature)
    if top_k is not None:
        arguments.integer("top_k", top_k, 1, vocabulary)
    if top_p is not None:
        arguments.number("top_p", top_p, 0, 1, bounds="(]")


def filtered_logits(logits, temperature, top_k=None, top_p=None):
    """Returns logits divided by the temperature, with -inf for tokens that must not be drawn.

    Args:
        logits: [B, V].
        temperature: Positive.
        top_k: Keep the k most probable tokens; ties with the last of them are kept, too.
        top_p: Keep the smallest set of most probable tokens whose probability is at least p, likewise.

    Returns:
        Logits [B, V].
    """
    logits = logits / temperature
    if top_k is not None:
        threshold = ops.top_k(logits, top_k)[0][:, -1:]
        logits = ops.where(logits < threshold, -float("inf"), logits)
    if top_p is not None:
        descending = ops.flip(ops.sort(logits, axis=-1), axis=-1)
        probabilities = ops.softmax(descending, axis=-1)
        before = ops.cumsum(probabilities, axis=-1) - probabilities
        kept = ops.where(before < top_p, descending, float("inf"))
        logits = ops.where(logits < ops.min(kept, axis=-1, keepdims=True), -float("inf"), logits)
    return logits


def draw(logits, uniform, temperature, top_k=None, top_p=None):
    """Draws a token for each row by inverting the cumulative distribution at a uniform number.

    Args:
        logits: [B, V].
        uniform: Numbers in [0, 1), [B].
        temperature: A number or a tensor; 0 takes the most probable token.
        top_k: As for `filtered_logits`.
        top_p: As for `filtered_logits`.

    Returns:
        Tokens [B], int32.
    """
    logits = ops.cast(logits, "float32")
    greedy = ops.cast(ops.argmax(logits, axis=-1), "int32")
    positive = ops.maximum(ops.cast(temperature, "float32"), 1e-6)
    probabilities = ops.softmax(filtered_logits(logits, positive, top_k, top_p), axis=-1)
    cumulative = ops.cumsum(probabilities, axis=-1)
    # Rounding may leave the last sum below 1. Tokens of probability 0 are never drawn.
    target = ops.minimum(uniform, _LARGEST_UNIFORM)[:, None] * cumulative[:, -1:]
    drawn = ops.sum(ops.cast(cumulative <= target, "int32"), axis=-1)
    return ops.where(ops.cast(temperature, "float32") > 0, drawn, greedy)
