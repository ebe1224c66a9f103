"""The Python blocks of every guide run, in order, as one script in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(path):
    """Returns the Python blocks of a page, each at its line, so that an error names the line of the page."""
    text, lines = path.read_text(encoding="utf-8"), []
    for found in BLOCK.finditer(text):
        lines += [""] * (text.count("\n", 0, found.start(1)) - len(lines)) + found[1].splitlines()
    return "\n".join(lines)


GUIDES = {path.name: path for path in sorted(DOCS.glob("*.md")) if script(path)}


def test_the_guide_to_the_optimizers_has_examples():
    assert "optimizers.md" in GUIDES


# A reader's process has imported nothing before.
@pytest.mark.parametrize("name", GUIDES)
def test_examples_run(name, tmp_path):
    page = tmp_path / f"{name}.py"
    page.write_text(script(GUIDES[name]), encoding="utf-8")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, page], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pictures_and_pages_that_it_links_to_exist(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing
