"""Runs through the command line: killed, interrupted, repeated, diverging."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import cli, zoo
from curvezoo.publishing import saved_model
from curvezoo.training import checkpoints, watch
from curvezoo.training.lock import locked
from curvezoo.variables import named_variables

# Dropout, batch norm and augmentation: all that a run's state can depend on.
MODEL = "cnn_digits"
SETTINGS = {"epochs": 5, "batch_size": 32, "channels": "8", "units": 16, "augment": "crop"}
RUN = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]


# The command, with a pause after each checkpoint, in which a signal arrives on any machine.
PAUSED = """
import sys, time
from curvezoo import cli
from curvezoo.training import checkpoints
save = checkpoints.save
def save_and_pause(*arguments):
    save(*arguments)
    time.sleep(0.5)
checkpoints.save = save_and_pause
sys.exit(cli.main(sys.argv[1:]))
"""


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
    # If the tests run in the background, they and their child processes ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-c", PAUSED, "train", MODEL, "--out", str(out), *RUN]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
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


def scalars(folder):
    """Returns {(tag, step): value} of a run's TensorBoard logs, without times; no scalar is there twice."""
    values = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert (value.tag, event.step) not in values
                if value.tag != "seconds":
                    values[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return values


def table(folder):
    """Returns the rows of `history.csv` without the times."""
    with (folder / "history.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize(
    "sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=["kill -9", "Ctrl-C", "TERM"]
)
def test_a_stopped_run_resumes_to_the_weights_of_an_uninterrupted_one(whole, tmp_path, sign):
    out = tmp_path / "stopped"
    code, message = start_and_stop(out, sign)
    assert (
        len(json.loads((checkpoints.latest(out / "checkpoints") / "history.json").read_text()))
        < SETTINGS["epochs"]
    )
    assert not (out / "model").exists()
    if sign != signal.SIGKILL:
        assert code == 128 + sign
        assert "--resume" in message.splitlines()[-1]
        assert not [path for path in out.rglob("*") if "partial" in path.name]
    # The settings need not be repeated.
    assert cli.main(["train", MODEL, "--out", str(out), "--resume"]) == 0
    assert_same_weights(whole.folder, out)
    assert json.loads((out / "metrics.json").read_text()) == whole.scores
    assert table(out) == table(whole.folder)
    assert scalars(out) == scalars(whole.folder)
    assert len(scalars(out)) >= 5 * SETTINGS["epochs"]
    assert len(os.listdir(out / "tensorboard")) == len(os.listdir(whole.folder / "tensorboard"))


def test_two_processes_do_not_train_into_one_folder(whole):
    with (
        locked(whole.folder),
        pytest.raises(ValueError, match=f"is in use by process {os.getpid()} on"),
    ):
        zoo.train(MODEL, whole.folder, resume=True, progress=False)


@pytest.mark.parametrize("end", ["2>&1 | head -1", "2>/dev/full", "2>&-"])
def test_a_run_whose_messages_nobody_reads_finishes(end, tmp_path):
    out = tmp_path / "run"
    command = f"{sys.executable} -m curvezoo train softmax_digits --epochs 2 --out {out} {end}"
    shell = ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"]
    assert subprocess.run(shell, stdout=subprocess.DEVNULL).returncode == 0
    assert len(table(out)) == 2
    assert (out / "report.html").exists()


def test_a_run_writes_all_documented_files(whole):
    names = {p.name for p in whole.folder.iterdir()}
    assert names == {
        "checkpoints", "history.csv", "metrics.json", "model", "report.html", "run.json", "tensorboard",
    }  # fmt: skip
    assert len((whole.folder / "history.csv").read_text().splitlines()) == 1 + SETTINGS["epochs"]
    card = json.loads((whole.folder / "model" / "card.json").read_text())
    assert card["metrics"]["accuracy"] == whole.scores["accuracy"] > 0.3
    assert sorted(card["command"].split()) == sorted(["curvezoo", "train", MODEL, *RUN])
    assert os.listdir(whole.folder / "tensorboard")


def test_resuming_with_other_settings_or_over_another_run_is_refused(whole):
    with pytest.raises(ValueError, match=r"started with other settings: optimizer.learning_rate=0\.003"):
        zoo.train(MODEL, whole.folder, resume=True, progress=False, learning_rate=0.1, **SETTINGS)
    with pytest.raises(ValueError, match=r"started with other settings: optimizer\.amsgrad=None"):
        zoo.train(MODEL, whole.folder, resume=True, progress=False, amsgrad=True)
    with pytest.raises(ValueError, match="is not empty"):
        zoo.train(MODEL, whole.folder, progress=False, **SETTINGS)
    with pytest.raises(ValueError, match="holds a run of cnn_digits, not of mlp_digits"):
        zoo.train("mlp_digits", whole.folder, resume=True, progress=False)


def test_resuming_a_finished_run_returns_the_same_scores(whole):
    again = zoo.train(MODEL, whole.folder, resume=True, progress=False, **SETTINGS)
    assert again.scores == whole.scores


def test_the_published_folder_is_read_by_keras_tensorflow_and_tfsm_layer(whole):
    [inputs], outputs = saved_model.golden(whole.folder / "model")
    plain = tf.saved_model.load(str(whole.folder / "model"))
    layer = keras.layers.TFSMLayer(str(whole.folder / "model"), call_endpoint="serve")
    for read in (zoo.load(whole.folder / "model"), zoo.load(whole.folder), plain.serve, layer):
        np.testing.assert_allclose(read(inputs), outputs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(read(inputs[:1]), outputs[:1], rtol=1e-4, atol=1e-4)


def test_a_run_shows_its_scores_in_a_notebook(whole):
    page = whole._repr_html_()
    assert f"{whole.scores['nll']:.6g}" in page
    assert str(whole.folder / "report.html") in page


def test_immediate_divergence_reports_step_and_rate_and_no_good_checkpoint(tmp_path, capsys):
    words = "train softmax_digits --set optimizer=sgd --set learning_rate=1e6 --set schedule=constant --out"
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"at step \d+ \(epoch 1\), learning rate 1e\+06; last good checkpoint: none", message)


class Poison(keras.callbacks.Callback):
    """Puts NaN into a weight before the second epoch, or into the optimizer at its end."""

    def __init__(self, where):
        super().__init__()
        self.where, self.epoch = where, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if epoch == 1 and self.where == "loss":
            self.model.trainable_variables[0].assign(np.nan * self.model.trainable_variables[0])

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and self.where == "optimizer" and batch == self.params["steps"] - 1:
            self.model.optimizer.variables[-1].assign(np.nan * self.model.optimizer.variables[-1])


@pytest.mark.parametrize("where", ["loss", "optimizer"])
def test_a_run_that_diverges_later_names_the_last_good_checkpoint(tmp_path, where):
    with pytest.raises(watch.Diverged, match=r"\(epoch 2\), learning rate .* checkpoint: .*epoch-0001"):
        zoo.train("softmax_digits", tmp_path / "run", epochs=3, callbacks=[Poison(where)])
    assert checkpoints.latest(tmp_path / "run" / "checkpoints").name == "epoch-0001"


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
    state, _ = checkpoints.read(tmp_path / "run" / "checkpoints" / f"epoch-{best:04d}")
    for name, variable in named_variables(run.model).items():
        np.testing.assert_array_equal(variable.numpy(), state[name], err_msg=name)
