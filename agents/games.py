"""Two-player games with perfect information, whose rules come from OpenSpiel (Sec. 8.6).

    game = Game("connect_four")
    state = game.after(3, 3, 2)

A state is an OpenSpiel state (`pyspiel.State`), with its methods `legal_actions`, `child`, `is_terminal`,
`returns` and so on. OpenSpiel is the optional extra `curvezoo[games]`.

Legend: G states, A actions of the game, O the shape of an observation.

References:
    Lanctot et al., "OpenSpiel: A framework for reinforcement learning in games", arXiv:1908.09453.
"""

import numpy as np

from .. import arguments

# OpenSpiel's planes of the stones of the first and the second player, where both see the same observation.
_STONES = {"breakthrough": (0, 1), "connect_four": (0, 1), "tic_tac_toe": (2, 1)}


class Game:
    """A deterministic zero-sum game of two players who take turns and see everything.

    Args:
        name: OpenSpiel's name of the game, such as `connect_four`, or with parameters,
            `breakthrough(rows=6,columns=6)`.
        **parameters: Parameters of the game, such as `rows=6`.

    Attributes:
        name: OpenSpiel's name with all parameters that differ from their defaults.
        actions: The number A of actions, legal or not.
        observation_shape: The shape O of an observation: [H, W, C] on a board, or [K].
        largest_return: The return of a player who wins.

    Raises:
        ValueError: If OpenSpiel is missing, the game is unknown or not of this kind, or a parameter is not
            valid.
    """

    def __init__(self, name, **parameters):
        spiel = _open_spiel()
        kinds = {kind.short_name: kind for kind in spiel.registered_games()}
        short = name.partition("(")[0] if isinstance(name, str) else name
        if not isinstance(name, str) or short not in kinds:
            arguments.known_name("game", short, [each for each in kinds if not _reasons(spiel, kinds[each])])
        try:
            self._game = spiel.load_game(name, parameters) if parameters else spiel.load_game(name)
        except (spiel.SpielError, TypeError) as error:
            # Games of other kinds may need parameters: their kind makes the better message.
            _require_kind(name, _reasons(spiel, kinds[short]))
            problem = str(error).strip().splitlines()[0]
            raise ValueError(f"name must be a game with valid parameters, got {name!r}: {problem}") from None
        _require_kind(name, _reasons(spiel, self._game.get_type(), self._game.num_players()))
        self.name = str(self._game).removesuffix("()")
        self.actions = self._game.num_distinct_actions()
        self._planes = tuple(self._game.observation_tensor_shape())
        self._stones = _STONES.get(short)
        if len(self._planes) == 3:
            channels, height, width = self._planes
            self.observation_shape = (height, width, channels + 1)
        else:
            self.observation_shape = (int(np.prod(self._planes)) + 1,)
        self.largest_return = self._game.max_utility()

    def __repr__(self):
        return f"Game({self.name!r})"

    def initial(self):
        """Returns the state in which the game begins."""
        return self._game.new_initial_state()

    def after(self, *actions):
        """Returns the state after some actions from the beginning.

        Raises:
            ValueError: If one of the actions is not legal.
        """
        state = self.initial()
        for index, action in enumerate(actions):
            require_legal(f"actions[{index}]", action, state)
            state.apply_action(int(action))
        return state

    def observations(self, states):
        """Returns the players' views of states that are not terminal, float32, [G, *O].

        They are OpenSpiel's observations, with a last channel that is one if the second player moves. In
        breakthrough, connect four and tic-tac-toe the planes of both players' stones change places if the
        second player moves, so that those of the player to move have one place.
        """
        seconds = np.array([state.current_player() for state in states])
        planes = np.empty((len(states), int(np.prod(self._planes))), "float32")
        for row, state, player in zip(planes, states, seconds.tolist(), strict=True):
            row[:] = state.observation_tensor(player)
        planes = planes.reshape(len(states), *self._planes)
        if self._stones is not None:
            swapped = np.flatnonzero(seconds)[:, None]
            planes[swapped, self._stones] = planes[swapped, self._stones[::-1]]
        views = np.empty((len(states), *self.observation_shape), "float32")
        views[..., :-1] = np.moveaxis(planes, 1, -1) if planes.ndim == 4 else planes.reshape(len(states), -1)
        views[..., -1] = seconds.reshape(-1, *[1] * (views.ndim - 2))
        return views

    def legal(self, states):
        """Returns which actions are legal in each state, bool, [G, A]; none is in a terminal one."""
        mask = np.zeros((len(states), self.actions), bool)
        for row, state in zip(mask, states, strict=True):
            row[state.legal_actions()] = True
        return mask


def require_game(game):
    """Returns `game` after checking that it is a `Game`."""
    if not isinstance(game, Game):
        raise ValueError(f"game must be a Game, got {arguments.described(game)}")
    return game


def under_way(states):
    """Returns `states` as a list after checking that they are states of which none is terminal."""
    if not isinstance(states, list | tuple):
        raise ValueError(f"states must be a list of states of a game, got {arguments.described(states)}")
    for index, state in enumerate(states):
        if state.is_terminal():
            raise ValueError(f"states[{index}] must not be terminal, got the end of a game")
    return list(states)


def require_legal(name, action, state):
    """Checks that an action is legal in a state.

    Args:
        name: The name of the action's argument, for the message.
        action: The action.
        state: The `Game`'s state.

    Raises:
        ValueError: If it is not; the message lists the legal actions.
    """
    legal = state.legal_actions()
    if isinstance(action, bool | np.bool_) or action not in legal:
        rule = f"one of the legal actions {', '.join(map(str, legal))}" if legal else "in a game under way"
        raise ValueError(f"{name} must be {rule}, got {arguments.described(action)}")


def _open_spiel():
    """Returns OpenSpiel's module."""
    try:
        import pyspiel
    except ImportError:
        raise ValueError(
            "The rules of games need the package open_spiel: pip install 'curvezoo[games]'"
        ) from None
    return pyspiel


def _require_kind(name, reasons):
    """Checks that there is no reason against a game."""
    if reasons:
        raise ValueError(
            "name must be a deterministic zero-sum game of two players with perfect information, "
            f"got {name!r}, which {' and '.join(reasons)}"
        )


def _reasons(spiel, kind, players=None):
    """Returns why the search cannot play a game, as texts that follow "which"."""
    low, high = (kind.min_num_players, kind.max_num_players) if players is None else (players, players)
    game = spiel.GameType
    tests = {
        "has chance": kind.chance_mode != game.ChanceMode.DETERMINISTIC,
        "hides information": kind.information == game.Information.IMPERFECT_INFORMATION,
        "has simultaneous moves": kind.dynamics != game.Dynamics.SEQUENTIAL,
        "is not zero-sum": kind.utility != game.Utility.ZERO_SUM,
        f"is not for two players but for {low if low == high else f'{low} to {high}'}": not low <= 2 <= high,
        "has no observation tensor": not kind.provides_observation_tensor,
    }
    return [reason for reason, holds in tests.items() if holds]
