"""Models to publish: their typed endpoints, and the inputs for which golden outputs are stored."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A function of a SavedModel.

    Args:
        function: A function from tensors, one for each entry of `signature`, to a tensor or a dictionary of
            tensors.
        signature: A `tf.TensorSpec` for each argument; `None` in a shape is an axis of any length, such as
            the batch or the positions of a sequence. A function that draws random samples takes an integer
            seed tensor, so that its outputs can be reproduced.
        golden: A NumPy array for each argument. The function's outputs for these inputs are stored.
    """

    function: Callable[..., Any]
    signature: Sequence[Any]
    golden: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Export:
    """A model to publish.

    Args:
        model: The built `keras.Model`.
        endpoints: Endpoints by name.
        name: Name of the model among several in one folder; empty for the main one.
        files: Further text files of the folder by name, such as the tokenizer of a language model.
        example: What one example is if the model takes inputs of any length or size, such as "a window of 64
            tokens".
            The FLOPs on the card are those of one such example.
    """

    model: Any
    endpoints: Mapping[str, Endpoint]
    name: str = ""
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    example: str = ""

    def shapes(self):
        """Returns the shape of one example of each input of the first endpoint, without the batch axis."""
        first = next(iter(self.endpoints.values()))
        return [np.shape(array)[1:] for array in first.golden]


def forward(model):
    """Returns a model's forward pass at inference as one function, which several endpoints can share.

    Otherwise each endpoint of a SavedModel would hold a copy of the model's graph.

    Args:
        model: The `keras.Model`.

    Returns:
        A function of the model's inputs, one argument each, to its output, or to a dictionary of its outputs
        by their names if there are several.
    """
    import tensorflow as tf

    def call(*inputs):
        outputs = model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        if isinstance(outputs, list | tuple):
            return dict(zip(model.output_names, outputs, strict=True))
        return outputs

    return tf.function(call, autograph=False)
