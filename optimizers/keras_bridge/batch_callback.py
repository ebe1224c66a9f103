"""Callbacks that intercept the batches between `fit` and its compiled step."""

import keras


class BatchCallback(keras.callbacks.Callback):
    """A callback that sees, and may change, the batches before the model trains on them.

    `fit` calls `model.train_function(iterator)` for each execution of its compiled steps. During training
    this callback's `train` replaces that function. The compiled step itself remains Keras's or the
    optimizer's own.

    After an exception in `fit`, Keras does not call `on_train_end`. The replacement then stays until the next
    `fit` with this callback or the next `compile`; in a `fit` without the callback it only passes batches on.
    """

    def __init__(self):
        super().__init__()
        self.called = False

    def train(self, step, batches):
        """Trains on the next batches; subclasses override it.

        Args:
            step: The train function: it trains on the next `steps_per_execution` batches of an iterator.
            batches: The iterator over the rest of the epoch's data.

        Returns:
            The value that `step` returns.
        """
        return step(batches)

    def on_train_begin(self, logs=None):
        """Replaces the train function."""
        step = self.model.train_function
        if isinstance(step, _InterceptedStep) and step.callback is self:
            step = step.step
        self.model.train_function = _InterceptedStep(self, step)

    def on_train_batch_begin(self, batch, logs=None):
        """Records that the next execution belongs to a `fit` with this callback."""
        self.called = True

    def on_train_end(self, logs=None):
        """Restores the train function, unless another callback has replaced this one's replacement."""
        current = self.model.train_function
        if isinstance(current, _InterceptedStep) and current.callback is self:
            self.model.train_function = current.step


def callbacks_between(model):
    """Returns the `BatchCallback`s between `fit` and a model's compiled step, the outermost first.

    Args:
        model: A compiled `keras.Model`.
    """
    callbacks, step = [], model.train_function
    while isinstance(step, _InterceptedStep):
        callbacks.append(step.callback)
        step = step.step
    return callbacks


class _InterceptedStep:
    """A train function that calls a callback's `train`."""

    def __init__(self, callback, step):
        self.callback, self.step = callback, step

    def __call__(self, batches):
        called, self.callback.called = self.callback.called, False
        return self.callback.train(self.step, batches) if called else self.step(batches)
