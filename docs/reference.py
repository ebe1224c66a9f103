"""Writes the generated half of docs/optimizers-reference.md from docstrings: `python docs/reference.py`."""

import functools
import inspect
import pathlib
import re
import textwrap

from curvezoo import optimizers

PAGE = pathlib.Path(__file__).with_name("optimizers-reference.md")
# The generated half has the docstrings' own layout of examples, which `ruff format` would change.
MARK = """<!-- Everything below is generated from the docstrings by `python docs/reference.py`. -->
<!-- fmt: off -->
"""
# Names in `curvezoo.optimizers` by heading, in the order of the page.
NAMES = {
    "Optimizers for `compile` and `fit`": (
        "KFAC",
        "NaturalGradient",
        "HessianFree",
        "Newton",
        "RMSProp",
        "Acceleration",
        "Acceleration.for_two_eigenvalues",
        "Acceleration.for_interval",
        "Evolution",
        "learning_rate_schedule",
    ),
    "Optimizers for all data at once": (
        "fit_lbfgs",
        "LBFGS",
        "LBFGS.minimize",
        "LBFGS.minimize_function",
        "BFGS",
        "ConjugateGradient",
        "full_batch.Result",
    ),
    "The gradient noise scale": (
        "GradientNoiseScale",
        "GradientNoiseScale.noise_scale",
        "GradientNoiseScale.standard_error",
        "GradientNoiseScale.hessian_noise_scale",
        "GradientNoiseScale.hessian_standard_error",
        "GradientNoiseScale.history",
        "GradientNoiseScale.hessian_history",
        "GradientNoiseScale.average",
        "AdaptiveBatch",
    ),
    "Losses and optimizers of your own": (
        "ModelObjective",
        "ModelObjective.data_loss",
        "ModelObjective.select_predictions",
        "ModelObjective.targets",
        "Objective",
        "ModelOptimizer",
        "ModelOptimizer.direction",
        "ModelOptimizer.add_state",
        "keras_bridge.unpatched",
    ),
    "Curvature": (
        "curvature.operators.CurvatureOperator",
        "curvature.Hessian",
        "curvature.Hessian.dimension",
        "curvature.Hessian.matvec",
        "curvature.Hessian.dense",
        "curvature.GaussNewton",
        "curvature.Fisher",
        "curvature.EmpiricalFisher",
        "curvature.lanczos_spectrum",
        "curvature.Spectrum",
        "curvature.spectral_density",
        "curvature.SpectralDensity",
        "curvature.SpectralDensity.moment",
        "curvature.hutchinson_trace",
        "curvature.TraceEstimate",
        "curvature.conjugate_gradients",
        "curvature.Solution",
        "curvature.hessian_vector_product",
        "curvature.gauss_newton_vector_product",
        "curvature.fisher_vector_product",
        "curvature.empirical_fisher_vector_product",
        "curvature.output_distribution",
        "curvature.OutputDistribution",
    ),
}
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|References):$", re.MULTILINE)


def page(written):
    """Returns the page with its generated half made anew.

    Args:
        written: The page's text, of which the part above the mark is kept.
    """
    parts = [written.partition(MARK)[0] + MARK]
    for heading, names in NAMES.items():
        parts.append(f"## {heading}")
        parts += [entry(name) for name in names]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def entry(name):
    """Returns the entry of one class, function, method or property.

    Args:
        name: Its dotted name in `curvezoo.optimizers`.
    """
    named = functools.reduce(getattr, name.split("."), optimizers)
    docstring = inspect.getdoc(named)
    body, *sections = _SECTION.split(docstring)
    parts = [f"### `{name}`", *_signature(name, named), _markdown(body)]
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        text = textwrap.dedent(text.strip("\n"))
        if title == "Example":
            parts.append(f"**Example**\n\n{_markdown(text)}")
        elif title in ("Returns", "References"):
            parts.append(f"**{title}**\n\n{_prose(text)}")
        else:
            parts.append(f"**{title}**\n\n{_items(text)}")
    return "\n\n".join(part.strip("\n") for part in parts)


def _signature(name, named):
    """Returns the call with its defaults as a block, in a list; an empty one for a property."""
    if not callable(named):
        return []
    parameters = list(inspect.signature(named).parameters.values())
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    plain = [p.replace(annotation=p.empty) for p in parameters]
    call = f"{name}{inspect.Signature(plain)}"
    lines = textwrap.wrap(call, 100, subsequent_indent="    ", break_on_hyphens=False)
    return ["```text\n" + "\n".join(lines) + "\n```"]


def _markdown(text):
    """Returns paragraphs of prose, indented formulas and examples as Markdown."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(_block(block.strip("\n")) for block in blocks)


def _block(block):
    if block.startswith(">>>"):
        return f"```pycon\n{block}\n```"
    return block if block.startswith("    ") else _prose(block)


def _items(text):
    """Returns the entries `name: text` of a section as a list."""
    items = re.split(r"\n(?=\S)", text)
    pairs = [" ".join(item.split()).partition(": ") for item in items]
    return "\n".join(
        textwrap.fill(
            f"- `{name}`: {_prose(rest)}",
            110,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, _, rest in pairs
    )


def _prose(text):
    """Returns prose with its formulas between dollar signs."""
    return re.sub(r"\\\((.+?)\\\)", lambda found: f"${' '.join(found[1].split())}$", text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
