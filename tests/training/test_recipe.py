"""Settings of recipes: parsed from text, found by dotted and bare keys, checked, and stored on cards."""

import dataclasses
import json

import pytest

from curvezoo.training.parts import Architecture, CrossEntropy, LabeledImages, Optimizer
from curvezoo.training.parts.optimizer import NAMES
from curvezoo.training.settings import flatten
from curvezoo.training.supervised import Supervised
from curvezoo.zoo import catalogue


def build(
    spec, widths: tuple[int, ...] = (8,), dropout: float = 0.0, batch: bool = False, name: str | None = None
):
    """A stand-in for the function that builds a model."""


RECIPE = Supervised(
    name="one",
    section="1.8",
    summary="",
    model=Architecture(build, {"dropout": 0.1}),
    data=LabeledImages("digits"),
)


def value_of(recipe, key):
    """Returns the value of the setting with a dotted or bare key."""
    settings = flatten(recipe.settings())
    matches = [full for full in settings if full in (key, f"{key}.name") or full.endswith(f".{key}")]
    assert len(matches) == 1, matches
    value = settings[matches[0]]
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("epochs", "3", 3),
        ("learning_rate", "1e-2", 0.01),
        ("jit_compile", "true", True),
        ("jit_compile", "no", False),
        ("augment", "flip,crop", ("flip", "crop")),
        ("augment", "", ()),
        ("subset", "none", None),
        ("subset", "100", 100),
        ("data", "mnist", "mnist"),
        ("data.name", "mnist", "mnist"),
        ("optimizer", "sgd", "sgd"),
        ("optimizer.schedule", "cosine", "cosine"),
        ("l2", "0.1", 0.1),
        ("label_smoothing", "0.1", 0.1),
        ("beta_1", "0.8", 0.8),
    ],
)
def test_fields_are_parsed_from_text_and_accepted_as_python_values(key, text, value):
    assert value_of(RECIPE.override({key: text}), key) == value
    assert value_of(RECIPE.override({key: value}), key) == value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("widths", "64,32", (64, 32)),
        ("dropout", "0.5", 0.5),
        ("batch", "yes", True),
        ("model.name", "none", None),
    ],
)
def test_builder_arguments_are_parsed_by_their_annotations(key, text, value):
    argument = key.rpartition(".")[2]
    assert RECIPE.override({key: text}).model.arguments == {"dropout": 0.1, argument: value}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'; did you mean 'epochs'"),
        ({"epochs": "many"}, "epochs must be an integer, got 'many'"),
        ({"epochs": 1.5}, "epochs must be an integer, got 1.5"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": "-5"}, "batch_size must be an integer of at least 1, got -5"),
        ({"learning_rate": "nan"}, "learning_rate must be a positive finite number, got nan"),
        ({"learning_rate": "inf"}, "learning_rate must be a positive finite number, got inf"),
        ({"jit_compile": "maybe"}, "jit_compile must be true or false, got 'maybe'"),
        ({"optimizer": "adamm"}, "optimizer must be one of adam, adamw, sgd, .*got 'adamm'"),
        ({"schedule": "up"}, "schedule must be one of constant, cosine, step, got 'up'"),
        ({"precision": "int8"}, "precision must be one of .*, got 'int8'"),
        ({"augment": "rotate"}, "augment.* must be one of flip, crop, got 'rotate'"),
        ({"label_smoothing": 1}, r"label_smoothing must be .*\[0, 1\), got 1"),
        ({"random_labels": 2}, r"random_labels must be .*\[0, 1\], got 2"),
        ({"warmup": 10}, "warmup must be less than epochs=10, got 10.0"),
        ({"widths": "64,x"}, "widths must be an integer, got 'x'"),
        ({"build": "x"}, "no setting 'build'"),
        ({"momentum": 0.5}, "no setting 'momentum'"),
        ({"name": "x"}, "name must be one setting of one, but it could be model.name or data.name or"),
        ({"optimizer.learning_rat": 1}, "did you mean 'optimizer.learning_rate'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RECIPE.override(settings)


def test_settings_include_the_defaults_and_survive_json():
    settings = json.loads(json.dumps(RECIPE.settings()))
    assert settings["model"] == {"widths": [8], "dropout": 0.1, "batch": False, "name": None}
    assert flatten(RECIPE.restored(settings).settings()) == flatten(RECIPE.settings())


def test_another_optimizer_starts_from_its_own_defaults():
    recipe = RECIPE.override({"learning_rate": 3e-3, "schedule": "cosine", "beta_1": 0.8})
    changed = recipe.override({"optimizer": "sgd", "momentum": "0.5"}).optimizer
    assert changed == Optimizer("sgd", arguments={"momentum": 0.5})
    assert recipe.override({"optimizer.name": "adam"}).optimizer == recipe.optimizer


def test_curvezoos_own_optimizers_have_their_own_settings():
    recipe = RECIPE.override(
        {"optimizer": "kfac", "damping": "1e-3", "adapt_every": "none", "eigenbasis": "true"}
    )
    assert recipe.optimizer.arguments == {"damping": 1e-3, "adapt_every": None, "eigenbasis": True}
    made = recipe.optimizer.make(steps=10)
    assert type(made).__name__ == "KFAC"
    assert (float(made.damping), made.adapt_every, made.eigenbasis) == (1e-3, None, True)
    with pytest.raises(ValueError, match="no setting 'damping'"):
        RECIPE.override({"damping": 1e-3})


@pytest.mark.parametrize("name", ["lbfgs", "bfgs", "conjugate_gradient"])
def test_full_batch_optimizers_have_no_rate_schedule_or_decay(name):
    recipe = RECIPE.override({"learning_rate": 3e-3, "schedule": "cosine"}).override({"optimizer": name})
    assert recipe.optimizer.settings() == {"name": name}
    made = recipe.override({"max_iterations": 5, "gradient_tolerance": "1e-3"}).optimizer.make(1)
    assert (made.max_iterations, made.gradient_tolerance) == (5, 1e-3)
    assert recipe.optimizer.make(1).max_iterations == 20
    with pytest.raises(ValueError, match="no setting 'learning_rate'"):
        recipe.override({"learning_rate": 0.1})
    with pytest.raises(
        ValueError, match=f"schedule must be left out for {name}, a full-batch optimizer, got"
    ):
        Optimizer(name, schedule="cosine")


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_can_be_built_by_name(name):
    import keras

    made = Optimizer(name).make(10)
    assert isinstance(made, keras.optimizers.Optimizer) != Optimizer(name).full_batch


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_listed_arguments_of_keras_optimizers_exist(name):
    import inspect

    import keras

    classes = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}
    listed = set(Optimizer(name).types()) - {"name", "schedule", "warmup"}
    assert listed <= set(inspect.signature(classes[name]).parameters)


@pytest.mark.parametrize(("decay", "expected"), [(None, 0.004), (0.0, 0.0), (0.1, 0.1)])
def test_adamw_decays_by_default_and_can_be_told_not_to(decay, expected):
    assert Optimizer("adamw", weight_decay=decay).make(1).weight_decay == expected


def test_pairs_of_numbers_are_parsed_and_written():
    recipe = RECIPE.override({"optimizer": "kfac", "damping_bounds": "1e-6,1e3"})
    assert recipe.optimizer.make(1).damping_bounds == (1e-6, 1e3)
    assert RECIPE.override(recipe.differences(RECIPE)) == recipe


def test_missing_settings_of_a_card_get_defaults_and_unknown_ones_are_rejected():
    settings = RECIPE.override({"label_smoothing": 0.3, "epochs": 3, "l1": 0.1}).settings()
    del settings["objective"]["label_smoothing"], settings["epochs"], settings["penalty"]
    restored = RECIPE.override({"label_smoothing": 0.2, "epochs": 7}).restored(settings)
    assert (restored.objective, restored.epochs, restored.penalty.l1) == (CrossEntropy(), 10, 0.0)
    with pytest.raises(ValueError, match="got 'depth'"):
        RECIPE.restored(settings | {"penalty": {"depth": 1}})
    with pytest.raises(ValueError, match="kind must be 'supervised', got 'dream'"):
        RECIPE.restored(settings | {"kind": "dream"})


def test_the_differences_of_two_recipes_are_overrides_from_one_to_the_other():
    changed = RECIPE.override(
        {
            "widths": "64,32",
            "subset": 100,
            "optimizer": "sgd",
            "momentum": 0.5,
            "model.name": "x",
            "augment": "crop",
        }
    )
    words = changed.differences(RECIPE)
    assert words == {
        "widths": "64,32",
        "model": "x",
        "subset": "100",
        "augment": "crop",
        "optimizer": "sgd",
        "momentum": "0.5",
    }
    assert RECIPE.override(words) == changed


def test_parts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPE.optimizer.name = "sgd"


def test_other_data_inherit_no_description_of_the_first():
    cnn = catalogue.recipe("cnn_digits")
    for other in (cnn.override({"data": "mnist"}), cnn.restored(cnn.override({"data": "mnist"}).settings())):
        assert other.summary == "the recipe cnn_digits on mnist"
        assert other.limits == "Trained and measured on mnist only."
    for same in (
        cnn.override({"dropout": 0.1}),
        cnn.override({"data": "digits"}),
        cnn.restored(cnn.settings()),
    ):
        assert (same.summary, same.limits) == (cnn.summary, cnn.limits)
    acrobot = catalogue.recipe("ppo_cartpole").override({"environment": "Acrobot-v1"})
    assert acrobot.limits == "Trained and measured on Acrobot-v1 only."
