"""Type checkers see the types of public names, as `pip install -e .` installs them."""

import configparser
import importlib
import os
import pathlib
import pkgutil
import re
import runpy
import shutil
import subprocess
import sys
import venv

import pytest

import curvezoo

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
PACKAGES = CONFIG["options"]["packages"].split()
NUMBERS = r"numpy\.ndarray.+ \| numpy\.float64"
TYPES = {
    "curvezoo.__version__": r"str",
    "curvezoo.optimizers.KFAC": r"def \(.+ damping: float \| None .+\) -> curvezoo\..+\.KFAC",
    "optimizers.GradientNoiseScale": r"def \(.+ every: int .+\) -> curvezoo\..+\.GradientNoiseScale",
    "losses.GaussianNLL": r"def \(.+\) -> curvezoo\.losses\.regression\.GaussianNLL",
    "zoo.load": r"def \(name: .+ classes: int \| None =\) -> .+",
    "theory.information.entropy": rf"def \(p: .+ base: float \| None =\) -> {NUMBERS}",
}
SCRIPT = f"""
import curvezoo
from curvezoo import losses, optimizers, theory, zoo
{chr(10).join(f"reveal_type({name})" for name in TYPES)}
curvezoo.optimizers.NoSuchName
"""


@pytest.fixture
def editable(tmp_path):
    """The interpreter of an environment with the path that `pip install -e .` writes."""
    shutil.copy(ROOT / "setup.py", tmp_path)
    layout = runpy.run_path(str(tmp_path / "setup.py"))["linked_layout"]
    assert layout() == layout() == {"package_dir": {"": ".editable"}}
    link = tmp_path / ".editable" / "curvezoo"
    assert link.resolve() == tmp_path
    link.unlink()
    link.symlink_to(ROOT)
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    [packages] = (tmp_path / "environment").glob("lib/python*/site-packages")
    (packages / "curvezoo.pth").write_text(f"{link.parent}\n{pathlib.Path(pytest.__file__).parents[1]}\n")
    return tmp_path / "environment" / "bin" / "python"


def test_mypy_reveals_the_types_of_public_names_in_an_editable_install(editable, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--python-executable", editable, "script.py"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["MYPY_CACHE_DIR"] = str(tmp_path / "cache")
    output = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    revealed = re.findall(r'Revealed type is "(.*)"$', output, re.MULTILINE)
    assert len(revealed) == len(TYPES), output
    for (name, pattern), kind in zip(TYPES.items(), revealed, strict=True):
        assert re.fullmatch(pattern, kind), f"{name}: {kind}"
    assert re.findall(r"error: (.*)", output) == ['Module has no attribute "NoSuchName"  [attr-defined]']


def test_an_editable_install_without_links_leaves_the_layout_to_setuptools(tmp_path, monkeypatch):
    shutil.copy(ROOT / "setup.py", tmp_path)

    def refuse(*args, **kwargs):
        raise OSError("a privilege is missing")

    monkeypatch.setattr(pathlib.Path, "symlink_to", refuse)
    assert runpy.run_path(str(tmp_path / "setup.py"))["linked_layout"]() == {}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_lazy_package_has_a_stub_whose_names_exist(name):
    package = importlib.import_module(name)
    source = pathlib.Path(package.__file__).read_text()
    assert "lazy_loader.attach(" not in source
    assert ("attach_stub" in source) == pathlib.Path(package.__file__ + "i").exists()
    for attribute in getattr(package, "__all__", []):
        assert getattr(package, attribute) is not None


def test_setup_lists_every_package():
    walked = pkgutil.walk_packages(curvezoo.__path__, "curvezoo.")
    assert {"curvezoo", *(module.name for module in walked if module.ispkg)} == set(PACKAGES)
