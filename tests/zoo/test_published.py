"""Every published model: its files, its golden outputs by three readers, its numbers."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import zoo
from curvezoo.publishing import account, cards
from curvezoo.publishing import saved_model as publishing

PUBLISHED = [name for name in zoo.names() if zoo.describe(name)["trained"]]
EXPECTED = {
    "softmax_digits": {"accuracy": 0.95},
    "mlp_digits": {"accuracy": 0.975},
    "cnn_digits": {"accuracy": 0.985},
    "mlp_mnist": {"accuracy": 0.984},
    "cnn_mnist": {"accuracy": 0.993},
    "resnet20_cifar10": {"accuracy": 0.86},
    "denoiser_digits": {"psnr": 20.2},
    "denoiser_digits_impulse": {"psnr": 19.5},
}
CLASSIFIERS = [name for name in PUBLISHED if zoo.recipe(name).task.kind == "classification"]


def test_the_promised_models_are_published():
    assert set(EXPECTED) <= set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_golden_outputs_come_back_from_keras_tensorflow_and_tfsm_layer(name):
    folder = cards.folder_of(name)
    inputs, outputs = publishing.golden(folder)
    model = zoo.load(name)
    plain = tf.saved_model.load(str(folder))
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint="serve")
    for read in (model, plain.serve, layer):
        np.testing.assert_allclose(read(inputs), outputs, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(read(inputs[:1]), outputs[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_probabilities_are_the_softmax_of_its_logits(name):
    folder = cards.folder_of(name)
    inputs, outputs = publishing.golden(folder)
    plain = tf.saved_model.load(str(folder))
    np.testing.assert_allclose(plain.probabilities(inputs), keras.ops.softmax(outputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_card_counts_right_and_its_recipe_is_todays(name):
    card, model = zoo.describe(name)["card"], zoo.load(name)
    assert card["parameters"] == model.count_params()
    assert card["flops"] == account(model).flops
    assert card["recipe"] == json.loads(json.dumps(zoo.recipe(name).settings()))
    for key, least in EXPECTED.get(name, {}).items():
        assert card["metrics"][key] >= least


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.dataset(data)] if data != "digits" else [])
        for name in PUBLISHED
        for data in [zoo.recipe(name).data]
    ],
)
def test_the_cards_numbers_are_measured_again(name):
    scores, card = zoo.evaluate(name), zoo.describe(name)["card"]
    for key, value in card["metrics"].items():
        if isinstance(value, float):
            assert scores[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


def test_a_saved_model_needs_no_curvezoo(tmp_path):
    code = (
        "import sys, numpy as np, tensorflow as tf; sys.modules['curvezoo'] = None\n"
        "stored = np.load(sys.argv[1] + '/golden.npz')\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "found = model.serve(stored['inputs'])\n"
        "print(np.abs(found - stored['outputs']).max())"
    )
    command = [sys.executable, "-c", code, str(cards.folder_of("cnn_digits"))]
    run = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert float(run.stdout) < 1e-4


@pytest.fixture
def copied(tmp_path):
    return cards.copy("softmax_digits", tmp_path / "copy")


@pytest.mark.parametrize(
    "file", ["model.weights.h5", "saved_model.pb", "config.json", "variables/variables.index"]
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_damaged_file_is_named(copied, file, damage):
    path = copied / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"x" + content[1:])
    what = "is missing" if damage == "missing" else "is corrupted"
    with pytest.raises(ValueError, match=f"{file.replace('.', '[.]')} {what}"):
        zoo.load(copied)


def test_a_damaged_card_is_named(copied):
    (copied / "card.json").write_text("{")
    with pytest.raises(ValueError, match=r"card\.json is not a valid card"):
        zoo.load(copied)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected shape=\(None, 8, 8, 1\), found shape=\(2, 28, 28"):
        zoo.load("softmax_digits")(np.zeros((2, 28, 28, 1), "float32"))


def test_the_readmes_table_is_the_cards(request):
    from curvezoo.zoo import table

    expected = table.markdown([zoo.describe(name) for name in PUBLISHED])
    assert expected in (request.config.rootpath / "README.md").read_text(), "run `curvezoo list --markdown`"
