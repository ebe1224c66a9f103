"""The folder of data sets that TensorFlow Datasets has prepared, found without importing it."""

import os

from .. import arguments

VARIABLE = "TFDS_DATA_DIR"


def prepared_folder(data_dir=None):
    """Returns the folder of prepared data sets, with a leading `~` expanded; `None` for the default of tfds.

    Args:
        data_dir: The caller's folder; `None` for that of the environment variable `TFDS_DATA_DIR`.

    Raises:
        ValueError: If `data_dir` is not an existing folder, or the variable holds the path of a file.
    """
    if data_dir is not None:
        return os.fspath(arguments.folder("data_dir", data_dir))
    folder = os.path.expanduser(os.environ.get(VARIABLE, ""))
    if os.path.isfile(folder):
        raise ValueError(f"{VARIABLE} must be a folder of prepared data sets, got the file {folder!r}")
    return folder or None
