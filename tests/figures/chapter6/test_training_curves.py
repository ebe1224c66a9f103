"""Oracles: NumPy's gradient descent of a softmax regression, and the data set itself."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from curvezoo.figures.chapter6 import training_curves


def softmax_regression():
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, kernel_initializer="zeros")]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def test_random_labels_replace_labels_of_the_same_images():
    (clean, test), (noisy, same) = (training_curves.digits(200, fraction) for fraction in (0.0, 0.5))
    assert clean.images.shape == (200, 8, 8, 1) and test.images.shape == (360, 8, 8, 1)
    np.testing.assert_array_equal(clean.images, noisy.images)
    np.testing.assert_array_equal(test.labels, same.labels)
    # Half of them are drawn, of which a tenth may be right.
    assert 0.45 < np.mean(clean.labels == noisy.labels) < 0.65


def test_curves_are_those_of_gradient_descent_in_numpy():
    train, test = training_curves.digits(40)
    curves = training_curves.train(
        softmax_regression(), train, test, keras.optimizers.SGD(0.5), measured=(1, 4)
    )
    x, targets = train.images.reshape(40, 64).astype(float), np.eye(10)[train.labels]
    kernel, bias, expected = np.zeros((64, 10)), np.zeros(10), {}
    for step in range(1, 5):
        slope = (softmax(x @ kernel + bias, axis=1) - targets) / 40
        kernel, bias = kernel - 0.5 * x.T @ slope, bias - 0.5 * slope.sum(axis=0)
        expected[step] = []
        for images in (train, test):
            logits = images.images.reshape(-1, 64) @ kernel + bias
            chosen = log_softmax(logits, axis=1)[np.arange(len(logits)), images.labels]
            expected[step] += [-chosen.mean(), np.mean(logits.argmax(axis=1) == images.labels)]
    for row, step in enumerate((1, 4)):
        train_loss, train_accuracy, test_loss, test_accuracy = expected[step]
        assert curves.train_loss[row] == pytest.approx(train_loss, rel=1e-5)
        assert curves.test_loss[row] == pytest.approx(test_loss, rel=1e-5)
        assert curves.train_accuracy[row] == pytest.approx(train_accuracy, abs=1e-6)
        assert curves.test_accuracy[row] == pytest.approx(test_accuracy, abs=1e-6)


def test_batches_cover_each_epoch_and_training_stops_at_the_target():
    batches = training_curves._batches(10, 3, 7, seed=1)
    assert batches.shape == (7, 3) and batches.dtype == np.int32
    for epoch in (batches[:3], batches[3:6]):
        assert len(set(epoch.ravel())) == 9
    train, test = training_curves.digits(40)
    model, optimizer = softmax_regression(), keras.optimizers.SGD(0.5)
    curves = training_curves.train(model, train, test, optimizer, (1, 2, 20, 400), target=1.5)
    np.testing.assert_array_equal(curves.steps, [1, 2, 20])
    assert curves.train_loss[-1] < 1.5 < curves.train_loss[-2]
