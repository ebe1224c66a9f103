"""Images that the zoo's generative models draw, as arrays and as a picture of all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import arguments, quiet
from ..publishing import cards
from . import catalogue

if TYPE_CHECKING:
    import numpy as np

# Measures of models that draw images.
MEASURES = ("density", "variational", "adversarial")
_FORMATS = (".png", ".jpg", ".jpeg", ".gif", ".webp")
# Number of images that are drawn by default.
COUNT = 64
# Pixels of the longer side of a picture, at least.
_SIDE = 512


def draw(name: str | os.PathLike, *, count: int = COUNT, seed: int = 0, **conditions) -> np.ndarray:
    """Returns images that a published model draws.

    Loading takes most of the time: for many samples, call `sample` of the model that `load` returns.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        count: Number N of images.
        seed: Seed of the draws.
        **conditions: What the images must show, for models that take it, such as `labels` or `category`.

    Returns:
        Images [N, H, W, C] in [0, 1].

    Raises:
        ValueError: If the model draws no images, or a setting is not valid.
    """
    check(name, count=count, seed=seed)
    quiet.load_keras()
    from ..publishing import saved_model

    model = saved_model.load(name)
    try:
        return model.sample(count, seed=seed, **conditions)
    except TypeError as error:
        if conditions and "unexpected keyword" in str(error):
            raise ValueError(f"{name} draws images without conditions, got {', '.join(conditions)}") from None
        raise


def check(name, *, count=COUNT, seed=0):
    """Checks the settings of `draw` without importing TensorFlow.

    Args:
        name: As for `draw`.
        count: As for `draw`.
        seed: As for `draw`.

    Raises:
        ValueError: As `draw`.
    """
    if not draws(name):
        valid = ", ".join(names()) or "none is published yet"
        raise ValueError(f"name must be that of a model that draws images, got {name!r}; valid: {valid}")
    arguments.integer("count", count, 1)
    arguments.seed("seed", seed)


def draws(name):
    """Returns whether a published model draws images.

    Args:
        name: A published name, or a folder with a card.
    """
    return cards.read(cards.folder_of(name))["measure"] in MEASURES


def names() -> list[str]:
    """Returns the names of the published models that draw images."""
    return catalogue.measured_by(MEASURES)


def check_picture(path):
    """Returns the path of a picture after checking that its format is known and its folder exists.

    Args:
        path: The file to write.

    Raises:
        ValueError: If not.
    """
    path = arguments.output_file("picture", path)
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"picture must end in one of {', '.join(_FORMATS)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"picture must be in a folder that exists, got {str(path)!r}")
    return path


def write_picture(images, path, columns=None):
    """Writes images side by side as one picture, magnified to at least 512 pixels.

    Args:
        images: Images [N, H, W, C] in [0, 1].
        path: The file to write, of a type that its ending names.
        columns: Number of images in a row; `None` for a square.

    Returns:
        The path.

    Raises:
        ValueError: As `check_picture`.
    """
    import numpy as np
    import PIL.Image

    from ..files import replacing
    from ..publishing.page.images import tiled

    path = check_picture(path)
    pixels = np.round(255 * tiled(images, columns)).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    scale = max(1, -(-_SIDE // max(pixels.shape[:2])))
    picture = PIL.Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    with replacing(path) as temporary:
        picture.save(temporary, format=PIL.Image.registered_extensions()[path.suffix.lower()])
    return path
