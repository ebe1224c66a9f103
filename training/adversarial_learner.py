"""The learner of adversarial recipes, with two networks and two optimizers."""

from ..publishing.exports import Export
from ..variables import named_variables
from .fitted_learner import FittedLearner
from .weights import make_optimizer

_GOLDEN_EXAMPLES = 4


class AdversarialLearner(FittedLearner):
    """Trains the networks of an `Adversarial` recipe for a number of epochs.

    Args:
        recipe: The `Adversarial` recipe.
        resources: The run's `Resources`; `data` may hold `Splits` in place of the recipe's data set.

    Raises:
        ValueError: If the data is missing, or the batch size can't be divided among replicas and steps of the
            critic, or leaves a single image to a network with batch norm.
    """

    # Neither loss falls to a minimum that held-out images could measure.
    validated = False

    def __init__(self, recipe, resources):
        super().__init__(recipe, resources)
        self.model.check_batch(self.splits.batch_size // self.replicas)

    def exports(self):
        """Returns the generator, the main model, and the critic."""
        generator, critic = self.model.generator, self.model.discriminator
        images = next(iter(self.splits.test))[0][:_GOLDEN_EXAMPLES].numpy()
        made, judged = self.recipe.objective.endpoints(generator, critic, images)
        return [Export(generator, made), Export(critic, judged, name="critic")]

    def _compiled(self, distributed):
        recipe, model = self.recipe, self.recipe.model.build(self.splits.spec)
        steps, execution = self.splits.steps_per_epoch, recipe.execution
        model.compile(
            _optimizer(recipe.generator_optimizer, model.generator, recipe.epochs, steps),
            _optimizer(
                recipe.discriminator_optimizer,
                model.discriminator,
                recipe.epochs,
                steps * recipe.objective.discriminator_steps,
            ),
            **recipe.objective.losses(steps),
            seed=recipe.seed,
            jit_compile=execution.jit_compile and not distributed,
            steps_per_execution=1 if distributed else execution.steps_per_execution,
        )
        return model

    def _variables(self):
        model = self.model
        return named_variables(model.generator, model.generator_optimizer, "generator") | named_variables(
            model.discriminator, model.discriminator_optimizer, "discriminator"
        )


def _optimizer(part, network, epochs, steps_per_epoch):
    return make_optimizer(part, network, epochs * steps_per_epoch, round(part.warmup * steps_per_epoch))
