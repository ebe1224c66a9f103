"""Runs of self-play: killed and resumed, measured and exported."""

import json

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.agents import Game
from curvezoo.publishing import cards, saved_model
from curvezoo.training import checkpoints

SETTINGS = {
    "iterations": 4,
    "units": 8,
    "depth": 1,
    "play.simulations": 8,
    "match_simulations": 4,
    "games": 6,
    "moves": 8,
    "updates": 4,
    "batch_size": 16,
    "arena_every": 2,
    "arena_games": 2,
    "arena_simulations": 4,
}


@pytest.fixture(scope="module", autouse=True)
def few_games():
    patch = pytest.MonkeyPatch()
    patch.setattr("curvezoo.publishing.measures.games.PERFECT_GAMES", 4)
    patch.setattr("curvezoo.publishing.measures.games.GAMES", 4)
    patch.setattr("curvezoo.publishing.measures.games.ROLLOUTS", 5)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("games") / "whole"
    return zoo.train("alphazero_tic_tac_toe", folder, progress=False, **SETTINGS)


def test_a_killed_run_resumes_to_the_network_of_an_uninterrupted_one(run, kill_training, tmp_path):
    folder = kill_training("alphazero_tic_tac_toe", SETTINGS, tmp_path / "killed", after=2)
    again = zoo.train("alphazero_tic_tac_toe", folder, resume=True, progress=False)
    one, other = (checkpoints.read(checkpoints.latest(f / "checkpoints"))[0] for f in (run.folder, folder))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert again.scores == run.scores


def test_the_scores_are_those_of_the_published_network(run):
    scores = zoo.evaluate(run.folder)
    assert {key: scores[key] for key in run.scores} == run.scores
    assert run.scores["games"] == 16
    assert 0 <= run.scores["minimax_losses"] <= 4 and 0 <= run.scores["one_step_wins"] <= 1
    card = cards.read(run.folder / "model")
    assert (card["data"]["name"], card["measure"]) == ("tic_tac_toe", "games")
    assert card["recipe"]["kind"] == "self_play" and card["recipe"]["play"]["simulations"] == 8
    history = json.loads((checkpoints.latest(run.folder / "checkpoints") / "history.json").read_text())
    assert {"loss", "policy_loss", "value_loss", "games_per_second"} <= history[-1].keys()
    assert {"elo", "score"} <= history[1].keys() and "elo" not in history[2]


def test_the_saved_model_gives_the_network_s_priors_and_values(run):
    inputs, outputs = saved_model.golden(run.folder / "model", "serve")
    game = Game("tic_tac_toe")
    np.testing.assert_array_equal(inputs[0][0], game.observations([game.initial()])[0])
    loaded = tf.saved_model.load(str(run.folder / "model"))
    served = loaded.serve(tf.constant(inputs[0]))
    logits, values = run.model(inputs[0])
    for name, expected in (("logits", logits), ("values", values)):
        np.testing.assert_array_equal(served[name], outputs[name])
        np.testing.assert_allclose(served[name], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"game": "conect_four"}, "Unknown game 'conect_four'; did you mean 'connect_four'"),
        ({"play.simulations": 0}, "simulations must be an integer of at least 1, got 0"),
        ({"optimizer": "kfac"}, "optimizer must be"),
        ({"iterations": 0}, "iterations must be an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused_before_training(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        zoo.train("alphazero_tic_tac_toe", tmp_path / "run", progress=False, **settings)
    assert not (tmp_path / "run").exists()


def test_only_recipes_with_actors_take_an_executor(tmp_path):
    with pytest.raises(ValueError, match="executor must be None for a model of kind 'supervised'"):
        zoo.train("softmax_digits", tmp_path / "run", executor=object(), progress=False)


def test_a_network_knows_one_game(run):
    with pytest.raises(ValueError, match="data must be None for a model of kind 'self_play', got 'othello'"):
        zoo.evaluate(run.folder, data="othello")
