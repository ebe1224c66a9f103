"""The command line: bad input prints one line, exits with code 2 and leaves no files."""

import errno
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import curvezoo
from curvezoo import cli, data, zoo
from curvezoo.publishing import cards


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a file, an empty folder, and a whole model to damage."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "empty").mkdir()
    cards.copy("softmax_digits", tmp_path / "model")
    return tmp_path


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def nothing(monkeypatch):
    """Changes nothing."""


def no_network(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("curvezoo.data.prepared._probe", refuse)


def read_only(monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)


def empty(file):
    return lambda monkeypatch: pathlib.Path("model", file).write_bytes(b"")


def truncated(file):
    def damage(monkeypatch):
        path = pathlib.Path("model", file)
        path.write_bytes(path.read_bytes()[:-100])

    return damage


BAD = {
    "unknown model": (nothing, "train mlp_digit", "Unknown model 'mlp_digit'; did you mean 'mlp_digits'"),
    "unknown data": (nothing, "train --set data=mnits", "Unknown data set 'mnits'; did you mean 'mnist'"),
    "unknown strategy": (
        nothing,
        "train --strategy tpu",
        "strategy must be one of default, mirrored, mu",
    ),
    "no cluster": (nothing, "train --strategy multiworker", "needs the environment variable TF_CONFIG="),
    "unknown --set key": (nothing, "train --set epoch=3", "no setting 'epoch'; did you mean 'epochs'"),
    "--set value": (nothing, "train --set widths=wide", "widths must be an integer, got 'wide'"),
    "--set activation": (nothing, "train --set activation=relux", "activation must be one of celu, "),
    "--set without =": (nothing, "train --set epochs", "--set 'epochs' is not of the form KEY=VALUE"),
    "negative epochs": (nothing, "train --epochs -3", "epochs must be an integer of at least 1, got -3"),
    "negative batch": (
        nothing,
        "train --batch-size -1",
        "batch_size must be an integer of at least 1, got -1",
    ),
    "batch above the data": (
        nothing,
        "train --batch-size 100000",
        "batch_size must be an integer from 1 to ",
    ),
    "negative width": (
        nothing,
        "train --set widths=-64",
        "widths[0] must be an integer of at least 1, got -64",
    ),
    "dropout of everything": (nothing, "train --set dropout=1", "dropout must be in [0, 1), got 1.0"),
    "seed": (nothing, "train --seed x", "seed must be an integer, got 'x'"),
    "data folder": (
        nothing,
        "train mlp_mnist --data-dir nowhere",
        "data_dir must be an existing folder, got 'nowhere'",
    ),
    "data folder a file": (
        nothing,
        "train mlp_mnist --data-dir file",
        "data_dir must be a folder, got the file 'file'",
    ),
    "no network": (
        no_network,
        "train cnn_svhn --data-dir empty",
        "cannot be prepared (no route to host): on",
    ),
    "out is a file": (nothing, "train --out file", "out='file' is a file, not a folder"),
    "out below a file": (nothing, "train --out file/run", "Not a directory: file/run"),
    "out is read-only": (read_only, "train --out new", "Read-only file system: new"),
    "out is in use": (nothing, "train --out model", "model is not empty; resume the run in it, or name"),
    "nothing to resume": (nothing, "train --out empty --resume", "empty holds no run to resume"),
    "list": (nothing, "list resnte20_cifar10", "Unknown model 'resnte20_cifar10'; did you mean 'resnet20"),
    "evaluate unknown": (nothing, "evaluate mlp", "'mlp' is neither a published model nor a folder"),
    "evaluate untrained": (
        nothing,
        "evaluate resnet50_imagenet",
        "'resnet50_imagenet' is neither a published",
    ),
    "evaluate empty folder": (nothing, "evaluate empty", "'empty' is neither a published model"),
    "images of another shape": (
        nothing,
        "evaluate model --data mnist",
        "mnist must have images of shape (8, 8, 1), the model's, got (28, 28, 1)",
    ),
    "empty SavedModel": (empty("saved_model.pb"), "evaluate model", "model/saved_model.pb is corrupted"),
    "truncated weights": (truncated("model.weights.h5"), "evaluate model", "model.weights.h5 is corrupted"),
    "truncated variables": (
        truncated("variables/variables.data-00000-of-00001"),
        "evaluate model",
        "variables.data-00000-of-00001 is corrupted",
    ),
    "empty card": (empty("card.json"), "evaluate model", "model/card.json is not a valid card"),
    "export a damaged one": (empty("golden.npz"), "export model --to new", "model/golden.npz is corrupted"),
    "export over a folder": (nothing, "export model --to empty", "empty exists already; name a new folder"),
    "noise-scale unknown": (nothing, "noise-scale mlp_digit", "Unknown model 'mlp_digit'; did you mean"),
    "noise-scale sizes": (
        nothing,
        "noise-scale softmax_digits --batch-sizes 8,16",
        "batch_sizes must hold at least 3 different values, got [8, 16]",
    ),
    "noise-scale optimizer": (
        nothing,
        "noise-scale softmax_digits --optimizer lion",
        "optimizer must be one of sgd, recipe, got 'lion'",
    ),
    "noise-scale target": (
        nothing,
        "noise-scale softmax_digits --target 4",
        "target must be below the initial loss 2.303, got 4",
    ),
    "noise-scale --set": (nothing, "noise-scale softmax_digits --set l3=1", "no setting 'l3'"),
    "noise-scale out is in use": (
        nothing,
        "noise-scale softmax_digits --out model",
        "model is not empty; resume the study in it, or name",
    ),
    "noise-scale nothing to resume": (
        nothing,
        "noise-scale softmax_digits --resume --out empty",
        "empty holds no run to resume",
    ),
    "reproduce": (nothing, "reproduce 9", "section '9' has no figures; valid: 1, 1.4, "),
    "epochs of an agent": (
        nothing,
        "train ppo_cartpole --epochs 3",
        "--epochs applies to models that learn from a data set, not to ppo_cartpole: give --set steps=NUMBER",
    ),
    "epochs of self-play": (
        nothing,
        "train alphazero_tic_tac_toe --epochs 3",
        "give --set iterations=NUMBER",
    ),
    "negative wait": (nothing, "train --wait -1", "wait must be a positive finite number, got -1.0"),
    "sample a classifier": (
        nothing,
        "sample softmax_digits",
        "name must be that of a model that writes text or draws images, got 'softmax_digits'; valid: ",
    ),
    "play a classifier": (
        nothing,
        "play softmax_digits",
        "name must be that of an agent or of a network that plays games, got 'softmax_digits'; valid: ",
    ),
    "temperature of a policy": (
        nothing,
        "evaluate ppo_cartpole --temperature",
        "temperature must be left out for a model measured by returns, got temperature=True",
    ),
    "noise-scale of adversaries": (
        nothing,
        "noise-scale dcgan_digits",
        "got 'dcgan_digits', a model of kind 'adversarial'",
    ),
    "noise-scale of curvature": (
        nothing,
        "noise-scale softmax_digits --set optimizer=kfac --optimizer recipe",
        "optimizer must make its steps from gradients alone, got 'kfac'; give optimizer='sgd'",
    ),
    "reproduce over a folder": (
        nothing,
        "reproduce 1.4 --out model",
        "out must be a file, got the folder 'model'",
    ),
    "reproduce below a file": (nothing, "reproduce 1.4 --out file/page.html", "File exists: file"),
    "reproduce pictures a file": (nothing, "reproduce 1.4 --pictures file", "File exists: file"),
    "play over a folder": (
        nothing,
        "play ppo_cartpole --out model",
        "out must be a file, got the folder 'model'",
    ),
    "sample over a folder": (
        nothing,
        "sample vae_mnist --grid model",
        "picture must be a file, got the folder 'model'",
    ),
}


@pytest.mark.parametrize(("scene", "words", "message"), BAD.values(), ids=BAD)
def test_bad_input_prints_one_line_and_exits_with_code_two(scene, words, message, here, capsys, monkeypatch):
    scene(monkeypatch)
    before = files(here)
    assert cli.main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert files(here) == before


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"curvezoo {curvezoo.__version__}\n"


def test_another_backend_of_keras_is_one_line_before_any_training(here, capsys, monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "jax")
    for words in ("train softmax_digits --out new", "evaluate softmax_digits"):
        assert cli.main(words.split()) == 2
        message = capsys.readouterr().err
        assert "needs the TensorFlow backend of Keras, got 'jax'" in message
        assert len(message.splitlines()) == 1
    assert not pathlib.Path("new").exists()


def test_a_missing_package_is_one_line(here, capsys, monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'rich'")

    monkeypatch.setattr("curvezoo.zoo.train", missing)
    assert cli.main(["train", "softmax_digits"]) == 2
    assert capsys.readouterr().err == "curvezoo train: No module named 'rich'\n"


def test_a_tilde_is_the_home_folder_in_paths(here, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert cli.main(["export", "softmax_digits", "--to", "~/copy"]) == 0
    assert (here / "copy" / "card.json").is_file()
    monkeypatch.setenv("TFDS_DATA_DIR", "~/file")
    assert cli.main(["train", "mlp_mnist"]) == 2
    assert f"TFDS_DATA_DIR must be a folder of prepared data sets, got the file '{here}/file'" in (
        capsys.readouterr().err
    )
    assert cli.main(["train", "mlp_mnist", "--data-dir", "~/file"]) == 2
    assert f"data_dir must be a folder, got the file '{here}/file'" in capsys.readouterr().err
    assert not (here / "~").exists()


@pytest.mark.parametrize("name", [None, 3, b"mlp_digits"])
def test_a_name_that_is_none_is_an_error_of_one_line(name):
    with pytest.raises(
        ValueError, match="name must be that of a published model or the path of a folder, got"
    ):
        zoo.load(name)


def test_errors_in_a_separate_process_are_also_one_line(here):
    words = ["train", "--set", "widths=-64"]
    run = subprocess.run([sys.executable, "-m", "curvezoo", *words], capture_output=True, text=True)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1, run.stderr


@pytest.mark.parametrize("where", ["numpy.savez", "curvezoo.publishing.saved_model._export"])
def test_a_full_disk_stops_the_run_and_leaves_no_partial_files(where, here, capsys, monkeypatch):
    def full(*arguments, **_):
        if where == "numpy.savez":
            arguments[0].write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(arguments[0]))
        arguments[1].mkdir()
        raise tf.errors.OutOfRangeError(None, None, "No space left on device")

    monkeypatch.setattr(where, full)
    assert cli.main(["train", "softmax_digits", "--epochs", "2", "--out", "run"]) == 2
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert [name for name in files(here / "run") if "partial" in name or name.startswith("model")] == []


def test_labels_out_of_range_are_refused():
    images = np.zeros((4, 8, 8, 1), "float32")
    bad = (images, np.array([0, 1, 2, 10]))
    with pytest.raises(ValueError, match="labels from 0 to 10"):
        data.from_arrays(bad, bad, bad, spec=data.spec("digits"), batch_size=2)


def test_json_output_is_a_single_value():
    for words in (["list", "mlp*"], ["evaluate", "softmax_digits"]):
        run = subprocess.run(
            [sys.executable, "-m", "curvezoo", *words, "--json"], capture_output=True, text=True, check=True
        )
        value = json.loads(run.stdout)
        if words[0] == "list":
            assert [entry["name"] for entry in value] == zoo.names("mlp*")
        else:
            assert {"name", "accuracy", "nll", "ece", "brier", "accuracy_low", "accuracy_high"} <= set(value)


def test_temperature_scaling_is_an_option(capsys):
    assert cli.main(["evaluate", "mlp_digits", "--temperature", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["temperature"] > 0
    assert found["scaled_nll"] != found["nll"]


def test_noise_scale_advises_a_batch_size_and_resumes(here, capsys):
    words = ["noise-scale", "softmax_digits", "--points", "3", "--curved", "0", "--seeds", "1"]
    assert cli.main([*words, "--batch-sizes", "4,32,256", "--target", "0.8"]) == 0
    said = capsys.readouterr()
    assert "b_noise" not in said.out
    assert "report runs/softmax_digits-noise-scale/report.html" in said.out
    before = (here / "runs/softmax_digits-noise-scale/trainings.json").read_text()
    # All other options are the folder's; the trainings of the first three batch sizes are there.
    assert cli.main([*words[:2], "--batch-sizes", "4,16,32,256", "--resume"]) == 0
    study = json.loads((here / "runs/softmax_digits-noise-scale/run.json").read_text())["study"]
    assert (study["points"], study["seeds"], study["target"]) == (3, 1, 0.8)
    after = json.loads((here / "runs/softmax_digits-noise-scale/trainings.json").read_text())
    assert [row for row in after if row["batch_size"] == 4] == [
        row for row in json.loads(before) if row["batch_size"] == 4
    ]
    assert {row["batch_size"] for row in after} == {4, 16, 32, 256}
    assert "advised batch size" in capsys.readouterr().out


def test_reproduce_writes_one_page(here, capsys):
    assert cli.main(["reproduce", "1.4"]) == 0
    page = (here / "reproduce-1.4.html").read_text()
    assert page.count("data:image/png") == 1
    assert "reproduce-1.4.html" in capsys.readouterr().out


def test_export_copies_a_model_that_loads(here, capsys):
    assert cli.main(["export", "softmax_digits", "--to", "new/place"]) == 0
    assert zoo.load("new/place").count_params() == zoo.load("softmax_digits").count_params()
