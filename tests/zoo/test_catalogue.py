import pathlib

import pytest

from curvezoo import zoo
from curvezoo.zoo import models


def test_wildcards_select_names():
    assert zoo.names("mlp_*st") == ["mlp_mnist"]
    assert zoo.names("mlp*") == ["mlp_digits", "mlp_mnist", "mlp_digits_policy_gradient", "mlp_digits_q"]
    assert zoo.names("c?n_*") == ["cnn_digits", "cnn_mnist", "cnn_fashion_mnist", "cnn_svhn"]
    assert zoo.names("nothing*") == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mlp_digit", r"did you mean 'mlp_digits'\? Valid names: softmax_digits, "),
        ("resnet20_cifar", r"did you mean 'resnet20_cifar10'\?"),
        ("zzz", r"[^?]*Valid names: softmax_digits, "),
    ],
)
def test_the_error_for_an_unknown_name_suggests_the_nearest(name, hint):
    for use in (zoo.describe, zoo.build, zoo.train):
        with pytest.raises(ValueError, match=f"Unknown model '{name}'.? ?{hint}"):
            use(name)


def test_a_run_that_names_no_folder_gets_the_next_one_and_resumes_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = models.default_folder
    assert folder("mlp_mnist") == folder("mlp_mnist", resume=True) == pathlib.Path("runs/mlp_mnist")
    for name in ("mlp_mnist", "mlp_mnist-2", "mlp_mnist-10", "mlp_mnist_other", "mlp_mnist-x"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert folder("mlp_mnist").name == "mlp_mnist-11"
    assert folder("mlp_mnist", resume=True).name == "mlp_mnist-10"


@pytest.mark.parametrize("name", zoo.names())
def test_a_description_has_the_recipe_and_whether_it_is_trained(name):
    description = zoo.describe(name)
    recipe = zoo.recipe(name)
    assert description["name"] == recipe.name == name
    assert description["recipe"] == recipe.settings()
    part = next(part for part in ("data", "environment", "game") if hasattr(recipe, part))
    assert description["data"] == getattr(recipe, part).name
    assert description["trained"] == (description["card"] is not None)
    assert description["section"] and description["summary"]
