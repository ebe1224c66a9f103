"""Is a trained classifier calibrated? The argument of Eq. 3.4.20 on sixty handwritten digits.

The likelihood is greatest where probabilities are the frequencies of success, on the training data. A network
that fits sixty digits without a mistake is right there every time, says so, and is calibrated; on new digits
it is right less often and says so no less. A prior on the weights holds its certainty back, and one
temperature, fitted on digits kept apart, repairs it afterwards.

Legend: N examples of a split, K = 10 classes.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ...losses.calibration import classification_scores, fit_temperature
from ...losses.classification import CategoricalNLL
from ...losses.priors import GaussianPrior

_UNITS, _LEARNING_RATE, _VALIDATION = 64, 0.01, 300


@dataclass(frozen=True)
class Outcome:
    """What a trained classifier says of the examples of each split.

    Args:
        logits: Scores before the softmax by split (`train`, `validation`, `test`), [N, K] each.
        labels: True classes by split, [N] each.
    """

    logits: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    @property
    def temperature(self):
        """The temperature that is best on the validation split."""
        return fit_temperature(self.logits["validation"], self.labels["validation"])

    def probabilities(self, split, temperature=1.0):
        """Returns the predicted probabilities of a split, [N, K]."""
        return softmax(self.logits[split] / temperature, axis=1)

    def scores(self, split, temperature=1.0):
        """Returns the `classification_scores` of a split, with the mean `confidence` as well."""
        scores = classification_scores(self.logits[split] / temperature, self.labels[split])
        return {**scores, "confidence": float(self.probabilities(split, temperature).max(axis=1).mean())}


def train(scale=None, examples=60, steps=1000, seed=0):
    """Trains a network with one hidden layer on a few of scikit-learn's digits, and shows it the others.

    Args:
        scale: Standard deviation of the Gaussian prior on the kernels (Eq. 3.4.7); None for none.
        examples: Number of training digits, 10 to 1000; 300 others are for validation, the rest for testing.
        steps: Steps of Adam on all training digits at once.
        seed: Key of the splits and of the initial weights.

    Returns:
        An `Outcome`.
    """
    images, labels = _splits(examples, seed)
    model = _network(None if scale is None else GaussianPrior(scale, examples), seed)
    _fit(model, images["train"], labels["train"], steps)
    return Outcome({split: model(x).numpy().astype(np.float64) for split, x in images.items()}, labels)


def _splits(examples, seed):
    images, labels = load_digits(return_X_y=True)
    images, labels = (images / 16).astype("float32"), labels.astype("int32")
    train, rest = train_test_split(
        np.arange(len(labels)), train_size=examples, stratify=labels, random_state=seed
    )
    validation, test = train_test_split(
        rest, train_size=_VALIDATION, stratify=labels[rest], random_state=seed
    )
    rows = {"train": train, "validation": validation, "test": test}
    return {k: images[i] for k, i in rows.items()}, {k: labels[i] for k, i in rows.items()}


def _network(prior, seed):
    def dense(units, activation, key):
        start = keras.initializers.GlorotUniform(seed=key)
        return keras.layers.Dense(units, activation, kernel_initializer=start, kernel_regularizer=prior)

    return keras.Sequential(
        [keras.Input((64,)), dense(_UNITS, "relu", 2 * seed), dense(10, None, 2 * seed + 1)]
    )


def _fit(model, images, labels, steps):
    loss, optimizer = CategoricalNLL(), keras.optimizers.Adam(_LEARNING_RATE)
    optimizer.build(model.trainable_variables)

    # One graph for all steps: on data this small Keras's own loop would take most of the time.
    @tf.function
    def run():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                objective = tf.add_n([loss(labels, model(images)), *model.losses])
            optimizer.apply(tape.gradient(objective, model.trainable_variables), model.trainable_variables)

    run()
