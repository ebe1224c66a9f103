"""The documents: their Python blocks run, their links lead somewhere, and the reference is up to date."""

import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from curvezoo import optimizers

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(path):
    """Returns the Python blocks of a page, each at its line, so that an error names the line of the page."""
    text, lines = path.read_text(encoding="utf-8"), []
    for block in BLOCK.finditer(text):
        lines += [""] * (text.count("\n", 0, block.start(1)) - len(lines)) + block[1].splitlines()
    return "\n".join(lines)


GUIDES = {path.name: path for path in PAGES if script(path)}


@pytest.mark.parametrize("name", ["README.md", "optimizers.md", "optimizers-reference.md"])
def test_the_readme_and_the_optimizers_pages_have_examples(name):
    assert name in GUIDES


# Each page is a script of its own; one process runs them one after the other, to load TensorFlow once.
RUN_ALL = """
import pathlib, runpy, sys, traceback
for page in sys.argv[1:]:
    try:
        runpy.run_path(page)
    except BaseException:
        pathlib.Path(page).with_suffix(".error").write_text(traceback.format_exc())
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The errors of the pages' examples, by page."""
    # A reader's working directory is the root of a clone.
    folder = tmp_path_factory.mktemp("guides")
    (folder / "saved_models").symlink_to(ROOT / "saved_models")
    pages = {name: folder / f"{name}.py" for name in GUIDES}
    for name, page in pages.items():
        page.write_text(script(GUIDES[name]), encoding="utf-8")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", RUN_ALL, *pages.values()]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return {name: path.read_text() for name in pages if (path := folder / f"{name}.error").exists()}


@pytest.mark.parametrize("name", GUIDES)
def test_examples_run_unchanged(name, errors):
    assert name not in errors, errors[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_and_pages_that_a_page_links_to_exist(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def anchors(page):
    """Returns the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sections_that_a_page_links_to_exist(page):
    links = re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [(t, a) for t, a in links if a not in anchors(page.parent / t if t else page)]
    assert not missing


@pytest.fixture(scope="module")
def reference():
    """The names in the script that generates the reference."""
    return runpy.run_path(str(DOCS / "reference.py"))


def test_the_optimizer_reference_matches_the_docstrings(reference):
    written = reference["PAGE"].read_text(encoding="utf-8")
    assert written == reference["page"](written), "run python docs/reference.py"


@pytest.mark.parametrize("prefix", ["", "curvature."])
def test_the_reference_has_every_public_class_and_function(reference, prefix):
    package = optimizers.curvature if prefix else optimizers
    values = {name: getattr(package, name) for name in package.__all__}
    public = {
        prefix + name for name, value in values.items() if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert public
    assert public <= {name for names in reference["NAMES"].values() for name in names}
