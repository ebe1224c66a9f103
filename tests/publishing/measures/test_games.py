"""Oracles: matches with given results, and scores counted by hand."""

import numpy as np
import pytest

from curvezoo.agents import matches
from curvezoo.agents.evaluators import from_model
from curvezoo.agents.games import Game
from curvezoo.agents.players import MCTSPlayer, MinimaxPlayer, OneStepPlayer, PolicyPlayer, SearchPlayer
from curvezoo.publishing import measures
from curvezoo.publishing.measures import games

MEASURE = measures.get("games")


@pytest.fixture(scope="module")
def tic_tac_toe(game_network):
    return game_network("tic_tac_toe")


@pytest.fixture
def played(monkeypatch):
    """Replaces matches by 2 wins, 1 draw and 1 loss, or 3 losses to perfect play; lists their arguments."""
    asked = []

    def play(game, first, second, count, opening=0, seed=0):
        asked.append((game.name, type(first), type(second), count, opening))
        results = np.repeat([1, 0, -1], [2, 1, 1]) if type(second) is not MinimaxPlayer else -np.ones(3)
        return matches.Match(results.astype(int), np.arange(len(results)) % 2 == 0)

    monkeypatch.setattr("curvezoo.agents.matches.play", play)
    monkeypatch.setattr(games, "GAMES", 4)
    return asked


def test_scores_are_those_of_the_matches(tic_tac_toe, played):
    evaluation = MEASURE.measure(tic_tac_toe, "tic_tac_toe", {"name": "tic_tac_toe"}, simulations=20)
    game = Game("tic_tac_toe")
    player = SearchPlayer(game, from_model(game, tic_tac_toe), 20)
    first = int(player([game.initial()])[0])
    assert evaluation.scores == {
        "minimax_losses": 3,
        "one_step_wins": 0.5,
        "mcts_score": 0.625,
        "raw_score": 0.625,
        "first_move": first,
        "games": 15,
    }
    opponents = [MinimaxPlayer, OneStepPlayer, MCTSPlayer, PolicyPlayer]
    assert [row[1:3] for row in played] == [(SearchPlayer, opponent) for opponent in opponents]
    assert [row[3:] for row in played] == [(400, 0), (4, 0), (4, 0), (4, 2)]
    assert MEASURE.brief(evaluation.scores) == "3 of 400 games lost to perfect play"
    cells = [cell(evaluation.scores) for cell in MEASURE.columns.values()]
    assert cells == ["3 of 400", "50 %", "62.5 %", "62.5 %", "15"]


def test_a_game_that_is_not_solved_has_no_losses_to_perfect_play(game_network, played):
    scores = MEASURE.measure(game_network("connect_four"), "connect_four", {}, simulations=4).scores
    assert scores["minimax_losses"] is None and scores["games"] == 12
    assert [row[2] for row in played] == [OneStepPlayer, MCTSPlayer, PolicyPlayer]
    assert MEASURE.brief(scores) == "62.5 % of the points against MCTS"
    assert next(iter(MEASURE.columns.values()))(scores) == ""


def test_matches_are_played_and_shown_with_the_search(tic_tac_toe, monkeypatch):
    for name, count in (("GAMES", 6), ("PERFECT_GAMES", 8), ("ROLLOUTS", 20)):
        monkeypatch.setattr(games, name, count)
    evaluations = [
        MEASURE.measure(tic_tac_toe, "tic_tac_toe", {"name": "tic_tac_toe"}, simulations=12) for _ in "ab"
    ]
    scores = evaluations[0].scores
    assert scores == evaluations[1].scores
    assert scores["games"] == 8 + 3 * 6
    assert 0 <= scores["minimax_losses"] <= 8
    results, search = evaluations[0].sections()
    assert len(results.rows) == 8
    counted = [[int(word) for word in text.split() if word.isdigit()] for _, text in results.rows]
    assert [sum(row) for row in counted] == [4, 4, 3, 3, 3, 3, 3, 3]
    assert counted[0][2] + counted[1][2] == scores["minimax_losses"]
    assert (counted[2][0] + counted[3][0]) / 6 == pytest.approx(scores["one_step_wins"])
    boards, tree = (figure for figure, _ in search.figures)
    assert len(boards.axes) == 6 and boards.axes[0].get_title() == "The beginning"
    # The policies after search are those of the first move, too.
    widths = [bar.get_width() for bar in boards.axes[1].patches[9:]]
    assert np.argmax(widths) == scores["first_move"] and sum(widths) == pytest.approx(1)
    assert any("N 400" in text.get_text() for text in tree.axes[0].texts)


def test_a_network_of_another_game_is_refused(tic_tac_toe):
    with pytest.raises(ValueError, match=r"model must have inputs of shape .* for Game\('connect_four'\)"):
        MEASURE.measure(tic_tac_toe, "connect_four", {})
    with pytest.raises(ValueError, match="simulations must be an integer of at least 1, got 0"):
        MEASURE.measure(tic_tac_toe, "tic_tac_toe", {}, simulations=0)
