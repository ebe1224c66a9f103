"""A page holds the figures and tables of its chapter or section."""

import functools

import pytest
import tensorflow as tf

from curvezoo.figures import catalogue, page
from curvezoo.figures.chapter3 import calibration, cramer_rao, robust_regression


@pytest.fixture
def eagerly():
    """Runs without graphs: a few steps take less time than to compile them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_section_has_its_figures_and_tables_and_no_others(tmp_path, monkeypatch, eagerly):
    for module, function, settings in (
        (cramer_rao, "measure", {"sizes": (7, 11), "repeats": 50}),
        (robust_regression, "measure", {"points": 20, "replicates": 10}),
        (calibration, "train", {"steps": 20}),
    ):
        small = functools.partial(getattr(module, function), **settings)
        monkeypatch.setattr(module, function, small)
    text = page.write_page("3.4", tmp_path / "page.html", tmp_path / "pictures").read_text()
    names = {figure.name for figure in catalogue.figures("3.4")}
    assert {path.stem for path in (tmp_path / "pictures").glob("*.png")} == names
    assert text.count("<img ") == len(names)
    assert text.count('<table class="grid">') == 1
    assert "<td>Cauchy</td>" in text
    assert f"<h2>3.4 {catalogue.TITLES['3.4']}</h2>" in text


def test_a_chapter_has_its_own_sections_only(monkeypatch, tmp_path):
    requested = []

    monkeypatch.setattr(page, "_with_progress", lambda figures: requested.extend(figures) or [])
    page.write_page("2", tmp_path / "page.html")
    sections = [number for number in catalogue.sections() if number.startswith("2.")]
    assert list(dict.fromkeys(figure.section for figure in requested)) == sections


@pytest.mark.parametrize("section", ["9", "", "2.", "02"])
def test_a_section_without_figures_is_an_error_that_lists_those_with_figures(section):
    with pytest.raises(ValueError, match=f"section '{section}' has no figures; valid: 1, 1.4, 2, 2.1, "):
        page.write_page(section)
