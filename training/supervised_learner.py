"""The learner of supervised recipes, which trains with Keras's `fit` or a similar loop on several workers."""

import keras
import tensorflow as tf

from ..layers.normalization import BatchNormalization
from ..optimizers.keras_bridge.fused_batch_norm import fused_batch_norm
from ..publishing import measures
from ..publishing.exports import Endpoint, Export
from ..publishing.tokenizers import attach
from .fitting import fit
from .learner import EarlyStopping, Learner
from .variables import assign, named_variables, state_of
from .weights import make_optimizer, penalize

BatchNormalization.use_fused_kernel(fused_batch_norm)

_GOLDEN_EXAMPLES = 4


class SupervisedLearner(Learner):
    """Trains the model of a `Supervised` recipe for a number of epochs.

    Args:
        recipe: The `Supervised` recipe.
        resources: The run's `Resources`; `data` may hold `Splits` in place of the recipe's data set.

    Raises:
        ValueError: If the data is missing, or the batch size is not a multiple of the number of replicas.
    """

    unit = "epoch"
    # A loss above this multiple of its first value, or of one nat if that is more, does not recover.
    ceiling = 50.0

    def __init__(self, recipe, resources):
        self.recipe, self._resources = recipe, resources
        self.total, self.stopping = recipe.epochs, EarlyStopping(recipe.patience)
        splits = recipe.data.load(recipe.seed, resources.data_dir, resources.data)
        self.splits = recipe.objective.prepare(splits, recipe.seed)
        self.replicas = resources.strategy.num_replicas_in_sync
        if self.splits.batch_size % self.replicas:
            raise ValueError(
                f"batch_size must be a multiple of the {self.replicas} replicas, got {self.splits.batch_size}"
            )
        keras.utils.set_random_seed(recipe.seed)
        with resources.strategy.scope():
            self.model = compiled_model(
                recipe,
                self.splits.spec,
                self.splits.steps_per_epoch,
                distributed=not _is_single(resources.strategy),
            )
        attach(self.model, recipe.data.files(self.splits.spec))

    @property
    def learning_rate(self):
        """The current learning rate."""
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def state(self):
        """Returns all variables of the model and its optimizer, including the states of random generators."""
        return state_of(self._variables())

    def restore(self, state):
        """Assigns the variables."""
        assign(self._variables(), state)

    def train(self, start, after):
        """Trains from epoch `start` to the last."""
        callbacks = [*self._resources.callbacks, *self.recipe.objective.callbacks(), _Reporter(self, after)]
        fit(self.model, self.splits, start, self.total, self._resources.strategy, callbacks)

    def evaluate(self):
        """Measures the model on the test split."""
        measure = measures.get(self.recipe.objective.measure)
        data = self.recipe.data.describe(self.splits.spec, self._resources.data_dir)
        return measure.measure(self.model, self.splits, data)

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
        return [Export(self.model, endpoints, files=data.files(spec), example=data.example(spec))]

    def _variables(self):
        return named_variables(self.model, self.model.optimizer)


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


def _is_single(strategy):
    return not isinstance(
        strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy
    )


class _Reporter(keras.callbacks.Callback):
    """Reports Keras's logs to the run."""

    def __init__(self, learner, after):
        super().__init__()
        self.learner, self.after = learner, after

    def on_train_batch_end(self, batch, logs=None):
        self.after.step(batch + 1, self.learner.splits.steps_per_epoch, logs or {})

    def on_epoch_end(self, epoch, logs=None):
        measured = {key: float(value) for key, value in logs.items()}
        if self.after({**measured, "learning_rate": self.learner.learning_rate}):
            self.model.stop_training = True
