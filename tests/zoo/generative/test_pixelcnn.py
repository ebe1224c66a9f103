"""The PixelCNN against sums over all images, and its drawing loop against the whole network."""

import contextlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare

from curvezoo import zoo
from curvezoo.losses import NegativeLogDensity
from curvezoo.zoo.generative import PixelCNN
from curvezoo.zoo.generative.raster import fill
from curvezoo.zoo.generative.symbols import Symbols
from curvezoo.zoo.language.filters import draw

SMALL = {"filters": 4, "blocks": 3, "first_kernel_size": 3}


@contextlib.contextmanager
def dtype_policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture
def half():
    with dtype_policy("mixed_bfloat16"):
        yield


@pytest.fixture
def double():
    with dtype_policy("float64"):
        yield


def model(shape, **settings):
    """Returns a model whose weights are random, those that start at zero included."""
    keras.utils.set_random_seed(0)
    built = PixelCNN(shape, **SMALL | settings)
    rng = np.random.default_rng(0)
    built.set_weights([w + rng.normal(scale=0.3, size=w.shape) for w in built.get_weights()])
    return built


def all_images(shape, levels=2):
    """Returns every image with pixels k / (levels - 1), [L^(H W C), H, W, C]."""
    levels = list(itertools.product(range(levels), repeat=int(np.prod(shape))))
    return np.array(levels, "float32").reshape(-1, *shape) / max(map(max, levels))


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((3, 3, 1), {}),
        ((3, 3, 1), {"classes": 2}),
        ((2, 4, 1), {"patch": 2, "hidden": 5}),
        ((2, 2, 2), {}),
        ((2, 2, 1), {"levels": 5}),
    ],
)
def test_the_probabilities_of_all_images_sum_to_one(shape, settings, double):
    images, levels = all_images(shape, settings.get("levels", 2)), settings.get("levels", 2)
    inputs = [images, np.ones(len(images), "int32")] if "classes" in settings else images
    nats = np.asarray(model(shape, **settings)(inputs))[:, 0]
    if levels > 2:
        nats = nats - np.prod(shape) * np.log(levels)  # A density on [0, 1].
    assert nats.dtype == np.float64
    assert np.ptp(nats) > 1
    assert np.exp(nats).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_logit_depends_on_every_earlier_symbol_and_on_no_other(patch, double):
    network, count = model((4 * patch, 5 * patch, 1), patch=patch, blocks=4, filters=8).network, 20
    inputs = tf.constant(np.random.default_rng(0).normal(size=(1, 4, 5, patch**2)))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = tf.reshape(network.logits(inputs)[..., 0], [-1])
    jacobian = np.asarray(tape.jacobian(logits, inputs)).reshape(count, count, patch**2)
    earlier = np.tri(count, k=-1, dtype=bool)[..., None]
    np.testing.assert_array_equal(jacobian != 0, np.broadcast_to(earlier, jacobian.shape))


def one_by_one(built, known, rows, uniforms, labels=None):
    """Returns the symbols that `fill` returns, by running the whole network for each of them."""
    numbers = np.array(known)
    for y, x in itertools.product(range(rows, known.shape[1]), range(known.shape[2])):
        logits = built.logits(built.network.symbols.images(numbers), labels)[:, y, x]
        numbers[:, y, x] = draw(logits, uniforms[:, y * known.shape[2] + x], 1.0)
    return numbers


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((6, 8, 1), {"patch": 2, "hidden": 5}),
        ((4, 5, 1), {"levels": 17}),
        ((5, 4, 1), {"classes": 3, "kernel_size": 5, "first_kernel_size": 7}),
    ],
)
def test_the_loop_draws_what_the_whole_network_run_for_each_symbol_draws(shape, settings, double):
    built, rng = model(shape, **settings), np.random.default_rng(4)
    symbols = built.network.symbols
    known = rng.integers(0, symbols.values, (7, *symbols.grid)).astype("int32")
    uniforms = rng.uniform(size=(7, known[0].size)).astype("float32")
    labels = np.arange(7, dtype="int32") % 3 if "classes" in settings else None
    # One graph for both numbers of rows.
    program = tf.function(fill)
    for rows in (0, 2):
        filled = program(built.network, known, tf.constant(rows), uniforms, labels)
        np.testing.assert_array_equal(filled, one_by_one(built, known, rows, uniforms, labels))
        np.testing.assert_array_equal(filled[:, :rows], known[:, :rows])
        assert np.all(np.any(filled[:, rows:] != known[:, rows:], axis=(1, 2)))


def test_drawn_images_have_the_frequencies_of_their_probabilities():
    built, count = model((2, 2, 1)), 20_000
    places = 2 ** np.arange(4)
    counts = np.bincount((built.sample(count).reshape(count, 4) @ places).astype(int), minlength=16)
    images = all_images((2, 2, 1))
    expected = np.exp(built.log_prob(images).astype("float64"))[np.argsort(images.reshape(-1, 4) @ places)]
    assert chisquare(counts, count * expected / expected.sum()).pvalue > 0.01


def test_images_drawn_in_half_precision_have_the_probabilities_of_the_model(half):
    built, every = model((1, 2, 1)), all_images((1, 2, 1))
    drawn = built.sample(1000)[:, 0, :, 0] @ [2, 1]
    expected = np.exp(built.log_prob(every).astype("float64"))
    assert (
        chisquare(np.bincount(drawn.astype(int), minlength=4), 1000 * expected / expected.sum()).pvalue > 0.01
    )


def test_images_of_given_and_of_drawn_classes_can_be_drawn_in_any_order():
    built = model((2, 2, 1), classes=2)
    expected = built.sample(3, labels=1)
    for count in (2, 3):
        assert built.sample(count).shape == (count, 2, 2, 1)
        np.testing.assert_array_equal(built.sample(count, labels=1), expected[:count])


def test_labels_change_images_and_their_probabilities():
    built = model((4, 4, 1), classes=3)
    images = built.sample(50, seed=1, labels=2)
    assert np.any(images != built.sample(50, seed=1, labels=1))
    np.testing.assert_array_equal(images[7:8], built.sample(8, seed=1, labels=[0] * 7 + [2])[7:])
    nats = [built.log_prob(images, labels=k) for k in range(3)]
    assert np.all(np.abs(nats[0] - nats[1]) > 1e-4)
    np.testing.assert_array_equal(built.log_prob(images, np.full(50, 2)), nats[2])
    # A drawn class is each of the three with probability 1/3.
    drawn, parts = built.sample(3000, seed=5), [built.sample(3000, seed=5, labels=k) for k in range(3)]
    same = np.mean([np.all(drawn == part, axis=(1, 2, 3)) for part in parts], axis=1)
    assert np.all(same > 1 / 3 - 0.04)


def test_completed_images_keep_their_first_rows():
    built = model((6, 4, 1), patch=2)
    images = np.random.default_rng(0).integers(0, 2, (5, 6, 4, 1)).astype("float32")
    np.testing.assert_array_equal(built.complete(images, 6), images)
    completed = built.complete(images, 4, seed=2)
    np.testing.assert_array_equal(completed[:, :4], images[:, :4])
    assert np.any(completed[:, 4:] != images[:, 4:])
    np.testing.assert_array_equal(built.complete(images, 0, seed=2), built.sample(5, seed=2))


def test_symbols_and_images_are_inverse_and_noise_below_one_level_changes_nothing():
    symbols = Symbols((4, 6, 1), levels=3, patch=2)
    images = np.random.default_rng(0).integers(0, 3, (5, 4, 6, 1)) / 2
    numbers = symbols.numbers(symbols.pixels(images))
    np.testing.assert_array_equal(symbols.images(numbers), images)
    # The first symbol is the first 2x2 pixels.
    np.testing.assert_array_equal(
        numbers[:, 0, 0], (2 * images[:, :2, :2]).reshape(5, -1) @ 3 ** np.arange(4)
    )
    noisy = (2 * images + np.random.default_rng(1).uniform(0, 1, images.shape)) / 3
    np.testing.assert_array_equal(symbols.pixels(noisy), symbols.pixels(images))


@pytest.mark.equation("7.2.1")
def test_the_loss_is_the_divergence_from_the_data_plus_their_entropy(double):
    images = all_images((2, 2, 1))
    data = np.random.default_rng(0).dirichlet(np.ones(16))
    built, loss = model((2, 2, 1)), NegativeLogDensity(dtype="float64")

    def divergence():
        return np.sum(data * (np.log(data) - np.asarray(built(images))[:, 0]))

    entropy = -np.sum(data * np.log(data))
    # N images in proportion to the data's distribution, as weights, in place of samples.
    exact = float(loss(images, built(images), sample_weight=16 * data))
    assert exact == pytest.approx(divergence() + entropy, rel=1e-12)
    # Samples give it within their error.
    nats = np.asarray(built(images))[:, 0]
    drawn = np.random.default_rng(1).choice(16, 40_000, p=data)
    error = np.sqrt(np.sum(data * nats**2) - np.sum(data * nats) ** 2) / 200
    assert abs(-nats[drawn].mean() - exact) < 4 * error
    # Minimizing it brings the model to the data: the divergence vanishes, and the loss is the entropy.
    optimizer = keras.optimizers.Adam(0.03)
    before = divergence()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(images, built(images), sample_weight=16 * data)
        variables = built.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))

    for _ in range(300):
        step()
    assert divergence() < 1e-3 * before


def test_a_few_epochs_on_digits_beat_the_best_model_of_independent_pixels():
    keras.utils.set_random_seed(0)
    recipe = zoo.recipe("pixelcnn_digits")
    splits = recipe.objective.prepare(recipe.data.load(seed=0), 0)
    built = recipe.model.build(splits.spec)
    built.compile(keras.optimizers.Adam(3e-3), recipe.objective.loss())
    train = np.concatenate([images for images, _ in splits.train])
    test = np.concatenate([images for images, _ in splits.test])
    built.fit(train, train, epochs=5, verbose=0)
    frequency = np.clip(train.mean(axis=0), 1e-3, 1 - 1e-3)
    independent = np.mean(test * np.log(frequency) + (1 - test) * np.log1p(-frequency), axis=0).sum()
    assert built.log_prob(test).mean() > independent + 1


def test_a_saved_model_has_the_same_probabilities_and_draws(tmp_path):
    built = model((4, 4, 1), patch=2, classes=2, dropout=0.2)
    built.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = built.sample(6, labels=1)
    np.testing.assert_array_equal(loaded.log_prob(images, 1), built.log_prob(images, 1))
    np.testing.assert_array_equal(loaded.sample(6, labels=1), images)


def test_two_replicas_make_the_step_of_one_device(mirrored):
    images = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 1)).astype("float32")

    def trained(strategy):
        with strategy.scope():
            built = model((4, 4, 1))
            built.compile(keras.optimizers.SGD(0.1), NegativeLogDensity())
        built.fit(tf.data.Dataset.from_tensor_slices((images, images)).batch(8).repeat(2), verbose=0)
        return built.get_weights()

    alone, together = trained(tf.distribute.get_strategy()), trained(mirrored)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PixelCNN((4, 4)), r"shape must be a tuple of 3 integers, got \(4, 4\)"),
        (lambda: PixelCNN((4, 4, 0)), r"shape\[2\] must be an integer of at least 1, got 0"),
        (lambda: PixelCNN((5, 4, 1), patch=2), r"patch must divide the sides of an image \(5, 4, 1\), got 2"),
        (lambda: PixelCNN((4, 4, 1), levels=1), "levels must be an integer of at least 2, got 1"),
        (lambda: PixelCNN((4, 4, 1), 256, 2), r"a symbol must have at most 1024 values, got 256\^4: choose"),
        (lambda: PixelCNN((4, 4, 1), blocks=0), "blocks must be an integer of at least 1, got 0"),
        (lambda: PixelCNN((4, 4, 1), kernel_size=2), "kernel_size must be an odd integer, got 2"),
    ],
)
def test_an_error_names_the_wrong_setting(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, c: m.sample(2, labels=1), "labels must be left out for pixelcnn, which has no classes"),
        (lambda m, c: c.sample(2, labels=3), "labels must be a class from 0 to 2, got 3"),
        (
            lambda m, c: c.sample(2, labels=[0, 1, 2]),
            r"labels must be an integer or 2 integers, got \[0, 1, 2\]",
        ),
        (lambda m, c: c.sample(2, labels=0.5), "labels must be an integer or 2 integers, got 0.5"),
        (
            lambda m, c: c.log_prob(np.zeros((1, 4, 4, 1))),
            "labels must be given for pixelcnn, which depends on",
        ),
        (lambda m, c: m.log_prob(np.zeros((1, 4, 5, 1))), r"images must have shape \[N, 4, 4, 1\]"),
        (
            lambda m, c: m.complete(np.zeros((1, 4, 4, 1)), 3),
            "rows must be a multiple of 2, the side of a pa",
        ),
        (lambda m, c: m.complete(np.zeros((1, 4, 4, 1)), 5), "rows must be an integer from 0 to 4, got 5"),
    ],
)
def test_an_error_names_the_wrong_argument(call, message, pair):
    with pytest.raises(ValueError, match=message):
        call(*pair)


@pytest.fixture(scope="module")
def pair():
    return model((4, 4, 1), patch=2), model((4, 4, 1), classes=3)
