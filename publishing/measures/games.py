"""The measure of networks that play games: matches against opponents of known strength."""

from ..evaluation import Evaluation
from .measure import Measure

PERFECT_GAMES = 400
"""Games against the perfect player, half of them on each side."""

GAMES = 100
"""Games against each other opponent."""

ROLLOUTS = 1000
_OPENING = 2
_SEED = 1_000_000
# Positions of a game that is solved for the perfect player. Tic-tac-toe has 4,520.
_SOLVABLE = 20_000
_TREE_SIMULATIONS, _TREE_NODES, _TREE_DEPTH = 400, 26, 4


class Games(Measure):
    """Results of a network with its tree search.

    The opponents are the perfect player if the game can be solved, the one-step player, OpenSpiel's Monte
    Carlo tree search with 1,000 random games for each move, and the same network without search.
    """

    name = "games"
    columns = {  # noqa: RUF012
        "losses to perfect play": lambda scores: _losses(scores),
        "wins against one-step": lambda scores: f"{100 * scores['one_step_wins']:.0f} %",
        "points against MCTS": lambda scores: f"{100 * scores['mcts_score']:.1f} %",
        "points against its policy": lambda scores: f"{100 * scores['raw_score']:.1f} %",
        "games": lambda scores: f"{scores['games']}",
    }

    def brief(self, scores):
        """Returns the losses to perfect play, or the points against Monte Carlo tree search."""
        if scores["minimax_losses"] is not None:
            return f"{_losses(scores)} games lost to perfect play"
        return f"{100 * scores['mcts_score']:.1f} % of the points against MCTS"

    def check(self, model, spec):
        """Checks nothing: `measure` compares the model with the game."""

    def measure(self, model, splits, data, *, simulations=100, c=1.25):
        """Plays matches; proven results are passed upwards in all searches.

        Args:
            model: A `keras.Model` from observations to logits and values.
            splits: The name of the game.
            data: The `data` section of the card.
            simulations: Simulations for each move.
            c: The constant c_puct.

        Returns:
            The `Evaluation` with the scores `minimax_losses`, of 400 games, `None` if the game cannot be
            solved; `one_step_wins`, the share of 100 games that is won; `mcts_score` and `raw_score`, shares
            of the points of 100 games, a draw counting one half, the latter with two random moves at the
            beginning; `first_move`, the action with most visits at the beginning of the game; and `games`,
            their number.

        Raises:
            ValueError: If the model is not one for the game.
        """
        from ...agents.evaluators import from_model
        from ...agents.games import Game
        from ...agents.players import SearchPlayer

        game = Game(splits)
        evaluator = from_model(game, model)
        player = SearchPlayer(game, evaluator, simulations, c=c, seed=_SEED)
        matches = _matches(game, player, evaluator)
        perfect = matches.get("the perfect player")
        scores = {
            "minimax_losses": None if perfect is None else perfect.losses,
            "one_step_wins": matches["the one-step player"].wins / GAMES,
            "mcts_score": matches["MCTS"].score,
            "raw_score": matches["its own policy"].score,
            "first_move": int(player([game.initial()])[0]),
            "games": sum(match.games for match in matches.values()),
        }
        summary = [
            *([("Games lost to perfect play", _losses(scores))] if perfect else []),
            ("Games won against the one-step player", f"{100 * scores['one_step_wins']:.1f} %"),
            (
                f"Points against MCTS with {ROLLOUTS:,} random games a move",
                f"{100 * scores['mcts_score']:.1f} %",
            ),
            ("Points against its own policy without search", f"{100 * scores['raw_score']:.1f} %"),
            ("First move", game.initial().action_to_string(scores["first_move"])),
            ("Simulations a move", f"{simulations:,}"),
        ]
        return Evaluation(
            self.name,
            scores,
            data,
            split="matches",
            summary=summary,
            sections=lambda: sections(player, evaluator, matches),
        )


def _losses(scores):
    losses = scores["minimax_losses"]
    return "" if losses is None else f"{losses} of {PERFECT_GAMES}"


def _matches(game, player, evaluator):
    """Returns the matches by the name of the opponent."""
    from ...agents.matches import play
    from ...agents.players import MCTSPlayer, MinimaxPlayer, OneStepPlayer, PolicyPlayer

    matches = {}
    try:
        perfect = MinimaxPlayer(game, _SEED, limit=_SOLVABLE)
    except ValueError:
        # The game is too large, or its positions repeat.
        perfect = None
    if perfect is not None:
        matches["the perfect player"] = play(game, player, perfect, PERFECT_GAMES)
    matches["the one-step player"] = play(game, player, OneStepPlayer(_SEED), GAMES)
    matches["MCTS"] = play(game, player, MCTSPlayer(game, ROLLOUTS, seed=_SEED), GAMES)
    raw = PolicyPlayer(game, evaluator)
    matches["its own policy"] = play(game, player, raw, GAMES, opening=_OPENING, seed=_SEED)
    return matches


def sections(player, evaluator, matches):
    """Returns the sections of the page: the results, decisions in a game, and a search tree.

    Args:
        player: The `SearchPlayer`.
        evaluator: The network as an evaluator.
        matches: Each `Match` by its opponent.
    """
    from ...agents.search import Search
    from ..page import boards, search_tree
    from ..page.report import Section

    line = _own_game(player)
    chosen = [line[0], line[len(line) // 3], line[2 * len(line) // 3]]
    titles = [_title(state) for state in chosen]
    search = player.search(chosen)
    plain = Search(player.game, evaluator, chosen[1:2])
    plain.run(_TREE_SIMULATIONS)
    tree = search_tree.figure(plain.nodes(count=_TREE_NODES, depth=_TREE_DEPTH))
    return [
        Section("Matches", rows=[row for name, match in matches.items() for row in _rows(name, match)]),
        Section(
            "Search",
            figures=[
                (
                    boards.decisions(search, titles, "network before search"),
                    "Positions of a game that the network plays against itself, and its policy before and "
                    "after the search (Eq. 8.6.5 with temperature 1). The last move has a dark ring.",
                ),
                (
                    tree,
                    f"The most visited nodes of a search with {_TREE_SIMULATIONS} simulations from the "
                    f"second of these positions ({titles[1].lower()}). Q is the mean value for the player "
                    "who makes the move (Eq. 8.6.3).",
                ),
            ],
        ),
    ]


def _own_game(player):
    """Returns the states, none of them terminal, of a game that the player plays against itself."""
    states = [player.game.initial()]
    while True:
        child = states[-1].child(int(player(states[-1:])[0]))
        if child.is_terminal():
            return states
        states.append(child)


def _title(state):
    moves = state.move_number()
    return f"After {moves} move{'' if moves == 1 else 's'}" if moves else "The beginning"


def _rows(name, match):
    """Yields the results against one opponent as the first and as the second player."""
    for began, side in ((True, "first"), (False, "second")):
        part = match.part(began)
        yield (
            f"Against {name}, moving {side}",
            f"{part.wins} wins, {part.draws} draws, {part.losses} losses",
        )
