"""A study of softmax regression on digits has consistent results and can be resumed."""

import csv
import json

import pytest

from curvezoo.studies.noise_scale import batch_size_sweep
from curvezoo.studies.noise_scale import study as noise_scale_study
from curvezoo.studies.noise_scale.study import Options, read_options
from curvezoo.theory import trade_off
from curvezoo.zoo import catalogue

OPTIONS = Options(target=0.8, batch_sizes=(4, 32, 256), seeds=1, points=4, curved=2)
RECIPE = catalogue.recipe("softmax_digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "study"
    noise_scale_study.study(RECIPE, out, OPTIONS, progress=False)
    return out


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_study_agree(folder):
    results = json.loads((folder / "results.json").read_text())
    rows = table(folder / "batch_sizes.csv")
    sizes, steps = ([float(row[key]) for row in rows] for key in ("batch_size", "steps"))
    assert sizes == [4, 32, 256]
    fit = trade_off.fit_trade_off(sizes, steps)
    assert results["b_crit"] == pytest.approx(fit.critical_batch_size)
    assert results["b_crit_error"] == pytest.approx(fit.critical_batch_size_error)
    assert results["advised_batch_size"] == trade_off.advised_batch_size(results["b_crit"])
    # The smallest batch needs the fewest examples and the largest the fewest steps, by far.
    assert steps[0] > 2 * steps[2]
    assert 256 * steps[2] > 4 * 4 * steps[0]
    points = table(folder / "noise_scale.csv")
    assert float(points[0]["b_simple"]) == pytest.approx(results["b_simple_start"])
    assert int(points[-1]["step"]) == results["run_steps"]
    for point in points:
        assert float(point["trace"]) / float(point["squared_norm"]) == pytest.approx(float(point["b_simple"]))
    assert sum(point["b_noise"] != "" for point in points) == 2
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2
    assert f"<td>{results['advised_batch_size']}: " in page


def test_a_resumed_study_repeats_no_training_and_advises_for_another_excess(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(batch_size_sweep, "train_to", refuse)
    before = json.loads((folder / "results.json").read_text())
    options = read_options({**vars(OPTIONS), "excess": "4"})
    again = noise_scale_study.study(RECIPE, folder, options, resume=True, progress=False)
    assert again["advised_batch_size"] == trade_off.advised_batch_size(again["b_crit"], 4)
    assert again["s_min"] == before["s_min"]
    assert again["b_simple_average"] == pytest.approx(before["b_simple_average"], rel=1e-3)


def test_a_folder_holds_one_study_only(folder):
    for recipe, options in (
        (RECIPE, Options(target=0.7)),
        (RECIPE.override({"l2": 0.1}), OPTIONS),
        (RECIPE, Options(target=0.8, optimizer="recipe")),
    ):
        with pytest.raises(ValueError, match="was started with other settings"):
            noise_scale_study.study(recipe, folder, options, resume=True)
    with pytest.raises(ValueError, match="is not empty; resume the study in it, or name another folder"):
        noise_scale_study.study(RECIPE, folder, OPTIONS)
    with pytest.raises(ValueError, match="holds a run of softmax_digits, not of mlp_digits"):
        noise_scale_study.saved_options(folder, "mlp_digits")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be one of sgd, recipe, got 'adam'"),
        ({"batch_sizes": "8,16"}, r"batch_sizes must hold at least 3 different values, got \[8, 16\]"),
        ({"batch_sizes": "8,x,16"}, "batch_sizes must be an integer, got 'x'"),
        ({"seeds": "0"}, "seeds must be"),
        ({"rate": "-1"}, "rate must be positive"),
        ({"target": "nan"}, "target must be finite"),
        ({"size": 3}, "unknown option 'size' of a study; valid: optimizer, target, batch_sizes"),
    ],
)
def test_invalid_options_are_errors(values, message):
    with pytest.raises(ValueError, match=message):
        read_options(values)


def test_unreachable_targets_and_too_large_batches_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"target must be below the initial loss 2\.303, got 3"):
        noise_scale_study.study(RECIPE, tmp_path / "a", Options(target=3.0), progress=False)
    with pytest.raises(
        ValueError, match="batch_sizes must be at most 1257, the number of training examples, got 2048"
    ):
        options = Options(batch_sizes=(4, 16, 2048))
        noise_scale_study.study(RECIPE, tmp_path / "a", options, progress=False)
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match=r"target=0\.01 was not reached within 314 steps of batch size 4 "):
        options = Options(target=0.01, batch_sizes=(4, 16, 64), seeds=1, epochs=1)
        noise_scale_study.study(RECIPE, tmp_path / "a", options, progress=False)
