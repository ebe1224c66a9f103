import numpy as np
import pytest

from curvezoo.agents.games import Game
from curvezoo.agents.matches import Match, play

TIC_TAC_TOE = Game("tic_tac_toe")


def first_legal(states):
    return np.array([state.legal_actions()[0] for state in states])


def last_legal(states):
    return np.array([state.legal_actions()[-1] for state in states])


def test_players_change_sides_and_every_result_is_that_of_the_game():
    # By hand: 0, 8, 1, 7, 2 wins for the player who begins, and so does 8, 0, 7, 1, 6.
    match = play(TIC_TAC_TOE, first_legal, last_legal, 5)
    np.testing.assert_array_equal(match.began, [True, False, True, False, True])
    np.testing.assert_array_equal(match.results, [1, -1, 1, -1, 1])
    assert (match.games, match.wins, match.draws, match.losses) == (5, 3, 0, 2)
    assert match.part(False).losses == 2


def test_a_draw_counts_one_half():
    match = Match(np.array([1, 0, 0, -1, 1]), np.ones(5, bool))
    assert match.score == 0.6


def test_pairs_of_games_have_the_same_opening():
    seen = []

    def watching(states):
        seen.extend(tuple(state.history()[:2]) for state in states if len(state.history()) == 2)
        return first_legal(states)

    play(TIC_TAC_TOE, watching, watching, 8, opening=2, seed=3)
    counts = sorted(seen.count(opening) for opening in set(seen))
    assert len(seen) == 8 and all(count % 2 == 0 for count in counts) and len(counts) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"games": 0}, "games must be an integer of at least 1, got 0"),
        ({"games": 2, "opening": -1}, "opening must be an integer of at least 0, got -1"),
        ({"games": 2, "opening": 9}, "opening must leave a game under way, got 9 moves in tic_tac_toe"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        play(TIC_TAC_TOE, first_legal, first_legal, **arguments)


def test_an_illegal_action_names_the_player():
    with pytest.raises(ValueError, match="an action of the second player must be one of the legal actions"):
        play(TIC_TAC_TOE, first_legal, lambda states: np.zeros(len(states), int), 1)
    with pytest.raises(ValueError, match=r"actions of the first player must have shape \(1,\)"):
        play(TIC_TAC_TOE, lambda states: [0, 1], first_legal, 1)
