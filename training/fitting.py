"""The training loop: Keras's `fit` on one machine, and a loop over `strategy.run` on several workers."""

import keras
import tensorflow as tf


def fit(model, splits, first, epochs, strategy, callbacks, validated=True):
    """Trains a compiled model from epoch `first` to `epochs`, with callbacks as in `keras.Model.fit`.

    Args:
        model: A compiled `keras.Model`, built in the strategy's scope.
        splits: The data, a `curvezoo.data.Splits`.
        first: Number of completed epochs.
        epochs: Number of epochs in the whole run.
        strategy: A `tf.distribute.Strategy`.
        callbacks: Keras callbacks.
        validated: Whether the model is measured on the validation split after each epoch.
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        _fit_workers(model, splits, first, epochs, strategy, callbacks, validated)
        return
    model.fit(
        splits.epochs(first, epochs),
        initial_epoch=first,
        epochs=epochs,
        steps_per_epoch=splits.steps_per_epoch,
        validation_data=_divisible(splits, strategy.num_replicas_in_sync) if validated else None,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )


def _divisible(splits, replicas):
    """Returns the validation batches, of a size that replicas can divide.

    Keras averages the first batch over the replicas, which must therefore have equal parts of it. It stops at
    a last batch that is too small for all replicas.
    """
    batches, examples = splits.validation, splits.spec.validation
    if replicas == 1:
        return batches
    largest = len(keras.tree.flatten(next(iter(batches)))[0])
    for size in range(largest - largest % replicas, 0, -replicas):
        if examples % size == 0 or examples % size >= replicas:
            if size == largest:
                return batches
            steps = tf.data.experimental.assert_cardinality(-(-examples // size))
            return batches.rebatch(size).apply(steps)
    return batches


def _fit_workers(model, splits, first, epochs, strategy, callbacks, validated):
    """Trains on several workers, each of which runs this loop; collectives keep them in step.

    Keras 3's `fit` fails under this strategy, because it builds the model symbolically and reduces values
    outside the strategy.
    """
    batches = iter(strategy.experimental_distribute_dataset(splits.epochs(first, epochs)))
    validation = strategy.experimental_distribute_dataset(splits.validation) if validated else ()
    watchers = keras.callbacks.CallbackList(callbacks, model=model)

    @tf.function
    def step(batch):
        logs = strategy.run(model.train_step, args=(batch,))
        # All workers must see the same loss: if only one stopped at a NaN, the others would wait forever.
        return strategy.reduce("MEAN", logs["loss"], axis=None)

    @tf.function
    def measure(batch):
        strategy.run(model.test_step, args=(batch,))

    model.stop_training = False
    watchers.on_train_begin()
    for epoch in range(first, epochs):
        watchers.on_epoch_begin(epoch)
        model.reset_metrics()
        for index in range(splits.steps_per_epoch):
            watchers.on_train_batch_end(index, {"loss": float(step(next(batches)))})
        logs = _results(model)
        model.reset_metrics()
        for batch in validation:
            measure(batch)
        measured = _results(model) if validated else {}
        watchers.on_epoch_end(epoch, logs | {f"val_{key}": value for key, value in measured.items()})
        if model.stop_training:
            break
    watchers.on_train_end()


def _results(model):
    """Returns the values of the metrics, aggregated over all workers."""
    return {key: float(value) for key, value in model.get_metrics_result().items()}
