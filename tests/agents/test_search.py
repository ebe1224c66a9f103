"""Oracles: a recursive search over dictionaries, hand calculations, and exhaustive minimax."""

import math
import zlib

import numpy as np
import pytest

from curvezoo.agents.evaluators import Network, Rollouts, uniform
from curvezoo.agents.games import Game
from curvezoo.agents.puct import exploration, visit_policy
from curvezoo.agents.search import Search
from curvezoo.agents.search_tree import Tree

TIC_TAC_TOE, CONNECT_FOUR = Game("tic_tac_toe"), Game("connect_four")
# The first player has three in a row of tic-tac-toe with action 2, and then the second one with 5.
WINNING = (0, 3, 1, 4)


def pseudo_random(states):
    """Priors and values that depend on the moves of the game only."""
    drawn = [
        np.random.default_rng(zlib.crc32(str(state.history()).encode())).random(
            state.num_distinct_actions() + 1
        )
        for state in states
    ]
    return np.array([each[1:] for each in drawn]), np.array([2 * each[0] - 1 for each in drawn])


class Reference:
    """The same search of one game, as a recursion over dictionaries from moves to [N, W, p] by action."""

    def __init__(self, evaluator, c):
        self.evaluator, self.c, self.nodes = evaluator, c, {}

    def run(self, state, simulations):
        if tuple(state.history()) not in self.nodes:
            self.visit(state)
        for _ in range(simulations):
            self.visit(state)
        return self.nodes[tuple(state.history())]

    def visit(self, state):
        """Returns the value for the first player."""
        if state.is_terminal():
            return state.returns()[0]
        sign = 1 if state.current_player() == 0 else -1
        moves = tuple(state.history())
        if moves not in self.nodes:
            [priors], [value] = self.evaluator([state])
            total = sum(priors[action] for action in state.legal_actions())
            self.nodes[moves] = {action: [0, 0.0, priors[action] / total] for action in state.legal_actions()}
            return sign * value
        node = self.nodes[moves]
        visits = sum(n for n, _, _ in node.values())

        def score(action):
            n, w, p = node[action]
            return p if visits == 0 else (w / n if n else 0.0) + self.c * p * math.sqrt(visits) / (1 + n)

        action = max(node, key=score)
        value = self.visit(state.child(action))
        node[action][0] += 1
        node[action][1] += sign * value
        return value


def assert_same(search, nodes):
    for index, node in enumerate(nodes):
        actions = list(node)
        np.testing.assert_array_equal(search.visits[index, actions], [n for n, _, _ in node.values()])
        means = [w / n if n else 0.0 for n, w, _ in node.values()]
        np.testing.assert_allclose(search.values[index, actions], means, atol=1e-12)
        np.testing.assert_allclose(
            search.priors[index, actions], [p for _, _, p in node.values()], rtol=1e-12
        )
        assert search.visits[index].sum() == sum(n for n, _, _ in node.values())
        assert search.best()[index] == max(node, key=lambda a: (node[a][0], node[a][1]))


def positions(game, count, seed=0):
    """Different positions with two or more random moves, none of them at the end."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        state = game.initial()
        for _ in range(rng.integers(2, 7)):
            if not state.is_terminal():
                state.apply_action(int(rng.choice(state.legal_actions())))
        if not state.is_terminal():
            found[str(state)] = state
    return list(found.values())


KNOWN = {}


def minimax(state):
    """Returns the value of a position of tic-tac-toe for its player to move."""
    board = str(state)
    if board not in KNOWN:
        if state.is_terminal():
            KNOWN[board] = state.returns()[len(state.history()) % 2]
        else:
            KNOWN[board] = max(-minimax(state.child(action)) for action in state.legal_actions())
    return KNOWN[board]


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "dots_and_boxes"])
def test_visits_values_and_moves_are_those_of_a_recursive_search(name):
    game = Game(name)
    states = [game.initial(), *positions(game, 4)]
    search = Search(game, pseudo_random, states, c=1.5)
    search.run(100)
    assert_same(search, [Reference(pseudo_random, 1.5).run(state, 100) for state in states])


@pytest.mark.parametrize("reuse", [True, False])
def test_moves_keep_the_statistics_of_the_tree_below_them(reuse):
    references = [Reference(pseudo_random, 1.0) for _ in range(3)]
    states = [CONNECT_FOUR.initial(), *positions(CONNECT_FOUR, 2)]
    search = Search(CONNECT_FOUR, pseudo_random, states, c=1.0, reuse=reuse)
    for turn in range(3):
        search.run(60)
        nodes = [reference.run(state, 60) for reference, state in zip(references, search.states, strict=True)]
        assert_same(search, nodes)
        # The best move, and one with few visits or none.
        search.advance(search.best() if turn else [max(node, key=lambda a: -node[a][0]) for node in nodes])
        if not reuse:
            references = [Reference(pseudo_random, 1.0) for _ in range(3)]
            assert search.visits.sum() == 0


def test_a_game_that_ends_leaves_the_others_and_makes_room_for_another():
    search = Search(TIC_TAC_TOE, uniform, [TIC_TAC_TOE.after(*WINNING), TIC_TAC_TOE.initial()])
    search.run(20)
    search.advance([2, 4])
    assert search.over.tolist() == [True, False]
    np.testing.assert_array_equal(search.results, [1, np.nan])
    search.run(10)
    assert search.visits[0].sum() == 0 and search.policy()[0].sum() == 0
    assert search.best()[0] == -1
    search.advance([99, 0])
    assert search.states[1].history() == [4, 0]
    search.run(5)
    before = search.visits[1]
    search.replace(0, TIC_TAC_TOE.after(8))
    np.testing.assert_array_equal(search.visits[1], before)
    search.run(30)
    assert search.visits[0].sum() == 30 and search.visits[0, 8] == 0


@pytest.mark.equation("8.6.2")
def test_the_bonus_is_the_prior_times_the_root_of_all_visits_over_one_plus_its_own():
    bonus = exploration(np.array([0.5, 0.3, 0.2]), np.array([6, 2, 1]), 9, c=2.0)
    np.testing.assert_allclose(bonus, [2 * 0.5 * 3 / 7, 2 * 0.3 * 3 / 3, 2 * 0.2 * 3 / 2], rtol=1e-15)


def test_without_visits_every_bonus_is_zero_and_the_search_takes_the_largest_prior():
    priors = np.array([0.1, 0.2, 0.05, 0.3, 0.15, 0.1, 0.1])
    np.testing.assert_array_equal(exploration(priors, np.zeros(7), 0, c=1.0), np.zeros(7))
    search = Search(CONNECT_FOUR, lambda states: (np.tile(priors, (len(states), 1)), np.zeros(len(states))))
    search.run(1)
    assert search.visits[0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    # The limit of few visits.
    assert exploration(priors, np.zeros(7), 1e-9, c=1.0).argmax() == 3


@pytest.mark.equation("8.6.4")
def test_each_simulation_takes_the_action_of_largest_q_plus_u():
    values = {(0,): 0.07, (1,): -0.1, (1, 0): -0.6}

    def evaluator(states):
        priors = np.tile([0.5, 0.3, 0.2, 0, 0, 0, 0], (len(states), 1))
        return priors, np.array([values.get(tuple(state.history()), 0.0) for state in states])

    search = Search(CONNECT_FOUR, evaluator, c=1.0)
    # First the largest prior: Q(0) = -0.07. Then Q + U = -0.07 + 0.5 / 2, 0.3, 0.2: action 1, Q(1) = 0.1.
    # Then -0.07 + 0.5 sqrt(2) / 2 = 0.284, 0.1 + 0.3 sqrt(2) / 2 = 0.312, 0.2 sqrt(2) = 0.283: action 1
    # again, and 0 after it, Q(1) = (0.1 - 0.6) / 2. At last -0.07 + 0.5 sqrt(3) / 2 = 0.363,
    # -0.25 + 0.3 sqrt(3) / 3 < 0, 0.2 sqrt(3) = 0.346: action 0 again. Half or twice Q takes other actions.
    expected = [((1, 0, 0), (-0.07, 0, 0)), ((1, 1, 0), (-0.07, 0.1, 0)), ((1, 2, 0), (-0.07, -0.25, 0))]
    for visits, means in [*expected, ((2, 2, 0), (-0.035, -0.25, 0))]:
        search.run(1)
        assert search.visits[0, :3].tolist() == list(visits)
        np.testing.assert_allclose(search.values[0, :3], means, atol=1e-15)


@pytest.mark.equation("8.6.3")
@pytest.mark.parametrize("played", [(), (3,)], ids=["first player", "second player"])
def test_q_is_the_mean_value_of_all_states_evaluated_below_an_action(played):
    below = {action: [] for action in range(7)}

    def evaluator(states):
        priors, values = pseudo_random(states)
        for state, value in zip(states, values, strict=True):
            moves = state.history()[len(played) :]
            if moves:
                # The player at the root moves again after an even number of moves.
                below[moves[0]].append(value * (-1) ** len(moves))
        return priors, values

    search = Search(CONNECT_FOUR, evaluator, [CONNECT_FOUR.after(*played)])
    search.run(300)
    assert search.visits[0].tolist() == [len(below[action]) for action in range(7)]
    assert min(search.visits[0]) > 0
    np.testing.assert_allclose(search.values[0], [np.mean(below[action]) for action in range(7)], rtol=1e-12)


def test_q_as_printed_has_the_wrong_sign_for_a_winning_move():
    search = Search(TIC_TAC_TOE, uniform, [TIC_TAC_TOE.after(*WINNING)])
    search.run(50)
    end = TIC_TAC_TOE.after(*WINNING, 2)
    # The value of s' for the player whose turn it would be, whom the next network evaluation would describe.
    assert end.returns()[1] == -1
    assert search.values[0, 2] == 1
    assert search.best()[0] == 2


@pytest.mark.equation("8.6.5")
def test_the_policy_is_a_power_of_the_visits_with_its_limits():
    visits = np.array([10, 5, 0, 1])
    for temperature in (0.25, 0.5, 1.0, 3.0):
        power = visits ** (1 / temperature)
        np.testing.assert_allclose(visit_policy(visits, temperature), power / power.sum(), rtol=1e-13)
    for temperature in (0.0, 1e-310, 1e-4):
        np.testing.assert_array_equal(visit_policy(visits * 10**6, temperature), [1, 0, 0, 0])
        np.testing.assert_array_equal(visit_policy([7, 2, 7, 0], temperature), [0.5, 0, 0.5, 0])
    np.testing.assert_allclose(visit_policy(visits, 1e9), [1 / 3, 1 / 3, 0, 1 / 3], rtol=1e-8)
    both = visit_policy([visits, visits], [0.0, 1.0])
    np.testing.assert_allclose(both, [[1, 0, 0, 0], visits / 16], rtol=1e-13)


def test_the_policy_of_a_search_is_that_of_its_visits():
    search = Search(CONNECT_FOUR, pseudo_random, 2)
    search.run(40)
    np.testing.assert_array_equal(search.policy(0.5), visit_policy(search.visits, 0.5))


def test_noise_is_a_dirichlet_distribution_over_the_legal_moves_only():
    states = [TIC_TAC_TOE.after(4, 0, 8, 2)] * 400
    plain = Search(TIC_TAC_TOE, pseudo_random, states)
    noisy = Search(TIC_TAC_TOE, pseudo_random, states, noise=0.25, concentration=0.5)
    noisy.run(1)
    noise = (noisy.priors - 0.75 * plain.priors) / 0.25
    legal = states[0].legal_actions()
    assert np.all(np.delete(noise, legal, axis=1) == 0) and noise.min() > -1e-12
    np.testing.assert_allclose(noise.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(noise[:, legal].mean(0), np.full(5, 1 / 5), atol=0.06)
    np.testing.assert_allclose(noise[:, legal].var(0), np.full(5, 0.2 * 0.8 / 3.5), rtol=0.3)
    once = noisy.priors
    noisy.run(1)
    np.testing.assert_array_equal(noisy.priors, once)


def test_a_reused_root_has_noise_of_its_own_once():
    search = Search(TIC_TAC_TOE, uniform, noise=0.5, seed=3)
    search.run(40)
    search.advance([4])
    np.testing.assert_allclose(search.priors[0, search.priors[0] > 0], 1 / 8)
    search.run(1)
    assert np.ptp(search.priors[0, [0, 1, 2, 3, 5, 6, 7, 8]]) > 0.01
    assert search.priors[0].sum() == pytest.approx(1)
    search.replace(0)
    np.testing.assert_allclose(search.priors[0], 1 / 9)
    search.run(1)
    assert np.ptp(search.priors[0]) > 0.01


def test_moves_of_equal_visits_are_ranked_by_their_mean_value():
    def evaluator(states):
        return np.ones((len(states), 7)), np.array([sum(state.history()) % 5 / 100 for state in states])

    search = Search(CONNECT_FOUR, evaluator, c=2.0)
    search.run(7)
    assert search.visits[0].tolist() == [1] * 7
    # The values of the second player are 0, 0.01, 0.02, 0.03, 0.04, 0, 0.01.
    assert search.best()[0] == 0
    search = Search(CONNECT_FOUR, lambda states: (evaluator(states)[0], -evaluator(states)[1]), c=2.0)
    search.run(7)
    assert search.best()[0] == 4


def test_a_tree_holds_only_what_its_roots_reach():
    search = Search(CONNECT_FOUR, pseudo_random, 2)
    for _ in range(3):
        search.run(30)
        search.advance(search.best())
        tree = search._tree
        assert len(tree.states) == search.visits.sum() + 2
        assert tree.edges == sum(len(state.legal_actions()) for state in tree.states)


def test_the_nodes_of_a_drawing_are_the_most_visited_ones_of_the_recursive_search():
    state = positions(CONNECT_FOUR, 1)[0]
    reference = Reference(pseudo_random, 1.5)
    reference.run(state, 100)
    search = Search(CONNECT_FOUR, pseudo_random, [CONNECT_FOUR.initial(), state], c=1.5)
    search.run(100)
    nodes = search.nodes(1, count=1000, depth=1000)
    expected = {}
    for moves, actions in reference.nodes.items():
        for action, (visits, total, _) in actions.items():
            if visits:
                expected[(*moves, action)] = visits, pytest.approx(total / visits)
    root, *others = nodes
    assert {tuple(node.state.history()): (node.visits, node.value) for node in others} == expected
    for node in others:
        parent = nodes[node.parent]
        assert node.state.history() == [*parent.state.history(), node.action]
        assert node.depth == parent.depth + 1
    assert (root.parent, root.action, root.depth, root.visits) == (-1, -1, 0, 100)
    assert root.value == pytest.approx((search.visits * search.values)[1].sum() / 100)
    visits = [node.visits for node in nodes]
    assert visits == sorted(visits, reverse=True)
    assert str(search.nodes(1, count=7)) == str(nodes[:7])
    assert {node.depth for node in search.nodes(1, count=1000, depth=1)} == {0, 1}
    with pytest.raises(ValueError, match="game must be an integer from 0 to 1, got 2"):
        search.nodes(2)


def test_the_nodes_of_a_drawing_have_their_proven_values():
    search = Search(TIC_TAC_TOE, uniform, [TIC_TAC_TOE.after(*WINNING)], solve=True)
    [root] = search.nodes()
    assert root.visits == root.value == 0 and np.isnan(root.proven)
    search.run(50)
    # The first simulation wins.
    root, win = search.nodes()
    assert (root.proven, win.proven, win.value, win.action) == (1, 1, 1, 2)


def test_rows_of_edges_are_padded_beyond_the_last_edge():
    tree = Tree()
    # The last edge is the last one for which there is room from the beginning.
    nodes = tree.add(["a", "b"], [range(60), range(4)], np.ones(64), [1, -1], [np.nan, np.nan])
    rows, beyond = tree.rows(nodes)
    assert rows.shape == (2, 60) and rows[1, 0] == 60
    assert tree.prior[rows].shape == (2, 60)
    assert beyond.sum(1).tolist() == [0, 56]


def test_proven_values_are_those_of_minimax():
    states = positions(TIC_TAC_TOE, 60)
    search = Search(TIC_TAC_TOE, uniform, states, solve=True)
    search.run(200)
    values = np.array([minimax(state) for state in states])
    proven = ~np.isnan(search.proven)
    assert proven.sum() >= 40 and set(values[proven]) == {-1, 0, 1}
    np.testing.assert_array_equal(search.proven[proven], values[proven])
    policy = search.policy()
    np.testing.assert_allclose(policy.sum(1), 1)
    for index in np.flatnonzero(proven):
        for action in np.flatnonzero(policy[index]):
            assert -minimax(states[index].child(int(action))) == values[index]


def test_a_move_that_is_proven_to_lose_is_neither_searched_further_nor_chosen():
    # The second player must block at 2.
    search = Search(TIC_TAC_TOE, uniform, [TIC_TAC_TOE.after(0, 3, 1)], solve=True)
    search.run(50)
    assert np.isnan(search.proven[0])
    losing, before = [4, 5, 6, 7, 8], search.visits[0]
    assert before[losing].min() > 0
    np.testing.assert_array_equal(search.policy(0.0)[0], np.eye(9)[2])
    assert search.policy(1e9)[0, losing].sum() == 0
    search.run(20)
    np.testing.assert_array_equal(search.visits[0, losing], before[losing])
    assert search.visits[0, 2] == before[2] + 20


def test_moves_without_visits_are_chosen_if_all_others_are_proven_to_lose():
    # The second player must block at 8, of which the priors advise against; the first player wins there.
    def evaluator(states):
        priors = np.ones((len(states), 9))
        priors[:, 8] = [1e-9 if state.current_player() else 1e9 for state in states]
        return priors, np.zeros(len(states))

    search = Search(TIC_TAC_TOE, evaluator, [TIC_TAC_TOE.after(6, 0, 7)], solve=True)
    search.run(10)
    assert search.visits[0].tolist() == [0, 2, 2, 2, 2, 2, 0, 0, 0]
    np.testing.assert_array_equal(search.policy()[0], np.eye(9)[8])
    assert search.best()[0] == 8


def test_the_solver_finds_a_forced_win_of_connect_four():
    # Two stones in the middle of the bottom row: a third one beside them wins on either side.
    search = Search(CONNECT_FOUR, uniform, [CONNECT_FOUR.after(3, 3, 2, 2)], solve=True)
    search.run(1500)
    assert search.proven[0] == 1
    assert search.visits.sum() < 1500
    assert search.best()[0] in (1, 4)
    search.advance(search.best())
    assert search.proven[0] == -1


@pytest.mark.parametrize("player", [0, 1])
def test_tic_tac_toe_is_never_lost_against_any_reply(player):
    frontier, ends = {"": TIC_TAC_TOE.initial()}, []
    for turn in range(9):
        states = list(frontier.values())
        if turn % 2 == player:
            search = Search(TIC_TAC_TOE, uniform, states, c=1.0)
            # Traps near the beginning are deep.
            search.run(300 if turn > 1 else 2000)
            reached = [state.child(int(a)) for state, a in zip(states, search.best(), strict=True)]
        else:
            reached = [state.child(action) for state in states for action in state.legal_actions()]
        ends += [state.returns()[player] for state in reached if state.is_terminal()]
        frontier = {str(state): state for state in reached if not state.is_terminal()}
        if not frontier:
            break
    assert not frontier
    assert min(ends) == 0 and max(ends) == 1


def test_rollouts_average_the_returns_of_the_player_to_move():
    # One field is left, or the player to move wins with one of two fields and draws with the other.
    last, two = TIC_TAC_TOE.after(0, 1, 2, 4, 3, 5, 7, 6), TIC_TAC_TOE.after(0, 1, 3, 4, 5, 2, 8)
    priors, values = Rollouts(400, seed=1)([last, two])
    assert priors.shape == (2, 9) and np.all(priors == priors[0, 0])
    expected = []
    for state in (last, two):
        ends = [_random_value(state, state.current_player())]
        expected += ends
    np.testing.assert_allclose(values, expected, atol=0.12)
    again = Rollouts(400, seed=1)([last, two])[1]
    np.testing.assert_array_equal(values, again)


def _random_value(state, player):
    """Returns the exact mean return of random games."""
    if state.is_terminal():
        return state.returns()[player]
    return np.mean([_random_value(state.child(action), player) for action in state.legal_actions()])


def test_a_network_gets_observations_filled_up_to_its_batch():
    shapes = []

    def function(observations):
        shapes.append(observations.shape)
        return np.ones((len(observations), 9)), observations[..., :-1].sum((1, 2, 3))[:, None]

    states = [TIC_TAC_TOE.after(4), TIC_TAC_TOE.after(4, 0)]
    priors, values = Network(TIC_TAC_TOE, function, batch=5)(states)
    assert priors.shape == (2, 9) and values.tolist() == [9, 9]
    Network(TIC_TAC_TOE, function)(states)
    assert shapes == [(5, 3, 3, 4), (2, 3, 3, 4)]


def test_legal_actions_whose_priors_are_all_zero_get_equal_ones():
    search = Search(TIC_TAC_TOE, lambda states: (np.zeros((len(states), 9)), np.zeros(len(states))))
    np.testing.assert_allclose(search.priors, np.full((1, 9), 1 / 9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"game": "tic_tac_toe"}, "game must be a Game, got 'tic_tac_toe'"),
        ({"evaluator": 3}, "evaluator must be callable, got 3"),
        ({"states": 0}, "states must be an integer of at least 1, got 0"),
        ({"states": []}, "states must have at least one state, got none"),
        ({"states": ["start"]}, r"states\[0\] must be a state of Game\('tic_tac_toe'\), got 'start'"),
        ({"states": [CONNECT_FOUR.initial()]}, r"states\[0\] must be a state of Game\('tic_tac_toe'\)"),
        ({"states": [TIC_TAC_TOE.after(*WINNING, 2)]}, r"states\[0\] must not be terminal"),
        ({"c": 0}, "c must be a positive finite number, got 0"),
        ({"noise": 1.5}, r"noise must be in \[0, 1\], got 1.5"),
        ({"concentration": 0}, "concentration must be a positive finite number, got 0"),
        ({"solve": 1}, "solve must be True or False, got 1"),
    ],
)
def test_arguments_that_are_not_valid_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Search(**{"game": TIC_TAC_TOE} | arguments)


@pytest.mark.parametrize(
    ("priors", "values", "message"),
    [
        (np.ones((1, 8)), np.zeros(1), r"evaluator's priors must have shape \(1, 9\), got \(1, 8\)"),
        (np.ones((1, 9)), np.zeros((1, 1)), r"evaluator's values must have shape \(1,\), got \(1, 1\)"),
        (-np.eye(9)[:1], np.zeros(1), r"evaluator's priors\[0, 0\] must not be negative, got -1"),
        (np.ones((1, 9)), np.array([np.nan]), r"evaluator's values\[0\] must be finite, got nan"),
    ],
)
def test_what_an_evaluator_returns_is_checked(priors, values, message):
    with pytest.raises(ValueError, match=message):
        Search(TIC_TAC_TOE, lambda states: (priors, values))


def test_calls_that_are_not_valid_are_refused():
    search = Search(TIC_TAC_TOE, uniform, [TIC_TAC_TOE.after(*WINNING)])
    with pytest.raises(ValueError, match="simulations must be an integer of at least 1, got 0"):
        search.run(0)
    with pytest.raises(ValueError, match="game 0 must have a simulation before its policy; call run"):
        search.policy()
    with pytest.raises(ValueError, match=r"actions\[0\] must be one of the legal actions 2, 5, .*, got 4"):
        search.advance([4])
    with pytest.raises(ValueError, match=r"actions must have shape \(1,\), got \(2,\)"):
        search.advance([2, 2])
    with pytest.raises(ValueError, match="game must be an integer from 0 to 0, got 1"):
        search.replace(1)
    search.run(9)
    with pytest.raises(ValueError, match="temperature must not be negative, got -1"):
        search.policy(-1)
    search.advance([2])
    with pytest.raises(ValueError, match="run must have a game that is not over"):
        search.run(1)
    with pytest.raises(ValueError, match=r"visits\[1\] must have a positive count in each row, got 0"):
        visit_policy([[1, 2], [0, 0]])
    with pytest.raises(ValueError, match="function must be callable, got 3"):
        Network(TIC_TAC_TOE, 3)
    with pytest.raises(ValueError, match="count must be an integer of at least 1, got 0"):
        Rollouts(0)
