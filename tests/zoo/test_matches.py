"""Oracles: players built by hand from the same network, and the rules of the options."""

import subprocess
import sys

import numpy as np
import pytest

from curvezoo import cli, zoo
from curvezoo.agents import matches
from curvezoo.agents.evaluators import from_model
from curvezoo.agents.games import Game
from curvezoo.agents.players import MCTSPlayer, MinimaxPlayer, PolicyPlayer, RandomPlayer, SearchPlayer

GAME = Game("tic_tac_toe")


@pytest.fixture(scope="module")
def folder(game_folder):
    return game_folder("tic_tac_toe")


@pytest.fixture(scope="module")
def evaluator(game_network):
    return from_model(GAME, game_network("tic_tac_toe"))


def test_a_player_searches_with_the_network_and_the_settings_of_its_card(folder, evaluator):
    states = [GAME.initial(), GAME.after(4, 0)]
    for simulations in (None, 25):
        player = zoo.player(folder, simulations=simulations)
        by_hand = SearchPlayer(GAME, evaluator, simulations or 6)
        np.testing.assert_array_equal(player.search(states).visits, by_hand.search(states).visits)
    assert player.game.name == "tic_tac_toe"


@pytest.mark.parametrize(
    ("against", "make", "opening"),
    [
        ("random", lambda evaluator: RandomPlayer(2), 0),
        ("minimax", lambda evaluator: MinimaxPlayer(GAME, 2), 0),
        ("mcts:30", lambda evaluator: MCTSPlayer(GAME, 30, seed=2), 0),
        ("policy", lambda evaluator: PolicyPlayer(GAME, evaluator), 2),
        (None, lambda evaluator: SearchPlayer(GAME, evaluator, 8, seed=2), 2),
    ],
)
def test_a_match_is_that_of_the_named_players(folder, evaluator, against, make, opening):
    played = zoo.match(folder, against or folder, games=11, simulations=8, seed=2)
    by_hand = matches.play(GAME, SearchPlayer(GAME, evaluator, 8, seed=2), make(evaluator), 11, opening, 2)
    np.testing.assert_array_equal(played.results, by_hand.results)
    np.testing.assert_array_equal(played.began, by_hand.began)


def test_the_command_prints_the_results_as_first_and_second_player(folder, capsys):
    assert cli.main(["play", str(folder), "--against", "random", "--games", "9", "--seed", "4"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    played = zoo.match(folder, "random", games=9, seed=4)
    for row, part in zip(rows, (played.part(True), played.part(False), played), strict=True):
        expected = (part.games, part.wins, part.draws, part.losses)
        assert row[-6:-2] == [str(number) for number in expected]
        assert " ".join(row[-2:]) == f"{100 * part.score:.1f} %"
    assert rows[0][:2] == ["moving", "first"] and rows[2][0] == "all"


BAD = {
    "--against randm": "against must be random, one_step, minimax, mcts, mcts:ROLLOUTS, policy, "
    "alphazero_tic_tac_toe, or the folder of a network for tic_tac_toe, got 'randm'; did you mean 'random'?",
    "--against softmax_digits": "name must be that of a network for a game, got 'softmax_digits'",
    "--against mcts:0": "rollouts must be an integer of at least 1, got 0",
    "--against mcts:many": "a network for tic_tac_toe, got 'mcts:many'",
    "--against random --simulations 0": "simulations must be an integer of at least 1, got 0",
    "--against random --simulations few": "simulations must be an integer, got 'few'",
    "--against random --games 0": "games must be an integer of at least 1, got 0",
    "--against random --opening -1": "opening must be an integer of at least 0, got -1",
    "--against random --seed -1": "seed must be an integer of at least 0, got -1",
    "--against random --second": "--second applies to games against you only",
    "--simulations 0": "simulations must be an integer of at least 1, got 0",
    "--games 3": "--games applies to matches only, which need --against",
    "--episodes 3": "--episodes applies to agents only",
    "--out play.gif": "--out applies to agents only",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_options_of_play_print_one_line(folder, words, capsys):
    assert cli.main(["play", str(folder), *words.split()]) == 2
    captured = capsys.readouterr()
    assert BAD[words] in captured.err and len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_network_for_another_board_is_no_opponent(folder, game_folder, capsys):
    other = game_folder("connect_four")
    assert cli.main(["play", str(folder), "--against", str(other)]) == 2
    message = f"against must be a network for tic_tac_toe, got '{other}', which plays connect_four"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--against random", "--second", "--simulations 5"])
def test_options_for_games_do_not_apply_to_agents(words, capsys):
    assert cli.main(["play", "ppo_cartpole", *words.split()]) == 2
    assert f"{words.split()[0]} applies to networks that play games only" in capsys.readouterr().err


def test_agents_do_not_play_matches_and_networks_do_not_play_episodes(folder):
    with pytest.raises(ValueError, match="name must be that of a network for a game, got 'ppo_cartpole'"):
        zoo.match("ppo_cartpole")
    with pytest.raises(ValueError, match=r"that of an agent, got .*; use zoo.match or zoo.duel for games"):
        zoo.play(folder)


def test_bad_input_is_found_before_tensorflow_loads(folder):
    code = (
        "import sys; from curvezoo import cli; "
        f"assert cli.main(['play', {str(folder)!r}, '--against', 'randm']) == 2; "
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
