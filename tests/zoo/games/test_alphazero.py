import keras
import numpy as np
import pytest

from curvezoo.agents.alphazero import AlphaZero
from curvezoo.agents.games import Game
from curvezoo.agents.minimax import position, solved
from curvezoo.zoo.games.alphazero import dense_tower, residual_tower

TIC_TAC_TOE = Game("tic_tac_toe")


def positions(state, seen):
    """Adds all positions from a state on that are not terminal, by their keys."""
    if not state.is_terminal() and position(state) not in seen:
        seen[position(state)] = state
        for action in state.legal_actions():
            positions(state.child(action), seen)
    return seen


@pytest.mark.equation("8.6.1")
def test_a_network_fits_the_solved_tic_tac_toe():
    # All 4,520 positions with their values and first best moves, as in the test of OpenSpiel's AlphaZero.
    table, states = solved(TIC_TAC_TOE), positions(TIC_TAC_TOE.initial(), {})
    solutions = [table[key] for key in states]
    observations = TIC_TAC_TOE.observations(list(states.values()))
    policies = np.eye(9, dtype="float32")[[solution.actions[0] for solution in solutions]]
    returns = np.array([solution.value for solution in solutions], "float32")
    assert len(states) == 4520
    keras.utils.set_random_seed(0)
    learner = AlphaZero(TIC_TAC_TOE, dense_tower(TIC_TAC_TOE), batch_size=512)
    learner.optimizer.learning_rate.assign(3e-3)
    random = np.random.default_rng(0)
    for _ in range(40):
        order = random.permutation(len(table))
        for batch in np.split(order[:4096], 8):
            learner.update(observations[batch], policies[batch], returns[batch])
    logits, values = (np.asarray(each, "float64") for each in learner.network(observations))
    log_probs = logits - np.logaddexp.reduce(logits, -1, keepdims=True)
    assert -(policies * log_probs).sum(-1).mean() < 0.12
    assert ((returns - values[:, 0]) ** 2).mean() < 0.12


def test_the_tower_of_the_paper_has_its_size():
    # Go: 19 by 19 fields, 17 planes, 362 moves (Silver et al. 2018), 19 blocks of 256 filters. By hand:
    class Go:
        observation_shape, actions = (19, 19, 17), 362

    model = residual_tower(Go, 256, 19, policy_filters=2, value_filters=1, value_units=256)
    norms = (1 + 2 * 19) * 256 + 2 + 1
    kernels = 9 * 17 * 256 + 2 * 19 * 9 * 256**2 + 256 * 2 + 256
    dense = 361 * 2 * 362 + 362 + 361 * 256 + 256 + 256 + 1
    assert model.count_params() == kernels + 4 * norms + dense


def test_values_lie_between_a_loss_and_a_win_and_logits_have_one_entry_for_each_action():
    for tower, game in (
        (residual_tower, Game("connect_four")),
        (dense_tower, Game("nim")),
        (dense_tower, TIC_TAC_TOE),
    ):
        keras.utils.set_random_seed(0)
        views = 100 * game.observations([game.initial()])
        logits, values = tower(game)(views)
        assert logits.shape == (1, game.actions) and -1 <= float(values[0, 0]) <= 1
