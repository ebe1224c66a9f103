"""Games at the terminal: typed lines, and what a person sees of the board and the search."""

import io

import numpy as np
import pytest
import rich.console

from curvezoo import cli
from curvezoo.agents.evaluators import uniform
from curvezoo.agents.games import Game
from curvezoo.agents.players import SearchPlayer
from curvezoo.zoo import terminal

TIC_TAC_TOE, CONNECT_FOUR = Game("tic_tac_toe"), Game("connect_four")


class Script:
    """Types lines, and then ends the input; remembers all prompts."""

    def __init__(self, *lines):
        self.lines, self.prompts = list(lines), []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


def play(*lines, game=CONNECT_FOUR, first=True, simulations=60):
    """Returns the person's return, the printed text and the prompts."""
    script, out = Script(*lines), io.StringIO()
    console = rich.console.Console(file=out, width=100, highlight=False)
    result = terminal.Duel(SearchPlayer(game, uniform, simulations), first, script, console).play()
    return result, out.getvalue(), script.prompts


def test_a_move_is_the_number_or_the_name_of_an_action():
    state = CONNECT_FOUR.initial()
    assert [terminal.read_move(state, word) for word in ("3", "x3", "X3")] == [3, 3, 3]
    assert [terminal.read_move(state, word) for word in ("7", "o3", "", "-1", "3.0", "three")] == [None] * 6
    full = CONNECT_FOUR.after(3, 3, 3, 3, 3, 3)
    assert terminal.read_move(full, "3") is None
    assert terminal.read_move(TIC_TAC_TOE.initial(), "x(1,1)") == 4


def test_the_board_follows_each_move():
    result, text, prompts = play("3", "x2", "0")
    player, state, boards = SearchPlayer(CONNECT_FOUR, uniform, 60), CONNECT_FOUR.initial(), []
    for action in (3, 2, 0):
        for move in (action, None):
            boards.append(f"{state}0123456\n")
            state.apply_action(int(player([state])[0]) if move is None else move)
    boards.append(f"{state}0123456\n")
    places = [text.index(board) for board in boards]
    assert places == sorted(places) and len(set(places)) == 7
    assert result is None and len(prompts) == 4
    assert text.startswith("connect_four: you are the first player.")
    assert text.endswith("The game ends after 6 moves.\n")


def test_other_boards_have_no_numbers_below():
    state = TIC_TAC_TOE.after(4)
    assert terminal.board(state) == f"{state}\n"


def test_moves_that_are_not_legal_are_asked_for_again_with_the_legal_ones():
    result, text, prompts = play("9", "?", "x", "4", game=TIC_TAC_TOE)
    assert result is None
    assert text.count("'9' is not a legal move. Type the number or the name of a move: 0 (x(0,0)), 1") == 1
    assert text.count("is not a legal move") == 2 and text.count("Type the number") == 3
    # The fourth line is a move, and the fifth prompt meets the end of the input.
    assert len(prompts) == 5
    assert "The game ends after 2 moves." in text


@pytest.mark.parametrize("word", ["q", "Q", " quit "])
def test_q_ends_the_game(word):
    result, text, prompts = play(word)
    assert (result, len(prompts)) == (None, 1)
    assert "The game ends after 0 moves." in text


def test_the_network_shows_visits_policy_and_values_of_its_moves():
    _, text, _ = play(first=False, simulations=50)
    search = SearchPlayer(CONNECT_FOUR, uniform, 50).search([CONNECT_FOUR.initial()])
    rows = [line.split() for line in text.splitlines() if line.count("%") == 2]
    assert len(rows) == 7
    for action, row in enumerate(rows):
        visits, value = int(search.visits[0, action]), search.values[0, action]
        expected = f"{action} x{action} 14.3 % {visits} {2 * visits:.1f} % {value:+.2f}"
        assert row == expected.split()
    best = search.best()[0]
    assert f"The network plays x{best} (value +0.00 for the network, 50 simulations)" in text


def test_a_proven_win_is_told_and_the_loss_too():
    result, text, _ = play("0", "0", "0", "1", "1", "1", first=False, simulations=400)
    assert result == -1 and text.endswith("You lose.\n")
    assert "a proven win for the network" in text and " win\n" in text


def test_a_person_may_win():
    # With one simulation and equal priors the network takes the first free field.
    result, text, _ = play("4", "2", "6", game=TIC_TAC_TOE, simulations=1)
    assert result == 1 and text.endswith("You win.\n")


def test_of_many_moves_the_most_visited_ones_are_shown():
    game = Game("breakthrough(rows=6,columns=6)")
    _, text, _ = play(game=game, first=False, simulations=100)
    search = SearchPlayer(game, uniform, 100).search([game.initial()])
    assert len(np.flatnonzero(search.visits[0])) == 16
    assert "4 moves more, with fewer visits" in text
    shown = [line for line in text.splitlines() if line.count("%") == 2]
    assert len(shown) == 12


def test_the_command_plays_until_the_end_of_the_input(game_folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("3\n"))
    assert cli.main(["play", str(game_folder("connect_four")), "--first", "--simulations", "7"]) == 0
    out = capsys.readouterr().out
    assert "7 simulations" in out and "The game ends after 2 moves." in out
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert cli.main(["play", str(game_folder("connect_four")), "--second"]) == 0
    out = capsys.readouterr().out
    assert "you are the second player" in out and "6 simulations" in out
    assert "The game ends after 1 move." in out
