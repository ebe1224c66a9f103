"""The learner of supervised recipes with a full-batch optimizer, such as L-BFGS."""

import keras

from ..variables import loss_variables, named_variables
from .supervised_learner import SupervisedLearner


class FullBatchLearner(SupervisedLearner):
    """Minimizes the loss over all training examples; each epoch is one minimization from the current weights.

    The examples are those of the first epoch, to which the recipe's augmentation is applied only once. The
    optimizer's memory is reset at every epoch, so a checkpoint needs only the weights. Layers run in
    inference mode: dropout is off, and batch norm uses its moving averages.

    Args:
        recipe: The `Supervised` recipe.
        resources: The run's `Resources`.

    Raises:
        ValueError: If the data is missing, or there are several replicas.
    """

    learning_rate = None

    def __init__(self, recipe, resources):
        super().__init__(recipe, resources)
        if self.replicas > 1:
            raise ValueError(f"{recipe.optimizer.name} must run on one device, got {self.replicas} replicas")

    def train(self, start, after):
        """Runs one minimization per epoch, starting at epoch `start`."""
        optimizer = self.recipe.optimizer.make(1)
        examples = self._examples()
        watchers = keras.callbacks.CallbackList(list(self._resources.callbacks), model=self.model)
        self.model.stop_training = False
        watchers.on_train_begin()
        for epoch in range(start, self.total):
            watchers.on_epoch_begin(epoch)
            progress = _Steps(after, optimizer.max_iterations)
            result = optimizer.minimize(self.model, examples, verbose=False, callback=progress)
            validation = self.model.evaluate(self.splits.validation, verbose=0, return_dict=True)
            logs = {"loss": result.loss, "evaluations": result.evaluations}
            logs |= {f"val_{key}": value for key, value in validation.items()}
            watchers.on_epoch_end(epoch, logs)
            if after(logs) or self.model.stop_training:
                break
        watchers.on_train_end()

    def _examples(self):
        """Returns the first epoch's batches, of a size that divides the examples: none is left out."""
        size = self.splits.spec.train
        batch = next(count for count in range(min(self.splits.batch_size, size), 0, -1) if size % count == 0)
        return self.splits.with_batches(batch_size=batch).epochs(0, 1).cache()

    def _variables(self):
        return named_variables(self.model) | loss_variables(self.model.loss)


class _Steps:
    """Reports the optimizer's iterations to the run."""

    def __init__(self, after, iterations):
        self.after, self.iterations = after, iterations

    def __call__(self, iteration, loss, gradient_norm):
        self.after.step(min(iteration, self.iterations), self.iterations, {"loss": loss})
