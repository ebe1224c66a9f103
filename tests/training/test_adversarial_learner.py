"""Adversarial runs: killed and resumed, exported, measured, and on other data."""

import json

import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.publishing import measures, saved_model
from curvezoo.publishing.measures.adversarial import Adversarial, Networks
from curvezoo.theory.clustering import matching
from curvezoo.training import checkpoints, runs
from curvezoo.training.learner import Resources

# Narrow networks on some of the digits, for three epochs.
SMALL = {
    "epochs": 3,
    "subset": 256,
    "batch_size": 32,
    "generator_filters": (8, 4),
    "discriminator_filters": (4, 8),
}
NAMES = ("dcgan_digits", "infogan_digits")


def recipe(name, **settings):
    return zoo.catalogue.recipe(name).override({**SMALL, **settings})


def state(folder):
    return checkpoints.read(checkpoints.latest(folder / "checkpoints"))[0]


@pytest.fixture(scope="module")
def killed(kill_training, tmp_path_factory):
    """A run in a process of its own, killed after its first checkpoint."""
    return kill_training("infogan_digits", SMALL, tmp_path_factory.mktemp("killed") / "run")


@pytest.fixture(scope="module")
def whole(killed, tmp_path_factory):
    """Runs of both recipes, by name."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: runs.train(recipe(name), folder / name, progress=False) for name in NAMES}


@pytest.fixture(scope="module")
def resumed(killed):
    assert not (killed / "model").exists()
    return runs.train(recipe("infogan_digits"), killed, resume=True, progress=False)


def test_a_killed_run_resumes_to_the_state_of_an_uninterrupted_one(whole, resumed):
    one, other = state(whole["infogan_digits"].folder), state(resumed.folder)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert resumed.scores == whole["infogan_digits"].scores
    parts = {name.partition("/")[0] for name in one}
    expected = {"generator", "generator.optimizer", "discriminator", "discriminator.optimizer"}
    assert parts == expected


def test_endpoints_return_their_golden_outputs_and_what_the_models_do(whole):
    for name, run in whole.items():
        folder = run.folder / "model"
        loaded = tf.saved_model.load(str(folder))
        endpoints = ["sample", "decode", "discriminate"]
        endpoints += ["sample_codes", "codes"] if name == "infogan_digits" else []
        for endpoint in endpoints:
            inputs, outputs = saved_model.golden(folder, endpoint)
            results = getattr(loaded, endpoint)(*map(tf.constant, inputs))
            parts = results if isinstance(results, dict) else {"": results}
            expected = outputs if isinstance(outputs, dict) else {"": outputs}
            assert parts.keys() == expected.keys()
            for key, value in expected.items():
                np.testing.assert_allclose(parts[key], value, atol=1e-5, err_msg=f"{endpoint} {key}")
        generator = saved_model.load(folder)
        np.testing.assert_allclose(
            loaded.sample(tf.constant(5), tf.constant(7)), generator.sample(5, seed=7), atol=1e-5
        )


def test_the_critics_codes_are_a_distribution_for_each_image(whole):
    folder = whole["infogan_digits"].folder / "model"
    loaded, critic = tf.saved_model.load(str(folder)), saved_model.load(folder, "critic")
    images = np.concatenate([x for x, _ in data.load("digits").test.as_numpy_iterator()])[:9]
    codes = loaded.codes(tf.constant(images))
    np.testing.assert_allclose(tf.reduce_sum(codes["probabilities"], axis=1), 1, rtol=1e-5)
    _, logits, means, log_stds = critic(images)
    np.testing.assert_allclose(codes["probabilities"], tf.nn.softmax(logits), rtol=1e-4)
    np.testing.assert_allclose(codes["means"], means, atol=1e-5)
    np.testing.assert_allclose(codes["stds"], np.exp(log_stds), rtol=1e-4)


def test_the_card_is_measured_again_with_the_same_scores(whole):
    for name, run in whole.items():
        again = zoo.evaluate(run.folder)
        for key, value in run.scores.items():
            assert again[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
        card = json.loads((run.folder / "model" / "card.json").read_text())
        assert card["measure"] == card["recipe"]["kind"] == "adversarial"
        assert ("code_error" in again) == (name == "infogan_digits")
        assert "</html>" in (run.folder / "report.html").read_text()
        models = [saved_model.load(run.folder, part) for part in ("", "critic")]
        assert card["parameters"] == sum(model.count_params() for model in models)


def test_the_code_error_is_that_of_the_matched_most_probable_category(whole):
    folder = whole["infogan_digits"].folder
    critic = saved_model.load(folder, "critic")
    images, labels = map(np.concatenate, zip(*data.load("digits").test.as_numpy_iterator(), strict=True))
    _, error = matching(np.argmax(critic(images)[1], axis=1), labels)
    assert whole["infogan_digits"].scores["code_error"] == pytest.approx(error, abs=1e-9)
    # Clusters of pixels separate small digits well; 0.9 is chance.
    assert 0.1 < whole["infogan_digits"].scores["kmeans_error"] < 0.35


def test_fewer_test_images_than_categories_are_a_cluster_each(whole):
    folder = whole["infogan_digits"].folder
    networks = Networks(saved_model.load(folder), saved_model.load(folder, "critic"))
    images = np.random.default_rng(0).random((3, 8, 8, 1)), np.arange(3)
    measured = Adversarial().measure(networks, data.from_arrays(images, images, images, classes=3), {})
    assert measured.scores["kmeans_error"] == 0


def test_networks_of_another_image_shape_are_rejected(whole):
    networks = Networks(saved_model.load(whole["dcgan_digits"].folder), None)
    with pytest.raises(ValueError, match=r"mnist must have .* \(8, 8, 1\), .* got \(28, 28, 1\)"):
        measures.get("adversarial").check(networks, data.spec("mnist"))
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\)"):
        zoo.evaluate(whole["dcgan_digits"].folder, data="mnist")


def test_a_run_on_other_images_learns_from_them(tmp_path):
    images = np.random.default_rng(0).uniform(size=(96, 8, 8, 3)).astype("float32")
    parts = [(images[i:j], np.arange(j - i) % 3) for i, j in ((0, 64), (64, 80), (80, 96))]
    splits = data.from_arrays(*parts, classes=3, name="noise", batch_size=32)
    run = zoo.train(
        "dcgan_digits",
        tmp_path / "run",
        data=splits,
        progress=False,
        **{**SMALL, "subset": None, "epochs": 1},
    )
    assert run.model.sample(2).shape == (2, 8, 8, 3)
    # No published classifier knows these images.
    assert set(run.scores) == {"real_accuracy", "fake_accuracy", "diversity", "examples"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of non_saturating, saturating, got 'hinge'"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\)"),
        ({"penalty": "gp"}, "penalty must be one of zero_centered, unit_norm, got 'gp'"),
        ({"penalty_weight": -1.0}, "penalty_weight must be"),
        ({"discriminator_steps": 0}, "discriminator_steps must be an integer of at least 1"),
        ({"information": -1.0}, "information must be"),
        ({"information_warmup": -1.0}, "information_warmup must be"),
        ({"information_delay": 3.0}, "information_delay must be less than epochs=3, got 3"),
        ({"generator_optimizer.name": "lbfgs"}, "generator_optimizer must be one of adam, adamw"),
        (
            {"discriminator_optimizer.warmup": 3.0},
            "warmup of discriminator_optimizer must be less than epochs=3",
        ),
        ({"learning_rate": 0.1}, "it could be generator_optimizer.learning_rate or discriminator_opt"),
    ],
)
def test_settings_that_are_not_valid_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe("infogan_digits", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 1}, "at least 2 images to each step and replica, because generator .* got 1"),
        ({"discriminator_steps": 3}, "batch_size must be a multiple of discriminator_steps=3, got 32"),
        ({"penalty_weight": 1.0, "normalization": "batch"}, "penalty_weight must be 0 for a critic"),
    ],
)
def test_batches_that_networks_cannot_learn_from_are_rejected_before_training(settings, message):
    with pytest.raises(ValueError, match=message):
        recipe("dcgan_digits", **settings).learner(Resources(tf.distribute.get_strategy()))


def test_settings_survive_a_card(whole):
    for name, run in whole.items():
        card = json.loads((run.folder / "model" / "card.json").read_text())
        restored = zoo.catalogue.recipe(name).restored(card["recipe"])
        assert restored.settings() == recipe(name).settings()
