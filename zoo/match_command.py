"""The part of the command `curvezoo play` for networks that play games: its options and its results."""

from . import matches

_OPTIONS = {
    "simulations": "simulations for each move (default those of its card)",
    "against": f"another opponent: {', '.join(matches.OPPONENTS)}, or a network for the same game",
    "games": "number of games of a match (default 100)",
    "opening": "random moves at the beginning of a match's games (default 2 against networks, else 0)",
}
_OF_MATCHES = ("games", "opening")


def add_arguments(parser):
    """Adds the options to the parser of `curvezoo play`; `--seed` is shared with agents.

    Args:
        parser: An `argparse.ArgumentParser`.
    """
    group = parser.add_argument_group("options for networks that play games, by default against you")
    side = group.add_mutually_exclusive_group()
    side.add_argument("--first", action="store_true", help="you begin (default)")
    side.add_argument("--second", action="store_true", help="the network begins")
    for name, text in _OPTIONS.items():
        group.add_argument(f"--{name}", help=text)


def reject(arguments):
    """Raises a ValueError if an option for games is given for an agent.

    Args:
        arguments: The parsed arguments.
    """
    _reject(arguments, (*_OPTIONS, "first", "second"), "to networks that play games only")


def run(arguments):
    """Plays against a person, or a match whose results it prints.

    Args:
        arguments: The parsed arguments.

    Raises:
        ValueError: As `duel` and `match`, or if an option does not apply.
    """
    from ..training.settings import given_options
    from .terminal import duel

    _reject(arguments, ("out", "episodes", "agent"), "to agents only")
    options = given_options(arguments, dict.fromkeys(("simulations", "games", "opening", "seed"), int))
    if arguments.against is None:
        _reject(arguments, _OF_MATCHES, "to matches only, which need --against")
        duel(arguments.name, first=not arguments.second, **options)
        return
    _reject(arguments, ("first", "second"), "to games against you only; in a match the players take turns")
    show(matches.match(arguments.name, arguments.against, **options), arguments.name, arguments.against)


def show(match, name, against):
    """Prints the results of a match as a table.

    Args:
        match: The `Match`.
        name: Name of the first player.
        against: Name of its opponent.
    """
    import rich.console
    import rich.table

    title = f"{name} against {against}"
    table = rich.table.Table(title, "games", "wins", "draws", "losses", "points", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    parts = {"moving first": match.part(True), "moving second": match.part(False), "all": match}
    for side, part in parts.items():
        if part.games:
            numbers = (part.games, part.wins, part.draws, part.losses)
            table.add_row(side, *map(str, numbers), f"{100 * part.score:.1f} %")
    rich.console.Console().print(table)


def _reject(arguments, names, where):
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} applies {where}")
