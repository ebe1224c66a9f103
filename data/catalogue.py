"""All data sets by name: images, texts, and pairs of texts."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from .. import arguments
from . import images, text

if TYPE_CHECKING:
    from .images.specs import Spec
    from .splits import Splits
    from .text.specs import PairSpec, TextSpec


def names(kind: str | None = None) -> list[str]:
    """Returns the names that `load` accepts.

    Args:
        kind: `images`, `text` or `pairs`; `None` for all.

    Raises:
        ValueError: If `kind` is not valid.
    """
    kinds = {"images": images.names, "text": text.names, "pairs": text.pair_names}
    if kind is not None:
        return kinds[arguments.one_of("kind", kind, kinds)]()
    return [name for names_of_kind in kinds.values() for name in names_of_kind()]


def load(
    name: str | os.PathLike,
    batch_size: int | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    **settings: Any,
) -> Splits:
    """Loads a data set as training, validation and test splits.

    Args:
        name: One of `names()`, or the path of a text, as for `text.load`.
        batch_size: Examples per training batch; `None` for 128 images, 32 windows of text or 64 pairs.
        data_dir: Folder of data sets prepared by TensorFlow Datasets; `None` for the environment variable
            `TFDS_DATA_DIR`, or the default of tfds if that is not set. Not needed for embedded or generated
            sets.
        seed: Key of all random choices; the splits do not depend on it.
        **settings: Settings of the kind of data, by name.
            Images, as for `images.load`:
            `subset`, the number of training examples to use;
            `random_labels`, the fraction of training labels to randomize;
            `augment`, names among `flip` and `crop`;
            `image_size`, the side in pixels of the images of `imagenet2012`.
            Texts, as for `text.load`:
            `context`, the tokens in a window;
            `tokenizer`, `characters`, `words`, `bpe` or a `Tokenizer`;
            `vocabulary`, the largest number of tokens;
            `order`, `shuffled` or `contiguous`;
            `windows`, the number of windows in an epoch.
            Pairs, as for `text.load_pairs`:
            `vocabulary`, the largest number of tokens of either language;
            `length`, the tokens of the longest source and target.

    Returns:
        The `Splits`.

    Raises:
        ValueError: If an argument is not valid, or the data set is not prepared and cannot be.
        TypeError: If data of this kind have no such setting; the message lists those that they have.

    Example:
        >>> from curvezoo import data
        >>> data.load("text", context=32).train.element_spec[0].shape
        TensorShape([32, 32])
    """
    if batch_size is not None:
        settings["batch_size"] = batch_size
    function = _of_kind(name, images.load, text.load, text.load_pairs)
    return function(name, data_dir=data_dir, seed=seed, **_known(settings, name, function))


def spec(name: str | os.PathLike, **settings: Any) -> Spec | TextSpec | PairSpec:
    """Looks up the properties of a data set.

    Args:
        name: As for `load`.
        **settings: For texts and pairs the settings of `load` on which the properties depend, as for
            `text.spec` and `text.pair_spec`.

    Returns:
        Its `images.Spec`, `text.TextSpec` or `text.PairSpec`.

    Raises:
        ValueError: If the name is unknown or a setting not valid.
        TypeError: If the properties of data of this kind depend on no such setting.
    """
    function = _of_kind(name, images.spec, text.spec, text.pair_spec)
    return function(name, **_known(settings, name, function))


def provenance(name: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> str:
    """Returns how the data that `load` reads are stored, for the card of a model that is trained on them.

    Args:
        name: As for `load`.
        data_dir: As for `load`.

    Returns:
        A phrase, such as `embedded`: see `images.provenance`, `text.provenance` and `text.pair_provenance`.

    Raises:
        ValueError: If the data set is unknown, or is not prepared and cannot be.
    """
    return _of_kind(name, images.provenance, text.provenance, text.pair_provenance)(name, data_dir)


def _of_kind(name, of_images, of_text, of_pairs):
    """Returns the function for the kind of data that `name` denotes."""
    if isinstance(name, str) and name in images.names():
        return of_images
    if isinstance(name, str) and name in text.pair_names():
        return of_pairs
    if isinstance(name, str | os.PathLike) and (name in text.names() or text.is_text_source(name)):
        return of_text
    arguments.known_name("data set", name, names())


def _known(settings, name, function):
    """Returns the settings if a function for one kind of data takes them all."""
    valid = [each for each in inspect.signature(function).parameters if each != "name"]
    for setting in settings:
        if setting not in valid:
            raise TypeError(
                f"settings of {os.fspath(name)!r} must be among {', '.join(valid) or 'none'}, got {setting!r}"
            )
    return settings
