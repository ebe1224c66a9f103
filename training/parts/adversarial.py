"""The losses of adversarial networks, and the endpoints of the two networks.

B batch, H height and width, W width, C channels, Z latent variables, K categories, M continuous codes. This
module does not import TensorFlow.
"""

import dataclasses
from typing import ClassVar

from ... import arguments
from ...publishing.exports import Endpoint
from ..settings import Part
from .generation import generation_endpoints

GENERATOR_LOSSES = ("non_saturating", "saturating")
PENALTIES = ("zero_centered", "unit_norm")


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(Part):
    """The losses of a generator and a critic (Eqs. 7.4.1 and 7.4.2).

    Args:
        loss: The generator's, `non_saturating` or `saturating`.
        label_smoothing: Probability with which a real image counts as fake, in [0, 1).
        penalty: On the gradient of the critic's logit with respect to the image: `zero_centered` or
            `unit_norm`.
        penalty_weight: Factor of the penalty; 0 for none.
        discriminator_steps: Steps of the critic for each step of the generator, on equal parts of the batch.

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "adversarial"
    measure: ClassVar[str] = "adversarial"
    loss: str = "non_saturating"
    label_smoothing: float = 0.0
    penalty: str = "zero_centered"
    penalty_weight: float = 0.0
    discriminator_steps: int = 1

    def __post_init__(self):
        arguments.one_of("loss", self.loss, GENERATOR_LOSSES)
        arguments.fraction("label_smoothing", self.label_smoothing)
        arguments.one_of("penalty", self.penalty, PENALTIES)
        arguments.nonnegative_number("penalty_weight", self.penalty_weight)
        arguments.integer("discriminator_steps", self.discriminator_steps, 1)

    def check_epochs(self, epochs):
        """Raises a `ValueError` if a setting does not fit a number of epochs; every one here does."""

    def prepare(self, splits, seed):
        """Returns the splits unchanged: (images, labels). Training does not see the labels."""
        return splits

    def callbacks(self):
        """Returns the callback that warns of a collapse, and of a critic that has won."""
        from ..adversarial_watch import AdversarialWatch

        return [AdversarialWatch()]

    def losses(self, steps_per_epoch):
        """Returns the arguments of `zoo.generative.GAN.compile` that set the losses.

        Args:
            steps_per_epoch: Steps of the generator in an epoch.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def endpoints(self, generator, critic, images):
        """Returns the endpoints of both networks, by name.

        `sample` takes a number of images and a seed, int32 scalars, `decode` latents `[B, Z]`, and
        `discriminate` images `[B, H, W, C]`; it returns the logits `[B, 1]` of real against generated.

        Args:
            generator: The generator.
            critic: The critic.
            images: A few images, the golden inputs.
        """
        return generation_endpoints(generator, images), {
            "discriminate": _of_images(lambda batch: _logits(critic(batch, training=False)), images)
        }


@dataclasses.dataclass(frozen=True)
class InformationLoss(AdversarialLoss):
    """The losses of an InfoGAN, with the information term of its codes in both (Eq. 7.5.4).

    Args:
        loss: As for `AdversarialLoss`.
        label_smoothing: As for `AdversarialLoss`.
        penalty: As for `AdversarialLoss`.
        penalty_weight: As for `AdversarialLoss`.
        discriminator_steps: As for `AdversarialLoss`.
        information: The factor lambda of the category's term.
        code_information: That of the continuous codes' term.
        information_delay: Number of epochs without the information term, which may be a fraction.
        information_warmup: Number of epochs after them in which both factors rise linearly.
        distortion: Strength of the distortions of the images from which the critic learns to read the
            category; 0 for none.

    Raises:
        ValueError: If a value is not valid.
    """

    kind: ClassVar[str] = "adversarial_information"
    information: float = 1.0
    code_information: float = 1.0
    information_delay: float = 0.0
    information_warmup: float = 0.0
    distortion: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        factors = ("information", "code_information", "distortion")
        for name in (*factors, "information_delay", "information_warmup"):
            arguments.nonnegative_number(name, getattr(self, name))

    def check_epochs(self, epochs):
        """Raises a `ValueError` if training ends before the information term begins."""
        if self.information_delay >= epochs:
            raise ValueError(
                f"information_delay must be less than epochs={epochs}, got {self.information_delay:g}"
            )

    def losses(self, steps_per_epoch):
        """Returns the arguments of `zoo.generative.InfoGAN.compile`, with the warm-up in steps."""
        in_steps = {
            name: round(getattr(self, name) * steps_per_epoch)
            for name in ("information_delay", "information_warmup")
        }
        return super().losses(steps_per_epoch) | in_steps

    def endpoints(self, generator, critic, images):
        """Returns the endpoints of both networks, with two more for the codes.

        `sample_codes` takes categories `[B]`, continuous codes `[B, M]` and a seed, and draws the noise.
        `codes` takes images and returns Q(c|x): `probabilities` of the categories `[B, K]`, and `means` and
        `stds` of the continuous codes `[B, M]`.
        """
        import numpy as np
        import tensorflow as tf

        made, judged = super().endpoints(generator, critic, images)
        count, width = len(images), generator.continuous
        signature = [
            tf.TensorSpec((None,), tf.int32, name="categories"),
            tf.TensorSpec((None, width), tf.float32, name="codes"),
            tf.TensorSpec((), tf.int32, name="seed"),
        ]
        categories = (np.arange(count) % generator.categories).astype("int32")
        codes = np.linspace(-1, 1, count * width).reshape(count, width).astype("float32")
        made["sample_codes"] = Endpoint(generator.draw_coded, signature, (categories, codes, np.int32(0)))

        def posterior(batch):
            _, logits, *gaussian = critic(batch, training=False)
            outputs = {"probabilities": tf.nn.softmax(logits)}
            if gaussian:
                outputs |= {"means": gaussian[0], "stds": tf.exp(gaussian[1])}
            return outputs

        return made, judged | {"codes": _of_images(posterior, images)}


def _logits(outputs):
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


def _of_images(function, images):
    import tensorflow as tf

    shape = tf.TensorSpec((None, *images.shape[1:]), tf.float32, name="images")
    return Endpoint(function, [shape], (images,))
