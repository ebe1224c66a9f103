"""Pictures have titled sections and names of their own; a page holds its pictures and tables."""

import pytest

from curvezoo.figures import page as reproduction
from curvezoo.figures.catalogue import PICTURES, TITLES


def test_every_section_and_chapter_has_a_title_and_every_picture_a_name_and_caption():
    assert set(reproduction.sections()) == set(TITLES)
    names = [picture.name for picture in PICTURES]
    assert len(set(names)) == len(names)
    assert all(callable(picture.draw) and picture.caption.endswith(".") for picture in PICTURES)


def test_sections_stand_in_the_notes_order():
    sections = reproduction.sections()
    assert sections == sorted(sections, key=lambda number: [int(part) for part in number.split(".")])
    assert sections.index("2") < sections.index("2.1") < sections.index("3")


def test_a_section_has_its_pictures_and_tables_and_no_others(tmp_path):
    page = reproduction.write_page("3.4", tmp_path / "page.html", tmp_path / "pictures").read_text()
    wanted = {picture.name for picture in PICTURES if picture.section == "3.4"}
    assert {path.stem for path in (tmp_path / "pictures").glob("*.png")} == wanted
    assert page.count("<img ") == len(wanted)
    assert page.count('<table class="grid">') == 1
    assert "<td>Cauchy</td>" in page
    assert f"<h2>3.4 {TITLES['3.4']}</h2>" in page


def test_a_chapter_has_the_sections_of_its_number_only(monkeypatch, tmp_path):
    drawn = []

    monkeypatch.setattr(
        reproduction, "_tracked", lambda wanted: drawn.extend(p.section for p in wanted) or []
    )
    reproduction.write_page("2", tmp_path / "page.html")
    assert set(drawn) == {picture.section for picture in PICTURES if picture.section.split(".")[0] == "2"}


@pytest.mark.parametrize("section", ["9", "", "2.", "02"])
def test_a_section_without_figures_is_answered_with_those_that_have_some(section):
    with pytest.raises(ValueError, match=f"section '{section}' has no figures; valid: 1, 1.4, 2, 2.1, "):
        reproduction.write_page(section)
