"""The page of a batch-size study: the advice, the sweep with its hyperbola, the noise scale, the settings."""

from ...publishing.page.report import Section, write_report
from .measurement import COUPLED
from .plots import draw_run, draw_trade_off


def write(path, recipe, found, tuned, fit, run, command):
    """Writes the page.

    Args:
        path: Where to write.
        recipe: The `Recipe` that was studied.
        found: The results of `noise_scale_study.study`.
        tuned: The sweep's `Tuned`s.
        fit: The `TradeOffFit`.
        run: The measured `NoisyRun`.
        command: The command line.

    Returns:
        The path, a `pathlib.Path`.
    """
    sections = [_sweep(found, tuned, fit), _noise(found, run), _settings(found, recipe, command)]
    title = f"{recipe.name}: which batch size"
    lead = f"{recipe.summary}; gradient noise scale and batch-size sweep (Sec. 4.5)."
    return write_report(path, title, _summary(found), sections, lead=lead)


def _summary(found):
    excess, size = found["excess"], found["advised_batch_size"]
    cost = (
        f"{size}: {1 + size / found['b_crit']:.2f} times the least examples, "
        f"{1 + found['b_crit'] / size:.2f} times the least steps"
    )
    rows = [
        ("Advised batch size" + (f" (excess {excess:g})" if excess != 1 else ""), cost),
        ("B_crit = E_min / S_min, from the sweep", _with_error(found, "b_crit")),
        ("B_simple, mean over the training", _with_error(found, "b_simple_average")),
        ("B_simple, first twentieth of the steps", _with_error(found, "b_simple_start")),
    ]
    if found["curved"]:
        rows.append(("B_noise, mean over the training", _with_error(found, "b_noise_average")))
    return rows


def _sweep(found, tuned, fit):
    header = ["batch size", "tuned rate", "steps", "examples", "spread of seeds", "steps / hyperbola"]
    rows = [
        [
            each.batch_size,
            f"{each.rate:.3g}",
            f"{each.mean_steps:,.1f}",
            f"{each.mean_steps * each.batch_size:,.0f}",
            "" if len(each.steps) < 2 else f"± {100 * each.relative_error:.1f} %",
            f"{each.mean_steps / steps:.2f}",
        ]
        for each, steps in zip(tuned, fit.steps([each.batch_size for each in tuned]), strict=True)
    ]
    caption = (
        "Each point is a training to the same loss with the learning rate tuned at its batch size, written "
        "beside it; grey diagonals have one batch size. The hyperbola is Eq. 4.5.11, its turnover "
        "B_crit is Eq. 4.5.12. Right: the tuned rates, with the form of Eq. 4.5.6 through them."
    )
    text = (
        f"Steps and examples to a training loss of {found['target']:.4g}. "
        f"S_min = {_with_error(found, 's_min')} steps, E_min = {_with_error(found, 'e_min')} examples. "
        "Errors are standard errors of the fit, from its residuals."
    )
    return Section("Steps against examples", text, [(draw_trade_off(tuned, fit), caption, (header, rows))])


def _noise(found, run):
    text = (
        "The noise scale falls as the temperature, learning rate over batch size, rises; here it is "
        f"{run.rate / run.batch_size:.3g}."
    )
    if found["batch_norm"]:
        text += (
            f" Batch norms couple the examples of a batch: the covariance is that of gradients of {COUPLED} "
            "or more examples together, with their own statistics, times their number."
        )
    caption = (
        "B_simple (Eq. 4.5.9) and B_noise (Eq. 4.5.8) with standard errors, on fresh examples at each "
        f"point, from the start to the target. B_simple from the averages over the whole training: "
        f"{_with_error(found, 'b_simple_of_averages')}."
    )
    return Section("Noise scale along a training", text, [(draw_run(run, found["b_crit"]), caption)])


def _settings(found, recipe, command):
    keys = ("optimizer", "batch_sizes", "seeds", "first_seed", "epochs", "examples", "parameters", "points")
    rows = [("command", command), *((key, found[key]) for key in keys)]
    rows = [(key, ", ".join(map(str, value)) if isinstance(value, tuple) else value) for key, value in rows]
    rows += [("data", recipe.data.name), ("model", _arguments(recipe.model))]
    text = "The rate is constant in every training, and batches are drawn with replacement."
    return Section("Settings", text, rows=rows)


def _arguments(model):
    return ", ".join(f"{key}={value}" for key, value in model.arguments.items()) or "-"


def _with_error(found, key):
    value, error = found[key], found[f"{key}_error"]
    if value is None:
        return "no signal seen"
    return _digits(value, 3) + ("" if error is None else f" ± {_digits(error, 2)}")


def _digits(value, count):
    """A number to so many significant digits, without an exponent: 34,400."""
    return f"{float(f'{value:.{count}g}'):,.10g}"
