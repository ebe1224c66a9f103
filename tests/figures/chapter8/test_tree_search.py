"""Oracles: all replies to each move, counts of visits, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.agents.games import Game
from curvezoo.figures.chapter8 import tree_search
from curvezoo.publishing.page import style


@pytest.fixture(scope="module")
def growth():
    return tree_search.measure(simulations=(10, 100, 1000))


def wins_at_once(state):
    """Returns whether the first player wins with one move."""
    return any(state.child(action).returns()[0] > 0 for action in state.legal_actions())


def test_the_winning_actions_are_those_after_which_every_reply_loses():
    state = Game("connect_four").after(*tree_search.LINE)
    assert not wins_at_once(state)
    winning = []
    for action in state.legal_actions():
        replies = [state.child(action).child(reply) for reply in state.child(action).legal_actions()]
        if all(wins_at_once(reply) for reply in replies):
            winning.append(action)
    assert tuple(winning) == tree_search.WINNING


def test_visits_move_to_the_winning_actions(growth):
    np.testing.assert_allclose(growth.shares.sum(axis=1), 1)
    won = growth.shares[:, list(tree_search.WINNING)].sum(axis=1)
    # Over seeds of the random games, 0.35 ± 0.05 and 0.91 ± 0.01.
    assert won[0] < 0.6 and won[-1] > 0.85


def test_the_solver_proves_the_win(growth):
    assert growth.proven.shape == (16,)
    # Over seeds the slowest of 16 takes 380 simulations.
    assert np.all(growth.proven <= 1000)
    # A win of three moves takes at least a visit for each reply and the answer to it.
    assert np.all(growth.proven >= 14)


def test_the_figure_shows_the_shares_the_policies_and_the_tree(growth):
    search = tree_search.searched(1)
    search.run(100)
    _, bars, lines, tree = tree_search.plot(growth, search).axes
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, [*[1 / 7] * 7, *search.visits[0] / 100])
    for line, share in zip(lines.lines, growth.shares.T, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), share)
    colored = [i for i, line in enumerate(lines.lines[:7]) if line.get_color() != style.MUTED]
    assert tuple(colored) == tree_search.WINNING
    np.testing.assert_array_equal(lines.lines[-1].get_xdata(), np.median(growth.proven))
    assert len(tree.texts) == 24 and tree.texts[0].get_text().startswith("root   N 100")
