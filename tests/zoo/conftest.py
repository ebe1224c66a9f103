"""Published networks with random weights, for games."""

import pytest


@pytest.fixture(scope="session")
def game_folder(game_network, tmp_path_factory):
    """A function from the name of a game to a published folder with a network for it."""
    folders = {}

    def publish(name):
        import tensorflow as tf

        from curvezoo.agents.games import Game
        from curvezoo.publishing import saved_model
        from curvezoo.publishing.exports import Endpoint, Export, forward

        if name not in folders:
            game, network = Game(name), game_network(name)
            folders[name] = tmp_path_factory.mktemp("networks") / name.partition("(")[0]
            golden = (game.observations([game.initial()]),)
            signature = [tf.TensorSpec((None, *game.observation_shape), tf.float32)]
            exports = [Export(network, {"serve": Endpoint(forward(network), signature, golden)})]
            card = {
                "name": f"alphazero_{name}",
                "data": {"name": name},
                "recipe": {
                    "kind": "self_play",
                    "game": {"name": name},
                    "play": {"c": 1.25},
                    "match_simulations": 6,
                },
                "measure": "games",
                "metrics": {},
            }
            saved_model.publish(exports, folders[name], card)
        return folders[name]

    return publish
