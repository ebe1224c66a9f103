"""Residual blocks: the identity plus a function (Sec. 5.1.4, Eqs. 5.1.13 to 5.1.15).

Version 2, X + F(X), leaves the sum untouched: X_n = X_1 + sum_k F_k(X_k). Version 1, phi(X + F(X)), applies
an activation to it. F consists of m weight layers. In version 2 normalization and activation come before each
of them. In version 1 they come after each, except that phi follows the sum instead of the last layer.

Residual scale: X and F(X) are uncorrelated at initialization, so without scaling the variance doubles with
every block, to 2^L after L blocks. Without normalization F is homogeneous of degree m in its weights, and
the gain L^(-1/(2m)) on each layer gives Var(F) = Var(X) / L and a total growth of (1 + 1/L)^L < e. A
normalization within F undoes every scale before it. The whole factor L^(-1/2) is then applied after the last
normalization: to the last convolution in version 2, to the initial gamma of the last normalization in
version 1.

Legend: B batch, D features, H height, W width, C channels; images are [B, H, W, C] on every backend.
"""

import keras
from keras import ops

from .. import arguments
from .initializers import residual_gain, variance_scaling
from .normalization import activation_normalization

_EXPANSION = 4
_SHORTCUTS = ("projection", "pad")


@keras.saving.register_keras_serializable("curvezoo")
class ResidualBlock(keras.layers.Layer):
    """Convolutional residual block: [B, H, W, C] to [B, H / strides, W / strides, filters], rounded up.

    The branch F has two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1 convolutions with 4 * `filters`
    output channels. The strides apply to the first 3x3 convolution. Version 1 is Eq. 5.1.14 with the
    activation as phi, version 2 is Eq. 5.1.13 with pre-activation; a network of version 2 blocks needs one
    more normalization and activation after the last block. If the shape changes, the shortcut is either a 1x1
    convolution (version 1 normalizes its output; version 2 applies it to the pre-activated input, as He et
    al. do), or the subsampled input padded with zero channels.

    Args:
        filters: Number of channels within the block.
        strides: Step between filter positions, one integer.
        version: Either 1 or 2.
        bottleneck: Whether F is the bottleneck of three convolutions.
        shortcut: `projection` or `pad` (option A of He et al. 2015), used only if the shape changes.
        normalization: `None`, `batch` or `layer`; the convolutions have a bias only with `None`.
        activation: Any Keras activation identifier.
        scheme: Scheme of the initial weights: `fan_in`, `fan_out` or `fan_avg`.
        depth: Number L of residual blocks in the network, for `residual_scale`.
        residual_scale: Whether F starts smaller by a factor L^(-1/2).
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If an argument is not one of its valid values, `residual_scale` is set without a
            `depth`, or `pad` would have to remove channels.

    References:
        He et al., "Deep Residual Learning for Image Recognition" (2015), arXiv:1512.03385.
        He et al., "Identity Mappings in Deep Residual Networks" (2016), arXiv:1603.05027.
        Zhang, Dauphin and Ma, "Fixup Initialization" (2019), arXiv:1901.09321.
    """

    def __init__(
        self,
        filters,
        strides=1,
        version=2,
        bottleneck=False,
        shortcut="projection",
        normalization="batch",
        activation="relu",
        scheme="fan_in",
        depth=None,
        residual_scale=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        arguments.one_of("version", version, (1, 2))
        arguments.one_of("shortcut", shortcut, _SHORTCUTS)
        self.filters = arguments.integer("filters", filters, 1)
        self.strides = arguments.integer("strides", strides, 1)
        self.version, self.bottleneck = version, bottleneck
        self.shortcut, self.normalization, self.scheme = shortcut, normalization, scheme
        self.activation = keras.activations.get(activation)
        self.depth, self.residual_scale = depth, residual_scale
        self.out_filters = _EXPANSION * filters if bottleneck else filters
        self._add_sublayers()
        self.projection = self.projection_norm = None

    def build(self, input_shape):
        """Creates the weights for inputs of this shape."""
        shape = tuple(input_shape)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            before, shape = shape, convolution.compute_output_shape(shape)
            convolution.build(before)
            if norm is not None:
                norm.build(shape if self.version == 1 else before)
        self.changes_shape = self.strides != 1 or input_shape[-1] != self.out_filters
        if self.changes_shape and self.shortcut == "projection":
            self._build_projection(input_shape)
        if input_shape[-1] > self.out_filters and self.shortcut == "pad":
            raise ValueError(
                "shortcut must be 'projection' to remove channels, got 'pad' with "
                f"{input_shape[-1]} input channels for {self.out_filters} output channels"
            )

    def call(self, inputs, training=None):
        """Applies the block."""
        if self.version == 1:
            shortcut = self._shortcut(inputs, inputs, training)
            return self.activation(shortcut + self.residual(inputs, training))
        first = self._preactivate(inputs, 0, training)
        return self._shortcut(inputs, first, training) + self._residual_v2(first, training)

    def residual(self, inputs, training=None):
        """Returns the branch F(X).

        Args:
            inputs: Images [B, H, W, C].
            training: Whether batch norm uses the batch's own statistics.

        Returns:
            Images [B, H / strides, W / strides, filters], or with 4 * `filters` channels in a bottleneck.
        """
        if self.version == 2:
            return self._residual_v2(self._preactivate(inputs, 0, training), training)
        x = inputs
        for i, convolution in enumerate(self.convolutions):
            x = self._normalize(self.norms[i], convolution(x if i == 0 else self.activation(x)), training)
        return x

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output of F, which is that of the block."""
        shape = tuple(input_shape)
        for convolution in self.convolutions:
            shape = convolution.compute_output_shape(shape)
        return shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "version": self.version,
            "bottleneck": self.bottleneck,
            "shortcut": self.shortcut,
            "normalization": self.normalization,
            "activation": keras.activations.serialize(self.activation),
            "scheme": self.scheme,
            "depth": self.depth,
            "residual_scale": self.residual_scale,
        }

    def _add_sublayers(self):
        f, s = self.filters, self.strides
        # (filters, kernel size, strides) of each convolution.
        plan = [(f, 1, 1), (f, 3, s), (self.out_filters, 1, 1)] if self.bottleneck else [(f, 3, s), (f, 3, 1)]
        last = len(plan) - 1
        gains, gamma = [1.0] * len(plan), 1.0
        if self.residual_scale:
            if self.normalization is None:
                gains = [residual_gain(self.depth, len(plan))] * len(plan)
            elif self.version == 2:
                gains[last] = residual_gain(self.depth, 1)
            else:
                gamma = residual_gain(self.depth, 1)
        self.convolutions = [
            self._convolution(filters, size, strides, gains[i], f"convolution_{i}")
            for i, (filters, size, strides) in enumerate(plan)
        ]
        self.norms = [self._norm(f"norm_{i}", gamma if i == last else 1.0) for i in range(len(plan))]

    def _convolution(self, filters, size, strides, gain, name):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            data_format="channels_last",
            use_bias=self.normalization is None,
            kernel_initializer=variance_scaling(self.scheme, gain),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name, gamma=1.0):
        return activation_normalization(
            self.normalization,
            gamma_initializer=keras.initializers.Constant(gamma),
            dtype=self.dtype_policy,
            name=name,
        )

    def _build_projection(self, input_shape):
        self.projection = self._convolution(self.out_filters, 1, self.strides, 1.0, "projection")
        self.projection.build(input_shape)
        if self.version == 1 and self.normalization is not None:
            self.projection_norm = self._norm("projection_norm")
            self.projection_norm.build(self.compute_output_shape(input_shape))

    def _normalize(self, norm, x, training):
        if norm is None:
            return x
        return norm(x, training=training) if self.normalization == "batch" else norm(x)

    def _preactivate(self, x, i, training):
        return self.activation(self._normalize(self.norms[i], x, training))

    def _residual_v2(self, first, training):
        x = self.convolutions[0](first)
        for i in range(1, len(self.convolutions)):
            x = self.convolutions[i](self._preactivate(x, i, training))
        return x

    def _shortcut(self, inputs, projected, training):
        if not self.changes_shape:
            return inputs
        if self.projection is not None:
            return self._normalize(self.projection_norm, self.projection(projected), training)
        x = inputs[:, :: self.strides, :: self.strides, :]
        return ops.pad(x, [(0, 0)] * 3 + [(0, self.out_filters - x.shape[-1])])


@keras.saving.register_keras_serializable("curvezoo")
class ResidualDense(keras.layers.Layer):
    """Fully connected residual block of version 2 without normalization: [B, D] to [B, D], Eq. 5.1.13.

    F(X) = W_m ReLU(... W_2 ReLU(W_1 ReLU(X))) has square matrices without bias. It is the simplest block with
    the variance growth of Sec. 5.1.4.

    Args:
        sublayers: Number m of weight matrices in F.
        activation: Any Keras activation identifier.
        scheme: Scheme of the initial weights: `fan_in`, `fan_out` or `fan_avg`.
        depth: Number L of residual blocks in the network, for `residual_scale`.
        residual_scale: Whether each matrix starts smaller by a factor L^(-1/(2m)).
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If `sublayers`, or with `residual_scale` the `depth`, is not a positive integer; when the
            block is built, if `scheme` is unknown.
    """

    def __init__(
        self, sublayers=2, activation="relu", scheme="fan_in", depth=None, residual_scale=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.sublayers, self.scheme = sublayers, scheme
        self.supports_masking = True
        self.activation = keras.activations.get(activation)
        self.depth, self.residual_scale = depth, residual_scale
        self.gain = residual_gain(depth if residual_scale else 1, sublayers)

    def build(self, input_shape):
        """Creates the weights for inputs of this shape."""
        self.matrices = [
            keras.layers.Dense(
                input_shape[-1],
                use_bias=False,
                kernel_initializer=variance_scaling(self.scheme, self.gain),
                dtype=self.dtype_policy,
                name=f"matrix_{i}",
            )
            for i in range(self.sublayers)
        ]
        for matrix in self.matrices:
            matrix.build(input_shape)

    def call(self, inputs):
        """Applies the block."""
        return inputs + self.residual(inputs)

    def residual(self, inputs):
        """Returns the branch F(X), [B, D] to [B, D]."""
        x = inputs
        for matrix in self.matrices:
            x = matrix(self.activation(x))
        return x

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the arguments that rebuild this layer."""
        return {
            **super().get_config(),
            "sublayers": self.sublayers,
            "activation": keras.activations.serialize(self.activation),
            "scheme": self.scheme,
            "depth": self.depth,
            "residual_scale": self.residual_scale,
        }
