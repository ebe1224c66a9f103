"""Runs of language models and translators: resumed, published with tokenizers, measured on other text."""

import importlib.util
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.publishing import account, card_form, cards, saved_model
from curvezoo.training import Resources, checkpoints, runs

PATH = pathlib.Path(__file__).with_name("toy_language.py")
SPEC = importlib.util.spec_from_file_location("toy_language", PATH)
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)

SENTENCES = "".join(f"the {a} sat on the {b}\n" for a in ("cat", "dog", "ape") for b in ("mat", "hat")) * 40


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "own.txt"
    path.write_text(SENTENCES)
    return toys.BIGRAM.override({"data.name": str(path), "dropout": 0.2})


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    return runs.train(recipe, tmp_path_factory.mktemp("runs") / "bigram", progress=False)


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "speller"
    return runs.train(toys.SPELLER, out, data=toys.repeated_letters(), progress=False)


def state(folder):
    with np.load(checkpoints.latest(folder / "checkpoints") / "state.npz") as stored:
        return {name: stored[name] for name in stored.files}


def entropy(text):
    """Returns the entropy of single characters in nats."""
    counts = np.unique(list(text), return_counts=True)[1]
    return -(counts / counts.sum() * np.log(counts / counts.sum())).sum()


def test_training_finds_what_single_characters_do_not_tell(run):
    assert run.scores["nats_per_token"] < 0.6 * entropy(SENTENCES)
    assert run.scores["perplexity"] == pytest.approx(np.exp(run.scores["nats_per_token"]))


def test_a_run_killed_within_an_epoch_resumes_to_the_same_weights(recipe, run, tmp_path):
    class Kill(keras.callbacks.Callback):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == (1, 3):
                raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        runs.train(recipe, out, callbacks=[Kill()], progress=False)
    assert len(checkpoints.every(out / "checkpoints")) == 1
    again = runs.train(recipe, out, resume=True, progress=False)
    before, after = state(run.folder), state(out)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)
    assert again.scores == run.scores


def test_the_folder_holds_the_tokenizer_and_a_loaded_model_has_it(run):
    folder = run.folder / "model"
    card = cards.verify(folder)
    assert "tokenizer.json" in card["files"]
    model = saved_model.load(folder)
    assert model.tokenizer == run.model.tokenizer
    assert model.tokenizer.alphabet == "".join(sorted(set(SENTENCES)))
    tokens = model.tokenizer.encode("the cat")[None]
    np.testing.assert_allclose(model(tokens), run.model(tokens), rtol=1e-5)
    assert (card["data"]["vocabulary"], card["data"]["context"]) == (len(set(SENTENCES)), 16)


def test_both_endpoints_take_tokens_of_any_length(run):
    folder = run.folder / "model"
    plain = tf.saved_model.load(str(folder))
    for name in ("serve", "generate"):
        inputs, outputs = saved_model.golden(folder, name)
        np.testing.assert_allclose(getattr(plain, name)(*inputs), outputs, rtol=1e-5)
    assert plain.serve(tf.zeros((3, 5), tf.int32)).shape == (3, 5, run.model.vocabulary)
    prompts, lengths, count, *_ = saved_model.golden(folder, "generate")[0]
    assert (prompts.shape, lengths.tolist(), int(count)) == ((2, 4), [4, 3], 8)


def test_the_card_counts_the_operations_of_one_window(run):
    card = cards.read(run.folder / "model")
    assert card["flops_of"] == "a window of 16 tokens"
    assert card["flops"] == 2 * 16 * 8 * run.model.vocabulary == account(run.model, (16,)).flops


def test_the_report_shows_text_that_the_model_writes(run):
    page = (run.folder / "report.html").read_text()
    assert "Loss against" not in page or "Samples" in page
    assert "Temperature 0.8" in page and "<pre>" in page
    assert "nats_per_token" in run._repr_html_()


def test_a_published_model_is_measured_on_other_text_with_its_own_tokenizer(run, tmp_path):
    again = zoo.evaluate(run.folder)
    assert again["nats_per_token"] == pytest.approx(run.scores["nats_per_token"], rel=1e-6)
    (tmp_path / "other.txt").write_text("dog hat ape cat mat\n" * 60)
    other = zoo.evaluate(run.folder, data=tmp_path / "other.txt")
    assert other["nats_per_token"] > again["nats_per_token"]
    (tmp_path / "foreign.txt").write_text("Zebra\n" * 100)
    with pytest.raises(ValueError, match=r"text must consist of the tokenizer's .* characters, got 'Z'"):
        zoo.evaluate(run.folder, data=tmp_path / "foreign.txt")


def test_splits_in_tokens_of_another_tokenizer_are_refused(run):
    own = SENTENCES.replace("a", "z")
    splits = data.text.from_texts(own, own, own, name="mine", context=16, batch_size=1)
    with pytest.raises(ValueError, match="mine must be in tokens of the model's tokenizer"):
        zoo.evaluate(run.folder, data=splits)
    short = data.text.from_texts("ab" * 40, "ab" * 20, "ab" * 20, name="mine", context=16, batch_size=1)
    with pytest.raises(ValueError, match=r"mine must have a vocabulary of .* windows of at most 16"):
        zoo.evaluate(run.folder, data=short)


def test_a_tokenizer_of_another_size_is_refused(run, tmp_path):
    folder = cards.copy(run.folder / "model", tmp_path / "model")
    other = data.text.CharacterTokenizer("abc").to_json()
    (folder / "tokenizer.json").write_text(other)
    with pytest.raises(ValueError, match=r"tokenizer\.json is corrupted"):
        saved_model.load(folder)
    card = json.loads((folder / "card.json").read_text()) | {"files": cards.hashes(folder)}
    (folder / "card.json").write_text(json.dumps(card_form.sealed(card)))
    with pytest.raises(ValueError, match=r"tokenizer\.json must have the \d+ tokens of the model, got 3"):
        saved_model.load(folder)


def test_a_translator_learns_and_is_published_with_both_tokenizers(translator):
    assert translator.scores["exact_match"] == 1.0
    assert translator.scores["nats_per_token"] < 0.2
    folder = translator.folder / "model"
    model = saved_model.load(folder)
    assert model.source_tokenizer == model.target_tokenizer == toys.LETTERS
    assert model.generate(["a", "c"]) == ["a", "ccc"]
    plain = tf.saved_model.load(str(folder))
    for name in ("serve", "translate"):
        inputs, outputs = saved_model.golden(folder, name)
        np.testing.assert_allclose(getattr(plain, name)(*inputs), outputs, rtol=1e-5)
    card = cards.read(folder)
    assert card["flops_of"] == "a source of 2 tokens and a target of 4"
    assert card["flops"] == account(model, [(2,), (4,)]).flops == 2 * (16 * 8 + 8 * 4 * 6)


def test_padding_counts_neither_in_loss_nor_in_accuracy_of_a_translator(translator):
    _, starts, targets = keras.tree.flatten(next(iter(toys.repeated_letters().test)))
    sources = keras.tree.flatten(next(iter(toys.repeated_letters().test)))[0]
    logits = translator.model([sources, starts])
    losses = translator.model.compute_loss(y=targets, y_pred=logits)
    log_p = keras.ops.log_softmax(logits)
    chosen = np.take_along_axis(np.asarray(log_p), np.asarray(targets)[..., None], axis=-1)[..., 0]
    assert float(losses) == pytest.approx(-chosen[np.asarray(targets) != 0].mean(), rel=1e-5)
    assert translator.history[-1]["val_accuracy"] == 1.0


@pytest.mark.filterwarnings("error:Your input ran out of data")
def test_two_replicas_train_a_language_model_like_one(recipe, mirrored):
    def trained(strategy):
        learner = recipe.override({"dropout": 0, "epochs": 1}).learner(Resources(strategy))
        learner.train(0, after := After())
        return learner, after.logs

    (one, logs), (two, same_logs) = trained(tf.distribute.get_strategy()), trained(mirrored)
    assert two.replicas == 2
    # The validation split has an odd number of windows.
    assert one.splits.spec.validation % 2 == 1
    assert same_logs == pytest.approx(logs, abs=1e-5)
    for name, value in one.state().items():
        if name.startswith("model/"):
            np.testing.assert_allclose(value, two.state()[name], atol=1e-5, err_msg=name)


class After:
    """Keeps the logs of a unit."""

    def step(self, done, steps, logs):
        pass

    def __call__(self, logs):
        self.logs = logs
        return False
