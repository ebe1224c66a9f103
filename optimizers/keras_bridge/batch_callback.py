"""Callbacks that stand between `fit` and its compiled step, where the batches pass."""

import keras


class BatchCallback(keras.callbacks.Callback):
    """A callback that sees, and may change, the batches before the model trains on them.

    `fit` calls `model.train_function(iterator)` for each execution of its compiled steps. From the begin of
    training to its end this callback's `train` takes that place. The compiled step itself stays Keras's or
    the optimizer's own, whatever they are.

    After an exception in `fit`, when Keras ends no callback, the stand-in stays until the next `fit` with it
    or the next `compile`; outside a `fit` with this callback it only passes batches on.
    """

    def __init__(self):
        super().__init__()
        self.called = False

    def train(self, step, batches):
        """Trains on the next batches; overridden.

        Args:
            step: The train function: it trains on the next `steps_per_execution` batches of an iterator.
            batches: The iterator over what is left of the epoch's data.

        Returns:
            What `step` returns.
        """
        return step(batches)

    def on_train_begin(self, logs=None):
        """Takes the place of the train function."""
        step = self.model.train_function
        if isinstance(step, _Between) and step.callback is self:
            step = step.step
        self.model.train_function = _Between(self, step)

    def on_train_batch_begin(self, batch, logs=None):
        """Notes that the next execution belongs to a `fit` with this callback."""
        self.called = True

    def on_train_end(self, logs=None):
        """Gives the train function back, unless another callback stands in between."""
        found = self.model.train_function
        if isinstance(found, _Between) and found.callback is self:
            self.model.train_function = found.step


def callbacks_between(model):
    """Returns the `BatchCallback`s that stand between `fit` and a model's compiled step, the outermost first.

    Args:
        model: A compiled `keras.Model`.
    """
    found, step = [], model.train_function
    while isinstance(step, _Between):
        found.append(step.callback)
        step = step.step
    return found


class _Between:
    """A train function that a callback's `train` runs."""

    def __init__(self, callback, step):
        self.callback, self.step = callback, step

    def __call__(self, batches):
        called, self.callback.called = self.callback.called, False
        return self.callback.train(self.step, batches) if called else self.step(batches)
