"""Runs through the command line: killed, interrupted, repeated, diverging."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from curvezoo import zoo
from curvezoo.training import callbacks, checkpoints

RUN = ["--epochs", "6", "--set", "subset=512", "--set", "schedule=cosine"]
SETTINGS = {"epochs": 6, "subset": 512, "schedule": "cosine"}
MODEL = "mlp_digits"  # its dropout makes the state of the random generators matter


def command(out, *words):
    return [sys.executable, "-m", "curvezoo", "train", MODEL, "--out", str(out), *RUN, *words]


def weights(folder):
    with np.load(checkpoints.latest(folder / "checkpoints") / "state.npz") as state:
        return {name: state[name] for name in state.files}


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def start_and_stop(out, sign, after=2):
    """Starts a run and sends it a signal once it has written its second checkpoint."""
    process = subprocess.Popen(command(out), stderr=subprocess.PIPE, text=True)
    limit = time.time() + 120
    while (
        len(checkpoints.every(out / "checkpoints")) < after and process.poll() is None and time.time() < limit
    ):
        time.sleep(0.002)
    process.send_signal(sign)
    return process.wait(60), process.stderr.read()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return zoo.train(MODEL, out, progress=False, **SETTINGS)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(whole, tmp_path):
    zoo.train(MODEL, tmp_path / "again", progress=False, **SETTINGS)
    assert_same_weights(whole.folder, tmp_path / "again")
    zoo.train(MODEL, tmp_path / "other", progress=False, seed=1, **SETTINGS)
    with pytest.raises(AssertionError):
        assert_same_weights(whole.folder, tmp_path / "other")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_stopped_run_resumes_to_the_weights_of_an_uninterrupted_one(whole, tmp_path, sign):
    out = tmp_path / "stopped"
    code, message = start_and_stop(out, sign)
    assert len(json.loads((checkpoints.latest(out / "checkpoints") / "history.json").read_text())) < 6
    assert not (out / "model").exists()
    if sign == signal.SIGINT:
        assert code == 130
        assert "--resume" in message.splitlines()[-1]
    subprocess.run(command(out, "--resume"), check=True, capture_output=True)
    assert_same_weights(whole.folder, out)
    assert json.loads((out / "metrics.json").read_text()) == whole.scores


def test_a_run_leaves_what_it_promises(whole):
    names = {p.name for p in whole.folder.iterdir()}
    assert names == {
        "checkpoints", "history.csv", "metrics.json", "model", "report.html", "run.json", "tensorboard",
    }  # fmt: skip
    assert len((whole.folder / "history.csv").read_text().splitlines()) == 7
    card = json.loads((whole.folder / "model" / "card.json").read_text())
    assert card["metrics"]["accuracy"] == whole.scores["accuracy"] > 0.8
    assert card["command"] == f"curvezoo train {MODEL} --set epochs=6 --set subset=512 --set schedule=cosine"
    assert os.listdir(whole.folder / "tensorboard")


def test_resuming_with_other_settings_or_over_another_run_is_refused(whole):
    with pytest.raises(ValueError, match=r"begun with other settings: learning_rate=0\.002"):
        zoo.train(MODEL, whole.folder, resume=True, progress=False, learning_rate=0.1, **SETTINGS)
    with pytest.raises(ValueError, match="is not empty"):
        zoo.train(MODEL, whole.folder, progress=False, **SETTINGS)


def test_a_finished_run_resumes_to_itself(whole):
    again = zoo.train(MODEL, whole.folder, resume=True, progress=False, **SETTINGS)
    assert again.scores == whole.scores


def test_a_diverging_run_stops_with_step_rate_and_checkpoint(tmp_path):
    settings = SETTINGS | {"optimizer": "sgd", "learning_rate": 1e6, "schedule": "constant"}
    with pytest.raises(
        callbacks.Diverged, match=r"at step \d+ \(epoch 1\), learning rate 1e\+06; last good.*none"
    ):
        zoo.train("softmax_digits", tmp_path / "run", progress=False, **settings)


def test_early_stopping_keeps_the_best_weights(tmp_path):
    settings = {
        "epochs": 60,
        "patience": 3,
        "subset": 100,
        "batch_size": 50,
        "random_labels": 0.5,
        "dropout": 0,
    }
    run = zoo.train(MODEL, tmp_path / "run", progress=False, **settings)
    losses = [row["val_loss"] for row in run.history]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 3 < 60
    with np.load(tmp_path / "run" / "checkpoints" / f"epoch-{best:04d}" / "state.npz") as state:
        np.testing.assert_array_equal(run.model.variables[1].numpy(), state["model/1"])
