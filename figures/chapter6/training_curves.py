"""Losses and accuracies of classifiers of digits during training, on training and on test images.

Legend: N training images, B batch, T measurements, H height, W width, C channels.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from ... import data
from ...losses.classification import CategoricalNLL


@dataclass(frozen=True)
class Images:
    """Images with labels.

    Args:
        images: Pixels in [0, 1], [N, H, W, C].
        labels: Labels, [N].
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Curves:
    """Measurements during one training run.

    Args:
        steps: Numbers of steps, [T].
        train_loss: Mean negative log-likelihood of the training labels, without penalties, nats, [T].
        test_loss: The same on the test images.
        train_accuracy: Accuracy on the training labels, [T].
        test_accuracy: Accuracy on the test images, [T].
    """

    steps: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray

    @property
    def best(self):
        """The index of the measurement with the smallest test loss."""
        return int(np.argmin(self.test_loss))


def digits(examples=None, random_labels=0.0, seed=0):
    """Returns training and test `Images` of scikit-learn's digits.

    Args:
        examples: Number of training images; `None` for all 1,257.
        random_labels: Fraction of the training labels to replace by uniform draws.
        seed: Seed of these draws. The images and their order do not depend on `random_labels`.
    """
    splits = data.load("digits", 1, seed=seed, subset=examples, random_labels=random_labels)
    splits = splits.with_batches(batch_size=splits.spec.train)
    [train], test = splits.epochs(0, 1), list(splits.test)
    test = [np.concatenate(part) for part in zip(*test, strict=True)]
    return Images(*(part.numpy() for part in train)), Images(*test)


def train(model, train_images, test_images, optimizer, measured, batch_size=None, target=None, seed=0):
    """Trains a classifier and measures it during training.

    Args:
        model: A `keras.Model` from images to logits; its own losses, such as penalties, are added to the
            loss.
        train_images: Training `Images`.
        test_images: Test `Images`.
        optimizer: A Keras optimizer.
        measured: Increasing numbers of steps after which to measure, [T].
        batch_size: Images in a batch, drawn without replacement in each epoch; `None` for all.
        target: Training loss below which to stop at the next measurement; `None` for no such loss.
        seed: Seed of the batches.

    Returns:
        A `Curves`, of fewer than T measurements if training stopped at the target.
    """
    examples = len(train_images.labels)
    size = batch_size or examples
    batches = _batches(examples, size, measured[-1], seed)
    loss = CategoricalNLL()
    x, y = tf.constant(train_images.images), tf.constant(train_images.labels)
    optimizer.build(model.trainable_variables)

    # One graph for many steps: on data this small, most of the time would go to Keras's training loop.
    @tf.function(input_signature=[tf.TensorSpec([None, size], tf.int32)])
    def run(rows):
        for batch in rows:
            with tf.GradientTape() as tape:
                logits = model(tf.gather(x, batch), training=True)
                objective = tf.add_n([loss(tf.gather(y, batch), logits), *model.losses])
            optimizer.apply(tape.gradient(objective, model.trainable_variables), model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def evaluate(images, labels):
        logits = model(images, training=False)
        return loss(labels, logits), tf.reduce_mean(keras.metrics.sparse_categorical_accuracy(labels, logits))

    results, done = [], 0
    for step in measured:
        if step > done:
            run(batches[done:step])
            done = step
        results.append([evaluate(each.images, each.labels) for each in (train_images, test_images)])
        if target is not None and results[-1][0][0] < target:
            break
    losses, accuracies = np.moveaxis(np.array(results, np.float64), (0, 2), (2, 0))
    return Curves(np.asarray(measured)[: len(results)], *losses, *accuracies)


def _batches(examples, size, steps, seed):
    """Returns the indices of each step's batch, [steps, B], int32."""
    rng = np.random.default_rng(seed)
    per_epoch = examples // size
    epochs = [rng.permutation(examples)[: per_epoch * size] for _ in range(-(-steps // per_epoch))]
    return np.concatenate(epochs).reshape(-1, size)[:steps].astype(np.int32)
