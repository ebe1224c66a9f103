"""Oracles: minimax on a board of its own, the theory of nim, and positions whose best move is evident."""

import functools

import numpy as np
import pytest

from curvezoo.agents.evaluators import Rollouts, uniform
from curvezoo.agents.games import Game
from curvezoo.agents.minimax import position, solved
from curvezoo.agents.players import (
    MCTSPlayer,
    MinimaxPlayer,
    OneStepPlayer,
    PolicyPlayer,
    RandomPlayer,
    SearchPlayer,
)

TIC_TAC_TOE, CONNECT_FOUR = Game("tic_tac_toe"), Game("connect_four")
LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@functools.cache
def value(mine, theirs):
    """Minimax of tic-tac-toe for the player to move, from the fields of both players."""
    if any(theirs.issuperset(line) for line in LINES):
        return -1
    free = set(range(9)) - mine - theirs
    return max((-value(theirs, mine | {field}) for field in free), default=0)


def fields(state):
    """Returns the fields of the player to move and those of the other one."""
    history = state.history()
    first, second = frozenset(history[::2]), frozenset(history[1::2])
    return (second, first) if len(history) % 2 else (first, second)


def positions(game):
    """Returns one state for each position that is not terminal."""
    found, states = {}, [game.initial()]
    for state in states:
        for action in state.legal_actions():
            child = state.child(action)
            if not child.is_terminal() and str(child) not in found:
                found[str(child)] = child
                states.append(child)
    return states


def play(game, first, second, games):
    """Returns the final states of games."""
    states = [game.initial() for _ in range(games)]
    while alive := [state for state in states if not state.is_terminal()]:
        for state, action in zip(alive, (first, second)[alive[0].current_player()](alive), strict=True):
            state.apply_action(int(action))
    return states


@pytest.fixture(scope="module")
def perfect():
    return MinimaxPlayer(TIC_TAC_TOE, seed=1)


def test_tic_tac_toe_has_4520_positions_with_the_values_of_minimax(perfect):
    states = positions(TIC_TAC_TOE)
    assert len(states) == len(perfect.table) == 4520
    for state in states:
        solution = perfect.table[position(state)]
        mine, theirs = fields(state)
        assert solution.value == value(mine, theirs)
        best = [a for a in state.legal_actions() if -value(theirs, mine | {a}) == solution.value]
        assert solution.actions == tuple(best)


def test_perfect_players_draw_tic_tac_toe_in_different_games(perfect):
    states = play(TIC_TAC_TOE, perfect, perfect, 50)
    assert all(state.returns() == [0, 0] for state in states)
    assert len({str(state) for state in states}) > 10


def test_nim_is_lost_if_the_binary_digits_of_its_piles_cancel():
    table = solved(Game("nim", pile_sizes="2;3;4", is_misere=False))
    for state in positions(Game("nim", pile_sizes="2;3;4", is_misere=False)):
        piles = [int(number) for number in str(state).split(":")[1].split()]
        assert table[position(state)].value == (1 if np.bitwise_xor.reduce(piles) else -1)


def test_a_player_who_moves_twice_in_a_row_keeps_the_sign():
    game = Game("dots_and_boxes(num_rows=1,num_cols=2)")

    def best(state):
        """Minimax of the first player's return, without a table."""
        if state.is_terminal():
            return state.returns()[0]
        values = [best(state.child(action)) for action in state.legal_actions()]
        return min(values) if state.current_player() else max(values)

    table = solved(game)
    for line in ([], [0], [5], [0, 1], [0, 2, 3], [5, 0, 2, 1]):
        state = game.after(*line)
        sign = 1 - 2 * state.current_player()
        assert table[position(state)].value == sign * best(state)


def test_a_game_that_is_too_large_or_can_repeat_is_not_solved():
    with pytest.raises(ValueError, match=r"at most 5,000 positions to be solved, got Game\('connect_four'\)"):
        MinimaxPlayer(CONNECT_FOUR, limit=5000)
    assert len(solved(TIC_TAC_TOE, limit=4520)) == 4520
    with pytest.raises(ValueError, match="at most 4,519 positions"):
        solved(TIC_TAC_TOE, limit=4519)
    with pytest.raises(ValueError, match="no position that can occur twice in a game"):
        solved(Game("oware(num_houses_per_player=2,num_seeds_per_house=2)"))


@pytest.mark.parametrize(
    ("game", "line", "best"),
    [
        # Own three in a row count more than the opponent's.
        (TIC_TAC_TOE, (0, 3, 1, 4), {2}),
        (TIC_TAC_TOE, (0, 3, 1, 4, 8), {5}),
        (TIC_TAC_TOE, (0, 3, 1), {2}),
        # In the last one, column 3 blocks the row of the first player.
        (CONNECT_FOUR, (3, 0, 3, 0, 3, 0), {3}),
        (CONNECT_FOUR, (3, 0, 3, 0, 3), {3}),
        (CONNECT_FOUR, (0, 0, 1, 1, 2), {3}),
    ],
)
def test_one_step_wins_and_otherwise_prevents_a_loss(game, line, best):
    player = OneStepPlayer()
    assert set(player([game.after(*line)] * 20).tolist()) == best


def test_one_step_does_not_prepare_the_opponents_win_and_else_moves_at_random():
    player = OneStepPlayer()
    # The first player wins in the third row of column 3 once the second one is taken.
    state = CONNECT_FOUR.after(0, 0, 0, 1, 1, 2, 1, 6, 2, 6, 2, 3, 4)
    assert set(player([state] * 100).tolist()) == {0, 1, 2, 4, 5, 6}
    assert set(player([CONNECT_FOUR.initial()] * 100).tolist()) == set(range(7))
    # Two threats cannot be parried.
    lost = TIC_TAC_TOE.after(0, 1, 4, 8, 6)
    assert set(player([lost] * 60).tolist()) == {2, 3, 5, 7}


@pytest.mark.parametrize("seat", [0, 1])
def test_search_with_no_knowledge_never_loses_tic_tac_toe(seat):
    player = SearchPlayer(TIC_TAC_TOE, uniform, simulations=2000)
    states, results = [TIC_TAC_TOE.initial()], set()
    # All moves of the opponent are followed.
    while states:
        if states[0].current_player() == seat:
            children = [s.child(int(a)) for s, a in zip(states, player(states), strict=True)]
        else:
            children = [state.child(action) for state in states for action in state.legal_actions()]
        results |= {child.returns()[seat] for child in children if child.is_terminal()}
        states = list({str(child): child for child in children if not child.is_terminal()}.values())
    assert results == {0, 1}


def test_search_draws_only_the_first_moves_with_its_temperature():
    states = [CONNECT_FOUR.after(3, 3) for _ in range(60)]
    player = SearchPlayer(CONNECT_FOUR, uniform, 30, temperature=1.0, moves=3, solve=False, seed=1)
    visits = player.search(states[:1]).visits[0]
    actions = player(states)
    assert len(set(actions.tolist())) > 3
    # Expected counts are 60 N / 30; five standard deviations are about 15.
    assert np.abs(np.bincount(actions, minlength=7) - 2 * visits).max() < 15
    assert len(set(player([state.child(0) for state in states]).tolist())) == 1
    again = SearchPlayer(CONNECT_FOUR, uniform, 30, temperature=1.0, moves=3, solve=False, seed=1)
    again.search(states[:1])
    np.testing.assert_array_equal(again(states), actions)


def test_noise_changes_the_search_with_each_move():
    player = SearchPlayer(CONNECT_FOUR, uniform, 20, noise=0.9, solve=False)
    first, second = (player.search([CONNECT_FOUR.initial()]).visits for _ in range(2))
    assert np.any(first != second)


def test_monte_carlo_tree_search_finds_wins_and_beats_random_moves():
    player = MCTSPlayer(CONNECT_FOUR, rollouts=200)
    states = [CONNECT_FOUR.after(3, 0, 3, 0, 3, 1), CONNECT_FOUR.after(3, 0, 3, 0, 3)]
    assert player(states).tolist() == [3, 3]
    # A random player wins less than one game in a thousand.
    ends = play(CONNECT_FOUR, RandomPlayer(), player, 10)
    assert sum(state.returns()[1] for state in ends) >= 8


def test_the_policy_player_takes_the_legal_action_of_largest_prior():
    def evaluator(states):
        return np.tile(np.arange(9.0)[::-1], (len(states), 1)), np.zeros(len(states))

    player = PolicyPlayer(TIC_TAC_TOE, evaluator)
    assert player([TIC_TAC_TOE.initial(), TIC_TAC_TOE.after(0, 1)]).tolist() == [0, 2]
    # A prior may underflow for all legal actions.
    zero = PolicyPlayer(TIC_TAC_TOE, lambda states: (np.eye(9)[:1], np.zeros(1)))
    assert zero([TIC_TAC_TOE.after(0)]).tolist() == [1]


def test_random_players_with_one_seed_repeat_their_moves():
    states = [CONNECT_FOUR.initial()] * 50
    actions = RandomPlayer(5)(states)
    np.testing.assert_array_equal(actions, RandomPlayer(5)(states))
    assert set(actions.tolist()) == set(range(7))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomPlayer(-1), "seed must be an integer of at least 0, got -1"),
        (lambda: MinimaxPlayer("tic_tac_toe"), "game must be a Game, got 'tic_tac_toe'"),
        (lambda: MinimaxPlayer(TIC_TAC_TOE, limit=0), "limit must be an integer of at least 1, got 0"),
        (lambda: MCTSPlayer("chess"), "game must be a Game, got 'chess'"),
        (lambda: MCTSPlayer(TIC_TAC_TOE, 0), "rollouts must be an integer of at least 1, got 0"),
        (lambda: MCTSPlayer(TIC_TAC_TOE, c=0), "c must be a positive finite number, got 0"),
        (lambda: SearchPlayer(None, uniform), "game must be a Game, got None"),
        (lambda: SearchPlayer(TIC_TAC_TOE, None), "evaluator must be callable, got None"),
        (lambda: SearchPlayer(TIC_TAC_TOE, uniform, 0), "simulations must be an integer of at least 1, got"),
        (lambda: SearchPlayer(TIC_TAC_TOE, uniform, c=-1), "c must be a positive finite number, got -1"),
        (lambda: SearchPlayer(TIC_TAC_TOE, uniform, moves=-1), "moves must be an integer of at least 0"),
        (lambda: SearchPlayer(TIC_TAC_TOE, uniform, temperature=-1), "temperature must be a nonnegative"),
        (lambda: PolicyPlayer(TIC_TAC_TOE, "net"), "evaluator must be callable, got 'net'"),
        (
            lambda: PolicyPlayer(CONNECT_FOUR, lambda states: (np.ones((1, 9)), np.zeros(1)))(
                [CONNECT_FOUR.initial()]
            ),
            r"the evaluator's priors must have shape \(1, 7\), got \(1, 9\)",
        ),
        (
            lambda: MinimaxPlayer(TIC_TAC_TOE)([CONNECT_FOUR.initial()]),
            r"states must be reachable in Game\('tic_tac_toe'\) and not terminal",
        ),
        (
            lambda: SearchPlayer(TIC_TAC_TOE, Rollouts(), 5)([CONNECT_FOUR.initial()]),
            r"states\[0\] must be a state of Game\('tic_tac_toe'\)",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "player",
    [
        RandomPlayer(),
        OneStepPlayer(),
        MinimaxPlayer(TIC_TAC_TOE),
        MCTSPlayer(TIC_TAC_TOE, 2),
        PolicyPlayer(TIC_TAC_TOE, uniform),
        SearchPlayer(TIC_TAC_TOE, uniform, 1),
    ],
    ids=lambda player: type(player).__name__,
)
def test_a_player_needs_a_list_of_states_under_way(player):
    ended = TIC_TAC_TOE.after(0, 3, 1, 4, 2)
    with pytest.raises(ValueError, match=r"states\[1\] must not be terminal, got the end of a game"):
        player([TIC_TAC_TOE.initial(), ended])
    with pytest.raises(ValueError, match="states must be a list of states of a game, got"):
        player(TIC_TAC_TOE.initial())
