"""What the zoo's models write or draw: continuations of texts, translations and images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import drawing, writing

if TYPE_CHECKING:
    import numpy as np


def sample(
    name: str | os.PathLike, prompt: str | Sequence[str] | None = None, **settings
) -> str | list[str] | np.ndarray:
    """Returns a sample of a published model: text for a prompt, or images.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        prompt: The text to continue or to translate, or several; left out for a model of images.
        **settings: For a model of text those of `writing.write`: `max_new_tokens`, `temperature`, `top_k`,
            `top_p`, `beam`, `stop`, `seed`. For a model of images those of `drawing.draw`: `count`, `seed`
            and what the images must show, such as `labels`.

    Returns:
        The text after the prompt, or the translation, a list for a list of prompts; or images [N, H, W, C]
        in [0, 1].

    Raises:
        ValueError: If the model writes and draws nothing, the prompt is missing or not valid, or a setting is
            not valid.
    """
    if not drawing.draws(name):
        return writing.write(name, prompt, **settings)
    if prompt is not None:
        raise ValueError(f"prompt must be None for {name}, which draws images, got {prompt!r}")
    return drawing.draw(name, **settings)
