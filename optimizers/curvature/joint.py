"""The distribution of several outputs that are independent given the inputs.

The loss of a model with several outputs is a weighted sum of their losses. Its Fisher matrix is the sum of
J^T F_h J over the outputs h, with each output's weight in the factors of its positions.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class JointDistribution:
    """The interface of an `OutputDistribution` with lists in the place of tensors, one entry for each output.

    Args:
        parts: The `OutputDistribution` of each output.
    """

    parts: list

    def scale(self, outputs):
        """Returns the ratio of the loss of a position to -log p for each output, a list of numbers.

        Args:
            outputs: The outputs, a list of [B, ..., D].
        """
        return [part.scale(output) for part, output in self._with(outputs)]

    def sample(self, outputs, seed):
        """Returns targets drawn from the distribution of each output, independently.

        Args:
            outputs: The outputs.
            seed: Two integers.
        """
        fold_in = tf.random.experimental.stateless_fold_in
        pairs = enumerate(self._with(outputs))
        return [part.sample(output, fold_in(seed, index)) for index, (part, output) in pairs]

    def nll(self, targets, outputs):
        """Returns -log p(targets | outputs) of each output in nats, a list of [B, ...].

        Args:
            targets: Targets of each output.
            outputs: The outputs.
        """
        return [part.nll(target, output) for part, target, output in self._with(targets, outputs)]

    def valid_targets(self, targets):
        """Returns the targets of each output with class 0 for ignored ones.

        Args:
            targets: Targets of each output.
        """
        return [part.valid_targets(target) for part, target in self._with(targets)]

    def fisher_product(self, outputs, tangents, weights):
        """Returns each output's Fisher matrix times its part of a vector, a list of [B, ..., D].

        Args:
            outputs: The outputs.
            tangents: The vector, in the form of the outputs.
            weights: Factors of the positions' blocks, a list of [B, ...].
        """
        parts = self._with(outputs, tangents, weights)
        return [part.fisher_product(*arguments) for part, *arguments in parts]

    def has_closed_form(self, outputs):
        """Returns whether `fisher_product` is available.

        Args:
            outputs: The outputs.
        """
        return all(part.has_closed_form(output) for part, output in self._with(outputs))

    def _with(self, *lists):
        return list(zip(self.parts, *lists, strict=True))
