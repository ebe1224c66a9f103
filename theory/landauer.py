"""Landauer's limit on the heat of computation, and reversible addition, which evades it (Sec. 2.7).

Erasing a bit with two equally likely values increases the entropy of the surroundings by log 2 and produces
the heat k_B T log 2. A computation erases the entropy H(inputs | outputs), which is zero if it is reversible.

The notes' 16 log 2 for the addition of two 16-bit numbers (Eq. 2.7.2) is the value for addition modulo 2^16.
The exact sum has 17 bits, contains more information about the summands, and erases half a nat less
(docs/errata.md).

A word has 32 bits by default in a computation. Entropies are in nats, temperatures in kelvin, heat in joules,
rates in operations per second, power in watts.
"""

import numbers

import numpy as np
from scipy.constants import Boltzmann

from .. import arguments
from ..deprecation import changing_default

# 1/12 - zeta'(-1)
_LOG_GLAISHER = 0.24875447703378425
# The largest width of a word, in bits, for which `addition_entropy` sums term by term.
_MAX_SUMMED_BITS = 16


def erasure_heat(bits, temperature=300.0):
    """Returns the minimum heat of erasing uniformly random bits, Q = k_B T log 2 each (Eq. 2.7.3).

    Args:
        bits: Number of bits, or any entropy divided by log 2; it need not be an integer.
        temperature: Temperature T in kelvin.

    Returns:
        Heat in joules, in the broadcast shape of the arguments.

    Raises:
        ValueError: If an argument is not finite, a number of bits is negative, a temperature is not positive,
            or the shapes do not broadcast.

    References:
        Landauer, "Irreversibility and heat generation in the computing process" (1961).
    """
    bits, temperature = arguments.nonnegative("bits", bits), arguments.positive("temperature", temperature)
    arguments.broadcastable(bits=bits, temperature=temperature)
    return Boltzmann * temperature * bits * np.log(2)


def computation_heat(operations, bits=32, temperature=300.0):
    """Returns the minimum heat of a computation that erases bits in every operation (Eqs. 2.7.3 and 2.7.5).

    Args:
        operations: Number of operations.
        bits: Bits erased per operation: the width of a word if two words become one.
        temperature: Temperature T in kelvin.

    Returns:
        Heat in joules. The notes' 10^23 operations of 32 bits cost 9,200 J at 300 K; the notes print 8,000.

    Raises:
        ValueError: As in `erasure_heat`, or if a number of operations is negative.
    """
    operations, heat = arguments.nonnegative("operations", operations), erasure_heat(bits, temperature)
    arguments.broadcastable(operations=operations, bits=bits, temperature=temperature)
    return operations * heat


def minimal_power(rate, bits=32, temperature=300.0):
    """Returns the minimum power of hardware that erases bits in every operation (Eq. 2.7.6).

    Args:
        rate: Operations per second.
        bits: Bits erased per operation.
        temperature: Temperature T in kelvin.

    Returns:
        Power in watts. The notes' 10^14 operations of 16 bits need 4.6e-6 W at 300 K; the notes print 1e-5.

    Raises:
        ValueError: As in `erasure_heat`, or if a rate is negative.
    """
    rate, heat = arguments.nonnegative("rate", rate), erasure_heat(bits, temperature)
    arguments.broadcastable(rate=rate, bits=bits, temperature=temperature)
    return rate * heat


def excess(power, rate, bits=32, temperature=300.0):
    """Returns the ratio of the power that a machine draws to Landauer's limit.

    Args:
        power: Power drawn, in watts.
        rate: Operations per second, positive.
        bits: Bits erased per operation, positive.
        temperature: Temperature T in kelvin.

    Returns:
        power / `minimal_power`: 5e7 for the notes' GPU of 250 W and 10^14 operations of 16 bits.

    Raises:
        ValueError: If an argument is not finite and positive, or the shapes do not broadcast.
    """
    rate, bits = arguments.positive("rate", rate), arguments.positive("bits", bits)
    power, limit = arguments.positive("power", power), minimal_power(rate, bits, temperature)
    arguments.broadcastable(power=power, rate=rate, bits=bits, temperature=temperature)
    return power / limit


def erased_entropy(outputs, probabilities=None):
    """Returns the entropy H(X) - H(f(X)) = H(X | f(X)) that a deterministic computation f erases, in nats.

    Args:
        outputs: The output of each possible input, [N], or [N, D] for several outputs: numbers other than
            NaN, or strings.
        probabilities: Probabilities of the inputs, [N]; `None` for equal ones.

    Returns:
        The entropy. It is zero if and only if no two possible inputs have the same output, so that f is
        reversible.

    Raises:
        ValueError: If `outputs` is empty, has the wrong number of axes or other entries, or `probabilities`
            is not a distribution over N inputs.
    """
    outputs = outputs if _is_numeric(outputs) else np.asarray(outputs, dtype=object)
    if outputs.ndim not in (1, 2) or outputs.size == 0:
        raise ValueError(f"outputs must have shape [N] or [N, D] and not be empty, got {outputs.shape}")
    _check_entries("outputs", outputs, _is_output, "a number or a string")
    if probabilities is None:
        sizes = _group_sizes(outputs)
        return float(sizes @ np.log(sizes) / len(outputs))
    probabilities = arguments.distributions("probabilities", probabilities)
    arguments.has_shape("probabilities", probabilities, outputs.shape[:1])
    group = _groups(outputs)
    total = np.bincount(group, probabilities)[group]
    possible = probabilities > 0
    # The logarithms of the conditional probabilities are exactly zero for a reversible map.
    return float(np.sum(probabilities[possible] * np.log(total[possible] / probabilities[possible])))


def addition_entropy(bits, wraps=True):
    """Returns the entropy erased by adding two uniformly random words and keeping the sum (Eq. 2.7.2).

    With M = 2^k possible words, addition modulo M has a uniform sum and erases log M = k log 2. The exact sum
    s is not uniform: it results from min(s + 1, 2M - 1 - s) of the M^2 pairs, and the erased entropy is

        H(x, y | x + y) = (2 sum_{j=1}^{M-1} j log j + M log M) / M^2 = log M - 1/2 + O(log M / M^2).

    Args:
        bits: Width k of a word.
        wraps: Whether the sum is modulo 2^k, as in a register of k bits, or exact.

    Returns:
        The entropy in nats.

    Raises:
        ValueError: If `bits` is not an integer of at least 1, or `wraps` is not a Boolean.
    """
    bits = arguments.integer("bits", bits, 1)
    log_words = bits * np.log(2)
    if arguments.boolean("wraps", wraps):
        return float(log_words)
    if bits > _MAX_SUMMED_BITS:
        # The hyperfactorial's asymptotic series; the next term, 1 / (360 M^4), is below rounding.
        return float(log_words - 1 / 2 + (log_words / 6 + 2 * _LOG_GLAISHER) * 4.0**-bits)
    j = np.arange(1.0, 2**bits)
    return float(2 * np.sum(j * np.log(j)) * 4.0**-bits + log_words * 2.0**-bits)


def add_reversibly(x, y, bits=None):
    """Maps (x, y) to (x, x + y mod 2^k), which erases no information (Eq. 2.7.7).

    The map with the exact sum is reversible as well, but the sum does not fit into the register of y.

    Args:
        x: First word, integers in 0 ... 2^k - 1.
        y: Second word, integers in 0 ... 2^k - 1, of a shape that broadcasts with that of x.
        bits: Width k of a word, 1 to 64. Without it the width is 16, with a `FutureWarning`: in the next
            version it will be 32, as in `computation_heat`.

    Returns:
        (x, sum), two uint64 arrays.

    Raises:
        ValueError: If `bits` is out of range, an entry is not a word (the message gives its index), or the
            shapes do not broadcast.
    """
    bits = changing_default("bits", bits, 16, 32)
    x, y, mask = _words(bits, x=x, y=y)
    total = np.asarray(x + y)
    total &= mask
    return x, total


def undo_addition(x, total, bits=None):
    """Maps (x, x + y mod 2^k) back to (x, y), the inverse of Eq. 2.7.7.

    Args:
        x: First word, integers in 0 ... 2^k - 1.
        total: The sum modulo 2^k, integers in 0 ... 2^k - 1.
        bits: As in `add_reversibly`.

    Returns:
        (x, y), two uint64 arrays.

    Raises:
        ValueError: As in `add_reversibly`.
    """
    bits = changing_default("bits", bits, 16, 32)
    x, total, mask = _words(bits, x=x, total=total)
    return x, (total - x) & mask


def _words(bits, **named):
    """Returns the named arrays as broadcast uint64 arrays, and the mask 2^k - 1."""
    bits = arguments.integer("bits", bits, 1, 64)

    def is_word(entry):
        return isinstance(entry, numbers.Integral) and not isinstance(entry, bool) and 0 <= entry < 2**bits

    # Without dtype=object, NumPy would convert a list of integers below and above 2^63 to floats.
    words = {
        name: value if _is_integer(value) else np.asarray(value, dtype=object)
        for name, value in named.items()
    }
    for name, array in words.items():
        _check_entries(name, array, is_word, f"an integer in 0 ... {2**bits - 1}")
    arguments.broadcastable(**words)
    # Valid words of 64 bits are the same as unsigned numbers, which saves a copy.
    words = np.broadcast_arrays(
        *(
            array.view(np.uint64) if array.dtype == np.int64 else array.astype(np.uint64, copy=False)
            for array in words.values()
        )
    )
    return (*words, np.uint64(2**bits - 1))


def _group_sizes(outputs):
    """Returns the number of inputs in each group of equal outputs."""
    if outputs.dtype != object and outputs.ndim == 1:
        return np.unique(outputs, return_counts=True)[1]
    return np.bincount(_groups(outputs))


def _groups(outputs):
    """Returns the number of each input's group of equal outputs, [N]."""
    if outputs.dtype != object:
        group = np.zeros(len(outputs), int)
        for column in outputs.reshape(len(outputs), -1).T:
            values = np.unique(column, return_inverse=True)[1]
            # Numbers below N^2 identify the pairs of a group so far and a value of this column.
            pairs = group * len(outputs) + values
            group = np.unique(pairs, return_inverse=True)[1] if group.any() else values
        return group
    rows = outputs if outputs.ndim == 1 else map(tuple, outputs)
    numbering = {}
    return [numbering.setdefault(row, len(numbering)) for row in rows]


def _is_numeric(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _is_integer(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _is_output(entry):
    # NaN does not equal itself.
    return isinstance(entry, numbers.Number | str | bytes | np.generic) and bool(entry == entry)


def _check_entries(name, array, is_valid, rule):
    """Checks every entry of an array; the message gives the index of the first bad one."""
    # Numbers and strings are valid if the least and the largest are. In an array, NaN would be both.
    ordered = array.dtype != object or set(map(type, array.flat)) in ({int}, {str}, {bytes})
    if ordered and array.size and is_valid(array.min()) and is_valid(array.max()):
        return
    bad = ~np.vectorize(is_valid, otypes=[bool])(array)
    if bad.any():
        got = arguments.described(array[bad][0])
        raise ValueError(f"{name}{arguments.first_index(bad)} must be {rule}, got {got}")
