"""Scaled dot products of queries and keys, and the averages that they weight (Sec. 5.4).

Masks are boolean and True where a query may attend to a key.

Legend: T queries, S keys, d size of a head, ... further axes, such as the batch and the heads.
"""

import math

import keras
from keras import ops

# Finite, so that a row without keys gives no NaN.
_MASKED = -1e30


def attention_weights(queries, keys, mask=None):
    r"""Returns the matrix of attention weights, Eq. 5.4.6.

    \[ S^{ss'} = \mathrm{softmax}_{s'} \frac{Q^{sk} K_k^{s'}}{\sqrt{d}} \]

    The softmax is computed in at least float32. A query that may attend to no key attends to all equally.

    Args:
        queries: Q, [..., T, d].
        keys: K, [..., S, d].
        mask: Boolean, broadcastable to [..., T, S]; `None` for no mask.

    Returns:
        The weights S, [..., T, S], which sum to 1 over the keys, in the dtype of `queries`.

    Raises:
        ValueError: If the mask's shape does not fit.
    """
    dtype = keras.backend.result_type(queries.dtype, "float32")
    # Scaling the queries costs T d products instead of T S.
    queries = queries * (1 / math.sqrt(queries.shape[-1]))
    scores = ops.cast(ops.matmul(queries, ops.swapaxes(keys, -1, -2)), dtype)
    if mask is not None:
        mask = ops.convert_to_tensor(mask)
        given, shape = tuple(mask.shape), tuple(scores.shape)
        if not _broadcasts(given, shape):
            raise ValueError(
                f"mask must have a shape that broadcasts to [..., T, S], here {shape}, got {given}"
            )
        scores = ops.where(mask, scores, _MASKED)
    return ops.cast(ops.softmax(scores, axis=-1), queries.dtype)


def scaled_dot_product_attention(queries, keys, values, mask=None):
    r"""Returns the values averaged with the attention weights, \(S^{ss'} V_{s'}\) of Eq. 5.4.5.

    Args:
        queries: Q, [..., T, d].
        keys: K, [..., S, d].
        values: V, [..., S, d_v].
        mask: Boolean, broadcastable to [..., T, S]; `None` for no mask.

    Returns:
        The averages, [..., T, d_v].

    Raises:
        ValueError: If the mask's shape does not fit.
    """
    return ops.matmul(attention_weights(queries, keys, mask), values)


def causal_mask(queries, keys, start=0):
    """Returns the mask by which a query attends to no later position.

    Args:
        queries: Number T of queries.
        keys: Number S of keys, which are at positions 0, 1, ...
        start: Position of the first query; may be a tensor.

    Returns:
        Boolean [T, S], True where the key's position is at most the query's.
    """
    return ops.arange(keys)[None, :] <= (ops.arange(queries) + start)[:, None]


def _broadcasts(given, shape):
    """Returns whether an array can be broadcast to a shape, as far as both are known."""
    return len(given) <= len(shape) and all(
        None in (size, whole) or size in (1, whole)
        for size, whole in zip(given[::-1], shape[::-1], strict=False)
    )
