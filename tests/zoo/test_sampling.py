"""What published models write and draw, from Python and from the command line."""

import importlib.util
import pathlib

import numpy as np
import PIL.Image
import pytest

from curvezoo import cli, zoo
from curvezoo.publishing.page.images import tiled
from curvezoo.training import runs
from curvezoo.zoo import catalogue, writing

PATH = pathlib.Path(__file__).parents[1] / "training" / "toy_language.py"
SPEC = importlib.util.spec_from_file_location("toy_language", PATH)
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "own.txt").write_text("café au lait\n" * 60)
    settings = {"data.name": str(folder / "own.txt"), "data.tokenizer": "bpe", "data.vocabulary": 260}
    recipe = toys.BIGRAM.override(settings)
    runs.train(recipe, folder / "run", progress=False)
    return folder / "run"


@pytest.fixture(scope="module")
def speller(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "speller"
    return runs.train(toys.SPELLER, out, data=toys.repeated_letters(), progress=False).folder


def test_sample_is_what_the_loaded_model_generates(bigram):
    expected = zoo.load(bigram).generate("ca", 12, seed=3)
    assert zoo.sample(bigram, "ca", max_new_tokens=12, seed=3) == expected
    assert zoo.sample(bigram, "ca", max_new_tokens=12, seed=4) != expected


def test_a_stream_joins_to_the_sample_and_splits_no_character(bigram):
    whole = zoo.sample(bigram, "ca", max_new_tokens=60, seed=1)
    pieces = list(writing.stream(bigram, "ca", max_new_tokens=60, seed=1))
    assert "".join(pieces) == whole
    assert len(pieces) > 2


def test_a_translator_translates_one_text_or_several(speller):
    assert zoo.sample(speller, "b") == "bb"
    assert zoo.sample(speller, ["c", "a"]) == ["ccc", "a"]
    assert list(writing.stream(speller, "b")) == ["bb"]
    with pytest.raises(ValueError, match=r"temperature must be left out for a translator, got 0\.5"):
        zoo.sample(speller, "b", temperature=0.5)


def test_the_command_prints_what_sample_returns(bigram, speller, capsys):
    expected = zoo.sample(bigram, "ca", max_new_tokens=12, seed=3)
    words = ["sample", str(bigram), "--prompt", "ca", "--max-new-tokens", "12", "--seed", "3"]
    for more in ([], ["--no-stream"]):
        assert cli.main(words + more) == 0
        assert capsys.readouterr().out == f"{expected}\n"
    assert cli.main(["sample", str(speller), "--prompt", "b"]) == 0
    assert capsys.readouterr().out == "bb\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cnn_digits", "--prompt", "x"], "name must be that of a model that writes text, got 'cnn_digits'"),
        (["cnn_digits"], "name must be that of a model that writes text or draws images, got 'cnn_digits'"),
        (["nobody", "--prompt", "x"], "'nobody' is neither a published model nor a folder with a card"),
        (["BIGRAM", "--prompt", ""], "prompt must be a text of at least one character, got ''"),
        (["BIGRAM", "--prompt", "x", "--top-k", "many"], "top_k must be an integer, got 'many'"),
        (["seq2seq_numbers", "--prompt", "x²"], "text must consist of the tokenizer's"),
        (["seq2seq_numbers", "--prompt", "x", "--beam", "0"], "beam must be an integer of at least 1, got 0"),
    ],
)
def test_bad_commands_are_named_on_one_line(words, message, bigram, capsys):
    assert cli.main(["sample", *(str(bigram) if word == "BIGRAM" else word for word in words)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("prompt", [[], ["a", ""], 3])
def test_prompts_that_are_no_texts_are_refused(prompt, bigram):
    with pytest.raises(ValueError, match="prompt"):
        zoo.sample(bigram, prompt)


def test_the_zoo_builds_trains_and_measures_with_the_users_text(bigram, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalogue, "_recipes", lambda: {"bigram": toys.BIGRAM})
    path = tmp_path / "own.txt"
    path.write_text("abc\n" * 200)
    assert zoo.build("bigram", data=path).vocabulary == 4
    with pytest.raises(ValueError, match="classes must be None for a model of text, got 3"):
        zoo.build("bigram", classes=3)
    words = ["train", "bigram", "--data", str(path), "--epochs", "1", "--out", str(tmp_path / "run")]
    assert cli.main(words) == 0
    assert "nats_per_token" in capsys.readouterr().out
    assert cli.main(["evaluate", str(tmp_path / "run"), "--data", str(path), "--json"]) == 0
    assert '"nats_per_token":' in capsys.readouterr().out
    with pytest.raises(ValueError, match="data must be text, got 'digits', a data set of images"):
        zoo.train("bigram", tmp_path / "other", data="digits")


def test_the_command_draws_what_sample_returns(tmp_path, capsys):
    picture = tmp_path / "digits.png"
    assert cli.main(["sample", "vae_mnist", "--grid", str(picture), "--count", "3", "--seed", "2"]) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    pixels = np.asarray(PIL.Image.open(picture))
    expected = np.squeeze(np.round(255 * tiled(zoo.sample("vae_mnist", count=3, seed=2))), axis=-1)
    scale = len(pixels) // len(expected)
    np.testing.assert_array_equal(pixels[::scale, ::scale], expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vae_mnist"], "--grid must be given: the picture to write, such as samples.png"),
        (["vae_mnist", "--grid", "x.txt"], "picture must end in one of .png"),
        (["vae_mnist", "--grid", "no/x.png"], "picture must be in a folder that exists"),
        (["vae_mnist", "--grid", "x.png", "--count", "0"], "count must be an integer of at least 1, got 0"),
        (["vae_mnist", "--grid", "x.png", "--prompt", "a"], "--prompt applies to models of text only"),
        (["vae_mnist", "--grid", "x.png", "--labels", "1"], "draws images without conditions, got labels"),
        (["cnn_digits", "--grid", "x.png"], "name must be that of a model that draws images, got"),
        (["transformer_text", "--prompt", "a", "--count", "3"], "--count applies to models of images only"),
    ],
)
def test_bad_drawings_are_named_on_one_line(words, message, capsys):
    assert cli.main(["sample", *words]) == 2
    assert message in capsys.readouterr().err
