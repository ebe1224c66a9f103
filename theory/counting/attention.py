"""Multiplications and parameters of attention and of the feed-forward network (notes, section 5.4).

The maps W_Q, W_K, W_V and W_O act on each position: their cost is linear in the number of positions. The
scores Q K^T and the averages S V pair all positions, at the same cost each if values are as wide as keys:
these two products are the quadratic part.

`heads` is the number H of heads, or a sequence with the key size d_k of each. `head_size` is the key size of
every head if `heads` is a number, by default D / H; `value_sizes` is the value size d_v of every head, or a
sequence with that of each, by default the key sizes.

Legend: B batch, T queries, S keys, D features, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...arguments import integer
from .count import Count, matrix_product, require_flags, require_positive
from .feedforward import dense


@dataclass(frozen=True)
class Products:
    """Multiplications of each matrix product of a Transformer layer's forward pass, Eq. 5.4.17.

    Args:
        queries: Product with W_Q (Eq. 5.4.4).
        keys: Product with W_K (Eq. 5.4.3).
        values: Product with W_V (Eq. 5.4.7).
        scores: Q K^T of all heads (Eq. 5.4.6).
        averages: Averages of the values, weighted by the attention (Eq. 5.4.8).
        output: Product with W_O (Eq. 5.4.9).
        feed_forward: Both products of Eq. 5.4.11.
    """

    queries: int
    keys: int
    values: int
    scores: int
    averages: int
    output: int
    feed_forward: int = 0

    @property
    def projections(self) -> int:
        """Multiplications of the four maps of attention."""
        return self.queries + self.keys + self.values + self.output

    @property
    def linear(self) -> int:
        """Multiplications that grow linearly with the number of positions."""
        return self.projections + self.feed_forward

    @property
    def quadratic(self) -> int:
        """Multiplications that grow quadratically with the number of positions."""
        return self.scores + self.averages

    @property
    def total(self) -> int:
        """All multiplications."""
        return self.linear + self.quadratic


def self_attention(
    width: int,
    heads: int | Sequence[int],
    *,
    head_size: int | None = None,
    value_sizes: int | Sequence[int] | None = None,
    bias: bool = True,
    length: int = 1,
    cached: int = 0,
    count_masked: bool = True,
    batch: int = 1,
) -> Count:
    """Counts the parameters and multiplications of multi-head self-attention, Eqs. 5.4.8 to 5.4.10.

    Args:
        width: Features D of inputs and outputs.
        heads: Number H of heads, or a key size for each.
        head_size: Key size of every head.
        value_sizes: Value size of every head, or of each.
        bias: Whether the four maps have biases.
        length: Positions T.
        cached: Earlier positions whose keys and values come from a cache.
        count_masked: Count the products of pairs that a causal mask removes, as a dense product computes
            them: T (cached + T) pairs. `False` counts the T cached + T (T + 1) / 2 pairs of causal attention.
        batch: Sequences B.

    Returns:
        The `Count`. Without biases it has D (2 K + 2 V) parameters, with K and V the sums of the key and
        value sizes over the heads, which is 4 D^2 if K = V = D. Only the derivatives with respect to the
        inputs are in `backward_input`; those with respect to queries, keys and values are in
        `backward_weights`, because the derivatives with respect to the weights need them.

    Raises:
        ValueError: If a size is not a positive integer, or H does not divide D and there is no head size.
    """
    sizes = head_sizes(width, heads, head_size, value_sizes)
    products = self_products(width, *sizes, length, cached, count_masked, batch)
    return _attention(width, width, *sizes, bias, products)


def cross_attention(
    width: int,
    heads: int | Sequence[int],
    *,
    memory_width: int | None = None,
    head_size: int | None = None,
    value_sizes: int | Sequence[int] | None = None,
    bias: bool = True,
    length: int = 1,
    memory_length: int = 1,
    cached: bool = False,
    batch: int = 1,
) -> Count:
    """Counts attention of queries from one sequence to keys and values from another, the memory.

    Args:
        width: Features D of inputs and outputs.
        heads: Number H of heads, or a key size for each.
        memory_width: Features of the memory; `width` by default.
        head_size: Key size of every head.
        value_sizes: Value size of every head, or of each.
        bias: Whether the four maps have biases.
        length: Queries T.
        memory_length: Positions S of the memory.
        cached: Whether the keys and values come from a cache, so that the call does not compute them.
        batch: Sequences B.

    Returns:
        The `Count`, as `self_attention` returns it; the memory counts as an input.

    Raises:
        ValueError: If a size is not a positive integer, or H does not divide D and there is no head size.
    """
    memory_width = width if memory_width is None else memory_width
    sizes = head_sizes(width, heads, head_size, value_sizes)
    products = _cross_products(width, memory_width, *sizes, length, memory_length, cached, batch)
    return _attention(width, memory_width, *sizes, bias, products)


def feed_forward(width: int, hidden: int, *, bias: bool = True, length: int = 1, batch: int = 1) -> Count:
    """Counts the two dense layers that act on each position, Eqs. 5.4.11 and 5.4.12.

    Args:
        width: Features D of inputs and outputs, the notes' d_emb.
        hidden: Features d_ff between the layers.
        bias: Whether the layers have biases.
        length: Positions T.
        batch: Sequences B.

    Returns:
        The `Count`: 2 d_ff D + d_ff + D parameters and 2 B T d_ff D multiplications forward.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    require_positive(width=width, hidden=hidden, length=length, batch=batch)
    return dense(width, hidden, bias=bias, batch=batch * length) + dense(
        hidden, width, bias=bias, batch=batch * length
    )


def layer_norm(width: int, *, bias: bool = True) -> Count:
    """Counts the gains of layer normalization, and its biases; it has no matrix product.

    Args:
        width: Features D.
        bias: Whether it has biases.

    Raises:
        ValueError: If `width` is not a positive integer.
    """
    require_positive(width=width)
    require_flags(bias=bias)
    return Count(width + bias * width, 0, 0, 0)


def head_sizes(width, heads, head_size=None, value_sizes=None):
    """Returns the sums of key sizes and of value sizes over the heads, after checking them.

    Args:
        width: As in `self_attention`.
        heads: As in `self_attention`.
        head_size: As in `self_attention`.
        value_sizes: As in `self_attention`.

    Raises:
        ValueError: As `self_attention`.
    """
    listed = isinstance(heads, Sequence)
    number = len(heads) if listed else heads
    require_positive(width=width, heads=number)
    if listed and head_size is not None:
        raise ValueError(f"head_size must be left out if heads has the sizes, got {head_size!r}")
    if not listed and head_size is None and width % heads:
        raise ValueError(f"heads must divide width={width}, got {heads}; or give head_size")
    if listed:
        keys = _sizes("heads", heads, number)
    else:
        keys = _sizes("head_size", width // heads if head_size is None else head_size, number)
    return sum(keys), sum(keys if value_sizes is None else _sizes("value_sizes", value_sizes, number))


def self_products(width, keys, values, length, cached, count_masked, batch):
    """Returns the `Products` of self-attention, without the feed-forward network.

    Args:
        width: Features D of inputs and outputs.
        keys: Sum of the key sizes over the heads.
        values: Sum of the value sizes over the heads.
        length: As in `self_attention`.
        cached: As in `self_attention`.
        count_masked: As in `self_attention`.
        batch: As in `self_attention`.

    Raises:
        ValueError: If a number is not valid.
    """
    require_positive(length=length, batch=batch)
    require_flags(count_masked=count_masked)
    integer("cached", cached, 0)
    pairs = length * cached + (length**2 if count_masked else length * (length + 1) // 2)
    return _products(width, width, keys, values, length, length, pairs, batch)


def _cross_products(width, memory_width, keys, values, length, memory_length, cached, batch):
    """Returns the `Products` of cross-attention."""
    require_positive(memory_width=memory_width, length=length, memory_length=memory_length, batch=batch)
    require_flags(cached=cached)
    projected = 0 if cached else memory_length
    return _products(width, memory_width, keys, values, length, projected, length * memory_length, batch)


def _products(width, memory_width, keys, values, length, projected, pairs, batch):
    return Products(
        queries=matrix_product(batch * length, width, keys),
        keys=matrix_product(batch * projected, memory_width, keys),
        values=matrix_product(batch * projected, memory_width, values),
        scores=batch * pairs * keys,
        averages=batch * pairs * values,
        output=matrix_product(batch * length, values, width),
    )


def _attention(width, memory_width, keys, values, bias, products):
    require_flags(bias=bias)
    kernels = width * keys + memory_width * (keys + values) + values * width
    to_inputs = products.queries + products.keys + products.values
    return Count(
        parameters=kernels + bias * (2 * keys + values + width),
        forward=products.total,
        backward_weights=to_inputs + 2 * (products.quadratic + products.output),
        backward_input=to_inputs,
    )


def _sizes(name, value, number):
    """Returns a size for each head."""
    if not isinstance(value, Sequence):
        require_positive(**{name: value})
        return (value,) * number
    if len(value) != number:
        raise ValueError(f"{name} must have a size for each of the {number} heads, got {value!r}")
    require_positive(**{f"{name}[{i}]": size for i, size in enumerate(value)})
    return tuple(value)
