"""Building, training, loading and measuring the zoo's models."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
from typing import TYPE_CHECKING, Any

from .. import arguments, quiet
from ..publishing import cards
from . import catalogue, pixels

if TYPE_CHECKING:
    import concurrent.futures

    import keras

    from ..data import Splits
    from ..training.runs import Run


def build(
    name: str,
    *,
    data: str | os.PathLike | Splits | None = None,
    classes: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    **overrides,
) -> keras.Model:
    """Returns a model of the zoo with new weights.

    Args:
        name: A name that `names()` lists.
        data: The data for which the model is built: a data set's name, a folder of images by class, a text
            file, or `Splits`; the recipe's by default.
        classes: Number of classes, if different from the data's.
        input_shape: Shape of one example, if different from the data's.
        **overrides: Arguments of the model's building function.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: If there is no such model, data set or argument.
    """
    recipe, splits = _with_data(catalogue.recipe(name), data)
    quiet.load_keras()
    model = recipe.build(splits, classes=classes, input_shape=input_shape, **overrides)
    return _watched(model, recipe.settings())


def load(name: str | os.PathLike, *, classes: int | None = None) -> keras.Model:
    """Loads a published model with its trained weights.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        classes: Number of classes of a new, untrained last layer on the trained features; `None` keeps the
            trained layer.

    Returns:
        A `keras.Model`, not compiled. A classifier maps images with pixels in [0, 1] to logits, a denoiser
        to images, a language model tokens to logits; the latter has its `tokenizer`. A model of images warns
        once (`pixels.PixelsWarning`) of arrays with pixels from 0 to 255.

    Raises:
        ValueError: If there is no such model, a file is missing or corrupted, or `classes` is given for a
            model that does not end in a dense layer of logits.
    """
    quiet.load_keras()
    from ..publishing import saved_model

    model = saved_model.load(name)
    model = model if classes is None else with_new_head(model, classes)
    return _watched(model, cards.read(cards.folder_of(name))["recipe"])


def _watched(model, recipe):
    """Returns a model that warns once of images with pixels from 0 to 255, if it takes images."""
    data = recipe.get("data")
    kind = data.get("kind") if isinstance(data, dict) else None
    return pixels.watched(model) if pixels.takes_images(model, kind) else model


def with_new_head(model, classes):
    """Returns a classifier with a new, untrained last layer; all other layers are shared.

    Args:
        model: A functional `keras.Model` that ends in a dense layer named `logits`.
        classes: Number of classes.

    Raises:
        ValueError: If the model does not end in such a layer, or `classes` is below 2.
    """
    import keras

    arguments.integer("classes", classes, 2)
    head = model.layers[-1]
    if head.name != "logits" or not isinstance(head, keras.layers.Dense):
        raise ValueError(
            f"model must end in a dense layer named 'logits' to get new classes, got {head.name!r}"
        )
    logits = keras.layers.Dense.from_config({**head.get_config(), "units": classes})(head.input)
    return keras.Model(model.input, logits, name=model.name)


def train(
    name: str,
    out: str | os.PathLike | None = None,
    *,
    data: str | os.PathLike | Splits | None = None,
    callbacks=(),
    strategy: str = "default",
    data_dir: str | os.PathLike | None = None,
    executor: concurrent.futures.Executor | None = None,
    resume: bool = False,
    progress: bool = True,
    wait: float = 600.0,
    **overrides,
) -> Run:
    """Trains a model by its recipe.

    Args:
        name: A name that `names()` lists.
        out: The run's folder; by default `runs/NAME`, with a number appended if it already exists.
        data: The data to train on: a data set's name, a folder of images by class, a text file, or `Splits`,
            such as `data.from_arrays` and `data.text.from_texts` make; the recipe's by default. Batch size,
            subset and augmentation are the recipe's settings, whatever those of the `Splits` are.
        callbacks: Keras callbacks.
        strategy: `default`, `mirrored` or `multiworker`.
        data_dir: The folder of TensorFlow Datasets.
        executor: An executor whose workers play the games of self-play, such as that of a cluster; processes
            on this machine by default.
        resume: Continue the run in `out`, by default the newest run of this model, with its settings.
            `epochs` may be larger than before; the schedule is then that of the longer run.
        progress: Show a progress bar.
        wait: Seconds to wait for the other workers of `multiworker`, of which a line on stderr names the
            missing ones every 30 seconds.
        **overrides: Changes to the recipe's settings, by full key (`**{"optimizer.name": "kfac"}`) or by
            any key that is unique (`learning_rate=1e-3`).

    Returns:
        The `Run`.

    Raises:
        ValueError: If a name or a value is not valid; the message says which ones are.
    """
    from ..training import folders

    recipe = catalogue.recipe(name)
    folder = pathlib.Path(out).expanduser() if out else default_folder(name, resume)
    if resume:
        recipe = recipe.restored(folders.saved_settings(folder, name))
    recipe, splits = _with_data(recipe, data)
    recipe = recipe.override(overrides)
    quiet.require_tensorflow_backend("training")
    quiet.load_tensorflow()
    from ..training import runs

    return runs.train(
        recipe,
        folder,
        data=splits,
        callbacks=callbacks,
        strategy=strategy,
        data_dir=data_dir,
        executor=executor,
        resume=resume,
        progress=progress,
        wait=wait,
        command=_command(recipe, strategy),
    )


def _with_data(recipe, data):
    """Returns the recipe with another data set's name, and the caller's own `Splits` if there are any."""
    name, splits = recipe.checked_data(recipe.settings(), data)
    return (recipe if name is None else recipe.with_data(name)), splits


def default_folder(name, resume=False):
    """Returns the default folder of a run: `runs/NAME`, `runs/NAME-2` and so on.

    Args:
        name: The model's name.
        resume: Whether to return the last folder that exists instead of the next new one.

    Returns:
        A `pathlib.Path`.
    """
    root = pathlib.Path("runs")
    matches = [re.fullmatch(rf"{re.escape(name)}(?:-(\d+))?", p.name) for p in root.glob(f"{name}*")]
    numbers = [int(match[1] or 1) for match in matches if match]
    last = max(numbers, default=0)
    number = max(1, last if resume else last + 1)
    return root / (name if number == 1 else f"{name}-{number}")


def _command(recipe, strategy):
    """Returns the command line that repeats a run, with the settings that differ from the zoo's recipe."""
    words = ["curvezoo", "train", recipe.name]
    words += ["--strategy", strategy] if strategy != "default" else []
    for key, value in recipe.differences(catalogue.recipe(recipe.name)).items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def evaluate(
    name: str | os.PathLike,
    *,
    data: str | os.PathLike | Splits | None = None,
    data_dir: str | os.PathLike | None = None,
    **options,
) -> dict[str, Any]:
    """Measures a published model on its data set's test split.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        data: Another data set to measure it on: its name, a folder of images by class, a text file, or
            `Splits`. A language model reads a text with its own tokenizer.
        data_dir: The folder of TensorFlow Datasets.
        **options: Options of the model's measure: for classifiers `temperature=True`, which fits a
            temperature on the validation split and reports the scaled scores as well.

    Returns:
        A dictionary of `name`, `data`, `split` and the scores: for a classifier `accuracy` with its
        interval, `nll` in nats, `ece` and `brier`; for a denoiser `psnr` in dB; for a language model
        `nats_per_token` with its standard error; for a translator `exact_match` with its interval.

    Raises:
        ValueError: If there is no such model, its files are damaged, the data does not match it, or its
            measure has no such option.
    """
    folder = cards.folder_of(name)
    card = cards.read(folder)
    from ..training.kinds import kind_of

    kind = kind_of(card)
    name_of_data, splits = kind.checked_data(card["recipe"], data)
    quiet.require_tensorflow_backend("measuring")
    quiet.load_tensorflow()
    model = kind.load_published(folder)
    evaluation = kind.measure_published(card, model, splits or name_of_data, data_dir, options)
    return {
        "name": card["name"],
        "data": evaluation.data["name"],
        "split": evaluation.split,
        **evaluation.scores,
    }
