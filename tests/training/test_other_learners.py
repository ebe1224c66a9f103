"""Runs of learners other than supervised fits: killed, resumed, exported, loaded and extended."""

import importlib.util
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.publishing import saved_model
from curvezoo.training import checkpoints, runs, watch

TOYS = pathlib.Path(__file__).with_name("toys.py")
SPEC = importlib.util.spec_from_file_location("toys", TOYS)
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)
NAMES = list(toys.RECIPES)


def train(name, folder, **options):
    return runs.train(toys.RECIPES[name], folder, progress=False, **options)


def last_state(folder):
    return checkpoints.read(checkpoints.latest(folder / "checkpoints"))[0]


def assert_same_state(one, other):
    one, other = last_state(one), last_state(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture(scope="module", params=NAMES)
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys") / request.param
    return request.param, train(request.param, folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Both toys, trained side by side in processes of their own and killed after their second checkpoint."""
    folders = {name: tmp_path_factory.mktemp("killed") / name for name in NAMES}
    processes = {
        name: subprocess.Popen([sys.executable, str(TOYS), name, str(folder)], stderr=subprocess.DEVNULL)
        for name, folder in folders.items()
    }
    limit = time.time() + 120
    while processes:
        assert time.time() < limit
        time.sleep(0.01)
        for name, process in list(processes.items()):
            if len(checkpoints.every(folders[name] / "checkpoints")) >= 2 or process.poll() is not None:
                process.send_signal(signal.SIGKILL)
                assert processes.pop(name).wait() == -signal.SIGKILL
    return folders


def test_a_killed_run_resumes_to_the_state_of_an_uninterrupted_one(whole, killed, monkeypatch):
    name, run = whole
    assert not (killed[name] / "model").exists()
    monkeypatch.setitem(toys.RECIPES, name, toys.RECIPES[name].override({"pause": 0.3}))
    again = train(name, killed[name], resume=True)
    assert_same_state(run.folder, killed[name])
    assert again.scores == run.scores
    for row, other in zip(run.history, again.history, strict=True):
        assert row["loss"] == other["loss"]


def test_every_endpoint_returns_its_golden_outputs_from_the_saved_model(whole):
    name, run = whole
    loaded = tf.saved_model.load(str(run.folder / "model"))
    endpoints = {"duel": ("serve", "sample", "judge"), "walk": ("act",)}[name]
    for endpoint in endpoints:
        inputs, outputs = saved_model.golden(run.folder / "model", endpoint)
        # Sampling is exact: the seed is an input.
        results = getattr(loaded, endpoint)(*map(tf.constant, inputs))
        parts = results if isinstance(results, dict) else {"": results}
        expected = outputs if isinstance(outputs, dict) else {"": outputs}
        assert parts.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(parts[key], value, rtol=1e-5, err_msg=endpoint)
    if name == "duel":
        other = loaded.serve(tf.constant(np.zeros((2, 9), "int32")))
        assert other.shape == (2, 9, toys.VOCABULARY)
        tokens, seed = saved_model.golden(run.folder / "model", "sample")[0]
        assert not np.array_equal(loaded.sample(tokens, seed + 1), loaded.sample(tokens, seed))


def test_every_model_of_a_folder_is_loaded_by_keras(whole):
    name, run = whole
    learner = toys.RECIPES[name].learner(None)
    learner.restore(last_state(run.folder))
    for export in learner.exports():
        model = saved_model.load(run.folder / "model", export.name)
        for before, after in zip(export.model.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    with pytest.raises(ValueError, match=r"model must be one of .* got 'judge'"):
        saved_model.load(run.folder / "model", "judge")


def test_a_run_of_another_kind_writes_card_report_and_history(whole):
    name, run = whole
    card = json.loads((run.folder / "model" / "card.json").read_text())
    assert (card["measure"], card["recipe"]["kind"]) == ("toy", name)
    assert card["metrics"] == {"split": "test", **run.scores}
    assert card["training"][f"{'round' if name == 'duel' else 'update'}s"] == 6
    models = [export.model for export in toys.RECIPES[name].learner(None).exports()]
    assert card["parameters"] == sum(model.count_params() for model in models)
    assert card["data"] == {"name": "made"}
    assert "</html>" in (run.folder / "report.html").read_text()
    assert len((run.folder / "history.csv").read_text().splitlines()) == 7


def test_a_finished_run_can_be_extended_but_not_shortened(whole, tmp_path):
    name, _ = whole
    key = {"duel": "rounds", "walk": "updates"}[name]
    short, long = (toys.RECIPES[name].override({key: count}) for count in (2, 4))
    runs.train(short, tmp_path / "run", progress=False)
    runs.train(long, tmp_path / "whole", progress=False)
    assert len(runs.train(long, tmp_path / "run", progress=False, resume=True).history) == 4
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(ValueError, match=f"{key} must be at least the 4 that are done, got 3"):
        runs.train(short.override({key: 3}), tmp_path / "run", progress=False, resume=True)


def test_only_a_loss_that_is_not_finite_stops_a_learner(tmp_path, monkeypatch):
    losses = iter([1.0, 1e9, float("nan")])

    def train_with(self, start, after):
        for loss in losses:
            after.step(1, 1, {"loss": loss})
            after({"loss": loss})

    monkeypatch.setattr(toys.WalkLearner, "train", train_with)
    # Large losses are accepted, because an agent's loss may grow.
    with pytest.raises(watch.Diverged, match=r"the loss is nan at step 3 \(update 3\); last .*update-0002"):
        train("walk", tmp_path / "run")


def test_a_state_that_is_not_finite_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(toys.WalkLearner, "state", lambda self: {"replay": np.array([0.0, np.inf])})
    with pytest.raises(watch.Diverged, match=r"replay is not finite at update 1; .* none, it diverged"):
        train("walk", tmp_path / "run")


def test_a_ceiling_applies_to_learners_that_report_units_only(tmp_path, monkeypatch):
    def train_with(self, start, after):
        for loss in (1.0, 4.0, 6.0):
            after({"loss": loss})

    monkeypatch.setattr(toys.WalkLearner, "train", train_with)
    monkeypatch.setattr(toys.WalkLearner, "ceiling", 5.0)
    with pytest.raises(watch.Diverged, match=r"the loss is 6 at update 3; last .*update-0002"):
        train("walk", tmp_path / "run")
    # Resumed, the limit is still that of the first loss.
    with pytest.raises(watch.Diverged, match=r"the loss is 6 at update 3"):
        monkeypatch.setattr(toys.WalkLearner, "train", lambda self, start, after: after({"loss": 6.0}))
        train("walk", tmp_path / "run", resume=True)
