"""Oracle: the rules. Two games with images of the same moves stay images of each other to the end."""

import numpy as np
import pytest

from curvezoo.agents.games import Game
from curvezoo.agents.symmetries import Symmetries


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("tic_tac_toe", 8),
        ("connect_four", 2),
        ("othello", 4),
        ("breakthrough", 2),
        ("breakthrough(rows=6,columns=5)", 2),
    ],
)
def test_images_of_the_moves_lead_to_images_of_the_positions(name, number):
    game, random = Game(name), np.random.default_rng(0)
    symmetries = Symmetries(game)
    assert len(symmetries) == number
    assert len({tuple(symmetries.actions(index)) for index in range(number)}) == number
    for index in range(number):
        images = symmetries.actions(index)
        state, image = game.initial(), game.initial()
        while not state.is_terminal():
            legal = state.legal_actions()
            assert sorted(images[legal].tolist()) == image.legal_actions()
            weights = game.legal([state]) * np.arange(1.0, game.actions + 1)
            observations, policies = symmetries.apply(index, game.observations([state]), weights)
            np.testing.assert_array_equal(observations, game.observations([image]))
            np.testing.assert_array_equal(policies[0, images], weights[0])
            action = int(random.choice(legal))
            state.apply_action(action)
            image.apply_action(int(images[action]))
        assert image.returns() == state.returns()


def test_a_game_without_known_symmetries_has_the_identity():
    symmetries = Symmetries(Game("nim"))
    assert len(symmetries) == 1
    np.testing.assert_array_equal(symmetries.actions(0), np.arange(Game("nim").actions))
