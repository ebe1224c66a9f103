"""The loss of style transfer as a function of the pixels.

Legend: B batch (1 here), H height, W width, C channels, D = H W C pixels.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ... import arguments
from ...losses import style as losses


class Terms(NamedTuple):
    """The three terms of the loss, without their weights; scalar tensors.

    Args:
        style: Distance of the Gram matrices, averaged over layers; 1 for a picture without features.
        content: Distance of the features; 1 for a picture without features.
        total_variation: Mean square of the differences of neighbors in columns plus that in rows.
    """

    style: tf.Tensor
    content: tf.Tensor
    total_variation: tf.Tensor


class StyleObjective:
    r"""The weighted sum of style, content and total variation, a function of the pixels [D].

    \[L = \alpha \frac{L_{content}(F)}{L_{content}(0)} + \frac{\beta}{n} \sum_l \frac{E_l(F)}{E_l(0)}
        + \gamma V\]

    `content_loss` and the `style_loss` E_l of the n style layers are divided by their values at features of
    zero. Each layer then counts equally, whatever the scale and the number of its features; Gatys et al.
    rescale the weights of VGG for this purpose.

    Args:
        network: A `FeatureNetwork`, or any function from pictures to (list of features, features).
        content: The content, an array [H, W, C]; its type, float32 or float64, is that of the computation.
        style: The style, an array [H', W', C].
        content_weight: The weight alpha.
        style_weight: The weight beta.
        tv_weight: The weight gamma of the total variation V.

    Raises:
        ValueError: If a weight is negative or all are zero.
    """

    def __init__(self, network, content, style, content_weight=0.03, style_weight=1.0, tv_weight=1.0):
        self.network, self.shape = network, np.shape(content)
        weights = {"style": style_weight, "content": content_weight, "tv": tv_weight}
        self.weights = [arguments.nonnegative_number(f"{name}_weight", w) for name, w in weights.items()]
        if not any(self.weights):
            raise ValueError("at least one of content_weight, style_weight and tv_weight must be positive")
        self._grams = [losses.gram(features) for features in network(_batch(style))[0]]
        self._content = network(_batch(content))[1]
        # The losses of features that are zero.
        self._style_scales = [tf.reduce_sum(g**2) / (4 * g.shape[-1] ** 2) for g in self._grams]
        self._content_scale = tf.reduce_sum(self._content**2) / 2

    def terms(self, position):
        """Returns the `Terms` of the loss.

        Args:
            position: The pixels, a tensor [D].
        """
        images = tf.reshape(position, (1, *self.shape))
        style_features, content_features = self.network(images)
        layers = zip(style_features, self._grams, self._style_scales, strict=True)
        style = [losses.style_loss(features, gram)[0] / scale for features, gram, scale in layers]
        content = losses.content_loss(content_features, self._content)[0] / self._content_scale
        return Terms(tf.add_n(style) / len(style), content, losses.total_variation(images)[0])

    def __call__(self, position):
        """Returns the loss, a scalar tensor.

        Args:
            position: The pixels, a tensor [D].
        """
        terms = self.terms(position)
        return tf.add_n([weight * term for weight, term in zip(self.weights, terms, strict=True)])


def _batch(picture):
    return tf.convert_to_tensor(picture)[None]
