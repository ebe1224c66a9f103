"""The learner of self-play."""

import keras
import numpy as np

from ..agents.alphazero import AlphaZero
from ..publishing import measures
from ..publishing.exports import Endpoint, Export, forward
from .learner import Learner
from .weights import make_optimizer

_GOLDEN_MOVES = 4


class SelfPlayLearner(Learner):
    """Trains the network of a `SelfPlay` recipe.

    Args:
        recipe: The `SelfPlay` recipe.
        resources: The run's `Resources`; `data` must be `None`.

    Raises:
        ValueError: If the game is unknown or of another kind, or the network does not fit it.
    """

    unit = "iteration"

    def __init__(self, recipe, resources):
        self.recipe, self.total = recipe, recipe.iterations
        recipe.checked_data(recipe.settings(), resources.data)
        game, updates = recipe.game.make(), recipe.play.updates
        with resources.strategy.scope():
            keras.utils.set_random_seed(recipe.seed)
            network = recipe.model.build(game)
            optimizer = make_optimizer(
                recipe.optimizer,
                network,
                recipe.iterations * updates,
                round(recipe.optimizer.warmup * updates),
            )
        self.agent = AlphaZero(
            game,
            network,
            recipe.play,
            optimizer=optimizer,
            seed=recipe.seed,
            strategy=resources.strategy,
            executor=resources.executor,
        )

    @property
    def learning_rate(self):
        """The current learning rate."""
        return float(np.asarray(self.agent.optimizer.learning_rate))

    def state(self):
        """Returns the agent's state."""
        return self.agent.state()

    def restore(self, state):
        """Takes over a state."""
        self.agent.restore(state)

    def train(self, start, after):
        """Trains from iteration `start` to the last."""
        try:
            while self.agent.iteration < self.total:
                if after(self.agent.iterate()):
                    return
        finally:
            self.agent.close()

    def evaluate(self):
        """Plays matches with the network."""
        recipe = self.recipe
        return measures.get("games").measure(
            self.agent.network,
            recipe.game.name,
            recipe.game.describe(),
            simulations=recipe.match_simulations,
            c=recipe.play.c,
        )

    def exports(self):
        """Returns the network. `serve` takes observations [B, *O] and returns `logits` and `values`."""
        import tensorflow as tf

        game, network = self.agent.game, self.agent.network
        observed = tf.TensorSpec((None, *game.observation_shape), tf.float32, name="observations")
        states = [game.initial()]
        for _ in range(_GOLDEN_MOVES):
            child = states[-1].child(states[-1].legal_actions()[0])
            if child.is_terminal():
                break
            states.append(child)
        endpoint = Endpoint(forward(network), [observed], (game.observations(states),))
        return [Export(network, {"serve": endpoint})]
