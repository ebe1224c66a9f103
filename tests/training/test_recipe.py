import dataclasses

import pytest

from curvezoo.training.recipe import Recipe


def build(
    spec, widths: tuple[int, ...] = (8,), dropout: float = 0.0, batch: bool = False, name: str | None = None
):
    """Stands for a building function."""


RECIPE = Recipe(name="one", section="1.8", summary="", build=build, data="digits", model={"dropout": 0.1})


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
    ],
)
def test_a_field_is_read_from_text_and_taken_from_python(key, text, value):
    assert getattr(RECIPE.override({key: text}), key) == value
    assert getattr(RECIPE.override({key: value}), key) == value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("widths", "64,32", (64, 32)), ("dropout", "0.5", 0.5), ("batch", "yes", True), ("name", "none", None)],
)
def test_an_argument_of_the_building_function_is_read_as_its_annotation(key, text, value):
    assert RECIPE.override({key: text}).model == {"dropout": 0.1, key: value}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'; did you mean 'epochs'"),
        ({"epochs": "many"}, "epochs='many' is not of type int"),
        ({"epochs": 1.5}, "epochs=1.5 is not of type int"),
        ({"epochs": 0}, "epochs=0 must be positive"),
        ({"batch_size": "-5"}, "batch_size=-5 must be positive"),
        ({"learning_rate": "nan"}, "learning_rate=nan must be positive"),
        ({"learning_rate": "inf"}, "learning_rate=inf must be positive"),
        ({"jit_compile": "maybe"}, "jit_compile='maybe' is not true or false"),
        ({"optimizer": "adamm"}, "optimizer='adamm' is not one of sgd, adam"),
        ({"schedule": "up"}, "schedule='up' is not one of constant, cosine, step"),
        ({"precision": "int8"}, "precision='int8' is not one of"),
        ({"augment": "rotate"}, "augment='rotate' is not one of flip, crop"),
        ({"label_smoothing": 1}, r"label_smoothing=1.0 must be in \[0, 1\)"),
        ({"random_labels": 2}, r"random_labels=2.0 must be in \[0, 1\]"),
        ({"warmup": 10}, "warmup=10.0 must be less than epochs=10"),
        ({"widths": "64,x"}, "widths='x' is not of type int"),
        ({"build": "x"}, "no setting 'build'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RECIPE.override(settings)


def test_settings_round_trip_and_hold_the_models_defaults():
    settings = RECIPE.settings()
    assert settings["model"] == {"widths": (8,), "dropout": 0.1, "batch": False, "name": None}
    assert dataclasses.replace(RECIPE, epochs=settings["epochs"]) == RECIPE
