"""The learner of supervised recipes."""

import keras
import tensorflow as tf

from ..publishing.exports import Endpoint, Export
from ..variables import loss_variables, named_variables
from .fitted_learner import FittedLearner
from .learner import EarlyStopping
from .weights import make_optimizer, penalize

_GOLDEN_EXAMPLES = 4


class SupervisedLearner(FittedLearner):
    """Trains the model of a `Supervised` recipe for a number of epochs.

    Args:
        recipe: The `Supervised` recipe.
        resources: The run's `Resources`; `data` may hold `Splits` in place of the recipe's data set.

    Raises:
        ValueError: If the data is missing, or the batch size is not a multiple of the number of replicas.
    """

    # A loss above this multiple of its first value, or of one nat if that is more, does not recover.
    ceiling = 50.0

    def __init__(self, recipe, resources):
        super().__init__(recipe, resources)
        self.stopping = EarlyStopping(recipe.patience)

    def exports(self):
        """Returns the model with the objective's endpoints."""
        inputs = keras.tree.flatten(next(iter(self.splits.test))[0])
        golden = tuple(part[:_GOLDEN_EXAMPLES].numpy() for part in inputs)
        signature = [
            tf.TensorSpec((None, *symbolic.shape[1:]), part.dtype, name=symbolic.name)
            for symbolic, part in zip(self.model.inputs, inputs, strict=True)
        ]
        functions = self.recipe.objective.endpoints(self.model, golden)
        endpoints = {
            name: value if isinstance(value, Endpoint) else Endpoint(value, signature, golden)
            for name, value in functions.items()
        }
        data, spec = self.recipe.data, self.splits.spec
        example = data.example(spec, any(None in part.shape[1:].as_list() for part in signature))
        return [Export(self.model, endpoints, files=data.files(spec), example=example)]

    def _variables(self):
        return named_variables(self.model, self.model.optimizer) | loss_variables(self.model.loss)

    def _compiled(self, distributed):
        return compiled_model(
            self.recipe, self.splits.spec, self.splits.steps_per_epoch, distributed=distributed
        )


def compiled_model(recipe, spec, steps_per_epoch, *, distributed=False):
    """Builds and compiles a recipe's model; call it in the strategy's scope.

    Args:
        recipe: The `Supervised` recipe.
        spec: The data's `Spec`.
        steps_per_epoch: Steps per epoch, for the schedule.
        distributed: Whether the model is trained under a strategy of several replicas, for which Keras
            supports neither XLA nor several steps per execution.

    Returns:
        A compiled `keras.Model` with a built optimizer, whose weight decay applies to weight matrices only.
    """
    model = recipe.model.build(spec)
    penalize(model, recipe.penalty.l1, recipe.penalty.l2)
    if recipe.optimizer.full_batch:
        # `compile` accepts only Keras optimizers. This one is a placeholder and takes no steps.
        optimizer = keras.optimizers.SGD(0.0)
    else:
        warmup = round(recipe.optimizer.warmup * steps_per_epoch)
        optimizer = make_optimizer(recipe.optimizer, model, recipe.epochs * steps_per_epoch, warmup)
    execution = recipe.execution
    model.compile(
        optimizer=optimizer,
        loss=recipe.objective.loss(),
        metrics=recipe.objective.metrics(),
        jit_compile=execution.jit_compile and not distributed,
        steps_per_execution=1 if distributed else execution.steps_per_execution,
    )
    # Keras may have wrapped the optimizer for loss scaling.
    model.optimizer.build(model.trainable_variables)
    return model
