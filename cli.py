"""The command line: `curvezoo list, train, evaluate, sample, noise-scale, export, reproduce, ...`."""

import argparse
import json
import logging
import os
import sys
import traceback

from . import __version__, quiet, stopping, streams

_DEFAULT_MODEL = "mlp_digits"
_RESUMABLE = ("train", "noise-scale")


def main(argv=None):
    """Runs one command.

    Args:
        argv: The command-line arguments after `curvezoo`; those of the process by default.

    Returns:
        The exit code: 0 for success, 1 if a run diverged, 2 if the input is not valid or a file can't be
        written, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP.
    """
    words = sys.argv[1:] if argv is None else argv
    with streams.tolerant():
        arguments = _parser().parse_args(words)
        arguments.words = words
        return _run(arguments)


def _run(arguments):
    """Runs the command that was parsed; returns the exit code."""
    try:
        with stopping.raising():
            arguments.run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        resumable = arguments.command in _RESUMABLE or _is_style_transfer(arguments)
        again = "; continue with --resume and the same --out" if resumable else ""
        print(f"curvezoo {arguments.command}: stopped{again}", file=sys.stderr)
        return stopping.exit_code(error)
    except BrokenPipeError:
        streams.discard(sys.stdout)
        return 0
    except (ArithmeticError, ValueError, OSError, ImportError) as error:
        if arguments.traceback:
            traceback.print_exc()
        print(f"curvezoo {arguments.command}: {_one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, ArithmeticError) else 2
    return 0


def _load_tensorflow():
    """Imports TensorFlow without its start-up messages, and turns off its Python warnings."""
    quiet.load_tensorflow()
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _one_line(error):
    """Returns the message of an error on one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _parser():
    parser = argparse.ArgumentParser(
        prog="curvezoo", description="Train, measure and use the models of the zoo."
    )
    parser.add_argument("--version", action="version", version=f"curvezoo {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_list,
        _add_train,
        _add_evaluate,
        _add_sample,
        _add_play,
        _add_noise_scale,
        _add_export,
        _add_reproduce,
    ):
        add(commands)
    equations = commands.add_parser("equations", help="show how each equation of the notes is covered")
    equations.set_defaults(run=_equations)
    return parser


def _add_list(commands):
    listing = commands.add_parser("list", help="list the models")
    listing.add_argument("pattern", nargs="?", default="*", help="a wildcard, such as 'resnet*'")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the list as JSON")
    form.add_argument(
        "--markdown", action="store_true", help="print the trained models as a table for a README"
    )
    listing.set_defaults(run=_list)


def _list(arguments):
    from .zoo import catalogue, table

    entries = [catalogue.describe(name) for name in catalogue.names(arguments.pattern)]
    if not entries:
        catalogue.recipe(arguments.pattern)
    if arguments.json:
        print(json.dumps(entries, indent=2))
    elif arguments.markdown:
        print(table.markdown(entries))
    else:
        table.show(entries)


def _add_train(commands):
    train = commands.add_parser("train", help="train a model, measure it, and write its report and card")
    train.add_argument(
        "name", nargs="?", default=_DEFAULT_MODEL, help=f"the model (default {_DEFAULT_MODEL})"
    )
    train.add_argument("--data", help="another data set, a folder of images by class, or a text file")
    train.add_argument("--epochs", help="passes over the training split")
    train.add_argument("--batch-size", help="examples per step, over all replicas")
    train.add_argument("--seed", help="seed of the weights, the data order and dropout")
    train.add_argument("--data-dir", help="the folder of TensorFlow Datasets (default TFDS_DATA_DIR)")
    train.add_argument("--out", help="the run's folder (default runs/NAME)")
    train.add_argument("--strategy", default="default", help="default, mirrored or multiworker")
    train.add_argument(
        "--wait", default="600", help="seconds to wait for the other workers of multiworker (default 600)"
    )
    train.add_argument("--resume", action="store_true", help="continue the run in --out")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )
    train.set_defaults(run=_train)


def _train(arguments):
    settings = {key: getattr(arguments, key) for key in ("epochs", "batch_size", "seed")}
    settings = {key: value for key, value in settings.items() if value is not None}
    settings |= _pairs(arguments.set)

    from .arguments import positive_number
    from .training.settings import read_value
    from .zoo import catalogue

    # Validate before the slow import of TensorFlow.
    recipe = catalogue.recipe(arguments.name)
    if arguments.epochs is not None and not hasattr(recipe, "epochs"):
        # The algorithm of an agent can have a setting `epochs` with another meaning.
        length = "steps" if hasattr(recipe, "steps") else "iterations"
        raise ValueError(
            f"--epochs applies to models that learn from a data set, not to {recipe.name}: give --set "
            f"{length}=NUMBER"
        )
    recipe.override(settings)
    wait = positive_number("wait", read_value("wait", arguments.wait, float))
    _load_tensorflow()

    from . import zoo
    from .training import runs

    keys = ("data", "strategy", "data_dir", "resume")
    options = {key: getattr(arguments, key) for key in keys}
    options["data"] = options["data"] or settings.pop("data", None)
    options["wait"] = wait
    try:
        run = zoo.train(arguments.name, arguments.out, **options, **settings)
    except runs.WorkerLost as error:
        _start_again(error, arguments.words)
    if run.scores:
        _print_scores(run.scores)
        print(f"report {run.folder / 'report.html'}\nmodel  {run.folder / 'model'}")


def _pairs(words):
    """Returns the settings given by `--set` as a dictionary."""
    pairs = {}
    for pair in words:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair!r} is not of the form KEY=VALUE")
        pairs[key] = value
    return pairs


def _start_again(error, words):
    """Replaces this process by one that waits for the lost worker and trains on with it."""
    print(f"curvezoo train: {error}; waiting for it to come back", file=sys.stderr, flush=True)
    words = [word for word in words if word != "--resume"]
    if error.resumable:
        words.append("--resume")
    os.execv(sys.executable, [sys.executable, "-m", __package__, *words])


def _add_evaluate(commands):
    from .publishing import measures

    evaluate = commands.add_parser("evaluate", help="measure a trained model on the test split")
    evaluate.add_argument("name", help="a published model, or the folder of a run or of a model")
    evaluate.add_argument("--data", help="another data set, a folder of images by class, or a text file")
    evaluate.add_argument("--data-dir", help="the folder of TensorFlow Datasets (default TFDS_DATA_DIR)")
    for name, text in measures.options().items():
        evaluate.add_argument(f"--{name}", dest=name, action="store_true", help=text)
    evaluate.add_argument("--json", action="store_true", help="print the scores as JSON")
    evaluate.set_defaults(run=_evaluate)


def _evaluate(arguments):
    from .publishing import cards, measures

    cards.folder_of(arguments.name)
    _load_tensorflow()

    from . import zoo

    options = {name: True for name in measures.options() if getattr(arguments, name)}
    scores = zoo.evaluate(arguments.name, data=arguments.data, data_dir=arguments.data_dir, **options)
    if arguments.json:
        print(json.dumps(scores, indent=2))
    else:
        _print_scores(scores)


def _add_sample(commands):
    from .studies.style_transfer import command
    from .zoo import sample_command

    sample = commands.add_parser(
        "sample",
        help="let a trained model continue a text, translate it, or draw images; or transfer a style",
    )
    sample.add_argument(
        "name", help="a published model, the folder of a run or of a model, or `style` for style transfer"
    )
    sample_command.add_arguments(sample)
    command.add_arguments(sample)
    sample.set_defaults(run=_sample)


def _is_style_transfer(arguments):
    return arguments.command == "sample" and arguments.name == "style"


def _sample(arguments):
    from .studies.style_transfer import command
    from .zoo import sample_command

    if _is_style_transfer(arguments):
        return command.run(arguments, _load_tensorflow)
    command.reject(arguments)
    return sample_command.run(arguments, _load_tensorflow)


def _add_noise_scale(commands):
    from .studies.noise_scale import command

    study = commands.add_parser(
        "noise-scale", help="measure a model's gradient noise scale and recommend a batch size"
    )
    command.add_arguments(study)
    study.set_defaults(run=_noise_scale)


def _noise_scale(arguments):
    from .studies.noise_scale import command

    command.run(arguments, _pairs(arguments.set), _load_tensorflow)


def _add_play(commands):
    from .zoo import match_command

    play = commands.add_parser(
        "play", help="watch a trained agent, or play a game against a network, or networks against others"
    )
    play.add_argument("name", help="a published agent or network, or the folder of a run or of a model")
    play.add_argument("--seed", help="seed of the first episode or of the players (default 0)")
    agents = play.add_argument_group("options for agents")
    agents.add_argument("--out", metavar="FILE", help="the animation to write, a .gif or .mp4")
    agents.add_argument("--episodes", help="number of episodes (default 1)")
    agents.add_argument("--agent", help="which of the agents that were trained, counted from 0 (default 0)")
    match_command.add_arguments(play)
    play.set_defaults(run=_play)


def _play(arguments):
    from .publishing import cards
    from .training.settings import given_options
    from .zoo import catalogue, match_command, matches, playing

    measure, playable = cards.read(cards.folder_of(arguments.name))["measure"], ("returns", matches.MEASURE)
    if measure not in playable:
        raise ValueError(
            f"name must be that of an agent or of a network that plays games, got {arguments.name!r}; "
            f"valid: {', '.join(catalogue.measured_by(playable))}"
        )
    if measure == matches.MEASURE:
        match_command.run(arguments)
        return
    match_command.reject(arguments)
    playing.check(arguments.name, arguments.out)
    if arguments.out is None and not playing.has_screen():
        raise ValueError("--out must be given where there is no screen: the animation, such as play.gif")
    _load_tensorflow()
    options = given_options(arguments, {"episodes": int, "seed": int, "agent": int})
    for number, value in enumerate(playing.play(arguments.name, out=arguments.out, **options)):
        print(f"episode {number}  return {value:g}")
    if arguments.out is not None:
        print(arguments.out)


def _print_scores(scores):
    for key, value in scores.items():
        print(f"{key:14s} {value:.4f}" if isinstance(value, float) else f"{key:14s} {value}")


def _add_export(commands):
    export = commands.add_parser("export", help="check a trained model's folder and copy it elsewhere")
    export.add_argument("name", help="a published model, or a folder with a card such as runs/NAME/model")
    export.add_argument("--to", required=True, help="the new folder")
    export.set_defaults(run=_export)


def _export(arguments):
    from .publishing import cards

    print(cards.copy(arguments.name, arguments.to))


def _add_reproduce(commands):
    reproduce = commands.add_parser("reproduce", help="draw the figures of a chapter or section of the notes")
    reproduce.add_argument("section", help="a chapter or section that has figures, such as 2 or 5.1")
    reproduce.add_argument("--out", help="the page to write (default reproduce-SECTION.html)")
    reproduce.add_argument("--pictures", help="a folder in which to save the figures as PNG files, too")
    reproduce.set_defaults(run=_reproduce)


def _reproduce(arguments):
    from .figures import catalogue

    # Validate before the slow import of TensorFlow.
    catalogue.require_section(arguments.section)
    _load_tensorflow()

    from .figures import page as reproduction

    print(reproduction.write_page(arguments.section, arguments.out, arguments.pictures))


def _equations(arguments):
    import rich.console
    import rich.table

    from . import equations

    header, *rows = equations.render()
    table = rich.table.Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    rich.console.Console().print(table)
