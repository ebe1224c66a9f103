"""The compiled loss of a model as an objective, and the choice between it and the model's own objective."""

import functools

import keras

from ..vectors import resolution
from .internals import build_loss, compiled_loss, compiled_loss_weights, matched_losses, reads_one_tensor
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
        function = self._loss_function(outputs)
        # With several outputs, Keras records each one's loss in a metric.
        with keras.StatelessScope():
            loss = function(self.y, outputs, self.sample_weight)
        if len(loss.shape):
            raise ValueError(f"the compiled loss must be a scalar, got shape {tuple(loss.shape)}")
        return loss

    @property
    def terms(self):
        """The losses that the model is compiled with, a list of `MatchedLoss`es.

        Raises:
            ValueError: If the model is not compiled with a loss, an output has several, or a loss is not
                reduced to a scalar.
        """
        return self._matched(self._output_structure)

    def select_predictions(self, outputs):
        """Returns the output that has a loss, or a list of those that have one.

        Args:
            outputs: The model's outputs.
        """
        selected = [term.outputs for term in self._matched(outputs)]
        if len({id(output) for output in selected}) < len(selected):
            raise ValueError(f"each output must have one loss for curvature, got {self.model.loss!r}")
        return selected[0] if len(selected) == 1 else selected

    @property
    def targets(self):
        """The targets of the output that has a loss, or a list of those of all that have one."""
        targets = [term.targets for term in self.terms]
        return targets[0] if len(targets) == 1 else targets

    def output_losses(self, outputs):
        """Returns the loss of each output, in the order of the flattened outputs; None where it has none.

        Args:
            outputs: The model's outputs.
        """
        losses = {id(term.outputs): term.loss for term in self._matched(outputs)}
        return [losses.get(id(output)) for output in keras.tree.flatten(outputs)]

    def require_distribution(self):
        """Checks the losses before the model's outputs are known.

        Raises:
            ValueError: If there is no loss, one is not the negative log-likelihood of a distribution or not
                reduced to a scalar, or one has a negative weight.
        """
        from ..curvature.distributions import output_distribution

        if compiled_loss(self.model) is None:
            raise ValueError("model must be compiled with a loss, got loss=None")
        for loss in keras.tree.flatten(self.model.loss):
            if loss is not None:
                if getattr(loss, "reduction", "sum") in (None, "none"):
                    raise ValueError(f"the compiled loss must be a scalar, got reduction={loss.reduction!r}")
                output_distribution(loss)
        for weight in compiled_loss_weights(self.model):
            if not weight >= 0:
                raise ValueError(f"loss_weights must be at least 0 for a Fisher matrix, got {weight!r}")

    @functools.cached_property
    def _output_structure(self):
        """The structure of the model's outputs, with a number in the place of each."""
        if reads_one_tensor(compiled_loss(self.model)):
            return 0
        # The graph of this call is pruned, as its values are not used.
        outputs = self.outputs(self.values)
        # Keras chooses some losses by the shapes of real outputs.
        self._loss_function(outputs)
        return keras.tree.pack_sequence_as(outputs, list(range(len(keras.tree.flatten(outputs)))))

    def _matched(self, outputs):
        """Returns the losses with their arguments."""
        return matched_losses(self._loss_function(outputs), self.y, outputs, self.sample_weight)

    def _loss_function(self, outputs):
        function = compiled_loss(self.model)
        if function is None:
            raise ValueError("model must be compiled with a loss, got loss=None")
        build_loss(function, self.y, outputs)
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
