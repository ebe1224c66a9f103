"""`import curvezoo` lets Keras load every class of curvezoo, in a process that has used none of them."""

import copy
import importlib
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import curvezoo
from curvezoo import layers, losses, optimizers, registration, zoo
from curvezoo.agents.actions import CategoricalActions, DeterministicActions, GaussianActions, ValuedActions
from curvezoo.agents.policies import Policy
from curvezoo.zoo import generative as models
from curvezoo.zoo.language.recurrent import RecurrentLanguageModel
from curvezoo.zoo.language.transformer import TransformerLanguageModel
from curvezoo.zoo.language.translator import Translator

WORKER = pathlib.Path(__file__).with_name("registration_worker.py")
NAMES = {f"curvezoo>{name}": module for module, names in registration.CLASSES.items() for name in names}
X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X[:, :1] ** 2
LABELS = np.argmax(X, axis=-1)
OPTIMIZERS = {
    "Acceleration": (optimizers.Acceleration(), losses.LaplaceNLL(), Y),
    "Evolution": (optimizers.Evolution(), losses.CategoricalNLL(), LABELS),
    "HessianFree": (optimizers.HessianFree(), losses.GaussianNLL(), Y),
    "KFAC": (optimizers.KFAC(), losses.CategoricalNLL(), LABELS),
    "NaturalGradient": (optimizers.NaturalGradient(), losses.BernoulliNLL(), (Y > 1).astype("float32")),
    "Newton": (optimizers.Newton(), losses.GaussianNLL(), Y),
    "RMSProp": (
        optimizers.RMSProp(optimizers.learning_rate_schedule("constant", 0.01, 100, warmup_steps=1)),
        losses.StudentTNLL(3),
        Y,
    ),
}
LOSSES = {
    "CauchyNLL": losses.CauchyNLL(),
    "Huber": losses.Huber(),
    "MixtureNLL": losses.MixtureNLL(2),
    "NegativeLogLikelihood": None,
}
PRIORS = [losses.GaussianPrior(1.0, 16), losses.LaplacePrior(1.0, 16), losses.PowerPenalty(0.1, 1.5), None]
SAME = {"same outputs": True}
WRITERS = ("RecurrentLanguageModel", "TransformerLanguageModel", "Translator")
FULL_BATCH = [optimizers.BFGS(), optimizers.LBFGS(), optimizers.ConjugateGradient()]


def network(outputs, regularizer=None):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(4, "tanh", kernel_regularizer=regularizer)
    return keras.Sequential([keras.Input((3,)), hidden, keras.layers.Dense(outputs)])


def layered():
    """A model with every layer, to be read on every backend."""
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 2))
    x = layers.ConvBlock(4)(images)
    x = layers.UnitVarianceConv2D(4, 3, padding="same")(x)
    x = layers.ResidualBlock(4)(layers.BatchNormalization()(x))
    x = layers.ResidualDense()(layers.DenseBlock(6)(keras.layers.Flatten()(x)))
    x = layers.WeightNormalization(keras.layers.Dense(4))(layers.UnitVarianceDense(4)(x))
    x = layers.LayerNormLSTM(2)(layers.LSTM(2)(layers.ReLURNN(2)(keras.layers.Reshape((2, 2))(x))))
    x = layers.SinusoidalPositions(2)(layers.LearnedPositions(2)(x))
    x = layers.FeedForward(3)(layers.MultiHeadAttention(1)(layers.TransformerBlock(1)(x)))
    x = keras.layers.Flatten()(x)
    return keras.Model(images, layers.StraightThrough()(layers.GlobalScale()(x)))


def sampled():
    """A model with the layers that draw."""
    inputs = keras.Input((3,))
    mean, log_variance = keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)
    x = layers.GaussianSampling(seed=0)([mean, log_variance])
    return keras.Model(inputs, layers.GumbelSoftmax(seed=1)(x))


def sequence_models():
    """The models that write, each with tokens to read; a translator reads two arrays."""
    keras.utils.set_random_seed(0)
    tokens = np.array([[3, 1, 0], [2, 2, 4]], "int32")
    return {
        "RecurrentLanguageModel": (RecurrentLanguageModel(5, num_layers=1, width=2), tokens),
        "TransformerLanguageModel": (TransformerLanguageModel(5, 3, 1, width=2, heads=1), tokens),
        "Translator": (Translator(5, 5, 3, 3, 1, width=2, heads=1), np.stack([tokens, tokens[::-1]])),
    }


def generative():
    """Layers, losses and models of images, whose outputs are random or have several parts."""
    shape = (4, 4, 1)
    gans = [
        gan(generator((4, 4, 1), filters=(2, 2)), critic((4, 4, 1), filters=(2, 2)))
        for gan, generator, critic in (
            (models.GAN, models.DCGANGenerator, models.dcgan.critic),
            (models.InfoGAN, models.InfoGANGenerator, models.infogan.critic),
        )
    ]
    return [
        layers.AffineCoupling(),
        layers.CausalConv2D(2),
        layers.CouplingNetwork(2),
        layers.GatedCausalBlock(2),
        layers.Gaussianization(),
        layers.InvertibleConvolution(),
        layers.Logit(),
        layers.Squeeze(),
        layers.LogStd(),
        layers.RunningNormalization(),
        losses.Divergence(),
        losses.NegativeELBO(),
        losses.NegativeImportanceWeightedBound(),
        losses.NegativeLogDensity(),
        models.Autoencoder(shape, 2, (3,)),
        models.PixelCNN(shape, filters=2, blocks=1),
        models.RealNVP(shape, scales=1, couplings=1, width=2),
        models.VAE(shape, 2, (3,)),
        *gans,
    ]


def policies():
    """A policy, and the meanings of its outputs."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    return [
        Policy(network, CategoricalActions(2)),
        GaussianActions([-1.0], [1.0]),
        DeterministicActions([-1.0], [1.0]),
        ValuedActions(2),
    ]


def save(path, model, x, y=None, trains=False):
    model.save(path)
    measured = {"x": x, "outputs": model(list(x) if len(model.inputs) > 1 else x)}
    if y is not None:
        measured |= {"y": y, "loss": model.compute_loss(x, y, model(x))}
    np.savez(path.with_suffix(".npz"), **measured, **({"trains": True} if trains else {}))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of models, with a subfolder of models that contain only layers."""
    folder = tmp_path_factory.mktemp("saved")
    for name, (optimizer, loss, y) in OPTIMIZERS.items():
        model = network(3 if y is LABELS else 1)
        model.compile(optimizer, loss)
        save(folder / f"{name}.keras", model, X, y, trains=True)
    own = keras.saving.register_keras_serializable("curvezoo_tests")(standard_normal)
    priors = [
        losses.GaussianPrior(1.0, 16),
        losses.LaplacePrior(1.0, 16),
        losses.PowerPenalty(0.1, 1.5),
        None,
    ]
    for (name, loss), prior in zip(LOSSES.items(), priors, strict=True):
        model = network(6 if name == "MixtureNLL" else 1, prior)
        model.compile("sgd", loss or losses.NegativeLogLikelihood(own))
        save(folder / f"{name}.keras", model, X, Y)
    save(folder / "sampled.keras", sampled(), X)
    for name, (model, tokens) in sequence_models().items():
        save(folder / f"{name}.keras", model, tokens)
    digits = zoo.load("cnn_digits")
    save(folder / "cnn_digits.keras", digits, np.random.default_rng(0).uniform(size=(3, 8, 8, 1)))
    (folder / "layers").mkdir()
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype("float32")
    save(folder / "layers" / "layered.keras", layered(), images)
    bandits = [losses.BanditPolicyGradient(baseline="batch"), losses.BanditQLoss(0.2, seed=1)]
    classes = [losses.MaskedCategoricalNLL(padding=1), losses.ExpectedCalibrationError(bins=5)]
    others = [*FULL_BATCH, *generative(), *policies(), *bandits, *classes]
    configs = [keras.saving.serialize_keras_object(other) for other in others]
    (folder / "configs.json").write_text(json.dumps(configs))
    (folder / "layers" / "configs.json").write_text("[]")
    return folder


def standard_normal(y_pred):
    import tensorflow_probability as tfp

    return tfp.distributions.Normal(y_pred, 1.0)


def read(order, folder, **environment):
    run = subprocess.run(
        [sys.executable, WORKER, order, folder],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_saved_files_hold_every_registered_class(saved):
    text = (saved / "configs.json").read_text()
    for path in saved.rglob("*.keras"):
        with zipfile.ZipFile(path) as archive:
            text += archive.read("config.json").decode()
    assert [name for name in NAMES if json.dumps(name) not in text] == []


def test_import_curvezoo_then_keras_loads_every_model_and_continues_training(saved):
    result = read("curvezoo-first", saved)
    assert result["imported by curvezoo"] == []
    assert result["configs"] == json.loads((saved / "configs.json").read_text())
    expected = {name: {**SAME, "same loss": True, "optimizer": "SGD"} for name in LOSSES}
    for name in OPTIMIZERS:
        expected[name] = {**SAME, "same loss": True, "optimizer": name, "loss decreased": True}
    assert result["models"] == {
        **expected,
        **dict.fromkeys(WRITERS, SAME),
        "sampled": SAME,
        "cnn_digits": SAME,
    }


def test_import_keras_then_curvezoo_loads_layers_without_tensorflow(saved):
    result = read("keras-first", saved / "layers", KERAS_BACKEND="numpy")
    assert result["models"] == {"layered": SAME}
    assert not result["tensorflow"]


def test_the_table_names_every_class_that_the_modules_register():
    for module in pkgutil.walk_packages(curvezoo.__path__, "curvezoo."):
        if module.name not in ("curvezoo.__main__", "curvezoo.setup"):
            importlib.import_module(module.name)
    registry = keras.saving.get_custom_objects()
    registered = {
        name: value.__module__.removeprefix("curvezoo.")
        for name, value in registry.items()
        if name.startswith("curvezoo>")
    }
    assert registered == NAMES


FAKE_KERAS = """
import sys
if "fail" in sys.argv:
    sys.argv.remove("fail")
    raise ImportError("broken")
class saving:
    registry = {"curvezoo>KFAC": "registered before"}
    get_custom_objects = lambda: saving.registry
"""


@pytest.mark.parametrize(
    "before",
    [
        "import curvezoo; import keras",
        "import keras; import curvezoo",
        "import curvezoo, importlib.util; importlib.util.find_spec('keras'); import keras",
        "import curvezoo, contextlib, sys; sys.argv.append('fail')\n"
        "with contextlib.suppress(ImportError): import keras\n"
        "import keras",
        "import curvezoo, sys; del sys.modules['curvezoo']; import curvezoo, keras",
    ],
    ids=["curvezoo first", "keras first", "keras looked for", "keras fails once", "curvezoo imported again"],
)
def test_keras_finds_every_name_in_any_order_of_imports(tmp_path, before):
    (tmp_path / "keras.py").write_text(FAKE_KERAS)
    code = f"""{before}
import sys
print([finder for finder in sys.meta_path if "curvezoo" in type(finder).__module__])
print(type(keras.__spec__.loader).__name__, keras.__loader__ is keras.__spec__.loader)
print(keras.saving.registry.pop("curvezoo>KFAC"))
print(sorted(keras.saving.registry))
print([name for name in sys.modules if name.startswith("curvezoo.")])
"""
    path = os.pathsep.join([str(tmp_path), str(pathlib.Path(curvezoo.__path__[0]).parent), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines() == [
        "[]",
        "SourceFileLoader True",
        "registered before",
        str(sorted(NAMES.keys() - {"curvezoo>KFAC"})),
        "['curvezoo.registration']",
    ], run.stderr


def test_a_deferred_class_is_imported_only_to_be_used():
    deferred = registration.DeferredClass("curvezoo.no_such_module", "KFAC")
    assert repr(copy.copy(deferred)) == "<deferred class curvezoo.no_such_module.KFAC>"
    assert not hasattr(deferred, "_repr_html_")
    with pytest.raises(ModuleNotFoundError):
        deferred.from_config({})
    counter = registration.DeferredClass("collections", "Counter")
    assert counter("aab") == {"a": 2, "b": 1}
    assert counter.most_common(counter("aab"), 1) == [("a", 2)]
