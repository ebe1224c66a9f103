"""A user's own text: one file, or a folder with a file for each split."""

import os
import pathlib

from ... import arguments
from .specs import VOCABULARY, Source

# The file names of each split; those of the Penn Treebank come with words by default.
_FILES = {
    "train": ("train.txt", "ptb.train.txt"),
    "validation": ("validation.txt", "valid.txt", "ptb.valid.txt"),
    "test": ("test.txt", "ptb.test.txt"),
}
_VALIDATION, _TEST = 0.05, 0.05


def is_text_source(name):
    """Returns whether `name` is the path of a text file, or of a folder with a training text.

    Args:
        name: A string or a path.
    """
    path = _path(name)
    return path.is_file() or (path.is_dir() and any((path / file).is_file() for file in _FILES["train"]))


def source(name):
    """Returns the `Source` of the user's text at a path.

    Args:
        name: The path of a file or folder.
    """
    path = _path(name)
    treebank = (path / "ptb.train.txt").is_file()
    note = (
        "The first 90 % are for training, the next 5 % for validation, the last 5 % for testing."
        if path.is_file()
        else "The splits are the user's own."
    )
    return Source(
        name=os.fspath(name),
        tokenizer="words" if treebank else "characters",
        vocabulary=VOCABULARY,
        licence="the user's own",
        source="the user's own text",
        note=note,
    )


def texts(name):
    """Reads the training, validation and test text at a path.

    A single file is cut as by `split`.

    Args:
        name: The path of a UTF-8 file; or of a folder with `train.txt`, `validation.txt` or `valid.txt`, and
            `test.txt`; or of a folder with the Penn Treebank's `ptb.train.txt`, `ptb.valid.txt` and
            `ptb.test.txt`.

    Returns:
        Three strings.

    Raises:
        ValueError: If a file is missing, empty or not UTF-8; the message names it.
    """
    path = _path(name)
    if path.is_dir():
        return tuple(_read(_file(path, split)) for split in _FILES)
    text = _read(path)
    parts = split(text)
    if not all(parts):
        raise ValueError(
            f"{str(path)!r} must have enough lines to split 90 %, 5 % and 5 %, got {len(text)} characters in "
            f"{len(text.splitlines())} lines; or give a folder with train.txt, validation.txt and test.txt"
        )
    return parts


def split(text):
    """Cuts a text at 90 % and at 95 % of its characters, each time after the line in which the point lies.

    Args:
        text: A string.

    Returns:
        Training, validation and test text; together they are `text`.
    """
    first = _line_end(text, round((1 - _VALIDATION - _TEST) * len(text)))
    second = _line_end(text, max(first, round((1 - _TEST) * len(text))))
    return text[:first], text[first:second], text[second:]


def _path(name):
    if not isinstance(name, str | os.PathLike):
        raise ValueError(
            f"name must be a text's name or the path of a file or folder, got {arguments.described(name)}"
        )
    return pathlib.Path(os.path.expanduser(os.fspath(name)))


def _file(folder, split):
    for name in _FILES[split]:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(
        f"folder {str(folder)!r} must hold a {split} text, {' or '.join(_FILES[split])}; got none of them"
    )


def _read(path):
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(path)!r} must be UTF-8 text, got the byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}"
        ) from None
    except OSError as error:
        raise ValueError(f"{str(path)!r} must be a readable file ({error.strerror})") from error
    if not text.strip():
        raise ValueError(f"{str(path)!r} must not be empty")
    return text


def _line_end(text, position):
    """Returns the end of the line in which a position lies; the position itself if no line ends after it."""
    end = text.find("\n", position)
    return position if end < 0 else end + 1
