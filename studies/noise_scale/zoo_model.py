"""The noise-scale study of a zoo model by its name."""

import pathlib

from ...zoo import catalogue, models
from . import study


def study_noise_scale(
    name, out=None, *, data_dir=None, resume=False, progress=True, options=None, command=None, **settings
):
    """Measures the gradient noise scale of a model's training and the batch size that it advises.

    Args:
        name: A name from `zoo.names()`, that of a model of images or of text.
        out: Folder of the study; by default `runs/NAME-noise-scale`, with a number if that folder exists.
        data_dir: Folder of TensorFlow Datasets.
        resume: Whether to continue the study in `out` (by default the newest one of this model) with its
            settings.
        progress: Whether to show a progress bar.
        options: Dictionary of fields of `study.Options`; strings are parsed.
        command: Command line to print on the page.
        **settings: Changes of the recipe's settings, by full or by unique key.

    Returns:
        The results of `study.study` and the `folder`.

    Raises:
        ValueError: If a name or a value is not valid, or the study cannot be completed; the message gives the
            reason.
    """
    recipe = catalogue.recipe(name)
    options = dict(options or {})
    folder = pathlib.Path(out).expanduser() if out else models.default_folder(f"{name}-noise-scale", resume)
    if resume:
        saved, saved_options = study.saved_options(folder, name)
        recipe = recipe.restored(saved)
        options = saved_options | options
    results = study.study(
        recipe.override(settings),
        folder,
        study.read_options(options),
        data_dir=data_dir,
        resume=resume,
        progress=progress,
        command=command,
    )
    return {**results, "folder": str(folder)}
