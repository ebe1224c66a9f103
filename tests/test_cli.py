"""The command line: bad input is answered in one line with code 2 and leaves nothing behind."""

import errno
import json
import subprocess
import sys

import numpy as np
import pytest
from curvezoo import cli, data, zoo
from curvezoo.training import cards


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, apart from one file and a damaged model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "empty").mkdir()
    return tmp_path


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


BAD = {
    "unknown model": ("train mlp_digit", "no model is named 'mlp_digit'; did you mean mlp_digits"),
    "unknown data set": (
        "train mlp_digits --set data=mnits",
        "name='mnits' is no data set. Did you mean 'mnist'",
    ),
    "unknown strategy": (
        "train --strategy tpu",
        "strategy='tpu' is not one of default, mirrored, multiworker",
    ),
    "no cluster": ("train --strategy multiworker", "needs the environment variable TF_CONFIG="),
    "unknown --set key": ("train --set epoch=3", "no setting 'epoch'; did you mean 'epochs'"),
    "--set value": ("train --set widths=wide", "widths='wide' is not of type int"),
    "--set without =": ("train --set epochs", "--set 'epochs' is not of the form KEY=VALUE"),
    "negative epochs": ("train --epochs -3", "epochs=-3 must be positive"),
    "negative batch": ("train --batch-size -1", "batch_size=-1 must be positive"),
    "batch above the data": ("train --batch-size 100000", "batch_size=100000"),
    "negative width": ("train --set widths=-64", "-64"),
    "seed": ("train --seed x", "seed='x' is not of type int"),
    "data folder": ("train mlp_mnist --data-dir nowhere", "data_dir='nowhere'"),
    "data folder is a file": ("train mlp_mnist --data-dir file", "data_dir='file'"),
    "out is a file": ("train --out file", "out='file' is a file, not a folder"),
    "out below a file": ("train --out file/run", "Not a directory"),
    "out is read-only": ("train --out /proc/run", "/proc/run"),
    "nothing to resume": ("train --out empty --resume", "empty holds no run to resume"),
    "list": ("list resnte20_cifar10", "no model is named 'resnte20_cifar10'; did you mean resnet20_cifar10"),
    "evaluate unknown": ("evaluate mlp", "'mlp' is neither a published model nor a folder"),
    "evaluate untrained": ("evaluate resnet50_imagenet", "'resnet50_imagenet' is neither a published"),
    "evaluate empty folder": ("evaluate empty", "'empty' is neither a published model"),
    "evaluate other images": (
        "evaluate mlp_digits --data imagenet2012",
        "the model takes images of shape (8, 8, 1)",
    ),
    "export over a folder": ("export mlp_digits --to empty", "empty exists already"),
    "reproduce": ("reproduce 9", "section '9' has no figures; valid: 1.4, 5.1"),
}


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_code_two(words, message, here, capsys):
    before = files(here)
    assert cli.main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert files(here) == before


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001", "config.json"])
def test_a_damaged_model_is_named(file, here, capsys):
    folder = cards.copy("softmax_digits", here / "model")
    (folder / file).write_bytes(b"")
    assert cli.main(["evaluate", str(folder)]) == 2
    assert f"{file} is corrupted" in capsys.readouterr().err


def test_no_network_says_how_to_get_the_data(here, capsys, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", refuse)
    assert cli.main(["train", "cnn_fashion_mnist", "--data-dir", "empty"]) == 2
    message = capsys.readouterr().err
    assert "fashion_mnist" in message and "TFDS_DATA_DIR" in message
    assert len(message.splitlines()) == 1


def refuse(*_, **__):
    raise ConnectionError("no route to host")


def test_a_full_disk_stops_the_run_and_leaves_no_half_checkpoint(here, capsys, monkeypatch):
    def full(file, **_):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr("numpy.savez", full)
    assert cli.main(["train", "softmax_digits", "--epochs", "2", "--out", "run"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((here / "run" / "checkpoints").iterdir()) == []
    assert not (here / "run" / "model").exists()


def test_labels_out_of_range_are_refused():
    images = np.zeros((4, 8, 8, 1), "float32")
    bad = (images, np.array([0, 1, 2, 10]))
    with pytest.raises(ValueError, match="10"):
        data.from_arrays(bad, bad, bad, spec=data.spec("digits"), batch_size=2)


def test_json_is_one_value_and_nothing_else():
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


def test_reproduce_writes_one_page(here, capsys):
    assert cli.main(["reproduce", "1.4"]) == 0
    page = (here / "reproduce-1.4.html").read_text()
    assert page.count("data:image/png") == 1
    assert "reproduce-1.4.html" in capsys.readouterr().out


def test_export_copies_a_model_that_loads(here, capsys):
    assert cli.main(["export", "softmax_digits", "--to", "new/place"]) == 0
    assert zoo.load("new/place").count_params() == zoo.load("softmax_digits").count_params()
