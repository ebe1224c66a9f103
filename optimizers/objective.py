"""The protocol for the loss of one batch: its values, derivatives and predictive distribution.

Optimizers and curvature measurements access a loss only through this protocol. `keras_bridge` implements it
for any compiled Keras model (`CompiledObjective`), and offers a base class (`ModelObjective`) for models that
compute their loss themselves.

Legend: B examples of a batch, ... further axes with a loss each, such as positions, D parameters of the
predictive distribution at one position. For several outputs with a likelihood each, targets, predictions and
weights are lists.
"""

from typing import Protocol


class Objective(Protocol):
    """The loss of a batch as a function of the model's trainable values.

    All methods are functions of plain tensors. They may be differentiated forwards and backwards, evaluated
    at trial points, inside control flow and in every replica. They leave the model's variables unchanged, and
    two evaluations draw the same random numbers. Under a strategy every quantity is this replica's share: the
    shares of all replicas add up to the whole.

    Attributes:
        model: The model: its `trainable_variables` and its layers.
        x: Inputs of the batch.
        y: Targets of the batch.
        sample_weight: Weights of the examples, or None.
        training: Whether the model runs in training mode.
        state: Values of the variables that are not trained, among them the seeds of dropout; None for the
            current ones.
        share: The fraction of the batch's examples that this objective was reduced to by `subsample`.
    """

    model: object
    x: object
    y: object
    sample_weight: object
    training: bool
    state: list | None
    share: float

    @property
    def values(self):
        """The current values of the trainable variables, a list of tensors."""

    @property
    def resolution(self):
        """The relative rounding error of `loss`."""

    @property
    def size(self):
        """The number of examples B, an integer where it is static and otherwise a tensor."""

    @property
    def targets(self):
        """The data that the predictive distribution models."""

    @property
    def distribution(self):
        """The predictive `OutputDistribution`, or `JointDistribution`; raises ValueError if there is none."""

    @property
    def terms(self):
        """The likelihoods that the Fisher matrix belongs to, with `loss`, `weight` and `sample_weight`."""

    def subsample(self, count):
        """Returns the objective of at most `count` evenly spaced examples of the batch."""

    def loss(self, values):
        """Returns the loss with all regularization, a scalar."""

    def regularization(self, values):
        """Returns the sum of the losses that the layers add, a scalar."""

    def outputs(self, values):
        """Returns the model's outputs, a tensor or a nest of tensors."""

    def output_losses(self, outputs):
        """Returns the loss of each flattened output as accepted by `compile`, or None where not known."""

    def data_loss(self, outputs):
        """Returns the loss as a function of the outputs, without regularization, a scalar."""

    def predictions(self, values):
        """Returns the parameters of the predictive distribution, [B, ..., D]."""

    def nll_weights(self, predictions):
        """Returns d(loss) / d(negative log-likelihood of one position), [B, ...]."""
