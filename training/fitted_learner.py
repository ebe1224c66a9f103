"""The base class of learners that train with Keras's `fit`, or a similar loop on several workers."""

import abc

import keras
import tensorflow as tf

from ..layers.normalization import BatchNormalization
from ..optimizers.keras_bridge.fused_batch_norm import fused_batch_norm
from ..optimizers.replicas import check_divisible
from ..publishing import measures
from ..publishing.tokenizers import attach
from ..variables import assign, state_of
from .fitting import fit
from .learner import Learner

BatchNormalization.use_fused_kernel(fused_batch_norm)


class FittedLearner(Learner):
    """Trains the model of a `Fitted` recipe for a number of epochs.

    Args:
        recipe: The `Fitted` recipe.
        resources: The run's `Resources`; `data` may hold `Splits` in place of the recipe's data set.

    Raises:
        ValueError: If the data is missing, or the batch size is not a multiple of the number of replicas.
    """

    unit = "epoch"
    # Whether each epoch ends with a measurement on the validation split.
    validated = True

    def __init__(self, recipe, resources):
        self.recipe, self._resources, self.total = recipe, resources, recipe.epochs
        splits = recipe.data.load(recipe.seed, resources.data_dir, resources.data)
        self.splits = recipe.objective.prepare(splits, recipe.seed)
        self.replicas = resources.strategy.num_replicas_in_sync
        check_divisible("batch_size", self.splits.batch_size, resources.strategy)
        keras.utils.set_random_seed(recipe.seed)
        with resources.strategy.scope():
            self.model = self._compiled(distributed=not _is_single(resources.strategy))
        attach(self.model, recipe.data.files(self.splits.spec))

    @property
    def learning_rate(self):
        """The current learning rate."""
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def state(self):
        """Returns all variables of the model and its optimizers, and the states of random generators."""
        return state_of(self._variables())

    def restore(self, state):
        """Assigns the variables."""
        assign(self._variables(), state)

    def train(self, start, after):
        """Trains from epoch `start` to the last."""
        callbacks = [*self._resources.callbacks, *self.recipe.objective.callbacks(), _Reporter(self, after)]
        fit(
            self.model,
            self.splits,
            start,
            self.total,
            self._resources.strategy,
            callbacks,
            validated=self.validated,
        )

    def evaluate(self):
        """Measures the model on the test split."""
        measure = measures.get(self.recipe.objective.measure)
        data = self.recipe.data.describe(self.splits.spec, self._resources.data_dir)
        return measure.measure(self.model, self.splits, data)

    @abc.abstractmethod
    def _compiled(self, distributed):
        """Returns the compiled model; called in the strategy's scope."""

    @abc.abstractmethod
    def _variables(self):
        """Returns the variables of the state, by name."""


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
