"""Oracles: the rules, exhaustive minimax, and an uninterrupted run."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.agents import self_play, workers
from curvezoo.agents.alphazero import AlphaZero
from curvezoo.agents.game_window import GameWindow, pack, unpack
from curvezoo.agents.games import Game
from curvezoo.agents.self_play import Record
from curvezoo.agents.self_play_settings import SelfPlaySettings
from curvezoo.agents.symmetries import Symmetries
from curvezoo.zoo.games.alphazero import dense_tower, residual_tower

GAME = Game("tic_tac_toe")
SMALL = {
    "simulations": 8,
    "games": 6,
    "moves": 8,
    "actors": 0,
    "updates": 3,
    "batch_size": 16,
    "window": 60,
    "arena_every": 2,
    "arena_games": 2,
    "arena_simulations": 4,
}


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return dense_tower(GAME, units=8, depth=1)


def agent(**changes):
    return AlphaZero(GAME, network(), seed=1, **SMALL | changes)


@functools.cache
def minimax(moves):
    """Returns the value for the first player."""
    state = GAME.after(*moves)
    if state.is_terminal():
        return state.returns()[0]
    values = [minimax((*moves, action)) for action in state.legal_actions()]
    return max(values) if state.current_player() == 0 else min(values)


@pytest.fixture(scope="module")
def played():
    model = network()
    task = self_play.Task(
        GAME.name,
        workers.described(model),
        workers.weights_of(model),
        [Record([4, 0], list(np.eye(9, dtype="float32")[[4, 0]])), *(Record() for _ in range(5))],
        SelfPlaySettings(**SMALL | {"moves": 14}),
        (0, 1),
    )
    return task, self_play.play_moves(task)


def test_every_record_is_a_legal_game_and_its_policies_are_over_legal_moves(played):
    _, (ended, running, simulations) = played
    assert len(running) == 6 and len(ended) > 6 and simulations > 0
    for record in ended + running:
        state = GAME.initial()
        for action, policy in zip(record.actions, record.policies, strict=True):
            assert policy.sum() == pytest.approx(1, abs=1e-6)
            assert set(np.flatnonzero(policy)) <= set(state.legal_actions())
            state.apply_action(action)
    assert all(record.result is not None for record in ended)
    assert all(record.result is None for record in running)


def test_a_game_ends_with_its_result_or_one_that_is_proven(played):
    _, (ended, _, _) = played
    early = 0
    for record in ended:
        state = GAME.after(*record.actions[:-1])
        if state.child(record.actions[-1]).is_terminal():
            result = state.child(record.actions[-1]).returns()[0]
            assert record.result == result or record.result == minimax(tuple(record.actions[:-1]))
        else:
            early += 1
            assert record.result == minimax(tuple(record.actions[:-1]))
    assert early


def test_a_game_under_way_is_continued_and_equal_seeds_play_equal_games(played):
    task, (ended, running, _) = played
    assert any(record.actions[:2] == [4, 0] and len(record.actions) > 2 for record in ended + running)
    assert task.records[0].actions == [4, 0]
    again = self_play.play_moves(task)
    assert [r.actions for r in again[0] + again[1]] == [r.actions for r in ended + running]


def test_a_window_knows_the_return_of_the_player_to_move_at_each_position():
    policies = list(np.eye(9, dtype="float32")[[0, 3, 1, 4, 2]])
    record = Record([0, 3, 1, 4, 2], policies, 1.0)
    window = GameWindow(GAME, 100, symmetric=False)
    window.add([record])
    observations, drawn, returns = window.sample(np.random.default_rng(0), 200)
    moves = drawn.argmax(1)
    assert set(moves) == {0, 3, 1, 4, 2}
    for ply, move in enumerate(record.actions):
        rows = moves == move
        expected = GAME.observations([GAME.after(*record.actions[:ply])])[0]
        np.testing.assert_array_equal(observations[rows], np.broadcast_to(expected, (rows.sum(), 3, 3, 4)))
        assert set(returns[rows]) == {1.0 if ply % 2 == 0 else -1.0}


def test_a_window_draws_all_images_of_a_position_and_no_others():
    policy = np.array([0, 1, 2, 0, 3, 0, 0, 0, 4], "float32") / 10
    window = GameWindow(GAME, 100)
    window.add([Record([8], [policy], 0.0)])
    _, drawn, _ = window.sample(np.random.default_rng(0), 400)
    symmetries = Symmetries(GAME)
    images = {tuple(policy[np.argsort(symmetries.actions(index))]) for index in range(8)}
    assert len(images) == 8 and {tuple(row) for row in drawn} == images


def test_the_oldest_games_leave_a_full_window():
    window = GameWindow(GAME, 10)
    policy = np.ones(9, "float32") / 9
    for length in (4, 5, 3):
        window.add([Record(list(range(length)), [policy] * length, 0.0)])
    assert len(window) == 8 and window.games == 2
    with pytest.raises(ValueError, match="sample must have a game that has ended, got none"):
        GameWindow(GAME, 10).sample(np.random.default_rng(0), 1)


def test_packed_records_are_unpacked_as_they_were():
    policy = np.linspace(0, 1, 9, dtype="float32")
    for result in (None, -1.0):
        records = [Record([3, 1], [policy, policy], result), Record([], [], result)]
        again = unpack(pack(records, 9))
        assert [(r.actions, r.result) for r in again] == [(r.actions, r.result) for r in records]
        np.testing.assert_array_equal(again[0].policies, records[0].policies)


@pytest.mark.parametrize("gate", [0.0, 0.9])
def test_a_restored_agent_goes_on_as_if_it_had_never_stopped(gate):
    whole, first, second = (agent(gate=gate) for _ in range(3))
    logs = whole.learn(5, progress=False)
    first.learn(3, progress=False)
    second.restore({name: np.array(value) for name, value in first.state().items()})
    again = second.learn(2, progress=False)
    speeds = {"games_per_second", "simulations_per_second"}
    for row, expected in zip(again, logs[3:], strict=True):
        assert {k: v for k, v in row.items() if k not in speeds} == {
            k: v for k, v in expected.items() if k not in speeds
        }
    one, other = whole.state(), second.state()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_saved_agent_is_loaded_with_all_that_it_needs_to_go_on(tmp_path):
    saved = agent()
    saved.learn(2, progress=False)
    saved.save(tmp_path / "agents" / "one")
    loaded = AlphaZero.load(tmp_path / "agents" / "one")
    one, other = (learner.learn(1, progress=False)[0]["loss"] for learner in (saved, loaded))
    assert one == other
    states = [GAME.initial(), GAME.after(4)]
    np.testing.assert_array_equal(loaded.act(states), saved.act(states))
    with pytest.raises(ValueError, match="folder must hold an agent, got"):
        AlphaZero.load(tmp_path)


def test_with_a_gate_the_former_network_plays_until_it_is_beaten():
    # A gate of 1 passes only a network that wins all four games.
    strict = agent(gate=1.0, arena_games=4)
    initial = workers.weights_of(strict.network)
    row = strict.learn(2, progress=False)[-1]
    plays = strict.state()
    same = all(np.array_equal(w, plays[f"agent/playing/{i}"]) for i, w in enumerate(initial))
    assert same != bool(row["passed"]) and row["passed"] == (row["score"] == 1.0)
    assert not np.array_equal(initial[0], workers.weights_of(strict.network)[0])


def test_a_step_descends_the_loss_of_the_notes():
    # Oracle: the loss in NumPy and its gradient by TensorFlow, for plain gradient descent.
    learner = AlphaZero(GAME, network(), optimizer=keras.optimizers.SGD(0.5), **SMALL)
    random = np.random.default_rng(0)
    observations = random.random((16, 3, 3, 4)).astype("float32")
    policies = random.dirichlet(np.ones(9), 16).astype("float32")
    returns = random.choice([-1.0, 1.0], 16).astype("float32")
    copy = network()
    with tf.GradientTape() as tape:
        logits, values = copy(observations, training=True)
        log_probs = logits - tf.reduce_logsumexp(logits, -1, keepdims=True)
        value_loss = tf.reduce_mean((returns - values[:, 0]) ** 2)
        policy_loss = -tf.reduce_mean(tf.reduce_sum(policies * log_probs, -1))
        loss = value_loss + policy_loss
    variables = [v.value for v in copy.trainable_variables]
    expected = [w - 0.5 * g for w, g in zip(variables, tape.gradient(loss, variables), strict=True)]
    losses = learner.update(observations, policies, returns)
    np.testing.assert_allclose(losses, [policy_loss, value_loss], rtol=1e-5)
    for weight, value in zip(learner.network.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-4, atol=1e-6)


def test_worker_processes_play_what_this_process_would_and_a_lost_one_is_replaced():
    def flat(changes):
        # A policy without preferences does not depend on how a processor adds.
        learner = agent(arena_every=0, updates=1, **changes)
        zero = [np.zeros_like(weight) for weight in workers.weights_of(learner.network)]
        learner.network.set_weights(zero)
        learner.optimizer.learning_rate.assign(0.0)
        return learner

    here, there = flat({}), flat({"actors": 1})
    try:
        for lost in (False, True):
            if lost:
                [process] = there._own_pool._processes.values()
                process.kill()
                process.join()
            here.iterate()
            there.iterate()
            one, other = here.window.state(), there.window.state()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    finally:
        there.close()


def test_a_cluster_plays_what_this_process_would():
    distributed = pytest.importorskip("distributed")
    changes = {"arena_every": 1, "updates": 1, "actors": 2, "arena_games": 4}
    here = agent(**changes)
    here._executor = Here()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = AlphaZero(
            GAME,
            network(),
            seed=1,
            executor=client.get_executor(),
            **SMALL | changes,
        )
        # From the second iteration on, matches against two former selves run at the same time.
        for _ in range(3):
            assert here.iterate()["elo"] == there.iterate()["elo"]
    one, other = here.window.state(), there.window.state()
    assert len(there.window)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


class Here:
    """An executor that runs everything at once."""

    def submit(self, function, *args):
        import concurrent.futures

        future = concurrent.futures.Future()
        future.set_result(function(*args))
        return future


def test_replicas_make_the_step_of_one_device(mirrored):
    def plain():
        keras.utils.set_random_seed(0)
        x = keras.Input(GAME.observation_shape)
        h = keras.layers.Dense(8, "tanh")(keras.layers.Flatten()(x))
        return keras.Model(x, [keras.layers.Dense(9)(h), keras.layers.Dense(1, "tanh")(h)])

    random = np.random.default_rng(0)
    batch = (
        random.random((16, 3, 3, 4)).astype("float32"),
        random.dirichlet(np.ones(9), 16).astype("float32"),
        random.choice([-1.0, 1.0], 16).astype("float32"),
    )
    results = []
    for scope in (tf.distribute.get_strategy(), mirrored):
        with scope.scope():
            learner = AlphaZero(GAME, plain(), optimizer=keras.optimizers.SGD(0.5), strategy=scope, **SMALL)
        losses = [learner.update(*batch) for _ in range(2)]
        results.append((losses, [np.asarray(weight) for weight in learner.network.weights]))
    (one, weights), (other, expected) = results
    np.testing.assert_allclose(one, other, rtol=1e-5)
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"simulations": 0}, "simulations must be an integer of at least 1, got 0"),
        ({"actors": 7}, "actors must be at most the 6 games, got 7"),
        ({"gate": 1.5}, "gate must be"),
        ({"gate": 0.5, "arena_every": 0}, "gate must be 0 without matches"),
        ({"arena_games": 3}, "arena_games must be even, got 3"),
        ({"noise": -0.1}, "noise must be"),
        ({"exploration": 1}, "setting of AlphaZero"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        agent(**changes)


def test_a_network_for_another_board_is_refused():
    with pytest.raises(ValueError, match=r"inputs of shape \(6, 7, 4\) for .*, got \(3, 3, 4\)"):
        AlphaZero(Game("connect_four"), network())
    with pytest.raises(ValueError, match="spec must be a game on a board; use dense_tower"):
        residual_tower(Game("nim"))


def test_a_state_of_another_agent_is_refused():
    with pytest.raises(ValueError, match="state must be that of AlphaZero"):
        agent().restore({"agent/steps": np.array(1)})
