"""The rules are those of OpenSpiel; the expected arrays are written out by hand."""

import sys

import numpy as np
import pytest

from curvezoo.agents.games import Game


def test_states_observations_and_legal_actions_of_tic_tac_toe():
    game = Game("tic_tac_toe")
    assert (game.name, game.actions, game.observation_shape) == ("tic_tac_toe", 9, (3, 3, 4))
    assert game.largest_return == 1
    states = [game.after(4, 0), game.after(0, 3, 1, 4, 2)]
    np.testing.assert_array_equal(game.legal(states), [[0, 1, 1, 1, 0, 1, 1, 1, 1], [0] * 9])
    assert states[1].returns() == [1, -1]
    for state, move in zip(game.observations([states[0], game.after(4)]), (0, 1), strict=True):
        # Channels of empty fields, of the opponent's marks, of one's own, and of who moves.
        empty, other, own, mover = np.moveaxis(state, -1, 0)
        center = [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
        corner = [[1 - move, 0, 0], [0, 0, 0], [0, 0, 0]]
        np.testing.assert_array_equal(own, np.zeros((3, 3)) if move else center)
        np.testing.assert_array_equal(other, center if move else corner)
        np.testing.assert_array_equal(empty, 1 - own - other)
        np.testing.assert_array_equal(mover, np.full((3, 3), move))


@pytest.mark.parametrize("name", ["connect_four", "breakthrough(rows=6,columns=5)", "othello"])
def test_stones_of_the_player_to_move_have_one_channel(name):
    game = Game(name)
    first = game.initial()
    # The stones on the board by OpenSpiel's text of the state.
    board = str(first.child(first.legal_actions()[0]))
    second = game.observations([first.child(first.legal_actions()[0])])[0]
    marks = {"connect_four": "ox", "othello": "ox"}.get(name, "wb")
    rows = [line for line in board.splitlines() if len(line) > 3 and "play" not in line and "a" not in line]
    counts = [sum(line.count(mark) for line in rows) for mark in marks]
    own, other = {"othello": (1, 2)}.get(name, (0, 1))
    assert [second[..., own].sum(), second[..., other].sum()] == counts
    assert second[..., -1].all()


def test_a_game_without_a_board_has_vectors_as_observations():
    game = Game("nim")
    view = game.observations([game.initial()])[0]
    np.testing.assert_array_equal(view, [*game.initial().observation_tensor(0), 0])


def test_parameters_change_the_size_of_a_game():
    for game in (Game("breakthrough", rows=6, columns=5), Game("breakthrough(rows=6,columns=5)")):
        assert game.observation_shape[:2] == (6, 5)
        assert game.name == "breakthrough(columns=5,rows=6)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conect_four", "Unknown game 'conect_four'; did you mean 'connect_four'. Valid names: .*chess"),
        (4, "Unknown game 4. Valid names: "),
        ("kuhn_poker", "got 'kuhn_poker', which has chance and hides information"),
        ("backgammon", "name must be a deterministic zero-sum game .* 'backgammon', which has chance$"),
        ("dark_chess", "which hides information"),
        ("matrix_rps", "which has simultaneous moves"),
        ("cliff_walking", "which is not zero-sum and is not for two players but for 1"),
        ("coop_box_pushing", "is not zero-sum"),
        ("breakthrough(row=6)", "name must be a game with valid parameters, .*: Unknown parameter 'row'"),
    ],
)
def test_what_is_no_game_for_the_search_is_refused_with_the_reason(name, message):
    with pytest.raises(ValueError, match=message):
        Game(name)


def test_a_parameter_of_the_wrong_type_is_refused():
    with pytest.raises(
        ValueError, match=r"valid parameters, got 'breakthrough': Wrong type for parameter rows"
    ):
        Game("breakthrough", rows="six")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(ValueError, match=r"open_spiel: pip install 'curvezoo\[games\]'"):
        Game("connect_four")


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ((4, 4), r"actions\[1\] must be one of the legal actions 0, 1, 2, 3, 5, 6, 7, 8, got 4"),
        ((True,), r"actions\[0\] must be one of the legal actions .*, got True"),
        ((0, 3, 1, 4, 2, 5), r"actions\[5\] must be in a game under way, got 5"),
    ],
)
def test_an_illegal_action_is_refused(actions, message):
    with pytest.raises(ValueError, match=message):
        Game("tic_tac_toe").after(*actions)
