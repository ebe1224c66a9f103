"""Writing tokens one by one with a cache: sampling and beam search, each one loop that a backend compiles.

A model is decoded through three methods:

    initial_state(batch, length, ...)  the cache for `length` positions: nested tensors with a batch axis
    prefill(tokens [B, P], state)      the state after reading tokens from position 0; the state of positions
                                       after a row's prompt is overwritten before it is read
    step(tokens [B], position, state)  the logits [B, V] of the next token, and the state

A model whose `reads_in_parallel` is false has no `prefill`, and reads prompts step by step. When a cache is
full, its last half is read again as its first, so that the cost of a token does not depend on its position.

Prompts are rows of one array, padded on the right. All rows advance together, and a row takes its next token
from its prompt as long as there is one.

Legend: B batch, P longest prompt, N positions of the buffer of tokens, M new tokens, V vocabulary, K beams.
"""

import keras
from keras import ops

from . import filters

_IMPOSSIBLE = -1e30


def begin(model, tokens, lengths, prompt_length, cache_length, memory=()):
    """Returns the variables of the loop before its first step: a dictionary of tensors.

    Args:
        model: The model.
        tokens: The prompts in a buffer for all tokens, int32 [B, N].
        lengths: Length of each prompt, at least 1, int32 [B].
        prompt_length: Number P of positions that a model reads in parallel.
        cache_length: Number of positions in the cache, at least P.
        memory: Further arguments of the model's `initial_state`.
    """
    state = model.initial_state(ops.shape(tokens)[0], cache_length, *memory)
    time = ops.ones_like(lengths[0])
    if model.reads_in_parallel:
        state = model.prefill(tokens[:, :prompt_length], state)
        time = ops.min(lengths)
    return {
        "tokens": tokens,
        "ends": lengths,
        "done": ops.zeros_like(lengths, "bool"),
        "time": time,
        "offset": ops.zeros_like(time),
        "state": state,
    }


def sample(model, loop, lengths, uniforms, limit, max_new_tokens, temperature, cache_length, **choices):
    """Runs the loop of sampling until every row is done or the buffer is filled up to a limit.

    Args:
        model: The model.
        loop: The variables, as `begin` or this function returns them; `ends` are the ends of the rows.
        lengths: Length of each prompt, int32 [B].
        uniforms: Uniform numbers [B, M], by row and new token.
        limit: One past the last position to write; an integer tensor.
        max_new_tokens: Number of new tokens of each row; an integer tensor.
        temperature: As for `filters.draw`.
        cache_length: As for `begin`.
        **choices: `top_k` and `top_p`, as for `filters.draw`, and `stops`, sequences of tokens after which a
            row is done.

    Returns:
        The variables after the last step.
    """
    stops = choices.pop("stops", ())

    def step(loop):
        time, tokens = loop["time"], loop["tokens"]
        state, offset = _with_space(model, loop, cache_length)
        logits, state = model.step(_column(tokens, time - 1), time - 1 - offset, state)
        new = ops.clip(time - lengths, 0, ops.shape(uniforms)[1] - 1)
        uniform = ops.take_along_axis(uniforms, new[:, None], axis=1)[:, 0]
        drawn = filters.draw(logits, uniform, temperature, **choices)

        reading, done = time < lengths, loop["done"]
        written = ops.where(reading, _column(tokens, time), ops.where(done, 0, drawn))
        tokens = ops.slice_update(tokens, (0, time), written[:, None])
        ends = ops.where(ops.logical_or(reading, done), loop["ends"], time + 1)
        stopped = _ends_with(tokens, time, lengths, stops)
        done = done | stopped | (ends - lengths >= max_new_tokens)
        return {
            "tokens": tokens,
            "ends": ends,
            "done": done,
            "time": time + 1,
            "offset": offset,
            "state": state,
        }

    return _while(lambda loop: (loop["time"] < limit) & ~ops.all(loop["done"]), step, loop)


def beam_search(model, loop, lengths, max_new_tokens, beams, stops=()):
    """Searches for the most probable continuations, with the K best partial ones at each step.

    Args:
        model: The model.
        loop: The variables that `begin` returned, for a buffer that holds all tokens.
        lengths: Length of each prompt, int32 [B].
        max_new_tokens: Number of new tokens of each row; an integer tensor.
        beams: Number K of partial sequences.
        stops: Sequences of tokens after which a sequence is complete.

    Returns:
        A dictionary of `tokens` [B, K, N], `ends` [B, K] and `scores` [B, K], the log-probabilities in nats
        of the new tokens, best first.
    """
    batch, limit = ops.shape(lengths)[0], ops.max(lengths) + max_new_tokens

    def widened(x):
        return ops.repeat(x, beams, axis=0)

    def grouped(x):
        return ops.reshape(x, (batch, beams, *x.shape[1:]))

    starts = widened(lengths)
    first = ops.arange(beams) == 0
    loop = {
        "tokens": widened(loop["tokens"]),
        "ends": starts,
        "done": widened(loop["done"]),
        "time": loop["time"],
        "scores": ops.tile(ops.where(first, 0.0, _IMPOSSIBLE), (batch,)),
        "state": keras.tree.map_structure(widened, loop["state"]),
    }

    def step(loop):
        time, tokens, done = loop["time"], loop["tokens"], loop["done"]
        logits, state = model.step(_column(tokens, time - 1), time - 1, loop["state"])
        gains = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        vocabulary = gains.shape[-1]
        # A complete sequence continues with one kind of padding, at no cost.
        padding = ops.where(ops.arange(vocabulary) == 0, 0.0, _IMPOSSIBLE)
        totals = loop["scores"][:, None] + ops.where(done[:, None], padding, gains)
        scores, choice = ops.top_k(ops.reshape(totals, (batch, beams * vocabulary)), beams)
        choice = ops.cast(choice, "int32")
        rows = ops.arange(batch)[:, None] * beams
        reading = time < starts
        identity = ops.arange(batch * beams)
        parent = ops.where(reading, identity, ops.reshape(rows + choice // vocabulary, (-1,)))
        token = ops.where(reading, _column(tokens, time), ops.reshape(choice % vocabulary, (-1,)))
        scores = ops.where(reading, loop["scores"], ops.reshape(scores, (-1,)))

        def inherited(x):
            return ops.take(x, parent, axis=0)

        tokens = ops.slice_update(inherited(tokens), (0, time), token[:, None])
        done = inherited(done)
        ends = ops.where(reading | done, inherited(loop["ends"]), time + 1)
        done = done | _ends_with(tokens, time, starts, stops) | (ends - starts >= max_new_tokens)
        state = keras.tree.map_structure(inherited, state)
        return {
            "tokens": tokens,
            "ends": ends,
            "done": done,
            "time": time + 1,
            "scores": scores,
            "state": state,
        }

    loop = _while(lambda loop: (loop["time"] < limit) & ~ops.all(loop["done"]), step, loop)
    # `top_k` has sorted the beams by their scores.
    return {name: grouped(loop[name]) for name in ("tokens", "ends", "scores")}


def _with_space(model, loop, cache_length):
    """Returns the state and the position of its first entry, after making space if the cache is full."""
    state, offset, time = loop["state"], loop["offset"], loop["time"]
    size = loop["tokens"].shape[1]
    if not model.reads_in_parallel or (size is not None and size <= cache_length):
        return state, offset
    half = cache_length // 2

    def read_again():
        start = time - 1 - half
        tokens = ops.slice(loop["tokens"], (0, start), (ops.shape(loop["tokens"])[0], half))
        return model.prefill(tokens, state), start

    return ops.cond(time - 1 - offset >= cache_length, read_again, lambda: (state, offset))


def _column(tokens, index):
    """Returns a column [B] of an array [B, N]."""
    return ops.take(tokens, index, axis=1)


def _ends_with(tokens, time, lengths, stops):
    """Returns whether the new tokens of each row up to a position end with one of some sequences, [B]."""
    found = ops.zeros_like(lengths, "bool")
    for stop in stops:
        start = time + 1 - len(stop)
        window = ops.stack([_column(tokens, ops.maximum(start + i, 0)) for i in range(len(stop))], axis=1)
        equal = ops.all(window == ops.convert_to_tensor(stop, tokens.dtype), axis=1)
        found = found | (equal & (start >= lengths))
    return found


def _while(proceed, step, loop):
    """Runs a loop whose variables are a dictionary."""
    (loop,) = ops.while_loop(proceed, lambda loop: (step(loop),), (loop,))
    return loop
