"""The command `curvezoo sample` of trained models: its options, and the text or the picture that it makes."""

import itertools

_OF_TEXT = {
    "max_new_tokens": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "beam": int,
    "stop": str,
}
_CONDITIONS = {"labels": tuple[int, ...], "category": tuple[int, ...]}
_OF_IMAGES = {"count": int, **_CONDITIONS}


def add_arguments(sample):
    """Adds the options to the parser of `curvezoo sample`.

    Args:
        sample: An `argparse.ArgumentParser`.
    """
    sample.add_argument("--prompt", help="the text to continue or to translate")
    sample.add_argument("--max-new-tokens", help="largest number of new tokens (default 200)")
    sample.add_argument("--temperature", help="divisor of the logits; 0: most probable token (default 1)")
    sample.add_argument("--top-k", help="draw from the k most probable tokens only")
    sample.add_argument("--top-p", help="draw from the most probable tokens of this total probability only")
    sample.add_argument("--beam", help="number of beams of a beam search in place of drawing")
    sample.add_argument("--stop", help="a text after which the continuation ends")
    sample.add_argument("--seed", help="seed of the draws (default 0)")
    sample.add_argument("--no-stream", action="store_true", help="print the text when it is complete")
    sample.add_argument("--grid", metavar="FILE", help="the picture of the images that the model draws")
    sample.add_argument("--count", help="number of images (default 64)")
    for name, kind in (("labels", "a class-conditional model"), ("category", "InfoGAN")):
        sample.add_argument(f"--{name}", help=f"of {kind}: one for each image in turn, such as 0,1,2")


def run(arguments, load_tensorflow):
    """Prints the text that a model writes, or the path of the picture that it draws.

    Args:
        arguments: The parsed arguments.
        load_tensorflow: Function that imports TensorFlow, called once everything else is checked.

    Raises:
        ValueError: If an option is not valid, or does not apply to the model.
    """
    from . import drawing, writing

    if arguments.grid is not None or drawing.draws(arguments.name):
        _draw(arguments, load_tensorflow)
    elif arguments.prompt is not None or writing.writes(arguments.name):
        _write(arguments)
    else:
        valid = ", ".join(writing.names() + drawing.names())
        raise ValueError(
            f"name must be that of a model that writes text or draws images, got {arguments.name!r}; "
            f"valid: {valid}"
        )


def _reject(arguments, keys, where):
    for key in keys:
        if getattr(arguments, key) is not None:
            raise ValueError(f"--{key.replace('_', '-')} applies to models of {where} only")


def _draw(arguments, load_tensorflow):
    from ..training.settings import given_options
    from . import drawing

    _reject(arguments, ("prompt", *_OF_TEXT), "text")
    options = given_options(arguments, {**_OF_IMAGES, "seed": int})
    drawing.check(arguments.name, **{key: options[key] for key in ("count", "seed") if key in options})
    if arguments.grid is None:
        raise ValueError("--grid must be given: the picture to write, such as samples.png")
    path = drawing.check_picture(arguments.grid)
    count = options.get("count", drawing.COUNT)
    for key in _CONDITIONS.keys() & options.keys():
        options[key] = list(itertools.islice(itertools.cycle(options[key]), count))
    load_tensorflow()
    print(drawing.write_picture(drawing.draw(arguments.name, **options), path))


def _write(arguments):
    from ..training.settings import given_options
    from . import writing

    _reject(arguments, _OF_IMAGES, "images")
    if arguments.prompt is None:
        raise ValueError("--prompt must be given: the text to continue or to translate")
    options = given_options(arguments, {**_OF_TEXT, "seed": int})
    pieces = writing.stream(arguments.name, arguments.prompt, **options)
    if arguments.no_stream:
        pieces = ["".join(pieces)]
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
