"""Links the package under its name in a folder that an editable install adds to the import path.

The repository's root is the package, so setuptools would have to map its name to the root with an import
hook. Type checkers don't run import hooks, but they do read paths. Therefore `.editable/curvezoo` links to
the root, and `pip install -e .` adds `.editable` to the path. If links are not permitted, setuptools installs
the hook.
"""

import pathlib
import sys

import setuptools


def linked_layout():
    """Returns the `package_dir` of an editable install; the result is empty if links are not permitted."""
    folder = pathlib.Path(__file__).parent / ".editable"
    link = folder / "curvezoo"
    folder.mkdir(exist_ok=True)
    try:
        if not link.is_symlink():
            link.symlink_to("..", target_is_directory=True)
    except OSError:
        return {}
    return {"package_dir": {"": folder.name}}


# setuptools runs this file as a script; tools that collect the package's modules only import it.
if __name__ == "__main__":
    layout = linked_layout() if "editable_wheel" in sys.argv else {}
    # `script_name` keeps this file, which lies among the package's modules, out of the wheel.
    setuptools.setup(script_name="setup.py", **layout)
