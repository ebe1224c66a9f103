"""Oracles: the stones of positions that are known, and the bars of given policies."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from curvezoo.agents.evaluators import uniform
from curvezoo.agents.games import Game
from curvezoo.agents.search import Search
from curvezoo.publishing.page import boards, style

CONNECT_FOUR = Game("connect_four")


def drawn(state):
    axes = style.canvas(3, 3)[1][0, 0]
    boards.draw_board(axes, state)
    discs = [patch for patch in axes.patches if isinstance(patch, Circle)]
    stones = [disc for disc in discs if disc.get_facecolor()[3] > 0]
    rings = [disc.center for disc in discs if disc.get_facecolor()[3] == 0]
    colors = {disc.center: to_hex(disc.get_facecolor()).upper() for disc in stones}
    return {center: color for center, color in colors.items() if color != "#FFFFFF"}, len(colors), rings, axes


def test_stones_lie_where_they_fell_and_the_last_one_has_a_ring():
    stones, fields, rings, axes = drawn(CONNECT_FOUR.after(3, 3, 6))
    first, second = boards.COLORS
    assert stones == {(3, 0): first, (3, 1): second, (6, 0): first}
    assert fields == 42 and rings == [(6, 0)]
    assert [text.get_text() for text in axes.texts] == list("0123456")


def test_the_board_of_tic_tac_toe_has_its_first_row_on_top():
    stones, fields, rings, axes = drawn(Game("tic_tac_toe").after(1, 8))
    first, second = boards.COLORS
    assert stones == {(1, 2): first, (2, 0): second}
    assert fields == 9 and rings == [(2, 0)] and not axes.texts


def test_other_boards_are_shown_as_text():
    state = Game("breakthrough(rows=6,columns=6)").initial()
    *_, axes = drawn(state)
    assert [text.get_text() for text in axes.texts] == [str(state)]


def test_bars_are_the_probabilities_of_legal_actions():
    axes = style.canvas(3, 3)[1][0, 0]
    before, after = np.linspace(0, 0.3, 9), np.linspace(0.2, 0, 9)
    boards.draw_policies(axes, Game("tic_tac_toe").after(4, 0), before, after)
    legal = [1, 2, 3, 5, 6, 7, 8]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [*before[legal], *after[legal]])
    assert axes.get_yticklabels()[0].get_text() == "x(0,1)"


def test_of_many_actions_the_most_probable_ones_have_bars():
    axes = style.canvas(3, 3)[1][0, 0]
    game = Game("breakthrough(rows=6,columns=6)")
    legal = game.initial().legal_actions()
    before, after = np.zeros(game.actions), np.zeros(game.actions)
    before[legal] = np.arange(len(legal))
    after[legal[0]] = 99
    boards.draw_policies(axes, game.initial(), before, after)
    chosen = [legal[0], *legal[-8:]]
    names = [game.initial().action_to_string(action) for action in chosen]
    assert [label.get_text() for label in axes.get_yticklabels()] == names


def test_each_game_of_a_search_has_its_board_and_bars():
    search = Search(CONNECT_FOUR, uniform, [CONNECT_FOUR.initial(), CONNECT_FOUR.after(0)])
    search.run(20)
    figure = boards.decisions(search, ["one", "two"], "uniform priors")
    for index in range(2):
        widths = [bar.get_width() for bar in figure.axes[2 * index + 1].patches]
        np.testing.assert_allclose(widths, [*[1 / 7] * 7, *search.visits[index] / 20])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["uniform priors", "visits, first player to move", "visits, second player to move"]
    assert figure.axes[2].get_title() == "two"
    with pytest.raises(ValueError, match="zip"):
        boards.decisions(search, ["one", "two", "three"], "uniform priors")
