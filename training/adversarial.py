"""Adversarial learning: a generator and a critic, each with its optimizer, for a number of epochs."""

import dataclasses
from typing import ClassVar

from .. import arguments
from .fitted import Fitted
from .parts import Optimizer
from .parts.adversarial import AdversarialLoss

# Those that need nothing but the gradient.
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")


def _adam():
    return Optimizer("adam", learning_rate=2e-4, arguments={"beta_1": 0.5})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Fitted):
    """A generator of images that learns from a critic, which learns to tell its images from real ones.

    Args:
        name: The model's name in the zoo.
        section: The section of the notes that it comes from.
        summary: One-line description of the model.
        model: The `Architecture`, whose builder returns the two networks as a `zoo.generative.GAN`.
        data: The `Images`.
        objective: The losses, `AdversarialLoss` or `InformationLoss`.
        generator_optimizer: The `Optimizer` of the generator.
        discriminator_optimizer: The `Optimizer` of the critic.
        execution: How training steps are executed, an `Execution`.
        epochs: Passes over the training split.
        seed: Seed of the initial weights, the order of the data and the latents.
        limits: What the trained model must not be used for, as stated on its card.

    Raises:
        ValueError: If a value is not valid; the message names it and says which values are.
    """

    kind: ClassVar[str] = "adversarial"

    objective: AdversarialLoss = dataclasses.field(default_factory=AdversarialLoss)
    generator_optimizer: Optimizer = dataclasses.field(default_factory=_adam)
    discriminator_optimizer: Optimizer = dataclasses.field(default_factory=_adam)

    def __post_init__(self):
        super().__post_init__()
        self.objective.check_epochs(self.epochs)
        for name in ("generator_optimizer", "discriminator_optimizer"):
            optimizer = getattr(self, name)
            arguments.one_of(name, optimizer.name, OPTIMIZERS)
            if optimizer.warmup >= self.epochs:
                raise ValueError(
                    f"warmup of {name} must be less than epochs={self.epochs}, got {optimizer.warmup}"
                )

    def learner(self, resources):
        """Returns the `AdversarialLearner`."""
        from .adversarial_learner import AdversarialLearner

        return AdversarialLearner(self, resources)

    @staticmethod
    def load_published(folder):
        """Returns the two networks."""
        from ..publishing import saved_model
        from ..publishing.measures.adversarial import Networks

        return Networks(saved_model.load(folder), saved_model.load(folder, "critic"))
