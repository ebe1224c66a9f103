"""A game between a network of the zoo and a person at the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import rich.console
import rich.table
import rich.text

from . import matches

if TYPE_CHECKING:
    from ..agents.players import SearchPlayer

# Rows of the table of moves.
_ROWS = 12


def duel(
    name: str | os.PathLike, *, first: bool = True, simulations: int | None = None, seed: int = 0
) -> float | None:
    """Plays a game against a person at the terminal, who types moves.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        first: Whether the person begins.
        simulations: Simulations for each move; those of its card by default.
        seed: Seed of the network's draws.

    Returns:
        The person's return; `None` if the person ended the game.

    Raises:
        ValueError: If there is no such network, or a setting is not valid.
    """
    return Duel(matches.player(name, simulations=simulations, seed=seed), first).play()


class Duel:
    """A game of a player against a person.

    Args:
        player: A `SearchPlayer`.
        first: Whether the person begins.
        read: Function of a prompt that returns a line, and raises `EOFError` at the end of the input.
        console: Where to print.
    """

    def __init__(
        self,
        player: SearchPlayer,
        first: bool = True,
        read: Callable[[str], str] = input,
        console: rich.console.Console | None = None,
    ):
        self._player, self._first, self._read = player, first, read
        self._console = console or rich.console.Console(highlight=False)
        self._state = player.game.initial()

    def play(self):
        """Plays to the end; returns the person's return, or `None` if the person ended the game."""
        person = 0 if self._first else 1
        self._print(f"{self._player.game.name}: you are the {'first' if self._first else 'second'} player.\n")
        self._print(board(self._state))
        while not self._state.is_terminal():
            own = self._state.current_player() == person
            action = self._asked() if own else self._answered()
            if action is None:
                self._print(f"The game ends after {_moves(self._state.move_number())}.")
                return None
            self._state.apply_action(action)
            self._print(board(self._state))
        result = self._state.returns()[person]
        self._print("You win." if result > 0 else "You lose." if result < 0 else "A draw.")
        return result

    def _print(self, text):
        # A board may hold brackets, which rich would read as markup.
        self._console.print(text, markup=False)

    def _asked(self):
        """Returns the person's move, or `None` to end the game."""
        while True:
            try:
                word = self._read("Your move (? lists the moves, q ends the game): ").strip()
            except EOFError:
                self._print("")
                return None
            if word.lower() in ("q", "quit"):
                return None
            action = read_move(self._state, word)
            if action is not None:
                return action
            moves = ", ".join(f"{action} ({name})" for action, name in named_moves(self._state).items())
            problem = "" if word == "?" else f"{word!r} is not a legal move. "
            self._print(f"{problem}Type the number or the name of a move: {moves}")

    def _answered(self):
        """Returns the network's move after showing its search."""
        search = self._player.search([self._state])
        action = int(search.best()[0])
        root, *nodes = search.nodes(count=len(self._state.legal_actions()) + 1, depth=1)
        priors, policy = search.priors[0], search.policy()[0]
        table = rich.table.Table("move", "", "prior", "visits", "policy", "Q", box=None, pad_edge=False)
        for column in table.columns[2:]:
            column.justify = "right"
        # A proven move may have few visits.
        shown = nodes[:_ROWS] + [node for node in nodes[_ROWS:] if node.action == action]
        shown.sort(key=lambda node: node.action)
        for node in shown:
            table.add_row(
                str(node.action),
                rich.text.Text(self._state.action_to_string(node.action)),
                f"{100 * priors[node.action]:.1f} %",
                f"{node.visits:,}",
                f"{100 * policy[node.action]:.1f} %",
                node.result or f"{node.value:+.2f}",
                style="bold" if node.action == action else None,
            )
        self._console.print(table)
        hidden = len(self._state.legal_actions()) - len(shown)
        if hidden:
            self._print(f"{_moves(hidden)} more, with fewer visits")
        name = self._state.action_to_string(action)
        value = f"a proven {root.result}" if root.result else f"value {root.value:+.2f}"
        self._print(f"The network plays {name} ({value} for the network, {root.visits:,} simulations).\n")
        return action


def board(state):
    """Returns the board as text, with the numbers of the columns below it if these are the actions.

    Args:
        state: An OpenSpiel state.
    """
    text, actions = str(state).rstrip("\n"), state.get_game().num_distinct_actions()
    columns = "".join(map(str, range(actions)))
    return (
        f"{text}\n{columns}\n" if {len(line) for line in text.splitlines()} == {len(columns)} else f"{text}\n"
    )


def named_moves(state):
    """Returns the names of the legal actions by their numbers.

    Args:
        state: An OpenSpiel state.
    """
    return {action: state.action_to_string(action) for action in state.legal_actions()}


def read_move(state, word):
    """Returns the legal action of a given number or name, `None` if there is none.

    Args:
        state: An OpenSpiel state.
        word: The number, or OpenSpiel's name in upper or lower case.
    """
    moves = named_moves(state)
    for action, name in moves.items():
        if word == str(action) or word == name:
            return action
    alike = [action for action, name in moves.items() if word.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _moves(count):
    return f"{count} move{'' if count == 1 else 's'}"
