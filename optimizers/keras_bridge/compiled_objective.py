"""The compiled loss of a model as an objective, and the choice between it and the model's own objective."""

import functools

import keras

from ..vectors import resolution
from .internals import compiled_loss, compiled_loss_weights
from .model_objective import ModelObjective, loss_resolution

OWN_OBJECTIVE = "curvature_objective"


class CompiledObjective(ModelObjective):
    """A compiled model's loss on a batch at any values of its trainable variables.

    Two evaluations drop the same units, and batch norm's averages are left unchanged.

    Args:
        model: A compiled and built `keras.Model`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights, or None.
        training: Whether the model runs in training mode, with dropout and batch statistics.
        state: Values of the variables that are not trained, among them the seeds of dropout; None for the
            current ones.
        share: The fraction of a larger batch that these examples make up.
    """

    @property
    def likelihood(self):
        """The loss that the model is compiled with; None for a model with several."""
        losses = keras.tree.flatten(self.model.loss)
        return losses[0] if len(losses) == 1 else None

    @property
    def resolution(self):
        """The relative rounding error of `loss`, which Keras computes in the type of the loss object."""
        types = {v.dtype for v in self.model.trainable_variables}
        return max(loss_resolution(self.model.loss), *map(resolution, types))

    def data_loss(self, outputs):
        """Returns the compiled loss of the targets, a scalar, without regularization.

        Args:
            outputs: The model's outputs.

        Raises:
            ValueError: If the model is not compiled with a loss, or the loss is not a scalar.
        """
        function = self._loss_function()
        if not function.built:
            function.build(self.y, outputs)
        # With several outputs, Keras records each one's loss in a metric.
        with keras.StatelessScope():
            loss = function(self.y, outputs, self.sample_weight)
        if len(loss.shape):
            raise ValueError(f"the compiled loss must be a scalar, got shape {tuple(loss.shape)}")
        return loss

    @functools.cached_property
    def distribution(self):
        """The `OutputDistribution` whose negative log-likelihood the compiled loss is.

        Raises:
            ValueError: If there are several outputs or loss weights, or the loss has no distribution.
        """
        from ..curvature.distributions import output_distribution

        self._loss_function()
        loss, weights = self.model.loss, compiled_loss_weights(self.model)
        if isinstance(loss, dict | list | tuple):
            if len(loss) != 1:
                raise ValueError(f"the model must have one output with one loss, got {len(loss)} losses")
            (loss,) = loss.values() if isinstance(loss, dict) else loss
        if weights is not None:
            raise ValueError(
                f"loss_weights must be None, got {weights!r}: scale the one loss by the learning rate"
            )
        if getattr(loss, "reduction", "sum") in (None, "none"):
            raise ValueError(f"the compiled loss must be a scalar, got reduction={loss.reduction!r}")
        return output_distribution(loss)

    def _loss_function(self):
        function = compiled_loss(self.model)
        if function is None:
            raise ValueError("model must be compiled with a loss, got loss=None")
        return function


def has_own_objective(model):
    """Returns whether a model passes its loss to the optimizers through `curvature_objective`.

    Args:
        model: The model.
    """
    return hasattr(model, OWN_OBJECTIVE)


def objective_of(model, x, y=None, sample_weight=None, training=False, state=None):
    """Returns the `Objective` of a batch: the model's own where it has one, otherwise the compiled loss.

    Args:
        model: A built `keras.Model`, compiled with a loss or with a method `curvature_objective`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the examples, or None.
        training: Whether the model runs in training mode.
        state: Values of the variables that are not trained; None for the current ones.
    """
    batch = {"x": x, "y": y, "sample_weight": sample_weight, "training": training, "state": state}
    if has_own_objective(model):
        return getattr(model, OWN_OBJECTIVE)(**batch)
    return CompiledObjective(model, **batch)
