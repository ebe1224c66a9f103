"""Perfect play of small games by exhaustive search.

    table = solved(Game("tic_tac_toe"))
    table[position(state)].value

A position is the board and the player to move. Its value is the return of the player to move if both play
perfectly: the largest value of a legal action, where the value of an action is that of the next position,
with a minus sign if the opponent moves there. Values are computed backwards from the ends of the game.
"""

import collections
from dataclasses import dataclass

from .games import require_game

LIMIT = 200_000


@dataclass(frozen=True)
class Solution:
    """Perfect play of one position.

    Attributes:
        value: The return of the player to move.
        actions: The actions that reach it.
    """

    value: float
    actions: tuple[int, ...]


def position(state):
    """Returns the key of a state in the table of `solved`: the board as text, and the player to move."""
    return str(state), state.current_player()


def solved(game, limit=LIMIT):
    """Solves a game.

    What may follow must depend on the position only, not on earlier ones, as under Go's rule of superko.

    Args:
        game: The `Game`.
        limit: Largest number of positions.

    Returns:
        The `Solution` of each position that can be reached and is not terminal, by `position`.

    Raises:
        ValueError: If the game has more positions, or one can occur twice in a game.
    """
    graph = _reachable(require_game(game), limit)
    parents, unknown = collections.defaultdict(list), {}
    for key, ends in graph.items():
        following = [end for end in ends.values() if isinstance(end, tuple)]
        unknown[key] = len(following)
        for child in following:
            parents[child].append(key)
    table, ready = {}, [key for key, count in unknown.items() if count == 0]
    while ready:
        key = ready.pop()
        table[key] = _solution(key, graph[key], table)
        for parent in parents[key]:
            unknown[parent] -= 1
            if unknown[parent] == 0:
                ready.append(parent)
    if len(table) < len(graph):
        raise ValueError(f"game must have no position that can occur twice in a game, got {game}")
    return table


def _reachable(game, limit):
    """Returns where the actions of each position lead: to another position, or to a return of its player."""
    states = collections.deque([game.initial()])
    graph = {position(states[0]): {}}
    # Breadth first, because games that are too large may also be very long.
    while states:
        state = states.popleft()
        player, ends = state.current_player(), graph[position(state)]
        for action in state.legal_actions():
            child = state.child(action)
            if child.is_terminal():
                ends[action] = child.returns()[player]
                continue
            ends[action] = key = position(child)
            if key not in graph:
                if len(graph) == limit:
                    raise ValueError(f"game must have at most {limit:,} positions to be solved, got {game}")
                graph[key] = {}
                states.append(child)
    return graph


def _solution(key, ends, table):
    """Returns the `Solution` of a position all of whose actions lead to known values."""
    values = {}
    for action, end in ends.items():
        if isinstance(end, tuple):
            value = table[end].value
            # A difference, because the negative of zero would be shown as -0.0.
            values[action] = value if end[1] == key[1] else 0.0 - value
        else:
            values[action] = end
    best = max(values.values())
    return Solution(best, tuple(action for action, value in values.items() if value == best))
