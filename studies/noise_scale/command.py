"""The command `curvezoo noise-scale`: its options, and the study itself."""

import shlex


def add_arguments(study):
    """Adds the options to the parser of `curvezoo noise-scale`.

    Args:
        study: An `argparse.ArgumentParser`.
    """
    study.add_argument("name", help="the model")
    study.add_argument("--optimizer", help="sgd (without momentum, the default) or recipe (the recipe's own)")
    study.add_argument(
        "--target",
        help="training loss to reach (default a fifth of the initial loss; for text three fifths)",
    )
    study.add_argument("--batch-sizes", help="batch sizes of the sweep, such as 16,64,256 (default 4 to 512)")
    study.add_argument("--seeds", help="number of training runs for each batch size (default 2)")
    study.add_argument("--epochs", help="maximum number of epochs at the smallest batch size (default 30)")
    study.add_argument("--rate", help="first rate of the search at the smallest batch size (default 0.1)")
    study.add_argument("--points", help="number of measurements of B_simple in a training run (default 41)")
    study.add_argument("--curved", help="number of these measurements that include B_noise (default 6)")
    study.add_argument("--excess", help="acceptable examples beyond E_min, in units of E_min (default 1)")
    study.add_argument("--seed", help="the first seed of the weights and the batches")
    study.add_argument("--data-dir", help="the folder of TensorFlow Datasets (default TFDS_DATA_DIR)")
    study.add_argument("--out", help="the study's folder (default runs/NAME-noise-scale)")
    study.add_argument("--resume", action="store_true", help="continue the study in --out")
    study.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the recipe"
    )


def run(arguments, settings, load_tensorflow):
    """Runs the study and prints the results.

    Args:
        arguments: The parsed arguments.
        settings: The changed settings of the recipe, a dictionary.
        load_tensorflow: Function that imports TensorFlow, called once everything else is checked.

    Raises:
        ValueError: If an option or a setting is not valid.
    """
    if arguments.seed is not None:
        settings["seed"] = arguments.seed
    keys = ("optimizer", "target", "batch_sizes", "seeds", "epochs", "rate", "points", "curved", "excess")
    options = {key: getattr(arguments, key) for key in keys}
    options = {key: value for key, value in options.items() if value is not None}

    from ...zoo import catalogue

    catalogue.recipe(arguments.name).override(settings)
    load_tensorflow()

    from . import study_noise_scale

    results = study_noise_scale(
        arguments.name,
        arguments.out,
        data_dir=arguments.data_dir,
        resume=arguments.resume,
        options=options,
        command=shlex.join(["curvezoo", *arguments.words]),
        **settings,
    )
    for key in ("b_crit", "b_simple_start", "b_simple_average", "b_noise_average"):
        if results[key] is not None:
            print(f"{key:18s} {results[key]:.4g} ± {results[f'{key}_error'] or float('nan'):.2g}")
    print(f"advised batch size {results['advised_batch_size']}\nreport {results['folder']}/report.html")
