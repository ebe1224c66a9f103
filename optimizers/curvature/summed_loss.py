"""A model's loss on a microbatch as a sum over positions, and the divisors that make the sums means."""

import types

import keras
import tensorflow as tf

from ... import arguments
from ..keras_bridge import internals
from ..keras_bridge.compiled_objective import CompiledObjective
from ..keras_bridge.model_objective import Term, valid_positions
from ..keras_bridge.stateless import stateless_call
from ..vectors import scaled

# The class that `compile` wraps functions in; it has no public name.
_LossFunction = keras.losses.MeanSquaredError.__base__


class SummedObjective(CompiledObjective):
    """The losses of a microbatch, each summed over its positions instead of averaged, as an `Objective`.

    Args:
        model: A `stand_in`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights, or None.
        factors: A factor for each loss, a tensor.
    """

    def __init__(self, model, x, y=None, sample_weight=None, factors=None):
        super().__init__(model, x, y, sample_weight)
        self.factors = factors

    @property
    def terms(self):
        """The losses with a sum as their reduction, and with the factors in their weights."""
        return [term for term, _ in self._summed(self._output_structure)]

    def data_loss(self, outputs):
        """Returns the sum of the losses, a scalar.

        Args:
            outputs: The model's outputs.
        """
        losses = []
        for term, output in self._summed(outputs):
            loss = term.loss(term.targets, output, term.sample_weight)
            if loss.shape.rank:
                raise ValueError(f"the loss must be a scalar, got shape {tuple(loss.shape)}")
            losses.append(scaled(term.weight, loss))
        return sum(losses[1:], losses[0])

    def counts(self, outputs, count):
        """Returns count(term, output) of each loss, whose sum over microbatches is the divisor of a mean.

        Args:
            outputs: The model's outputs.
            count: Function of a term and its output that returns a scalar.
        """
        counts = []
        for (term, output), loss in zip(self._summed(outputs), self._matched(outputs), strict=True):
            weighted = loss.loss.reduction == "mean_with_sample_weight"
            term = Term(term.loss, 1.0, term.targets, term.sample_weight if weighted else None)
            counts.append(tf.cast(count(term, output), tf.float64))
        return tf.stack(counts)

    def _summed(self, outputs):
        """Returns pairs of a term and its output."""
        pairs = []
        for index, match in enumerate(self._matched(outputs)):
            loss = internals.shallow_copy(match.loss)
            loss.reduction = "sum"
            weight = match.weight
            if self.factors is not None:
                weight = scaled(weight, self.factors[index])
            pairs.append((Term(loss, weight, match.targets, match.sample_weight), match.outputs))
        return pairs


def stand_in(model, loss, variables):
    """Returns an object in the place of a model, sufficient for `CompiledObjective`, compiled with a loss.

    Args:
        model: The model.
        loss: The loss, as accepted by `compile`; None for the compiled one.
        variables: The trainable variables of the stand-in, some of the model's; None for all.

    Raises:
        ValueError: If there is no loss, it is not reduced to a scalar, or there are other variables.
    """
    variables = _checked(variables, model.trainable_variables)
    if loss is not None:
        compiled = keras.Sequential()
        compiled.compile(loss=keras.tree.map_structure(_loss_object, loss))
        function, loss = internals.compiled_loss(compiled), compiled.loss
        function.output_names = getattr(model, "output_names", None)
    elif isinstance(model, keras.Model) and internals.compiled_loss(model) is not None:
        function, loss = internals.compiled_loss(model), model.loss
    else:
        raise ValueError("loss must be given for a model that is not compiled with one, got None")
    for part in keras.tree.flatten(loss):
        if getattr(part, "reduction", "mean") in (None, "none"):
            raise ValueError(f"the loss's reduction must be a sum or a mean, got {part.reduction!r}")
    chosen = {id(v) for v in variables}
    constant = [v for v in model.trainable_variables if id(v) not in chosen] + model.non_trainable_variables

    def call(values, state, x, **options):
        value_of = {id(v): value for v, value in zip([*variables, *constant], [*values, *state], strict=True)}
        trainable = [value_of[id(v)] for v in model.trainable_variables]
        others = [value_of[id(v)] for v in model.non_trainable_variables]
        return stateless_call(model, trainable, others, x, **options)

    return types.SimpleNamespace(
        loss=loss,
        _compile_loss=function,
        trainable_variables=variables,
        non_trainable_variables=constant,
        stateless_call=call,
    )


def _checked(variables, trainable):
    """Returns a subset of trainable variables as a list after checking that it is one."""
    if variables is None:
        return list(trainable)
    variables = list(variables)
    known = {id(v) for v in trainable}
    others = [v for v in variables if id(v) not in known]
    if others or not variables or len({id(v) for v in variables}) < len(variables):
        names = [getattr(v, "path", v) for v in others or variables]
        raise ValueError(
            f"variables must be distinct trainable variables of the model, got {arguments.described(names)}"
        )
    return variables


def _loss_object(loss):
    loss = keras.losses.get(loss) if isinstance(loss, str | type) else loss
    if loss is None or isinstance(loss, keras.losses.Loss):
        return loss
    name = getattr(loss, "__name__", "loss")
    # The name of a lambda is not a valid scope name.
    return _LossFunction(loss, name=name if name.isidentifier() else "loss")


class Count(keras.losses.Loss):
    """The number of values that a loss reduces, with the weights and masks that Keras applies.

    Args:
        loss: The loss.
    """

    def __init__(self, loss):
        super().__init__(name="count", reduction="sum", dtype=loss.dtype)
        self.loss = loss

    def call(self, y_true, y_pred):
        """Returns 1 for each value."""
        losses = self.loss.call(y_true, y_pred)
        if not losses.shape.rank:
            raise ValueError(
                f"loss must return a number for each example, got one scalar from {self.loss.name!r}, whose "
                "dependence on the batch is unknown"
            )
        valid = valid_positions(self.loss, y_true, losses.shape.rank)
        return tf.ones_like(losses) if valid is None else tf.cast(valid, losses.dtype)
