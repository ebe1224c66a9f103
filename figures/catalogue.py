"""The figures of the notes in the notes' order, and the titles of the sections.

A figure is a module of a chapter's package with a `FIGURE`. If it has `ZOO_MODELS`, it shows those of them
that are published, and there is no figure while none is. Both are read from the source, so that the list of
sections needs no import of TensorFlow; a module is imported when its figure is requested.
"""

import ast
import functools
import importlib
import pathlib

from ..publishing import cards

TITLES = {
    "1": "A brief conceptual tour",
    "1.1": "Curve fitting with at least a million parameters",
    "1.2": "What is the goal of learning?",
    "1.3": "Optimization: how to learn",
    "1.4": "Algorithmic differentiation",
    "1.5": "Architectures",
    "1.6": "Overfitting and generalization",
    "1.7": "Datasets",
    "1.8": "Setting up an MNIST classifier",
    "1.9": "Open problems",
    "1.10": "Probability and random variables",
    "2": "Information theory",
    "2.1": "Entropy",
    "2.2": "Choice, uncertainty and entropy",
    "2.3": "Relative entropy and the Fisher metric",
    "2.4": "Maximum entropy",
    "2.5": "Conditional entropy and mutual information",
    "2.6": "t-SNE",
    "2.7": "Limits on computation",
    "3": "Probability and maximum likelihood",
    "3.1": "Setup and some philosophy",
    "3.2": "The central limit theorem",
    "3.3": "Estimators, bias and variance",
    "3.4": "Why optimize a particular loss function?",
    "3.5": "Random sampling inside networks",
    "3.6": "Distances between probability distributions",
    "4": "Optimization",
    "4.1": "Optimizers",
    "4.2": "Stochastic gradient descent",
    "4.3": "Momentum",
    "4.4": "RMSProp and Adam",
    "4.5": "Batch size and the gradient noise scale",
    "4.6": "Natural gradients",
    "4.7": "More on second-order methods",
    "5": "Architectures",
    "5.1": "Propagation of information",
    "5.2": "Recurrent structures",
    "5.3": "Convolutional structures",
    "5.4": "Attention and the Transformer",
    "6": "A toy model for generalization and overfitting",
    "7": "Unsupervised learning",
    "7.1": "Latent space",
    "7.2": "Maximizing the likelihood of the data",
    "7.3": "Variational autoencoders",
    "7.4": "Generative adversarial networks",
    "7.5": "Improving the latent space",
    "8": "Reinforcement learning",
    "8.1": "Notation",
    "8.2": "Policy gradients",
    "8.3": "Q-learning",
    "8.4": "Supervised learning and reinforcement learning compared",
    "8.5": "TRPO and PPO",
    "8.6": "AlphaZero and self-play",
}
"""Titles of the notes' chapters and sections, in their order."""


def sections():
    """Returns the numbers of the chapters and sections that have figures, in the notes' order."""
    numbers = set(_sections_by_module().values())
    return sorted(numbers | {number.partition(".")[0] for number in numbers}, key=_order)


def require_section(section):
    """Raises a ValueError that lists the valid ones unless a chapter or section has figures."""
    if section not in sections():
        raise ValueError(f"section {section!r} has no figures; valid: {', '.join(sections())}")


def figures(section):
    """Returns the figures of a chapter or section, in the notes' order.

    Args:
        section: A chapter such as `2`, or a section such as `2.3`, that has figures.

    Returns:
        A list of `Figure`s.

    Raises:
        ValueError: If the section has no figures; the message lists those that have.
    """
    require_section(section)
    modules = [
        importlib.import_module(f".{module}", __package__)
        for module, number in _sections_by_module().items()
        if f"{number}.".startswith(f"{section}.")
    ]
    chosen = [module.FIGURE for module in modules]
    return sorted(chosen, key=lambda figure: (_order(figure.section), figure.place, figure.name))


@functools.cache
def _sections_by_module():
    """Returns the section of each module with a `FIGURE`, by names such as `chapter2.entropy`."""
    by_module = {}
    for path in sorted(pathlib.Path(__file__).parent.glob("chapter*/*.py")):
        section = _read_section(path)
        if section is not None:
            by_module[f"{path.parent.name}.{path.stem}"] = section
    return by_module


def _read_section(path):
    """Reads the section of a module's `FIGURE` from its source; `None` if it has no figure."""
    section, models = None, None
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="FIGURE")], value=ast.Call(keywords=keywords)):
                section = next(ast.literal_eval(each.value) for each in keywords if each.arg == "section")
            case ast.Assign(targets=[ast.Name(id="ZOO_MODELS")], value=names):
                models = ast.literal_eval(names)
    return section if models is None or any(map(cards.published, models)) else None


def _order(number):
    return [int(part) for part in number.split(".")]
