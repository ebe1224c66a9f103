"""Models of the zoo with the user's data, classes, callbacks and optimizer."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from curvezoo import cli, data, zoo

SMALL = {"channels": (4,), "units": 8, "epochs": 2, "batch_size": 16}


def pictures(count, seed):
    """Returns images of two classes: bright above, bright below."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = generator.integers(0, 80, (count, 6, 6, 3))
    for image, label in zip(images, labels, strict=True):
        image[3 * label : 3 * label + 3] += 150
    return images.astype("uint8"), labels


@pytest.fixture(scope="module")
def splits():
    parts = [pictures(count, seed) for seed, count in enumerate((64, 16, 32))]
    return data.from_arrays(*parts, classes=2, name="halves", batch_size=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 48), ("validation", 16), ("test", 16)):
        for number, (image, label) in enumerate(zip(*pictures(count, count), strict=True)):
            path = root / split / ("above" if label == 0 else "below") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return root


class Count(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


def test_train_takes_arrays_callbacks_and_curvezoos_own_optimizer(splits, tmp_path):
    count = Count()
    settings = SMALL | {"optimizer.name": "kfac", "damping": 0.1}
    run = zoo.train(
        "cnn_digits", tmp_path / "run", data=splits, callbacks=[count], progress=False, **settings
    )
    assert count.epochs == 2
    assert type(run.model.optimizer).__name__ == "KFAC"
    assert run.model.input_shape == (None, 6, 6, 3) and run.model.output_shape == (None, 2)
    assert run.scores["accuracy"] > 0.9
    card = json.loads((run.folder / "model" / "card.json").read_text())
    assert (card["data"]["name"], card["data"]["provenance"]) == ("halves", "the user's own")
    assert card["recipe"]["optimizer"]["damping"] == 0.1
    # A run's folder can be evaluated, but the data must be passed again.
    assert zoo.evaluate(run.folder, data=splits)["nll"] == pytest.approx(run.scores["nll"], abs=1e-6)
    with pytest.raises(ValueError, match="halves"):
        zoo.evaluate(run.folder)


def test_the_command_trains_and_evaluates_on_a_folder_of_images(folder, tmp_path, capsys):
    words = ["train", "cnn_digits", "--data", str(folder), "--out", str(tmp_path / "run")]
    words += ["--set", "channels=4", "--set", "units=8", "--epochs", "2", "--batch-size", "16"]
    assert cli.main(words) == 0
    assert cli.main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    printed = capsys.readouterr().out
    scores = json.loads(printed[printed.index("{") :])
    assert scores["examples"] == 16
    page = (tmp_path / "run" / "report.html").read_text()
    # The names of the folders label the worst mistakes.
    assert "above" in page and "below" in page
    # The command on the card is equivalent to the one that was given.
    command = json.loads((tmp_path / "run" / "model" / "card.json").read_text())["command"]
    assert f"--set data={folder}" in command


def test_models_can_be_built_for_other_shapes_and_numbers_of_classes(splits):
    assert zoo.build("resnet20_cifar10", data=splits).output_shape == (None, 2)
    model = zoo.build("resnet20_cifar10", classes=3, input_shape=(16, 16, 1))
    assert (model.input_shape, model.output_shape) == ((None, 16, 16, 1), (None, 3))
    x, y = np.random.default_rng(0).random((8, 16, 16, 1)), np.arange(8) % 3
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


def test_a_new_head_keeps_the_trained_features():
    old, new = zoo.load("cnn_digits"), zoo.load("cnn_digits", classes=3)
    assert new.output_shape == (None, 3)
    for before, after in zip(old.layers[:-1], new.layers[:-1], strict=True):
        for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    images, labels = next(iter(data.load("digits").train))
    new.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = new.fit(images, labels % 3, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    with pytest.raises(ValueError, match=r"model must end in a dense layer named 'logits'.* got 'cleaned'"):
        zoo.load("denoiser_digits", classes=3)
    with pytest.raises(ValueError, match="classes must be an integer of at least 2, got 1"):
        zoo.load("cnn_digits", classes=1)


@pytest.mark.parametrize("use", [zoo.build, zoo.train])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("mnits", r"Unknown data set 'mnits'; did you mean 'mnist'\? .*or a folder of images by class"),
        (np.zeros(3), "data must be a data set's name, a folder of images by class, or Splits, .* ndarray"),
    ],
)
def test_unknown_data_sets_and_other_objects_are_rejected(use, wrong, message):
    with pytest.raises(ValueError, match=message):
        use("cnn_digits", data=wrong)


@pytest.mark.parametrize("wrong", ["mnits", np.zeros(3)])
def test_evaluate_rejects_other_data_too(wrong):
    with pytest.raises(ValueError, match="data"):
        zoo.evaluate("softmax_digits", data=wrong)


def test_splits_named_like_a_data_set_are_rejected():
    part = pictures(16, 0)
    splits = data.from_arrays(part, part, part, classes=2, name="digits", batch_size=8)
    with pytest.raises(ValueError, match="data must not be named like a data set, got 'digits'"):
        zoo.build("cnn_digits", data=splits)


def test_a_finished_run_can_be_extended(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert cli.main(["train", "softmax_digits", "--epochs", "2", "--out", out]) == 0
    assert cli.main(["train", "softmax_digits", "--resume", "--set", "epochs=4", "--out", out]) == 0
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(history) == 1 + 4
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["epochs"] == 4
    assert cli.main(["train", "softmax_digits", "--resume", "--set", "epochs=3", "--out", out]) == 2
    assert "epochs must be at least the 4 that are done, got 3" in capsys.readouterr().err
    assert cli.main(["export", out, "--to", str(tmp_path / "copy")]) == 0


def test_a_plain_keras_workflow_needs_nothing_of_curvezoo():
    model = zoo.build("mlp_digits", widths=(8,))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    splits = data.load("digits")
    assert model.fit(splits.train, validation_data=splits.validation, verbose=0).history["val_accuracy"]
