"""The page of a noise-scale study: the advice, the sweep, the noise scale during training, the settings."""

from ...publishing.page.report import Section, write_report
from .measurement import COUPLED
from .plots import draw_run, draw_trade_off


def write(path, recipe, results, tuned, fit, run, command):
    """Writes the page.

    Args:
        path: File to write.
        recipe: The `Recipe` of the study.
        results: The results of `study.study`.
        tuned: The `Tuned`s of the sweep.
        fit: The `TradeOffFit` of the sweep.
        run: The measured `NoisyRun`.
        command: The command line.

    Returns:
        The path, a `pathlib.Path`.
    """
    sections = [_sweep(results, tuned, fit), _noise(results, run), _settings(results, recipe, command)]
    title = f"{recipe.name}: noise scale and batch size"
    lead = f"{recipe.summary}; gradient noise scale and batch-size sweep (Sec. 4.5)."
    return write_report(path, title, _summary(results), sections, lead=lead)


def _summary(results):
    excess, size = results["excess"], results["advised_batch_size"]
    cost = (
        f"{size}: {1 + size / results['b_crit']:.2f} times the minimum of examples, "
        f"{1 + results['b_crit'] / size:.2f} times the minimum of steps"
    )
    rows = [
        ("Advised batch size" + (f" (excess {excess:g})" if excess != 1 else ""), cost),
        ("B_crit = E_min / S_min, from the sweep", _with_error(results, "b_crit")),
        ("B_simple, mean over the training", _with_error(results, "b_simple_average")),
        ("B_simple, first twentieth of the steps", _with_error(results, "b_simple_start")),
    ]
    if results["curved"]:
        rows.append(("B_noise, mean over the training", _with_error(results, "b_noise_average")))
    return rows


def _sweep(results, tuned, fit):
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
        "Left: each point is a training run to the same loss, with the learning rate tuned at its batch "
        "size, the number next to it. Gray diagonals are lines of constant batch size. The hyperbola is Eq. "
        "4.5.11 and its turnover B_crit is Eq. 4.5.12. Right: the tuned rates with a fit of Eq. 4.5.6."
    )
    text = (
        f"Steps and examples to a training loss of {results['target']:.4g}. "
        f"S_min = {_with_error(results, 's_min')} steps, E_min = {_with_error(results, 'e_min')} examples. "
        "Errors are standard errors of the fit, from its residuals."
    )
    return Section("Steps against examples", text, [(draw_trade_off(tuned, fit), caption, (header, rows))])


def _noise(results, run):
    text = (
        "The noise scale falls as the temperature, the ratio of learning rate and batch size, rises. Here it "
        f"is {run.rate / run.batch_size:.3g}."
    )
    if results["batch_norm"]:
        text += (
            " Batch normalization couples the examples of a batch. The covariance is therefore that of the "
            f"gradients of batches of {COUPLED} or more examples, times the number of examples."
        )
    caption = (
        "B_simple (Eq. 4.5.9) and B_noise (Eq. 4.5.8) with standard errors, from the start to the target, on "
        "fresh examples at each point. B_simple from the averages over the whole training: "
        f"{_with_error(results, 'b_simple_of_averages')}."
    )
    return Section("Noise scale during training", text, [(draw_run(run, results["b_crit"]), caption)])


def _settings(results, recipe, command):
    keys = ("optimizer", "batch_sizes", "seeds", "first_seed", "epochs", "examples", "parameters", "points")
    rows = [("command", command), *((key, results[key]) for key in keys)]
    rows = [(key, ", ".join(map(str, value)) if isinstance(value, tuple) else value) for key, value in rows]
    rows += [("data", recipe.data.name), ("model", _arguments(recipe.model))]
    text = "The learning rate is constant in each run. Batches are drawn with replacement."
    return Section("Settings", text, rows=rows)


def _arguments(model):
    return ", ".join(f"{key}={value}" for key, value in model.arguments.items()) or "-"


def _with_error(results, key):
    value, error = results[key], results[f"{key}_error"]
    if value is None:
        return "no signal"
    return _digits(value, 3) + ("" if error is None else f" ± {_digits(error, 2)}")


def _digits(value, count):
    """Returns a number with a given count of significant digits and no exponent, such as 34,400."""
    return f"{float(f'{value:.{count}g}'):,.10g}"
