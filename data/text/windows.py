"""Windows of a tokenized text that fits in memory, gathered from one tensor of tokens.

Legend: B batch, N tokens, T context. A window has T + 1 tokens: inputs [T], and targets [T] shifted by one.
"""

import dataclasses

import numpy as np

from ... import arguments

ORDERS = ("shuffled", "contiguous")
# An evaluation batch has at most this many tokens and this many logits.
_EVALUATION_TOKENS, _EVALUATION_LOGITS = 2**16, 2**26


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How training batches are drawn from the windows; the arguments are those of `load`.

    Args:
        batch_size: Windows per training batch.
        seed: Key of the offset and of the order.
        order: `shuffled` or `contiguous`.
    """

    batch_size: int = 32
    seed: int = 0
    order: str = "shuffled"

    def check(self, train=None):
        """Raises a ValueError unless every setting is valid for `train` windows; `None` for any number."""
        arguments.integer("batch_size", self.batch_size, 1, train)
        arguments.seed("seed", self.seed)
        arguments.one_of("order", self.order, ORDERS)

    def replaced(self, train, **settings):
        """Returns a copy with other settings, checked against `train` windows."""
        sampling = dataclasses.replace(self, **settings)
        sampling.check(train)
        return sampling


def counts(name, context, train, validation, test):
    """Returns the numbers of windows of three texts.

    An epoch has N // T - 1 training windows (at least one), which leaves at least T tokens for the random
    offset. Validation and test have (N - 1) // T windows, so that up to T - 1 targets at the end are dropped.

    Args:
        name: Name of the text, for the message.
        context: Length T of a window.
        train: Training tokens N.
        validation: Validation tokens.
        test: Test tokens.

    Returns:
        {"train": windows, "validation": windows, "test": windows}.

    Raises:
        ValueError: If a text has fewer than T + 1 tokens.
    """
    arguments.integer("context", context, 1)
    for split, tokens in {"training": train, "validation": validation, "test": test}.items():
        if tokens <= context:
            raise ValueError(
                f"the {split} text of {name!r} must have more tokens than the context, got {tokens} tokens "
                f"for context={context}"
            )
    return {
        "train": max(1, train // context - 1),
        "validation": (validation - 1) // context,
        "test": (test - 1) // context,
    }


def splits(spec, train, validation, test, sampling):
    """Builds the splits of a text held in memory.

    Epoch e cuts the training text into consecutive windows from an offset that is uniform over all positions
    from which the windows fit, at least T of them; every target is thus drawn with positive probability. In
    `shuffled` order the windows are then permuted. In `contiguous` order, row b of each batch continues row b
    of the previous one, for recurrent nets that keep their state.

    Args:
        spec: The `TextSpec`.
        train: Training tokens [N], int32.
        validation: Validation tokens.
        test: Test tokens.
        sampling: The `Sampling` of the training batches.

    Returns:
        The `Splits` of (inputs [B, T], targets [B, T]), int32.
    """
    import tensorflow as tf

    from ..splits import Splits

    # On a machine with an accelerator the tokens stay on the host, where tf.data runs.
    with tf.device("CPU:0"):
        train, validation, test = (tf.cast(tokens, tf.int32) for tokens in (train, validation, test))

    def rebuild(**settings):
        return splits(spec, train, validation, test, sampling.replaced(spec.train, **settings))

    return Splits(
        spec,
        sampling.batch_size,
        _drawn(train, spec.train, spec.context, sampling),
        in_order(validation, spec.validation, spec),
        in_order(test, spec.test, spec),
        rebuild,
    )


def _drawn(tokens, windows, context, sampling):
    """Returns the function from epoch numbers to batches that `Splits` expects."""
    import tensorflow as tf

    steps = windows // sampling.batch_size
    used = steps * sampling.batch_size
    offsets = len(tokens) - windows * context

    def order(epoch):
        key = tf.stack([tf.constant(sampling.seed, tf.int64), epoch])
        offset_key, order_key = tf.unstack(tf.random.split(key, 2))
        offset = tf.random.stateless_uniform([], offset_key, 0, offsets, tf.int32)
        if sampling.order == "contiguous":
            rows = tf.transpose(tf.reshape(tf.range(used), [sampling.batch_size, steps]))
        else:
            rows = tf.random.experimental.stateless_shuffle(tf.range(windows), order_key)[:used]
            rows = tf.reshape(rows, [steps, sampling.batch_size])
        return tf.data.Dataset.from_tensor_slices(offset + rows * context)

    def batch(starts):
        return gathered(tokens, starts, context)

    return lambda epochs: epochs.flat_map(order).map(batch, num_parallel_calls=tf.data.AUTOTUNE)


def in_order(tokens, windows, spec):
    """Returns the batches of an evaluation split: consecutive windows, each target at most once.

    Args:
        tokens: Tokens [N], int32.
        windows: Number of windows.
        spec: The `TextSpec`.

    Returns:
        A dataset of (inputs [B, T], targets [B, T]), with about 64k tokens in a batch, fewer if their logits
        would take more than 256 MiB.
    """
    import tensorflow as tf

    batch_size = max(1, min(_EVALUATION_TOKENS, _EVALUATION_LOGITS // spec.vocabulary) // spec.context)
    with tf.device("CPU:0"):
        tokens = tf.convert_to_tensor(tokens)
    starts = tf.data.Dataset.from_tensor_slices(np.arange(windows, dtype=np.int32) * spec.context)
    batches = starts.batch(batch_size).map(
        lambda starts: gathered(tokens, starts, spec.context), num_parallel_calls=tf.data.AUTOTUNE
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def gathered(tokens, starts, context):
    """Returns inputs and targets [B, T] of the windows that start at given positions.

    Args:
        tokens: Tokens [N], a tensor.
        starts: Positions [B].
        context: Length T of a window.
    """
    import tensorflow as tf

    window = tf.gather(tokens, starts[:, None] + tf.range(context + 1))
    return window[:, :-1], window[:, 1:]
