"""Style transfer from two pictures to a third, by L-BFGS and by Adam from the same start (section 5.3).

The folder of a transfer holds `run.json` (the settings), `state.npz` (from which it is resumed), a picture
for each optimizer, `result.png` (the one with the lowest loss), `losses.csv`, `curves.png` and `report.html`.

Legend: H height, W width, S evaluations.
"""

import contextlib
import csv
import dataclasses
import hashlib
import json
import pathlib
import time
import zipfile

import numpy as np

from ... import arguments
from ...files import replacing, sweep, write_json
from ...progress import Progress
from ...training.folders import check_free, check_same
from ...training.lock import locked
from . import features, minimization, pictures, plots, report
from .objective import StyleObjective, Terms
from .options import read_options


@dataclasses.dataclass(frozen=True)
class StyleTransfer:
    """The pictures and the losses of a style transfer.

    Args:
        content: The scaled content, [H, W, 3]; [H, W, 1] if the network takes grey pictures.
        style: The scaled style, with its own height and width.
        pictures: The picture with the lowest loss by optimizer, [H, W, 3], clipped to [0, 1].
        losses: The loss of each evaluation by optimizer, [S].
        terms: The `Terms` of the loss of each picture, clipped, by optimizer.
        seconds: Time of the minimization by optimizer, with compilation, since the last resume.
        folder: The folder with the files; None if none were written.
    """

    content: np.ndarray
    style: np.ndarray
    pictures: dict[str, np.ndarray]
    losses: dict[str, np.ndarray]
    terms: dict[str, Terms]
    seconds: dict[str, float]
    folder: pathlib.Path | None

    @property
    def best(self):
        """The optimizer with the lowest loss."""
        return min(self.losses, key=lambda name: self.losses[name].min())


def transfer_style(
    content=None, style=None, out=None, *, resume=False, progress=True, save_every=25, command="", **options
):
    """Draws the content of one picture in the style of another.

    The pixels minimize the weighted sum of three terms (`StyleObjective`): distance of the Gram matrices to
    those of the style, distance of the features to those of the content, and total variation. L-BFGS and
    Keras's Adam start from the same picture and have the same number of evaluations.

    The default network, ResNet-20, learned from images of 32x32 pixels. It transfers colors and short strokes
    or contours, up to some ten pixels long. Larger shapes need VGG19.

    Args:
        content: Path of an image file, an array [H, W, 3] or [H, W] of bytes or of numbers in [0, 1], or None
            for scikit-learn's picture of a Chinese palace.
        style: Likewise; None for scikit-learn's picture of a flower.
        out: Folder for the files, which must be empty or absent unless `resume`; None to write none.
        resume: Whether to continue the transfer in `out` with the same settings; `steps` may be larger.
        progress: Whether to show a progress bar on stderr.
        save_every: Number of evaluations after which to save the state and the picture so far.
        command: Command line to print on the page.
        **options: The fields of `Options`.

    Returns:
        A `StyleTransfer`.

    Raises:
        ValueError: If a picture cannot be read or is too small, an option is not valid, there is no such
            network or layer, or the folder does not match.
        ArithmeticError: If the loss of Adam is no longer finite.

    Example:

        result = transfer_style("palace.jpg", "flower.jpg", "runs/style", size=512)
        result.pictures["lbfgs"].shape  # (342, 512, 3)

    References:
        Kaplan, "Notes on Contemporary Machine Learning for Physicists", section 5.3.
        Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), arXiv:1508.06576.
    """
    options = read_options(options)
    arguments.integer("save_every", save_every, 1)
    images = {"content": content, "style": style}
    images = {name: pictures.read(name, image, options.size) for name, image in images.items()}
    folder = None if out is None else _Folder(out, options, images, resume)
    network = features.load(options.features, options.weights, options.style_layers, options.content_layer)
    if network.channels == 1:
        images = {name: pictures.grey(image) for name, image in images.items()}
    weights = options.content_weight, options.style_weight, options.tv_weight
    objective = StyleObjective(network, images["content"], images["style"], *weights)
    with locked(folder.path) if folder is not None else contextlib.nullcontext():
        states, seconds = _minimize(objective, images["content"], options, folder, progress, save_every)
        result = _result(objective, images, states, seconds, folder)
        if folder is not None:
            folder.write(result, options, command)
    return result


def _minimize(objective, content, options, folder, progress, save_every):
    """Returns the final states of the minimizers and their seconds, by optimizer."""
    start = _start(content, options).ravel()
    function = minimization.RecordedFunction(objective, start, options.steps)
    states = folder.read_states() if folder else {}
    seconds = {}
    with Progress("optimizer", len(options.optimizers), visible=progress) as bar:
        for name in options.optimizers:
            function.restart()
            minimizer = minimization.make(name, function, options.learning_rate)
            if name in states:
                minimizer.restore(states[name])
            seconds[name] = _run(name, minimizer, folder, bar, save_every, content.shape)
            states[name] = minimizer.state()
            bar.unit_done({"loss": states[name]["values"].min(), "evaluations": function.count})
    return {name: states[name] for name in options.optimizers}, seconds


def _run(name, minimizer, folder, bar, save_every, shape):
    """Runs one minimizer, and saves its state now and then and at an interruption; returns the seconds."""
    function, saved = minimizer.function, minimizer.function.count
    begin = time.perf_counter()

    def save():
        if folder is not None:
            folder.save(name, minimizer.state(), shape)

    def after():
        nonlocal saved
        count = function.count
        bar.step(count, function.capacity, {"loss": function.values.min()})
        if count >= saved + save_every:
            save()
            saved = count

    try:
        minimizer.run(after)
    finally:
        save()
    return time.perf_counter() - begin


def _start(content, options):
    if options.start == "content":
        return content
    return np.random.default_rng(options.seed).uniform(size=content.shape).astype(content.dtype)


def _result(objective, images, states, seconds, folder):
    shape = images["content"].shape
    found = {name: np.clip(state["best"], 0, 1).reshape(shape) for name, state in states.items()}
    terms = {name: Terms(*map(float, objective.terms(picture.ravel()))) for name, picture in found.items()}
    losses = {name: state["values"] for name, state in states.items()}
    return StyleTransfer(
        **images, pictures=found, losses=losses, terms=terms, seconds=seconds, folder=folder and folder.path
    )


class _Folder:
    """The files of a style transfer.

    Args:
        path: The folder.
        options: The `Options`.
        images: The scaled content and style by name.
        resume: Whether to continue the transfer in the folder.
    """

    def __init__(self, path, options, images, resume):
        self.path = pathlib.Path(path).expanduser()
        check_free(self.path, resume, "style transfer")
        settings = dataclasses.asdict(options) | {
            name: hashlib.sha256(image.tobytes()).hexdigest() for name, image in images.items()
        }
        settings["features"] = str(options.features)
        if resume:
            check_same(self.path, self._saved(), settings, free=("steps",))
        self.path.mkdir(parents=True, exist_ok=True)
        sweep(self.path)
        write_json(self.path / "run.json", {"style_transfer": settings})
        self._states = self._stored() if resume else {}

    def read_states(self):
        """Returns the saved states of the minimizers by optimizer."""
        return dict(self._states)

    def save(self, name, state, shape):
        """Saves the state and the picture of one optimizer; those of the others are kept.

        Args:
            name: The optimizer.
            state: The state of its minimizer.
            shape: The shape of the picture.
        """
        self._states[name] = state
        arrays = {f"{each}/{key}": a for each, state in self._states.items() for key, a in state.items()}
        with replacing(self.path / "state.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        pictures.write(self.path / f"{name}.png", state["best"].reshape(shape))

    def write(self, result, options, command):
        """Writes the results.

        Args:
            result: The `StyleTransfer`.
            options: The `Options`.
            command: The command line.
        """
        pictures.write(self.path / "result.png", result.pictures[result.best])
        with replacing(self.path / "losses.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["optimizer", "evaluation", "loss"])
            for name, losses in result.losses.items():
                writer.writerows([name, i, f"{loss:.9g}"] for i, loss in enumerate(losses, 1))
        with replacing(self.path / "curves.png") as temporary:
            plots.draw_losses(result.losses).savefig(temporary, format="png", dpi=144)
        report.write(self.path / "report.html", result, options, command)

    def _saved(self):
        path = self.path / "run.json"
        settings = json.loads(path.read_text()) if path.is_file() else {}
        if "style_transfer" not in settings:
            raise ValueError(f"{self.path} holds no style transfer to resume")
        return settings["style_transfer"]

    def _stored(self):
        path, states = self.path / "state.npz", {}
        if not path.is_file():
            return states
        try:
            with np.load(path) as arrays:
                for key in arrays.files:
                    name, _, field = key.partition("/")
                    states.setdefault(name, {})[field] = arrays[key]
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is corrupted ({error}); start the style transfer again") from None
        return states
