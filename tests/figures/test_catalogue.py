"""The catalogue finds one figure in each figure's file, and the sections without TensorFlow."""

import importlib
import pathlib
import subprocess
import sys

import pytest

from curvezoo import figures
from curvezoo.figures import catalogue
from curvezoo.figures.figure import Figure
from curvezoo.publishing import cards


def modules():
    """Returns the modules of all chapters by name."""
    paths = sorted(pathlib.Path(figures.__file__).parent.glob("chapter*/*.py"))
    names = [f"{path.parent.name}.{path.stem}" for path in paths if path.stem != "__init__"]
    return {name: importlib.import_module(f"curvezoo.figures.{name}") for name in names}


def has_figure(module):
    """Returns whether a module has a figure, and one of its models is published if it shows any."""
    models = getattr(module, "ZOO_MODELS", None)
    return hasattr(module, "FIGURE") and (models is None or any(map(cards.published, models)))


def test_each_figure_is_in_the_package_of_its_chapter_in_a_file_with_its_name():
    defined = {name: module.FIGURE for name, module in modules().items() if has_figure(module)}
    for name, figure in defined.items():
        assert isinstance(figure, Figure)
        assert name == f"chapter{figure.section.partition('.')[0]}.{figure.name}"
    chapters = [number for number in catalogue.sections() if "." not in number]
    collected = [figure for chapter in chapters for figure in catalogue.figures(chapter)]
    assert sorted(figure.name for figure in collected) == sorted(figure.name for figure in defined.values())


def test_each_chapter_and_section_has_a_title_and_each_figure_a_name_and_caption():
    assert set(catalogue.sections()) <= set(catalogue.TITLES)
    collected = [figure for number in catalogue.sections() for figure in catalogue.figures(number)]
    # Chapter 6 has no sections.
    lowest = {n for n in catalogue.sections() if not any(m.startswith(f"{n}.") for m in catalogue.sections())}
    assert {figure.section for figure in collected} == lowest
    names = {figure.name for figure in collected}
    assert len(names) == len(set(collected))
    assert all(callable(figure.draw) and figure.caption.endswith(".") for figure in collected)


@pytest.mark.parametrize("numbers", [catalogue.sections(), list(catalogue.TITLES)])
def test_sections_and_titles_are_in_the_order_of_the_notes(numbers):
    assert numbers == sorted(numbers, key=lambda number: [int(part) for part in number.split(".")])
    assert numbers.index("2") < numbers.index("2.1") < numbers.index("3")


def test_figures_of_a_section_are_sorted_by_place():
    names = [figure.name for figure in catalogue.figures("2.3")]
    assert names == ["kl_rate", "kl_fits", "geodesics", "kl_and_length"]


def test_figures_of_models_that_are_not_published_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "_sections_by_module", catalogue._sections_by_module.__wrapped__)
    assert "latent_space" in [figure.name for figure in catalogue.figures("7.3")]
    monkeypatch.setattr(cards, "PUBLISHED", tmp_path)
    assert "7.3" not in catalogue.sections()
    assert [figure.name for figure in catalogue.figures("7")] == ["word_vectors", "gan_gradients"]


def test_sections_are_known_without_tensorflow():
    code = (
        "import sys; from curvezoo.figures import catalogue; assert '5.1' in catalogue.sections(); "
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
