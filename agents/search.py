r"""Monte Carlo tree search with a policy and a value, as in AlphaZero, in many games at once (Sec. 8.6).

    search = Search(Game("connect_four"), Rollouts(), states=16)
    search.run(simulations=100)
    search.advance(search.best())

A simulation descends from the root by the action a that maximizes Q(s, a) + U(s, a) until it leaves the tree.
The evaluator gives priors p(a|s) and a value V(s) of the new state, and the edges of the path take the value
over:

\[ U(s,a) = c\, p(a|s) \frac{\sqrt{\sum_b N(s,b)}}{1 + N(s,a)}, \qquad
   Q(s,a) = \frac{1}{N(s,a)} \sum_{s'} \pm V(s'), \qquad
   \pi(a|s) = \frac{N(s,a)^{1/\tau}}{\sum_b N(s,b)^{1/\tau}}. \]

The sign is that of the player who moves in s: V(s') is the expected return of the player who moves in s', and
counts with a minus sign if that is the other one. A terminal state has the return of the game as its value. Q
of an action without visits is zero. In a state without visits all U are zero; the action of largest prior
comes first, which is the limit of a small sum of visits. Ties go to the first action.

One round makes one simulation in each game, and the evaluator sees the leaves of all games as one batch.

Legend: G games, A actions, L leaves. Notation: c is `c`, tau is `temperature`.

References:
    Silver et al., "A general reinforcement learning algorithm that masters chess, shogi and Go through
    self-play", Science 362 (2018), arXiv:1712.01815.
    Winands, Bjornsson and Saito, "Monte-Carlo tree search solver" (2008).
"""

import numpy as np

from .. import arguments
from .evaluators import uniform
from .games import require_game, require_legal
from .puct import exploration, visit_policy
from .search_tree import Tree


class Search:
    """Tree searches in G games.

    Args:
        game: The `Game`.
        evaluator: A function of a list of L states that returns priors [L, A] and values [L] of the player to
            move, as in `evaluators`: `uniform`, `Rollouts(...)`, `Network(...)`, or another one.
        states: States to search from, none of them terminal, or the number G of games from their beginning.
        c: The constant c_puct of Eq. 8.6.2.
        noise: Fraction of Dirichlet noise in the priors of the roots' legal actions.
        concentration: Parameter of the Dirichlet distribution.
        solve: Whether proven wins, losses and draws are passed upwards. A proven action counts with its exact
            value and without U; the search of a game ends once its root is proven.
        reuse: Whether `advance` keeps the tree below the chosen action. Its visits weaken the effect of the
            noise.
        seed: Seed of the noise.

    Raises:
        ValueError: If an argument is not valid.
    """

    def __init__(
        self,
        game,
        evaluator=uniform,
        states=1,
        c=1.25,
        noise=0.0,
        concentration=0.3,
        solve=False,
        reuse=True,
        seed=0,
    ):
        if not callable(evaluator):
            raise ValueError(f"evaluator must be callable, got {arguments.described(evaluator)}")
        self.game, self._evaluator = require_game(game), evaluator
        self._c = arguments.positive_number("c", c)
        self._noise = arguments.unit_interval("noise", noise)
        self._concentration = arguments.positive_number("concentration", concentration)
        self._solve, self._reuse = arguments.boolean("solve", solve), arguments.boolean("reuse", reuse)
        self._random = np.random.default_rng(arguments.seed("seed", seed))
        if not isinstance(states, list | tuple):
            states = [game.initial() for _ in range(arguments.integer("states", states, 1))]
        if not states:
            raise ValueError("states must have at least one state, got none")
        for index, state in enumerate(states):
            self._require_state(f"states[{index}]", state)
        self._tree = Tree()
        self._roots, _ = self._expand([state.clone() for state in states])
        self._fresh = np.ones(len(states), bool)

    @property
    def states(self):
        """The states of the roots, a list of G."""
        return [self._tree.states[root] for root in self._roots]

    @property
    def over(self):
        """Which games have ended, [G]."""
        return self._tree.width[self._roots] == 0

    @property
    def visits(self):
        """Visit counts N of the roots' actions, [G, A]."""
        return self._dense("visits")

    @property
    def priors(self):
        """Priors of the roots' actions, after `run` with noise, [G, A]."""
        return self._dense("prior")

    @property
    def values(self):
        """Mean values Q of the roots' actions for the player to move, Eq. 8.6.3, [G, A]."""
        return self._dense("mean")

    @property
    def proven(self):
        """The returns of the players to move that `solve` has proven; nan where there is none, [G]."""
        tree = self._tree
        return np.where(self.over, np.nan, tree.sign[self._roots] * tree.outcome[self._roots])

    @property
    def results(self):
        """The returns of the first player in games that are over; nan in the others, [G]."""
        return np.where(self.over, self._tree.outcome[self._roots], np.nan)

    def run(self, simulations):
        """Makes further simulations in each game that is not over, or proven.

        Args:
            simulations: Their number in each game.

        Raises:
            ValueError: If `simulations` is not positive, all games are over, or the evaluator returns priors
                or values that are not valid.
        """
        count = arguments.integer("simulations", simulations, 1)
        if self.over.all():
            raise ValueError("run must have a game that is not over, got none; see replace")
        if self._noise:
            for game in np.flatnonzero(self._fresh & ~self.over):
                self._add_noise(self._tree.edges_of(self._roots[game : game + 1]))
            self._fresh[:] = False
        for _ in range(count):
            roots = self._roots[np.isnan(self._tree.outcome[self._roots])]
            if not len(roots):
                break
            self._simulate(roots)

    def policy(self, temperature=1.0):
        """Returns the probabilities of the roots' actions, Eq. 8.6.5; zero in games that are over.

        With `solve`, a proven root has only actions that lead to its proven return, and otherwise actions
        that lose for sure have probability zero.

        Args:
            temperature: tau, a number or one for each game, [G].

        Returns:
            Probabilities, [G, A].

        Raises:
            ValueError: If a game that is not over has no simulation, or a temperature is negative.
        """
        alive = ~self.over
        temperature = np.broadcast_to(arguments.nonnegative("temperature", temperature), alive.shape)
        result = np.zeros((len(alive), self.game.actions))
        if alive.any():
            result[alive] = visit_policy(self._counts()[alive], temperature[alive])
        return result

    def best(self):
        """Returns the action with most visits in each game, among equals that of largest Q, [G].

        It is -1 in games that are over.
        """
        counts = self._counts()
        most = (counts == counts.max(-1, keepdims=True)) & (counts > 0)
        return np.where(self.over, -1, np.where(most, self.values, -np.inf).argmax(-1))

    def nodes(self, game=0, count=30, depth=8):
        """Returns the most visited nodes of a game's tree, for drawings of it.

        Args:
            game: The number of the game, from 0 to G - 1.
            count: Largest number of nodes.
            depth: Largest distance from the root.

        Returns:
            A list of `search_tree.Visited`, each after its parent; the root first.
        """
        game = arguments.integer("game", game, 0, len(self._roots) - 1)
        count, depth = arguments.integer("count", count, 1), arguments.integer("depth", depth, 0)
        return self._tree.visited(int(self._roots[game]), count, depth)

    def advance(self, actions):
        """Plays an action in each game; its state becomes the root.

        Args:
            actions: The actions, [G]. Those of games that are over are ignored.

        Raises:
            ValueError: If an action is not legal.
        """
        arguments.has_shape("actions", actions, self._roots.shape)
        tree, roots, new = self._tree, self._roots.copy(), {}
        for game in np.flatnonzero(~self.over):
            state, action = tree.states[roots[game]], np.asarray(actions)[game]
            require_legal(f"actions[{game}]", action, state)
            child = tree.child[tree.first[roots[game]] + state.legal_actions().index(action)]
            if child >= 0 and (self._reuse or tree.width[child] == 0):
                roots[game] = child
            else:
                new[game] = state.child(int(action))
        self._fresh[~self.over] = True
        self._set_roots(roots, new)

    def replace(self, game, state=None):
        """Begins another game in the place of one.

        Args:
            game: The number of the game, from 0 to G - 1.
            state: A state that is not terminal; `None` for the beginning of the game.

        Raises:
            ValueError: If there is no such game, or the state is not valid.
        """
        game = arguments.integer("game", game, 0, len(self._roots) - 1)
        state = self.game.initial() if state is None else state
        self._require_state("state", state)
        self._fresh[game] = True
        self._set_roots(self._roots, {game: state.clone()})

    def _require_state(self, name, state):
        """Checks that a state is one of the game and not terminal."""
        if not callable(getattr(state, "get_game", None)) or str(state.get_game()) != str(
            self.game.initial().get_game()
        ):
            raise ValueError(f"{name} must be a state of {self.game}, got {arguments.described(state)}")
        if state.is_terminal():
            raise ValueError(f"{name} must not be terminal, got the end of a game")

    def _dense(self, name):
        """Returns an array of the roots' edges by action, [G, A]."""
        result = np.zeros((len(self._roots), self.game.actions))
        edges = self._tree.edges_of(self._roots)
        games = np.repeat(np.arange(len(self._roots)), self._tree.width[self._roots])
        result[games, self._tree.action[edges]] = getattr(self._tree, name)[edges]
        return result

    def _counts(self):
        """Returns the visit counts of the actions worth choosing, [G, A]."""
        visits, alive = self.visits, ~self.over
        searched = (visits.sum(-1) > 0) | ~alive
        if not searched.all():
            raise ValueError(f"game {searched.argmin()} must have a simulation before its policy; call run")
        if self._solve:
            legal = self.game.legal(self.states)
            known, proven = self._dense("known"), self.proven[:, None]
            useful = legal & np.where(np.isnan(proven), known != -self.game.largest_return, known == proven)
            counts = np.where(useful, visits, 0)
            # All actions with visits may lose while others have none yet.
            unvisited = (counts.sum(-1) == 0) & useful.any(-1)
            counts[unvisited] = useful[unvisited]
            return counts
        return visits

    def _add_noise(self, edges):
        """Mixes Dirichlet noise into the priors of one root's edges."""
        drawn = self._random.dirichlet(np.full(len(edges), self._concentration))
        self._tree.prior[edges] = (1 - self._noise) * self._tree.prior[edges] + self._noise * drawn

    def _set_roots(self, roots, new):
        """Sets the roots, of which those of some games are new states, and drops what is out of reach."""
        kept = np.delete(roots, list(new))
        result = np.empty_like(roots)
        result[np.delete(np.arange(len(roots)), list(new))] = self._tree.keep(kept)
        if new:
            result[list(new)], _ = self._expand(list(new.values()))
        self._roots = result

    def _simulate(self, roots):
        """Makes one simulation from each root."""
        tree, nodes, slots = self._tree, roots, np.arange(len(roots))
        path, last = [], np.empty((2, len(roots)), np.int64)
        while len(slots):
            edges = self._choose(nodes)
            path.append((nodes, edges, slots))
            last[0, slots], last[1, slots] = nodes, edges
            children = tree.child[edges]
            inside = (children >= 0) & np.isnan(tree.outcome[children])
            nodes, slots = children[inside], slots[inside]
        parents, leaves = last
        values = tree.outcome[tree.child[leaves]]
        new = np.flatnonzero(tree.child[leaves] < 0)
        if len(new):
            moves = zip(parents[new].tolist(), tree.action[leaves[new]].tolist(), strict=True)
            tree.child[leaves[new]], values[new] = self._expand(
                [tree.states[node].child(action) for node, action in moves]
            )
        nodes, edges, slots = (np.concatenate(each) for each in zip(*path, strict=True))
        tree.total[nodes] += 1
        tree.visits[edges] += 1
        tree.summed[edges] += tree.sign[nodes] * values[slots]
        # Eq. 8.6.3
        tree.mean[edges] = tree.summed[edges] / tree.visits[edges]
        if self._solve:
            self._prove(path, ~np.isnan(tree.outcome[tree.child[leaves]]))

    def _choose(self, nodes):
        """Returns the edge of largest Q + U of each node, Eq. 8.6.4, [L]."""
        tree = self._tree
        rows, beyond = tree.rows(nodes)
        # A tiny sum of visits in place of zero ranks the actions of a new node by their priors.
        total = np.maximum(tree.total[nodes], 1e-12)[:, None]
        scores = tree.mean[rows] + exploration(tree.prior[rows], tree.visits[rows], total, self._c)
        if self._solve:
            known = tree.known[rows]
            scores = np.where(np.isnan(known), scores, known)
        if beyond is not None:
            scores[beyond] = -np.inf
        return tree.first[nodes] + scores.argmax(-1)

    def _expand(self, states):
        """Adds states to the tree; returns their nodes and their values for the first player, [L] each."""
        count = len(states)
        signs, outcomes, actions = np.zeros(count), np.full(count, np.nan), [[]] * count
        living = []
        for index, state in enumerate(states):
            if state.is_terminal():
                outcomes[index] = state.returns()[0]
            else:
                living.append(index)
                signs[index] = 1 - 2 * state.current_player()
                actions[index] = state.legal_actions()
        values, priors = outcomes.copy(), np.empty(0)
        if living:
            priors, estimates = self._evaluate([states[index] for index in living])
            widths = np.array([len(actions[index]) for index in living])
            legal = np.array([action for each in actions for action in each])
            owners = np.repeat(np.arange(len(living)), widths)
            priors = priors[owners, legal]
            sums = np.add.reduceat(priors, np.cumsum(widths) - widths)
            # A network may give all legal actions a probability that underflows.
            usable = sums[owners] > 0
            priors = np.where(usable, priors, 1.0) / np.where(usable, sums[owners], widths[owners])
            values[living] = signs[living] * estimates
        return self._tree.add(states, actions, priors, signs, outcomes), values

    def _evaluate(self, states):
        """Returns what the evaluator says, after checking it."""
        priors, values = (np.asarray(each, np.float64) for each in self._evaluator(states))
        arguments.has_shape("the evaluator's priors", priors, (len(states), self.game.actions))
        arguments.has_shape("the evaluator's values", values, (len(states),))
        # Sums are quicker than a check of each entry.
        if not np.isfinite(priors.sum() + values.sum()) or priors.min() < 0:
            arguments.nonnegative("the evaluator's priors", priors)
            arguments.finite("the evaluator's values", values)
        return priors, values

    def _prove(self, path, proven):
        """Passes proven returns upwards: `proven` tells in which paths the last node is known, [L]."""
        tree = self._tree
        for nodes, edges, slots in reversed(path):
            nodes, edges, slots = (each[proven[slots]] for each in (nodes, edges, slots))
            if not len(slots):
                continue
            tree.known[edges] = tree.sign[nodes] * tree.outcome[tree.child[edges]]
            rows, beyond = tree.rows(nodes)
            known = tree.known[rows]
            unknown = np.isnan(known)
            largest = np.where(unknown, -np.inf, known)
            if beyond is not None:
                unknown, largest = unknown & ~beyond, np.where(beyond, -np.inf, largest)
            largest = largest.max(-1)
            # One winning action suffices. A draw or a loss needs the results of all.
            decided = (largest >= self.game.largest_return) | ~unknown.any(-1)
            tree.outcome[nodes[decided]] = (tree.sign[nodes] * largest)[decided]
            proven[slots] = decided
