"""The noise scale study of a zoo model, by its name."""

import pathlib

from ...zoo import catalogue, models
from . import study


def study_noise_scale(
    name, out=None, *, data_dir=None, resume=False, progress=True, options=None, command=None, **settings
):
    """Measures the gradient noise scale of a model's training, and which batch size it deserves.

    Args:
        name: A name that `names()` lists.
        out: The study's folder; by default `runs/NAME-noise-scale`, numbered where there is one already.
        data_dir: The folder of TensorFlow Datasets.
        resume: Continue the study in `out`, by default the newest of this model, with its settings.
        progress: Show a bar.
        options: A dictionary of fields of `training.study.Options`; strings are read.
        command: The command line to print on the page.
        **settings: Changes to the recipe: its fields, or arguments of the building function.

    Returns:
        The results of `training.study.study`, and `folder`.

    Raises:
        ValueError: If a name or a value is not valid, or the study can't be done; the message says why.
    """
    recipe = catalogue.recipe(name)
    options = dict(options or {})
    folder = pathlib.Path(out) if out else models.default_folder(f"{name}-noise-scale", resume)
    if resume:
        saved, kept = study.saved_options(folder, name)
        recipe = recipe.restored(saved)
        options = kept | options
    found = study.study(
        recipe.override(settings),
        folder,
        study.read_options(options),
        data_dir=data_dir,
        resume=resume,
        progress=progress,
        command=command,
    )
    return {**found, "folder": str(folder)}
