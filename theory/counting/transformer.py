"""Multiplications and parameters of Transformers (notes, section 5.4).

Eqs. 5.4.16 and 5.4.17 keep the dominant terms; the counts here are exact. A layer of width D with as wide
keys and values, and d_ff features between its two dense layers, multiplies

    2 n D (d_ff + 2 D) + 2 n^2 D

times for n positions. The second term has two parts, n^2 D for the scores and n^2 D for the averages of the
values; the printed equation has one of them. They exceed the first term from n = d_ff + 2 D on: 6 D if
d_ff = 4 D, not 12 D.

Legend: B batch, T positions, S positions of the source, D features, H heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from ...arguments import boolean, one_of
from .attention import Products, cross_attention, head_sizes, layer_norm, self_attention, self_products
from .attention import feed_forward as feed_forward_count
from .count import Count, require_positive
from .recurrent import embedding, unembedding

POSITIONS = ("learned", "sinusoidal", "rotary", "none")
"""Encodings of positions; only learned ones have parameters, and none has a matrix product."""


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of a Transformer's layers, and its counts.

    Args:
        num_layers: Number of layers; of an encoder-decoder, in each of both.
        width: Features D, the notes' d_emb.
        heads: Number H of heads, or a key size for each.
        feed_forward: Features d_ff between the two dense layers; 4 D by default.
        head_size: Key size d_k of every head if `heads` is a number; D / H by default.
        value_sizes: Value size of every head, or of each; the key sizes by default.
        norm: `post` normalizes after each sum (Eqs. 5.4.14 and 5.4.15); `pre` normalizes the input of each
            branch, and once after the last layer.
        bias: Whether the maps have biases; the layer norms always do.

    Raises:
        ValueError: If a size is not a positive integer, H does not divide D and there is no head size, or
            `norm` is unknown.
    """

    num_layers: int
    width: int
    heads: int | Sequence[int]
    feed_forward: int | None = None
    head_size: int | None = None
    value_sizes: int | Sequence[int] | None = None
    norm: str = "pre"
    bias: bool = True

    def __post_init__(self):
        one_of("norm", self.norm, ("pre", "post"))
        head_sizes(self.width, self.heads, self.head_size, self.value_sizes)
        require_positive(num_layers=self.num_layers, feed_forward=self.hidden)

    @property
    def hidden(self) -> int:
        """Features d_ff between the two dense layers."""
        return 4 * self.width if self.feed_forward is None else self.feed_forward

    @property
    def head_sums(self) -> tuple[int, int]:
        """Sums of the key sizes and of the value sizes over the heads."""
        return head_sizes(self.width, self.heads, self.head_size, self.value_sizes)

    def products(
        self, length: int, *, cached: int = 0, count_masked: bool = True, batch: int = 1
    ) -> Products:
        """Counts the multiplications of one layer of self-attention by matrix product, Eq. 5.4.17.

        Args:
            length: Positions T.
            cached: Earlier positions whose keys and values come from a cache; with `length=1`, the result is
                the cost of decoding one token.
            count_masked: Whether to count the products of pairs that a causal mask removes, as a dense
                product computes them.
            batch: Sequences B.

        Raises:
            ValueError: If a size is not a positive integer.
        """
        attention = self_products(self.width, *self.head_sums, length, cached, count_masked, batch)
        return replace(attention, feed_forward=self._feed_forward(length, batch).forward)

    def crossover_length(self, *, count_masked: bool = True) -> float:
        """Returns the length at which the quadratic part of a layer costs as much as the linear part.

        With keys and values of the same total width D it is d_ff + 2 D, which is 6 D if d_ff = 4 D. If
        masked pairs are not computed it is 2 (d_ff + 2 D) - 1.

        Args:
            count_masked: Whether to count the products of pairs that a causal mask removes.
        """
        single = self.products(1)
        ratio = single.linear / single.quadratic
        return ratio if boolean("count_masked", count_masked) else 2 * ratio - 1

    def feed_forward_ratio(self) -> float:
        """Returns the parameters of the feed-forward network over those of self-attention, Eq. 5.4.13.

        Without biases and with keys and values of the same total width D it is d_ff / (2 D).
        """
        return self._feed_forward().parameters / self._self_attention().parameters

    def block(
        self,
        length: int = 1,
        *,
        cached: int = 0,
        count_masked: bool = True,
        memory_length: int | None = None,
        batch: int = 1,
    ) -> Count:
        """Counts one layer: self-attention, feed-forward network and layer norms, Eqs. 5.4.14 and 5.4.15.

        Args:
            length: Positions T.
            cached: Earlier positions whose keys and values come from a cache. Those of the memory then do,
                too.
            count_masked: Whether to count the products of pairs that a causal mask removes.
            memory_length: Positions S of the encoder's outputs, to which a decoder's layer attends with a
                second attention and a third layer norm; `None` for a layer without them.
            batch: Sequences B.

        Raises:
            ValueError: If a size is not a positive integer.
        """
        parts = [
            self._self_attention(length=length, cached=cached, count_masked=count_masked, batch=batch),
            self._feed_forward(length, batch),
            self._norm(),
            self._norm(),
        ]
        if memory_length is not None:
            sizes = {"head_size": self.head_size, "value_sizes": self.value_sizes, "bias": self.bias}
            lengths = {"length": length, "memory_length": memory_length, "cached": cached > 0}
            parts += [cross_attention(self.width, self.heads, **sizes, **lengths, batch=batch), self._norm()]
        return reduce(add, parts)

    def encoder(
        self,
        vocabulary: int,
        context: int,
        *,
        positions: str = "learned",
        length: int | None = None,
        batch: int = 1,
    ) -> Count:
        """Counts an encoder: embedding, positions and layers, without a head.

        Args:
            vocabulary: Number V of tokens.
            context: Longest input, the number of learned positions.
            positions: `learned`, `sinusoidal`, `rotary` or `none`.
            length: Positions T; `context` by default.
            batch: Sequences B.

        Raises:
            ValueError: If a size is not a positive integer, or `positions` is unknown.
        """
        length = context if length is None else length
        return self._embedded(vocabulary, context, positions) + self._stack(length, batch=batch)

    def decoder(
        self,
        vocabulary: int,
        context: int,
        *,
        positions: str = "learned",
        tied: bool = True,
        length: int | None = None,
        cached: int = 0,
        count_masked: bool = True,
        batch: int = 1,
    ) -> Count:
        """Counts a language model: embedding, positions, layers and logits without bias, Eq. 5.4.16.

        Args:
            vocabulary: Number V of tokens.
            context: Longest input, the number of learned positions.
            positions: `learned`, `sinusoidal`, `rotary` or `none`.
            tied: Whether the logits use the embedding matrix, as Eq. 5.4.16 assumes.
            length: Positions T, each of which gets logits; `context` by default.
            cached: Earlier positions whose keys and values come from a cache; with `length=1`, the result is
                the cost of decoding one token.
            count_masked: Whether to count the products of pairs that a causal mask removes.
            batch: Sequences B.

        Raises:
            ValueError: If a size is not a positive integer, or `positions` is unknown.
        """
        length = context if length is None else length
        embedded = self._embedded(vocabulary, context, positions)
        stack = self._stack(length, cached=cached, count_masked=count_masked, batch=batch)
        return embedded + stack + unembedding(vocabulary, self.width, tied=tied, length=length, batch=batch)

    def encoder_decoder(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        source_context: int,
        target_context: int,
        *,
        positions: str = "sinusoidal",
        tied: bool = True,
        shared: bool = False,
        source_length: int | None = None,
        target_length: int | None = None,
        count_masked: bool = True,
        batch: int = 1,
    ) -> Count:
        """Counts an encoder and a decoder that attends to its outputs, as the original Transformer has them.

        Args:
            source_vocabulary: Number of tokens of the source.
            target_vocabulary: Number of tokens of the target.
            source_context: Longest source, the number of learned positions of the encoder.
            target_context: Longest target, the number of learned positions of the decoder.
            positions: `learned`, `sinusoidal`, `rotary` or `none`.
            tied: Whether the logits use the embedding matrix of the target.
            shared: Whether source and target share one embedding matrix.
            source_length: Positions S of the source; `source_context` by default.
            target_length: Positions T of the target; `target_context` by default.
            count_masked: Whether to count the products of pairs that the decoder's causal mask removes.
            batch: Sequences B.

        Raises:
            ValueError: If a size is not a positive integer, `positions` is unknown, or vocabularies of
                different sizes are shared.
        """
        if boolean("shared", shared) and source_vocabulary != target_vocabulary:
            raise ValueError(
                "shared must be False for vocabularies of different sizes, got "
                f"source_vocabulary={source_vocabulary}, target_vocabulary={target_vocabulary}"
            )
        source_length = source_context if source_length is None else source_length
        target_length = target_context if target_length is None else target_length
        parts = [
            self.encoder(
                source_vocabulary, source_context, positions=positions, length=source_length, batch=batch
            ),
            self._embedded(target_vocabulary, target_context, positions),
            self._stack(target_length, count_masked=count_masked, memory_length=source_length, batch=batch),
            unembedding(target_vocabulary, self.width, tied=tied, length=target_length, batch=batch),
        ]
        total = reduce(add, parts)
        saved = target_vocabulary * self.width if shared else 0
        return replace(total, parameters=total.parameters - saved)

    def _self_attention(self, **lengths):
        sizes = {"head_size": self.head_size, "value_sizes": self.value_sizes, "bias": self.bias}
        return self_attention(self.width, self.heads, **sizes, **lengths)

    def _feed_forward(self, length=1, batch=1):
        return feed_forward_count(self.width, self.hidden, bias=self.bias, length=length, batch=batch)

    def _norm(self):
        return layer_norm(self.width)

    def _embedded(self, vocabulary, context, positions):
        """Counts the embedding and the positions."""
        tokens = embedding(vocabulary, self.width)
        table = embedding(context, self.width)
        return tokens + table if one_of("positions", positions, POSITIONS) == "learned" else tokens

    def _stack(self, length, **options):
        """Counts all layers, and the layer norm after the last if norms come first."""
        layers = [self.block(length, **options)] * self.num_layers
        return reduce(add, layers + [self._norm()] * (self.norm == "pre"))
