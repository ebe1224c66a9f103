"""Several replicas and several processes train to the weights of one."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from curvezoo import zoo
from curvezoo.training import checkpoints, runs, strategies

SETTINGS = {"epochs": 8, "subset": 512, "batch_size": 64, "dropout": 0, "augment": "crop", "l2": 1e-4}


def weights(folder):
    with np.load(checkpoints.latest(folder / "checkpoints") / "state.npz") as state:
        return [state[name] for name in state.files if name.startswith("model/")]


def assert_two_replicas_did_as_one(one, two):
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(history(one), history(two), strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert abs(a[key] - b[key]) < 1e-5, key
    card = json.loads((two / "model" / "card.json").read_text())
    assert card["training"]["replicas"] == 2


def history(folder):
    return json.loads((checkpoints.latest(folder / "checkpoints") / "history.json").read_text())


def worker(ports, index, out, *words):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    options = ["--strategy", "multiworker", "--out", out]
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return subprocess.Popen(
        [sys.executable, "-m", "curvezoo", "train", "mlp_digits", *options, *settings, *words],
        env=os.environ | {"TF_CONFIG": config},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-3000:]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return zoo.train("mlp_digits", tmp_path_factory.mktemp("runs") / "single", progress=False, **SETTINGS)


def test_two_logical_devices_equal_one(single, mirrored, tmp_path, monkeypatch):
    made = strategies.make_strategy("mirrored")
    assert made.num_replicas_in_sync == mirrored.num_replicas_in_sync == 2
    # All tests of a process share one strategy.
    monkeypatch.setattr(runs, "make_strategy", lambda name: mirrored)
    zoo.train("mlp_digits", tmp_path / "two", strategy="mirrored", progress=False, **SETTINGS)
    assert_two_replicas_did_as_one(single.folder, tmp_path / "two")


def test_two_processes_equal_one_although_each_is_killed_once(single, tmp_path, free_ports):
    """Kills the chief first, then the other worker; both rejoin, and the run continues."""
    ports, out, limit = free_ports(2), tmp_path / "two", time.time() + 180
    workers = [worker(ports, index, out) for index in range(2)]
    seen = None
    for victim, process in enumerate(workers):
        while (
            checkpoints.latest(out / "checkpoints") == seen and process.poll() is None and time.time() < limit
        ):
            time.sleep(0.005)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = checkpoints.latest(out / "checkpoints")
        assert len(history(out)) < SETTINGS["epochs"]
        workers[victim] = worker(ports, victim, out, "--resume")
    finish(workers)
    assert_two_replicas_did_as_one(single.folder, out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert abs(metrics["nll"] - single.scores["nll"]) < 1e-5


@pytest.mark.parametrize("config", [None, "", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"index": 3}}'])
def test_the_error_of_multiworker_without_a_cluster_names_tf_config(config, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG="):
        strategies.make_strategy("multiworker")


def test_unknown_strategy_lists_the_valid_ones():
    with pytest.raises(ValueError, match="strategy must be one of default, mirrored, multiworker, got 'tpu'"):
        strategies.make_strategy("tpu")
