"""Multiplications and parameters of recurrent networks and embeddings (notes, section 5.2).

Each step multiplies every weight of a recurrent layer by one number: apart from biases, the parameters are
the multiplications per token. Eq. 5.2.2 is both.

Legend: B batch, T tokens, D features, V vocabulary.
"""

from __future__ import annotations

from .count import Count, matrix_product, require_flags, require_positive


def rnn(inputs: int, units: int, *, bias: bool = True, length: int = 1, batch: int = 1) -> Count:
    """Counts the parameters and multiplications of the recurrent layer of Eq. 5.2.1.

    Args:
        inputs: Features d_x of a token.
        units: Size d_h of the state.
        bias: Whether the layer has a bias.
        length: Tokens T.
        batch: Sequences B.

    Returns:
        The `Count`: d_h (d_x + d_h) + d_h parameters and B T d_h (d_x + d_h) multiplications forward, as many
        for the derivatives with respect to the weights, and as many for those with respect to inputs and
        states. Only tokens and initial state count as inputs: the derivatives with respect to the states in
        between are in `backward_weights`, because those with respect to the weights need them.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    return _recurrent(1, inputs, units, bias, length, batch)


def lstm(inputs: int, units: int, *, bias: bool = True, length: int = 1, batch: int = 1) -> Count:
    """Counts the parameters and multiplications of a long short-term memory, Eq. 5.2.2.

    The three gates and the candidate for the memory have a matrix d_h x (d_x + d_h) each, and one bias each.

    Args:
        inputs: Features d_x of a token.
        units: Size d_h of the state and of the memory.
        bias: Whether the layer has biases.
        length: Tokens T.
        batch: Sequences B.

    Returns:
        The `Count`, four times that of `rnn`: 4 d_h (d_x + d_h) + 4 d_h parameters and
        4 B T d_h (d_x + d_h) multiplications forward. The 3 B T d_h elementwise products with the gates are
        not matrix products and not counted.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    return _recurrent(4, inputs, units, bias, length, batch)


def embedding(vocabulary: int, width: int) -> Count:
    """Counts the parameters of an embedding matrix (Sec. 5.2.2); looking up a row multiplies nothing.

    A learned table of positions counts likewise, with the longest context in place of the vocabulary.

    Args:
        vocabulary: Number V of tokens.
        width: Features D of a token.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    vocabulary, width = require_positive(vocabulary=vocabulary, width=width)
    return Count(vocabulary * width, 0, 0, 0)


def unembedding(
    vocabulary: int,
    width: int,
    *,
    tied: bool = False,
    bias: bool = False,
    length: int = 1,
    batch: int = 1,
) -> Count:
    """Counts the map from features to logits over the vocabulary.

    Args:
        vocabulary: Number V of tokens.
        width: Features D.
        tied: Whether the matrix is that of the embedding, which has counted its parameters.
        bias: Whether the logits have a bias.
        length: Positions T that get logits.
        batch: Sequences B.

    Returns:
        The `Count`: D V parameters unless tied, V for the bias, and B T D V multiplications.

    Raises:
        ValueError: If a size is not a positive integer.
    """
    vocabulary, width, length, batch = require_positive(
        vocabulary=vocabulary, width=width, length=length, batch=batch
    )
    require_flags(tied=tied, bias=bias)
    products = matrix_product(batch * length, width, vocabulary)
    return Count((not tied) * vocabulary * width + bias * vocabulary, products, products, products)


def _recurrent(gates, inputs, units, bias, length, batch):
    inputs, units, length, batch = require_positive(inputs=inputs, units=units, length=length, batch=batch)
    require_flags(bias=bias)
    to_inputs = matrix_product(batch, inputs, gates * units)
    to_state = matrix_product(batch, units, gates * units)
    forward = length * (to_inputs + to_state)
    return Count(
        parameters=gates * units * (inputs + units) + bias * gates * units,
        forward=forward,
        backward_weights=forward + (length - 1) * to_state,
        backward_input=length * to_inputs + to_state,
    )
