"""The whole transfer with a tiny network: files, resuming, bad input, the command."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from curvezoo import cli
from curvezoo.studies.style_transfer import FeatureNetwork, features, minimization, transfer_style

RNG = np.random.default_rng(2)
CONTENT, STYLE = RNG.uniform(size=(34, 40, 3)), RNG.uniform(size=(36, 32, 3))
QUIET = {"progress": False, "size": 40}


def network(channels=3):
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 16, channels))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(images)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="second")(x)
    return FeatureNetwork(keras.Model(images, keras.layers.Flatten()(x)))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A tiny network in place of the zoo's; no graphs, because tracing takes longer than all evaluations."""
    monkeypatch.setattr(features, "load", lambda *_: network())
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def read(path):
    return np.asarray(Image.open(path)) / 255


def test_the_folder_holds_the_pictures_and_every_loss(tmp_path):
    out = tmp_path / "out"
    result = transfer_style(CONTENT, STYLE, out, steps=4, **QUIET)
    assert result.losses["lbfgs"][0] == result.losses["adam"][0] > min(result.losses["adam"])
    for name, picture in result.pictures.items():
        assert picture.shape == CONTENT.shape
        np.testing.assert_allclose(read(out / f"{name}.png"), picture, atol=0.51 / 255)
    best = min(result.losses, key=lambda name: min(result.losses[name]))
    np.testing.assert_array_equal(read(out / "result.png"), read(out / f"{best}.png"))
    rows = list(csv.DictReader((out / "losses.csv").open()))
    for name, losses in result.losses.items():
        mine = [row for row in rows if row["optimizer"] == name]
        assert [int(row["evaluation"]) for row in mine] == [1, 2, 3, 4]
        np.testing.assert_allclose([float(row["loss"]) for row in mine], losses, rtol=1e-8)
    page = (out / "report.html").read_text()
    assert "L-BFGS" in page and page.count("data:image/png") == 2
    assert (out / "curves.png").stat().st_size > 1000


def test_a_resumed_transfer_with_adam_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    options = {"optimizers": ("adam",), **QUIET}
    whole = transfer_style(CONTENT, STYLE, steps=6, **options)
    stop_at, count = 3, minimization.RecordedFunction.__call__

    def interrupted(self, position):
        if self.count == stop_at:
            raise KeyboardInterrupt
        return count(self, position)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(minimization.RecordedFunction, "__call__", interrupted)
        transfer_style(CONTENT, STYLE, tmp_path, steps=4, **options)
    resumed = transfer_style(CONTENT, STYLE, tmp_path, steps=6, resume=True, **options)
    np.testing.assert_array_equal(resumed.losses["adam"], whole.losses["adam"])
    np.testing.assert_array_equal(resumed.pictures["adam"], whole.pictures["adam"])


def test_a_resumed_lbfgs_continues_from_its_best_picture(tmp_path):
    options = {"optimizers": ("lbfgs",), **QUIET}
    first = transfer_style(CONTENT, STYLE, tmp_path, steps=2, **options).losses["lbfgs"]
    second = transfer_style(CONTENT, STYLE, tmp_path, steps=4, resume=True, **options).losses["lbfgs"]
    np.testing.assert_array_equal(second[:2], first)
    assert second[2] == pytest.approx(first.min(), rel=1e-6)
    assert second.min() < first.min()


def test_resuming_with_other_settings_or_pictures_is_an_error(tmp_path):
    options = {"steps": 1, "optimizers": ("adam",), **QUIET}
    with pytest.raises(ValueError, match="holds no style transfer to resume"):
        transfer_style(CONTENT, STYLE, tmp_path, resume=True, **options)
    transfer_style(CONTENT, STYLE, tmp_path, **options)
    with pytest.raises(ValueError, match="is not empty; resume the style transfer in it"):
        transfer_style(CONTENT, STYLE, tmp_path, **options)
    with pytest.raises(ValueError, match=r"started with other settings: tv_weight=1.0"):
        transfer_style(CONTENT, STYLE, tmp_path, resume=True, tv_weight=2, **options)
    with pytest.raises(ValueError, match=r"started with other settings: style="):
        transfer_style(CONTENT, CONTENT, tmp_path, resume=True, **options)
    (tmp_path / "state.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"state\.npz is corrupted"):
        transfer_style(CONTENT, STYLE, tmp_path, resume=True, **options)


def test_noise_depends_on_the_seed_only():
    options = {"steps": 1, "optimizers": ("adam",), "start": "noise", **QUIET}
    first, again, other = (transfer_style(CONTENT, STYLE, seed=seed, **options) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pictures["adam"], again.pictures["adam"])
    assert not np.array_equal(first.pictures["adam"], other.pictures["adam"])


def test_a_network_of_grey_images_gets_grey_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "load", lambda *_: network(channels=1))
    result = transfer_style(CONTENT, STYLE, tmp_path, steps=1, optimizers=("adam",), **QUIET)
    assert result.content.shape == (34, 40, 1)
    assert read(tmp_path / "result.png").shape == (34, 40)


def test_a_rate_that_diverges_is_an_arithmetic_error():
    with pytest.raises(ArithmeticError, match="use a smaller learning_rate"):
        transfer_style(CONTENT, STYLE, steps=4, optimizers=("adam",), learning_rate=1e30, **QUIET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"size": 10}, "size must be an integer of at least 32, got 10"),
        ({"optimizers": ("sgd",)}, r"optimizers\[0\] must be one of lbfgs, adam, got 'sgd'"),
        ({"style_weight": -1.0}, "style_weight must be a nonnegative finite number, got -1"),
        ({"start": "white"}, "start must be one of content, noise, got 'white'"),
        ({"feature": "vgg19"}, "Unknown option of a style transfer 'feature'; did you mean 'features'"),
        ({"features": "resnet"}, "'resnet' is neither a published model nor .* or 'vgg19' with a file"),
        ({"features": "vgg19"}, "weights must be the file of VGG19's weights"),
        ({"features": "vgg19", "weights": "none.h5"}, "weights must be an existing file, got 'none.h5'"),
        ({"weights": "none.h5"}, "weights must be given for features='vgg19' only"),
    ],
)
def test_bad_options_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        transfer_style(CONTENT, STYLE, **options)


def test_the_command_writes_the_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.uint8(255 * CONTENT)).save("a.png")
    words = "sample style --content a.png --size 50 --steps 2 --optimizers adam --seed 3"
    assert cli.main(words.split()) == 0
    assert "adam    loss" in capsys.readouterr().out
    assert words in (tmp_path / "runs" / "style" / "report.html").read_text()
    assert cli.main([*words.replace("steps 2", "steps 3").split(), "--resume"]) == 0
    assert "in 3 evaluations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("style --content none.png", "content must be an existing image file, got 'none.png'"),
        ("style --steps many", "steps must be an integer, got 'many'"),
        ("style --prompt x", "--prompt applies to trained models only"),
        ("mlp_digits --prompt x --content a.png", "--content applies to `curvezoo sample style` only"),
    ],
)
def test_bad_words_print_one_line_and_write_nothing(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", *words.split()]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())
