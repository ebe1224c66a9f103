"""Names for the variables of a model and of its optimizer that are the same in every process.

Keras numbers layers in the order in which a process creates them: the first `Dense` is `dense`, the next
`dense_1`. Here layers are renumbered among the layers of the same kind within the same parent.
"""

import collections
import re

import numpy as np


def named_variables(model, optimizer=None, prefix="model"):
    """Returns the variables of a model, and of an optimizer of its weights, by name.

    Args:
        model: A built `keras.Model`.
        optimizer: A built optimizer of the model's weights, or `None`.
        prefix: First part of the names of the model's variables; those of the optimizer's variables begin
            with `PREFIX.optimizer`.

    Returns:
        A dictionary of Keras variables by names such as `model/dense_1/kernel` and
        `model.optimizer/dense_1_kernel_momentum`.
    """
    paths = _canonical([variable.path for variable in model.variables])
    named = {f"{prefix}/{path}": v for path, v in zip(_distinct(paths), model.variables, strict=True)}
    if optimizer is None:
        return named
    flat = {
        v.path.replace("/", "_"): path.replace("/", "_")
        for v, path in zip(model.variables, paths, strict=True)
    }
    slots = [_slot(variable.path, flat) for variable in optimizer.variables]
    return named | {
        f"{prefix}.optimizer/{n}": v for n, v in zip(_distinct(slots), optimizer.variables, strict=True)
    }


def loss_variables(loss):
    """Returns the variables of a loss by name: the states of generators, if it draws random numbers.

    Args:
        loss: A Keras loss; those of its variables that belong to a run's state are in `loss.variables`.
    """
    variables = getattr(loss, "variables", ())
    names = _distinct(_canonical([f"loss/{variable.name}" for variable in variables]))
    return dict(zip(names, variables, strict=True))


def state_of(variables):
    """Returns the values of named variables as NumPy arrays by name.

    Args:
        variables: What `named_variables` returned.
    """
    return {name: np.asarray(variable) for name, variable in variables.items()}


def assign(variables, state):
    """Assigns a state to named variables; all or none are changed.

    Args:
        variables: What `named_variables` returned.
        state: What `state_of` returned for variables of the same names and shapes.

    Raises:
        ValueError: If names or shapes differ; the message has the first that does.
    """
    for name in (*variables, *state):
        same = name in variables and name in state and state[name].shape == tuple(variables[name].shape)
        if not same:
            raise ValueError(f"the state must be that of the same model and optimizer, but {name} differs")
    for name, variable in variables.items():
        variable.assign(state[name])


def _canonical(paths):
    """Renumbers the components of paths in the order of their first appearance."""
    seen, counts, canonical = {}, collections.Counter(), []
    for path in paths:
        parent, name = (), []
        for component in path.split("/"):
            key = (*parent, component)
            if key not in seen:
                base = re.sub(r"_\d+$", "", component)
                number = counts[(*name, base)]
                counts[(*name, base)] += 1
                seen[key] = f"{base}_{number}" if number else base
            parent, name = key, [*name, seen[key]]
        canonical.append("/".join(name))
    return canonical


def _slot(path, flat):
    """Returns an optimizer variable's name, with the model variable's name in it made canonical."""
    name = path.rpartition("/")[2]
    matches = [old for old in flat if old in name]
    if not matches:
        return name
    longest = max(matches, key=len)
    return name.replace(longest, flat[longest])


def _distinct(names):
    """Makes names distinct by numbering the repetitions of each."""
    counts, distinct = collections.Counter(), []
    for name in names:
        counts[name] += 1
        distinct.append(f"{name}#{counts[name]}" if counts[name] > 1 else name)
    return distinct
