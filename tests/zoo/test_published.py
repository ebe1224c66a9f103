"""Every published model: its files, its golden outputs by three readers, its numbers."""

import dataclasses
import functools
import math
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.data.splits import Splits
from curvezoo.publishing import cards, saved_model
from curvezoo.publishing.accounting import totals
from curvezoo.publishing.measures import games, returns, variational
from curvezoo.training.kinds import kind_of
from curvezoo.training.parts import kinds
from curvezoo.zoo import drawing, writing

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
# Negative log-likelihoods that trained models do not exceed.
EXPECTED_NATS = {
    "transformer_text": 1.35,
    "transformer_shakespeare": 1.6,
    "lstm_shakespeare": 1.7,
    "rnn_shakespeare": 1.85,
    "seq2seq_numbers": 0.01,
    "seq2seq_dates": 0.01,
}
# The same for the images of generative models, in nats an image.
EXPECTED_IMAGES = {
    "vae_mnist": {"neg_elbo": 95.0, "is_nll": 90.0},
    "beta_vae_mnist": {"neg_elbo": 120.0, "rate": 12.0},
    "pixelcnn_mnist": {"nll": 84.5},
    "realnvp_mnist": {"bits_per_dim": 1.5},
    # A third of the error of principal components.
    "autoencoder_mnist": {"reconstruction": 4.6},
    "infogan_mnist": {"code_error": 0.1, "kid": 0.05},
}
# Mean returns over all episodes of all agents that trained agents reach.
EXPECTED_RETURNS = {
    **dict.fromkeys(
        [
            f"{name}_cartpole"
            for name in ("vpg", "trpo", "ppo", "ppo_kl", "dqn", "qr_dqn", "double_dqn", "c51")
        ],
        475,
    ),
    "ppo_acrobot": -90,
    "dqn_acrobot": -90,
    "ddpg_pendulum": -180,
    "ppo_pendulum": -200,
    "trpo_pendulum": -250,
    "ppo_lunarlander": 200,
    "ppo_halfcheetah": 1400,
}
# Results of matches that trained networks reach, at least.
EXPECTED_MATCHES = {
    "alphazero_tic_tac_toe": {"minimax_losses": 0},
    "alphazero_connect_four": {"one_step_wins": 0.95, "mcts_score": 0.6, "raw_score": 0.6, "first_move": 3},
}
MEASURES = {name: zoo.describe(name)["card"]["measure"] for name in PUBLISHED}
GENERATIVE = [name for name, measure in MEASURES.items() if measure in drawing.MEASURES]
WRITERS = [name for name, measure in MEASURES.items() if measure in writing.MEASURES]
# Their measurement takes a minute or more: they are measured again on the first images alone.
COSTLY = [name for name in GENERATIVE if zoo.describe(name)["data"] == "mnist"]
AGENTS = [name for name, measure in MEASURES.items() if measure == "returns"]
GAMES = [name for name, measure in MEASURES.items() if measure == "games"]
# What extras an agent's environment needs.
SIMULATORS = {"ppo_halfcheetah": "mujoco", "ppo_lunarlander": "Box2D"}
# Data sets that need no download.
EMBEDDED = ("digits", "text", "numbers", "dates")
CLASSIFIERS = [name for name, measure in MEASURES.items() if measure == "classification"]


@functools.cache
def plain(name):
    """The SavedModel of a published model as plain TensorFlow reads it; large graphs take seconds to load."""
    return tf.saved_model.load(str(cards.folder_of(name)))


def test_all_expected_models_are_published():
    assert {*EXPECTED, *EXPECTED_NATS, *EXPECTED_IMAGES, *EXPECTED_RETURNS, *EXPECTED_MATCHES} <= set(
        PUBLISHED
    )


# A generator has no forward pass of images.
SERVING = [name for name in PUBLISHED if MEASURES[name] != "adversarial"]


@pytest.mark.parametrize("name", SERVING)
def test_keras_tensorflow_and_tfsm_layer_reproduce_the_golden_outputs(name):
    folder = cards.folder_of(name)
    inputs, outputs = saved_model.golden(folder)
    model = zoo.load(name)
    # The forward pass of a variational autoencoder draws at random.
    call = model.encoded if MEASURES[name] == "variational" else model
    readers = [lambda *arrays: call(arrays[0] if len(arrays) == 1 else list(arrays)), plain(name).serve]
    if len(inputs) == 1:
        readers.append(keras.layers.TFSMLayer(str(folder), call_endpoint="serve"))
    for read in readers:
        first = [array[:1] for array in inputs]
        for found, expected in zip(listed(read(*inputs)), listed(outputs), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        for found, expected in zip(listed(read(*first)), listed(outputs), strict=True):
            np.testing.assert_allclose(found, expected[:1], rtol=1e-4, atol=1e-4)


def listed(outputs):
    """Returns the outputs of a model, or of an endpoint by their names in order, as a list."""
    if isinstance(outputs, dict):
        return [outputs[name] for name in sorted(outputs)]
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("name", WRITERS)
def test_plain_tensorflow_writes_the_golden_tokens_of_a_language_model_or_translator(name):
    folder = cards.folder_of(name)
    endpoint = "translate" if hasattr(plain(name), "translate") else "generate"
    inputs, outputs = saved_model.golden(folder, endpoint)
    np.testing.assert_array_equal(getattr(plain(name), endpoint)(*inputs), outputs)


@pytest.mark.parametrize("name", GENERATIVE)
def test_plain_tensorflow_repeats_every_golden_output_of_a_generative_model(name):
    folder = cards.folder_of(name)
    with np.load(folder / "golden.npz") as stored:
        endpoints = {key.partition(".")[0] for key in stored.files}
    assert "sample" in endpoints
    for endpoint in endpoints:
        inputs, outputs = saved_model.golden(folder, endpoint)
        results = getattr(plain(name), endpoint)(*inputs)
        for repeated, kept in zip(tf.nest.flatten(results), tf.nest.flatten(outputs), strict=True):
            # A uniform number next to a probability may fall to either side of it on another processor.
            tolerance = 1e-4 if kept.dtype.kind == "f" else 0
            assert np.mean(np.abs(np.asarray(repeated) - kept) > tolerance * (1 + np.abs(kept))) < 1e-2


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_probabilities_are_the_softmax_of_its_logits(name):
    folder = cards.folder_of(name)
    [inputs], outputs = saved_model.golden(folder)
    probabilities = keras.ops.softmax(outputs)
    np.testing.assert_allclose(plain(name).probabilities(inputs), probabilities, rtol=1e-4, atol=1e-5)
    for read, kept in zip(
        saved_model.golden(folder, "probabilities"), ([inputs], probabilities), strict=True
    ):
        np.testing.assert_allclose(read, kept, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_card_has_the_right_counts_and_the_current_recipe(name):
    card, folder = zoo.describe(name)["card"], cards.folder_of(name)
    others = [path.name.removesuffix(".config.json") for path in folder.glob("*.config.json")]
    models = [saved_model.load(folder, model) for model in ("", *others)]
    inputs = saved_model.golden(folder)[0] if name in SERVING else []
    assert (card["parameters"], card["flops"]) == totals(models, [array.shape[1:] for array in inputs])
    assert zoo.recipe(name).restored(card["recipe"]).settings() == zoo.recipe(name).settings()
    for key, least in EXPECTED.get(name, {}).items():
        assert card["metrics"][key] >= least
    assert card["metrics"].get("nats_per_token", 0) <= EXPECTED_NATS.get(name, 0)
    for key, most in EXPECTED_IMAGES.get(name, {}).items():
        assert card["metrics"][key] <= most
    for key, least in EXPECTED_MATCHES.get(name, {}).items():
        value = card["metrics"][key]
        assert value == least if key in ("first_move", "minimax_losses") else value >= least
    if name in EXPECTED_RETURNS:
        assert card["metrics"]["return_mean"] >= EXPECTED_RETURNS[name]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if source in EMBEDDED else [pytest.mark.dataset(source)])
        for name in PUBLISHED
        if name not in (*COSTLY, *AGENTS, *GAMES)
        for source in [zoo.describe(name)["data"]]
    ],
)
def test_evaluating_again_reproduces_the_numbers_of_the_card(name):
    scores, card = zoo.evaluate(name), zoo.describe(name)["card"]
    for key, value in card["metrics"].items():
        if isinstance(value, float):
            assert scores[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


@functools.cache
def first_images(name):
    """The splits of images whose test split is its first batch, with the same random pixels."""
    full = data.load(name)
    spec = dataclasses.replace(full.spec, test=500)
    return Splits(spec, full.batch_size, full.batches, full.validation, full.test.take(1))


@pytest.mark.dataset("mnist")
@pytest.mark.parametrize("name", COSTLY)
def test_the_first_images_have_the_scores_of_the_card_within_standard_errors(name, monkeypatch):
    monkeypatch.setattr(variational, "_WEIGHTED_IMAGES", 100)
    card, folder = zoo.describe(name)["card"], cards.folder_of(name)
    kind = kind_of(card)
    scores = kind.measure_published(card, kind.load_published(folder), first_images("mnist")).scores
    card = card["metrics"]
    # Standard errors grow as the root of the number of images falls. Of the samples' scores, the Fréchet
    # distance, precision and recall are left out, because their bias depends on the number of images.
    fewer = math.sqrt(card["examples"] / scores["examples"])
    for key, error in (("nll", "nll_error"), ("neg_elbo", "neg_elbo_error"), ("kid", "kid_error")):
        if key in card:
            assert abs(scores[key] - card[key]) < 5 * fewer * card[error], key
    if "nll" in card:
        assert scores["bits_per_dim"] / scores["nll"] == pytest.approx(card["bits_per_dim"] / card["nll"])
        assert scores["nll_error"] == pytest.approx(fewer * card["nll_error"], rel=0.2)
    if "neg_elbo" in card:
        assert scores["distortion"] + scores["rate"] == pytest.approx(scores["neg_elbo"], rel=1e-5)
        for key in ("distortion", "rate"):
            # Both terms grow with the complexity of an image, so that each varies less than the sum.
            assert abs(scores[key] - card[key]) < 4 * fewer * card["neg_elbo_error"], key
        gap, exact = (each["neg_elbo"] - each["is_nll"] for each in (scores, card))
        assert abs(gap - exact) < 4 * math.sqrt(1000 / 100) * card["gap_error"]
        assert scores["active_units"] == card["active_units"]
    shares = ("confident", "least_class", "most_class", "real_accuracy", "fake_accuracy", "code_error")
    for key in shares:
        if key in card:
            error = math.sqrt(card[key] * (1 - card[key]) / scores["examples"])
            assert abs(scores[key] - card[key]) < 5 * error + 0.004, key


@pytest.mark.parametrize("name", AGENTS)
def test_agents_play_as_well_as_their_card_says(name, monkeypatch):
    if name in SIMULATORS:
        pytest.importorskip(SIMULATORS[name])
    monkeypatch.setattr(returns, "EPISODES", 10)
    scores, card = zoo.evaluate(name), zoo.describe(name)["card"]["metrics"]
    # Rounding differs between processors, and grows in long episodes: other episodes of the same policy.
    error = card["return_std"] * math.sqrt(1 / scores["episodes"] + 1 / card["episodes"])
    assert abs(scores["return_mean"] - card["return_mean"]) <= 5 * error + 1e-6


@pytest.mark.parametrize("name", GAMES)
def test_networks_play_games_as_well_as_their_card_says(name, monkeypatch):
    number = 8
    monkeypatch.setattr(games, "GAMES", number)
    monkeypatch.setattr(games, "PERFECT_GAMES", number)
    scores, card = zoo.evaluate(name), zoo.describe(name)["card"]["metrics"]
    assert scores["minimax_losses"] == card["minimax_losses"]
    for key in ("one_step_wins", "mcts_score", "raw_score"):
        # Rounding differs between processors, and a game may go another way.
        error = math.sqrt(max(card[key] * (1 - card[key]), 0.05) / number)
        assert abs(scores[key] - card[key]) <= 4 * error, key


@pytest.mark.parametrize("name", AGENTS)
def test_plain_tensorflow_acts_as_the_policies_of_all_agents(name):
    folder = cards.folder_of(name)
    for suffix in ("", "_agent_1", "_agent_2"):
        inputs, outputs = saved_model.golden(folder, f"act{suffix}")
        acted = np.asarray(getattr(plain(name), f"act{suffix}")(*inputs))
        np.testing.assert_allclose(acted, outputs, rtol=1e-3, atol=1e-3)


def test_a_saved_model_needs_no_curvezoo(tmp_path):
    code = (
        "import sys, numpy as np, tensorflow as tf; sys.modules['curvezoo'] = None\n"
        "stored = np.load(sys.argv[1] + '/golden.npz')\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "outputs = model.serve(stored['serve.inputs.0'])\n"
        "print(np.abs(outputs - stored['serve.outputs']).max())"
    )
    command = [sys.executable, "-c", code, str(cards.folder_of("cnn_digits"))]
    run = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert float(run.stdout) < 1e-4


def size_of_weights(path):
    """Returns the bytes of all arrays of a file, which must not have those of an optimizer."""
    arrays = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        assert "optimizer" not in file
        return sum(a.size * a.dtype.itemsize for a in arrays)


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_weight_is_stored_once_in_each_format_and_no_optimizer_state(name):
    folder, expected = cards.folder_of(name), 4 * zoo.describe(name)["card"]["parameters"]
    size = sum(size_of_weights(path) for path in folder.glob("*.weights.h5"))
    # The rest is the state of random generators.
    assert 0 <= size - expected < 100
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    # Scalars are left out: the checkpoint's own counter, and the counts of normalizers.
    assert abs(sum(4 * math.prod(shape) for _, shape in stored if shape) - expected) < 100
    # The graph and the formats themselves take up to half a megabyte, loops that write up to two, and a flow
    # with both of its directions up to three.
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 2.2 * expected + (
        {**dict.fromkeys(WRITERS, 2e6), **dict.fromkeys(GENERATIVE, 3e6)}.get(name, 5e5)
    )


def test_published_folders_are_small():
    """The first eight take less than 15 MB, and all together less than 100 MB."""
    sizes = {
        folder.name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for folder in cards.PUBLISHED.iterdir()
    }
    assert sum(sizes[name] for name in EXPECTED) < 1.5e7
    assert sum(sizes.values()) < 1e8


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_stays_valid_when_a_part_gains_a_setting(name, monkeypatch):
    """Loads, compares and measures a published model by recipes whose parts have one more field."""
    recipe, card = zoo.recipe(name), zoo.describe(name)["card"]

    def extended(part):
        fields = [("extra", float, dataclasses.field(default=0.5))]
        kind = dataclasses.make_dataclass(type(part).__name__, fields, bases=(type(part),), frozen=True)
        return kind(**{f.name: getattr(part, f.name) for f in dataclasses.fields(part)})

    names = (
        "data",
        "environment",
        "game",
        "play",
        "objective",
        "optimizer",
        "generator_optimizer",
        "penalty",
    )
    parts = {key: extended(getattr(recipe, key)) for key in names if hasattr(recipe, key)}
    longer = dataclasses.replace(recipe, **parts)
    restored = longer.restored(card["recipe"])
    assert restored.settings() == longer.settings()
    assert restored.differences(longer) == {}
    whole = next(key for key in ("environment", "play", "objective") if key in parts)
    assert restored.settings()[whole]["extra"] == 0.5
    if whole != "objective":
        return
    monkeypatch.setitem(kinds.OBJECTIVES, recipe.objective.kind, type(parts["objective"]))
    monkeypatch.setitem(kinds.DATA, recipe.data.kind, type(parts["data"]))
    assert zoo.load(name).count_params() <= card["parameters"]
    if recipe.data.name == "digits":
        scores = zoo.evaluate(name)
        for key, value in card["metrics"].items():
            if isinstance(value, float):
                assert scores[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


def test_a_notebook_shows_a_card_as_a_table():
    card = zoo.describe("cnn_digits")["card"]
    page = card._repr_html_()
    assert f"<th>metrics.accuracy</th><td>{card['metrics']['accuracy']}</td>" in page
    assert card["files"]["config.json"] not in page


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


def test_the_tables_in_the_readme_match_the_cards(request):
    from curvezoo.zoo import table

    expected = table.markdown([zoo.describe(name) for name in PUBLISHED])
    assert expected in (request.config.rootpath / "README.md").read_text(), "run `curvezoo list --markdown`"
