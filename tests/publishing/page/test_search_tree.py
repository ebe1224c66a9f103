"""Oracles: a tree whose places are counted by hand, and the boxes that Matplotlib measures."""

import itertools

import numpy as np
import pytest

from curvezoo.agents.evaluators import Rollouts
from curvezoo.agents.games import Game
from curvezoo.agents.search import Search
from curvezoo.publishing.page import search_tree


@pytest.fixture(scope="module", params=["connect_four", "tic_tac_toe"])
def nodes(request):
    search = Search(Game(request.param), Rollouts(seed=1), solve=request.param == "tic_tac_toe")
    search.run(200)
    return search.nodes(count=26, depth=4)


def test_leaves_are_stacked_and_parents_lie_amid_their_children(nodes):
    places = search_tree.layout(nodes)
    parents = [node.parent for node in nodes]
    leaves = [index for index in range(len(nodes)) if index not in parents]
    assert sorted(places[leaves, 1]) == list(range(len(leaves)))
    assert places[:, 0].tolist() == [node.depth for node in nodes]
    for parent in set(parents) - {-1}:
        below = places[[index for index, each in enumerate(parents) if each == parent], 1]
        assert places[parent, 1] == (below.min() + below.max()) / 2


def test_boxes_do_not_overlap_and_lie_inside_the_picture(nodes):
    figure = search_tree.figure(nodes)
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    boxes = [text.get_bbox_patch().get_window_extent() for text in texts]
    assert len(boxes) == len(nodes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    inside = figure.bbox
    assert all(inside.contains(*corner) for box in boxes for corner in box.corners())


def test_lines_are_as_wide_as_their_share_of_the_visits(nodes):
    lines = search_tree.figure(nodes).axes[0].lines
    for line, node in zip(lines, nodes[1:], strict=True):
        assert line.get_linewidth() == pytest.approx(max(0.4, 6 * node.visits / 200))
        places = search_tree.layout(nodes)
        ends = line.get_xydata()[[0, -1]]
        np.testing.assert_allclose(ends, places[[node.parent, nodes.index(node)]])


def test_a_box_names_the_move_with_its_visits_and_value_or_result():
    game = Game("tic_tac_toe")
    search = Search(game, Rollouts(seed=1), [game.after(0, 3, 1)], solve=True)
    search.run(25)
    nodes = search.nodes(count=100, depth=1)
    texts = {node.action: search_tree.label(nodes, node) for node in nodes}
    assert texts[-1].startswith("root   N 25   Q ")
    block, blunder = (next(node for node in nodes if node.action == action) for action in (2, 4))
    sign = "\N{MINUS SIGN}" if block.value < 0 else "+"
    assert texts[2] == f"o(0,2)   N {block.visits}   Q {sign}{abs(block.value):.2f}"
    assert texts[4] == f"o(1,1)   N {blunder.visits}   loss"
