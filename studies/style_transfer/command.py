"""The command `curvezoo sample style`: its options, and the transfer itself."""

import shlex

# Options of the command by argument of `transfer_style`, with their help.
_FILES = {
    "content": "the picture whose content to draw (default a palace, from scikit-learn)",
    "style": "the picture whose style to draw it in (default a flower, from scikit-learn)",
    "out": "the folder of the results (default runs/style)",
}
_OPTIONS = {
    "features": "the network: a published model, the folder of a run, or vgg19 (default resnet20_cifar10)",
    "weights": "for vgg19: the file of its weights, vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "size": "largest height or width of the pictures, in pixels (default 256)",
    "steps": "evaluations of the loss and its gradient for each optimizer (default 120)",
    "optimizers": "lbfgs, adam or lbfgs,adam (default both, for comparison)",
    "learning_rate": "learning rate of Adam, for pixels in [0, 1] (default 0.06)",
    "content_weight": "weight of the content (default 0.03)",
    "style_weight": "weight of the style (default 1)",
    "tv_weight": "weight of the total variation (default 1)",
    "start": "first picture: content or noise (default content)",
    "style_layers": "layers that describe the style, such as conv_block,residual_block",
    "content_layer": "layer that describes the content",
}
# Options of other samples, which style transfer does not use.
_OTHERS = (
    *("prompt", "max_new_tokens", "temperature", "top_k", "top_p", "beam", "stop"),
    *("grid", "count", "labels", "category"),
)


def add_arguments(parser):
    """Adds the options to the parser of `curvezoo sample`; `--seed` is shared with other samples.

    Args:
        parser: An `argparse.ArgumentParser`.
    """
    group = parser.add_argument_group("options of `curvezoo sample style`")
    for name, text in (_FILES | _OPTIONS).items():
        group.add_argument(f"--{name.replace('_', '-')}", help=text)
    group.add_argument("--resume", action="store_true", help="continue the transfer in --out")


def reject(arguments):
    """Raises a ValueError if an option of style transfer is given for another sample.

    Args:
        arguments: The parsed arguments.
    """
    _reject(arguments, (*_FILES, *_OPTIONS, "resume"), "to `curvezoo sample style` only")


def run(arguments, load_tensorflow):
    """Transfers the style and prints the results.

    Args:
        arguments: The parsed arguments.
        load_tensorflow: Function that imports TensorFlow, called once everything else is checked.

    Raises:
        ValueError: As `transfer_style`, or if an option of another sample is given.
    """
    _reject(arguments, _OTHERS, "to trained models only, not to `curvezoo sample style`")
    given = {name: getattr(arguments, name) for name in (*_OPTIONS, "seed")}
    given = {name: value for name, value in given.items() if value is not None}

    from ...zoo.models import default_folder
    from . import options, pictures

    size = options.read_options(given).size
    for name in ("content", "style"):
        pictures.read(name, getattr(arguments, name), size)
    out = arguments.out or default_folder("style", arguments.resume)
    load_tensorflow()

    from .transfer import transfer_style

    result = transfer_style(
        arguments.content,
        arguments.style,
        out,
        resume=arguments.resume,
        command=shlex.join(["curvezoo", *arguments.words]),
        **given,
    )
    for name, losses in result.losses.items():
        print(f"{name:7s} loss {losses[0]:.4g} to {losses.min():.4g} in {len(losses)} evaluations")
    print(f"picture {result.folder / 'result.png'}\nreport  {result.folder / 'report.html'}")


def _reject(arguments, names, where):
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} applies {where}")
