"""The trees of many games as arrays: nodes, and edges for their legal actions only.

All games share one pool of nodes and one of edges, which grow by doubling. The edges of a node are
consecutive. Values are those of the first player; a node's `sign` turns them into values of its own player.
"""

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

NODES = {
    "first": np.int64,  # the node's first edge
    "width": np.int64,  # its number of edges: legal actions; 0 for a terminal state
    "total": np.float64,  # visits of all its edges
    "sign": np.float64,  # 1 if the first player moves, -1 if the second does
    "outcome": np.float64,  # the game's return for the first player if it is known, nan otherwise
}
EDGES = {
    "action": np.int64,
    "prior": np.float64,
    "visits": np.float64,
    "summed": np.float64,  # the sum of the values below, for the player who moves
    "mean": np.float64,  # their mean Q, 0 before the first visit
    "child": np.int64,  # the node to which it leads; -1 before the first visit
    "known": np.float64,  # the return for the player who moves if it is proven, nan otherwise
}


@dataclass(frozen=True)
class Visited:
    """A node with the edge that leads to it, for reading.

    Attributes:
        parent: The place of its parent in the list; -1 for the root.
        depth: Its distance from the root.
        state: Its state.
        action: The action that leads to it; -1 for the root.
        visits: N(s, a) of that action; for the root, of all its actions.
        value: Q(s, a) of that action for the player who chose it; for the root, the mean value for the
            player to move.
        proven: The return of that player if it is proven, nan otherwise.
    """

    parent: int
    depth: int
    state: Any
    action: int
    visits: int
    value: float
    proven: float

    @property
    def result(self):
        """The proven result in words, `win`, `draw` or `loss`; an empty string if there is none."""
        return "" if np.isnan(self.proven) else ("loss", "draw", "win")[1 + int(np.sign(self.proven))]


class Tree:
    """Nodes and edges of many trees; `states` holds the state of each node."""

    def __init__(self):
        self.states = []
        self.edges = self.widest = 0
        for name, kind in (NODES | EDGES).items():
            setattr(self, name, np.zeros(64, kind))

    def add(self, states, actions, priors, signs, outcomes):
        """Adds a node for each state.

        Args:
            states: N states.
            actions: The legal actions in each, N lists, empty for terminal states.
            priors: Their prior probabilities, one after the other.
            signs: Signs of the players to move, [N].
            outcomes: The known returns of the first player, nan where unknown, [N].

        Returns:
            The numbers of the new nodes, [N].
        """
        begin, widths = len(self.states), np.array([len(each) for each in actions], np.int64)
        nodes, edges = slice(begin, begin + len(states)), slice(self.edges, self.edges + len(priors))
        self.widest = max(self.widest, widths.max())
        self._reserve(NODES, nodes.stop)
        # Rows of edges are read at the width of the widest node, beyond the last edge too.
        self._reserve(EDGES, edges.stop + self.widest)
        self.first[nodes] = edges.start + np.cumsum(widths) - widths
        self.width[nodes], self.sign[nodes], self.outcome[nodes] = widths, signs, outcomes
        self.total[nodes] = 0
        self.action[edges] = [action for each in actions for action in each]
        self.prior[edges], self.child[edges], self.known[edges] = priors, -1, np.nan
        self.visits[edges] = self.summed[edges] = self.mean[edges] = 0
        self.states += states
        self.edges = edges.stop
        return np.arange(nodes.start, nodes.stop)

    def rows(self, nodes):
        """Returns the edges of each node, padded to [N, K], and which of them are padding, or `None`."""
        widths = self.width[nodes]
        offsets = np.arange(widths.max())
        beyond = None if (widths == len(offsets)).all() else offsets >= widths[:, None]
        return self.first[nodes][:, None] + offsets, beyond

    def edges_of(self, nodes):
        """Returns all edges of some nodes, one node after the other."""
        widths = self.width[nodes]
        begins = np.cumsum(widths) - widths
        return np.repeat(self.first[nodes] - begins, widths) + np.arange(widths.sum())

    def visited(self, root, count, depth):
        """Returns the most visited nodes below a root.

        Args:
            root: The number of the root.
            count: Largest number of nodes.
            depth: Largest distance from the root.

        Returns:
            A list of `Visited`, each after its parent; the root first, then by decreasing visits.
        """
        found, waiting = [], [(-np.inf, 0, -1, 0, root, -1)]
        while waiting and len(found) < count:
            _, _, parent, level, node, edge = heapq.heappop(waiting)
            place = len(found)
            found.append(self._at_root(node) if edge < 0 else self._along(edge, node, parent, level))
            if level < depth:
                for below in self.edges_of(np.array([node])).tolist():
                    if self.visits[below] > 0:
                        entry = (-self.visits[below], below, place, level + 1, int(self.child[below]), below)
                        heapq.heappush(waiting, entry)
        return found

    def _at_root(self, node):
        """Returns the `Visited` of a root."""
        total, edges = self.total[node], self.edges_of(np.array([node]))
        value = float(self.summed[edges].sum() / total) if total else 0.0
        proven = float(self.sign[node] * self.outcome[node])
        return Visited(-1, 0, self.states[node], -1, int(total), value, proven)

    def _along(self, edge, node, parent, depth):
        """Returns the `Visited` at the end of an edge."""
        return Visited(
            parent,
            depth,
            self.states[node],
            int(self.action[edge]),
            int(self.visits[edge]),
            float(self.mean[edge]),
            float(self.known[edge]),
        )

    def keep(self, roots):
        """Drops nodes out of reach of some roots, all different; returns the new numbers of the roots."""
        levels = [roots]
        while len(levels[-1]):
            children = self.child[self.edges_of(levels[-1])]
            levels.append(children[children >= 0])
        nodes = np.concatenate(levels)
        edges = self.edges_of(nodes)
        renumbered = np.empty(len(self.states), np.int64)
        renumbered[nodes] = np.arange(len(nodes))
        for names, kept in ((NODES, nodes), (EDGES, edges)):
            for name in names:
                array = getattr(self, name)
                array[: len(kept)] = array[kept]
        widths = self.width[: len(nodes)]
        self.first[: len(nodes)] = np.cumsum(widths) - widths
        children = self.child[: len(edges)]
        children[children >= 0] = renumbered[children[children >= 0]]
        self.states = [self.states[node] for node in nodes.tolist()]
        self.edges = len(edges)
        return renumbered[roots]

    def _reserve(self, names, size):
        """Makes room for `size` nodes or edges."""
        for name in names:
            array = getattr(self, name)
            if size > len(array):
                # Padding that is read before it is written must hold valid numbers of nodes.
                larger = np.zeros(2 * size, array.dtype)
                larger[: len(array)] = array
                setattr(self, name, larger)
