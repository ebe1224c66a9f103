"""Warnings about adversarial training that no longer improves the generator (Sec. 7.4)."""

import warnings

import keras

# Training that goes well stays far from both: the critic recognizes most images, but is rarely sure.
_WON_ACCURACY, _WON_PROBABILITY = 0.995, 0.01
_COLLAPSED_DIVERSITY = 0.5


class AdversarialWatch(keras.callbacks.Callback):
    """Warns once of each of the troubles that the logs of a `zoo.generative.GAN` show after an epoch.

    A generator that has learned little draws images that are nearly the same, too. So a lack of diversity is
    reported only after a better epoch, or after the last one.
    """

    def __init__(self):
        super().__init__()
        self._reported, self._diverse, self._last = set(), False, {}

    def on_epoch_end(self, epoch, logs=None):
        """Reads the logs."""
        self._last = troubles(logs or {})
        for name in self._last:
            if name != "collapse" or self._diverse:
                self._warn(name, f"epoch {epoch + 1}")
        self._diverse |= "collapse" not in self._last

    def on_train_end(self, logs=None):
        """Reports a lack of diversity that has lasted."""
        if "collapse" in self._last:
            self._warn("collapse", "at the end")

    def _warn(self, name, when):
        if name not in self._reported:
            self._reported.add(name)
            warnings.warn(f"{when}: {self._last[name]}", stacklevel=2)


def troubles(logs):
    """Returns the signs that training has failed, in words, by name.

    Args:
        logs: Logs of an epoch, as `zoo.generative.GAN` describes them.

    Returns:
        A dictionary. `collapse`: generated images differ from each other far less than real ones. `won`: the
        critic recognizes almost all images and is sure of it, so the generator has little to learn from.
    """
    found = {}
    if logs.get("diversity", 1.0) < _COLLAPSED_DIVERSITY:
        found["collapse"] = (
            f"mode collapse: two generated images differ by {logs['diversity']:.2f} of the distance of two "
            "real ones; lower learning rates, a gradient penalty or spectral normalization may help"
        )
    recognized = min(logs.get("real_accuracy", 0.0), logs.get("fake_accuracy", 0.0))
    if recognized > _WON_ACCURACY and logs.get("fake_probability", 1.0) < _WON_PROBABILITY:
        norm = f" (norm {logs['gradient_norm']:.1e})" if "gradient_norm" in logs else ""
        found["won"] = (
            f"the discriminator has won: it recognizes {recognized:.1%} of the images, and the mean of "
            f"D(G(z)) is {logs['fake_probability']:.4f}; the generator's gradient{norm} says little. A lower "
            "learning rate of the discriminator, label smoothing or a gradient penalty may help"
        )
    return found
