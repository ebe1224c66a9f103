"""The warm-up of the divergence in the loss of a variational autoencoder (section 7.3)."""

import keras

from .. import arguments


class KLWarmup(keras.callbacks.Callback):
    """Raises the weight `beta` of a model's `losses.NegativeELBO` to its final value, epoch by epoch.

    Early in training a small weight keeps latents in use that the full divergence would switch off before
    the decoder has learned from them. The weight is a function of the epoch alone, so that a resumed run
    goes on with the same values. It is logged as `beta`.

    Args:
        beta: The final weight, at least 0.
        epochs: Number W of epochs before it is reached; epoch k < W, from 0, has beta (k + 1) / (W + 1).

    Raises:
        ValueError: If an argument is not valid or, when training begins, the model's loss has no variable
            `beta`.

    References:
        Sonderby et al., "Ladder Variational Autoencoders" (2016), arXiv:1602.02282, section 2.3.
    """

    def __init__(self, beta=1.0, epochs=10):
        super().__init__()
        self.beta = arguments.nonnegative_number("beta", beta)
        self.epochs = arguments.integer("epochs", epochs, 0)

    def weight(self, epoch):
        """Returns the weight in an epoch, counted from 0."""
        return self.beta * min(1.0, (epoch + 1) / (self.epochs + 1))

    def on_train_begin(self, logs=None):
        """Checks the model's loss."""
        if not isinstance(getattr(self.model.loss, "beta", None), keras.Variable):
            raise ValueError(
                "KLWarmup needs a model with the loss NegativeELBO(beta=keras.Variable(...)), "
                f"got {self.model.loss!r}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the weight of the epoch."""
        self.model.loss.beta.assign(self.weight(epoch))

    def on_epoch_end(self, epoch, logs=None):
        """Logs the weight."""
        if logs is not None:
            logs["beta"] = self.weight(epoch)
