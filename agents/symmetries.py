r"""Symmetries of boards: reflections and rotations that leave the rules of a game as they are.

A position and its image have the same value, and the policy of the image is the image of the policy. Each
position of a game thus serves as several examples.

    symmetries = Symmetries(Game("tic_tac_toe"))
    observations, policies = symmetries.apply(index, observations, policies)

Only those symmetries count that also leave the beginning of the game as it is.

Legend: B positions, H W height and width of the board, C channels, A actions.
"""

import numpy as np

# Reflections of rows, of columns, and of the main diagonal, in this order; on a square they make all eight.
_MIRROR = ((False, True, False),)
_ROTATIONS = ((True, True, False), (False, False, True), (True, True, True))
_SQUARE = (*_ROTATIONS, (True, False, False), *_MIRROR, (True, False, True), (False, True, True))
# Games of a board: its symmetries, and what its actions are.
_GAMES = {
    "breakthrough": (_MIRROR, "moves"),
    "connect_four": (_MIRROR, "columns"),
    # The four stones in the middle change colors under the other symmetries of the square.
    "othello": (_ROTATIONS, "cells"),
    "tic_tac_toe": (_SQUARE, "cells"),
}
# In breakthrough an action is a field, one of six directions, and whether it takes a stone. Reflected
# columns exchange left and right of both players.
_DIRECTIONS = (2, 1, 0, 5, 4, 3)


class Symmetries:
    """The symmetries of a game, with the identity as number 0.

    Games without a known symmetry have the identity only.

    Args:
        game: The `Game`.
    """

    def __init__(self, game):
        reflections, actions = _GAMES.get(game.name.partition("(")[0], ((), "cells"))
        self._reflections = ((False, False, False), *reflections)
        self._permutations = [
            _permutation(game, actions, reflection) if any(reflection) else np.arange(game.actions)
            for reflection in self._reflections
        ]

    def __len__(self):
        return len(self._reflections)

    def actions(self, index):
        """Returns the image of each action under one symmetry, [A]."""
        return self._permutations[index].copy()

    def apply(self, index, observations, policies):
        """Returns the images of observations and policies.

        Args:
            index: Number of the symmetry.
            observations: As `Game.observations` returns them, [B, H, W, C].
            policies: Numbers of each action, [B, A].
        """
        if index == 0:
            return observations, policies
        images = np.empty_like(policies)
        images[:, self._permutations[index]] = policies
        return _reflected(observations, self._reflections[index], 1), images


def _reflected(boards, reflection, axis):
    """Reflects rows, then columns, then the main diagonal of boards whose rows are the given axis."""
    rows, columns, diagonal = reflection
    if rows:
        boards = np.flip(boards, axis)
    if columns:
        boards = np.flip(boards, axis + 1)
    return np.swapaxes(boards, axis, axis + 1) if diagonal else boards


def _permutation(game, kind, reflection):
    """Returns the image of each action, [A]."""
    height, width, _ = game.observation_shape
    cells = np.arange(height * width).reshape(height, width)
    if kind == "columns":
        return np.arange(width)[::-1]
    # The image of the board has at each cell the number of the cell that came there.
    sources = _reflected(cells, reflection, 0).ravel()
    images = np.argsort(sources)
    if kind == "cells":
        # An action beyond the cells, as to pass in othello, stays.
        return np.concatenate([images, np.arange(height * width, game.actions)])
    moves = np.arange(game.actions).reshape(height * width, len(_DIRECTIONS), 2)
    permuted = np.empty_like(moves)
    permuted[np.arange(height * width)] = moves[images][:, _DIRECTIONS]
    return permuted.ravel()
