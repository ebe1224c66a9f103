"""Positions of tokens: without them attention does not depend on the order of its inputs (Sec. 5.4.2).

Legend: B batch, T positions of the inputs, L longest sequence, D features, d size of a head.
"""

import keras
import numpy as np
from keras import ops

from .. import arguments

_BASE = 10_000.0


def sinusoids(length, features):
    r"""Returns the fixed position vectors of Vaswani et al.

    \[ P_{s,2i} = \sin(s / 10000^{2i/D}), \qquad P_{s,2i+1} = \cos(s / 10000^{2i/D}) \]

    Args:
        length: Number L of positions.
        features: Number D of features.

    Returns:
        A NumPy array [L, D] in float64.
    """
    index = np.arange(features)
    angles = np.arange(length)[:, None] / _BASE ** (2 * (index // 2) / features)
    return np.where(index % 2 == 0, np.sin(angles), np.cos(angles))


def rotate(x, position=0):
    r"""Rotates each pair of features (x_i, x_{i+d/2}) by an angle proportional to the position.

    Position s turns pair i by s / 10000^{2i/d}. The product of a rotated query and a rotated key depends on
    their positions through the difference only.

    Args:
        x: Queries or keys of T consecutive positions, [B, H, T, d] with even d.
        position: Position of the first, an integer or a tensor.

    Returns:
        The rotated vectors, of the same shape and dtype.

    Raises:
        ValueError: If d is odd.

    References:
        Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021), arXiv:2104.09864.
    """
    half, odd = divmod(x.shape[-1], 2)
    if odd:
        raise ValueError(f"x must have an even number of features, got {x.shape[-1]}")
    dtype = keras.backend.result_type(x.dtype, "float32")
    frequencies = ops.convert_to_tensor(_BASE ** (-np.arange(half) / half), dtype)
    steps = ops.cast(ops.arange(ops.shape(x)[-2]) + position, dtype)
    angles = steps[:, None] * frequencies[None, :]
    cosine, sine = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    first, second = x[..., :half], x[..., half:]
    return ops.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


@keras.saving.register_keras_serializable("curvezoo")
class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector for each position: [B, T, D] to [B, T, D] with T up to L.

    Args:
        length: Number L of positions.
        initializer: Any Keras initializer identifier.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `length` is not a positive integer, or the inputs are longer.
    """

    def __init__(self, length, initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        self.length = arguments.integer("length", length, 1)
        self.supports_masking = True
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        """Creates the vectors [L, D]."""
        shape = (self.length, input_shape[-1])
        self.vectors = self.add_weight(shape=shape, initializer=self.initializer, name="vectors")

    def call(self, inputs, position=0):
        """Adds the vectors of the positions `position` to `position` + T - 1."""
        return inputs + _window(ops.convert_to_tensor(self.vectors), inputs, position)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "length": self.length, "initializer": initializer}


@keras.saving.register_keras_serializable("curvezoo")
class SinusoidalPositions(keras.layers.Layer):
    """Adds the fixed vectors of `sinusoids`: [B, T, D] to [B, T, D] with T up to L.

    Args:
        length: Number L of positions.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `length` is not a positive integer, or the inputs are longer.
    """

    def __init__(self, length, **kwargs):
        super().__init__(**kwargs)
        self.length = arguments.integer("length", length, 1)
        self.supports_masking = True

    def call(self, inputs, position=0):
        """Adds the vectors of the positions `position` to `position` + T - 1."""
        vectors = ops.convert_to_tensor(sinusoids(self.length, inputs.shape[-1]), inputs.dtype)
        return inputs + _window(vectors, inputs, position)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the inputs."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {**super().get_config(), "length": self.length}


def _window(vectors, inputs, position):
    """Returns the vectors [T, D] of the inputs' positions."""
    length, features = vectors.shape
    known, start = inputs.shape[1], position if isinstance(position, int) else 0
    if known is not None and start + known > length:
        raise ValueError(f"inputs must have at most {length} positions, got {start + known}")
    return ops.slice(vectors, (position, 0), (ops.shape(inputs)[1], features))
