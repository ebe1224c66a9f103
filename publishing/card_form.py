"""The form of a model card, checked field by field, and the hash of a card's own contents.

A card comes from a folder that anybody may have written. Nothing in it is used before it has the right type.
"""

import hashlib
import json
import pathlib
import re

from .. import arguments

SEAL = "sha256"
REQUIRED_FILES = ("config.json", "model.weights.h5", "saved_model.pb", "golden.npz")
_REQUIRED = {"name": str, "data": dict, "recipe": dict, "measure": str, "metrics": dict, "files": dict}
_OPTIONAL = {
    "summary": str,
    "section": str,
    "command": str,
    "seeds": list,
    "parameters": int,
    "flops": int | None,
    "flops_of": str,
    "training": dict,
    "versions": dict,
    "licence": str,
    "limits": str,
    SEAL: str,
}
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    int | None: "an integer or null",
}
# The settings of a recipe's part, which may hold lists, are the deepest.
_DEPTH = 6


def sealed(card):
    """Returns a card with the hash of its own contents, in place of any earlier one.

    Args:
        card: The card, a JSON-serializable dictionary.
    """
    # As it will be read again.
    contents = json.loads(json.dumps({key: value for key, value in card.items() if key != SEAL}))
    text = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    return contents | {SEAL: hashlib.sha256(text.encode()).hexdigest()}


def check(card):
    """Checks the types of a card's fields and, if it has one, the hash of its contents.

    Cards of older versions have no hash.

    Args:
        card: What `json.loads` returned.

    Raises:
        ValueError: If a field is missing, unknown or of the wrong type, or the contents have changed; the
            message names the field.
    """
    if not isinstance(card, dict):
        raise ValueError(f"it must be an object, got {arguments.described(card)}")
    missing = [key for key in _REQUIRED if key not in card]
    if missing:
        raise ValueError(f"it lacks {missing[0]}")
    for key, value in card.items():
        kind = (_REQUIRED | _OPTIONAL).get(key)
        if kind is None:
            raise ValueError(f"it has an unknown field {arguments.described(key)}")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{key} must be {_NAMES[kind]}, got {arguments.described(value)}")
        _check_depth(key, value, _DEPTH)
    _check_files(card["files"])
    if SEAL in card and card[SEAL] != sealed(card)[SEAL]:
        raise ValueError("its contents are not those of its sha256: a field has changed")


def _check_depth(key, value, left):
    if not left:
        raise ValueError(f"{key} must not be nested deeper than {_DEPTH} levels")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        _check_depth(key, one, left - 1)


def _check_files(files):
    for name, digest in files.items():
        path = pathlib.PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or "\0" in name:
            raise ValueError(f"files must have paths inside the folder, got {arguments.described(name)}")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"files.{name} must be a sha256, got {arguments.described(digest)}")
    absent = [name for name in REQUIRED_FILES if name not in files]
    if absent:
        raise ValueError(f"its files lack {absent[0]}")
