"""What computing costs in heat: Landauer's limit and how to go around it (Sec. 2.7).

Forgetting one bit, of which both values were equally likely, creates the entropy log 2 in the surroundings
and there the heat k_B T log 2. A computation forgets H(inputs | outputs): nothing if it can be undone.

The notes' 16 log 2 for adding two 16-bit numbers (Eq. 2.7.2) is that of addition modulo 2^16. The exact sum
needs 17 bits, knows more about the summands, and erases half a nat less (docs/errata.md).

Entropies are in nats, temperatures in kelvin, heat in joules, rates in operations a second, power in watts.
"""

import numbers

import numpy as np
from scipy.constants import Boltzmann

from .. import arguments

_LOG_GLAISHER = 0.24875447703378425  # 1/12 - zeta'(-1)
_SUMMED = 16  # Up to as many bits the sum over all totals is done term by term.


def erasure_heat(bits, temperature=300.0):
    """Returns the least heat of erasing uniformly random bits, Q = k_B T log 2 each (Eq. 2.7.3).

    Args:
        bits: Number of bits; need not be an integer, since entropy / log 2 counts too.
        temperature: Temperature T in kelvin.

    Returns:
        Heat in joules, of the broadcast shape of the arguments.

    Raises:
        ValueError: If an argument is not finite, a number of bits is negative, a temperature not positive, or
            the shapes do not broadcast.

    References:
        Landauer, "Irreversibility and heat generation in the computing process" (1961).
    """
    bits, temperature = arguments.nonnegative("bits", bits), arguments.positive("temperature", temperature)
    arguments.broadcastable(bits=bits, temperature=temperature)
    return Boltzmann * temperature * bits * np.log(2)


def computation_heat(operations, bits=32, temperature=300.0):
    """Returns the least heat of a computation that erases in every operation (Eqs. 2.7.3 and 2.7.5).

    Args:
        operations: Number of operations.
        bits: Bits erased by each, the width of a word where two words become one.
        temperature: Temperature T in kelvin.

    Returns:
        Heat in joules. The notes' 10^23 operations of 32 bits cost 9,200 J at 300 K; they print 8,000.

    Raises:
        ValueError: As `erasure_heat`, or if a number of operations is negative.
    """
    operations, heat = arguments.nonnegative("operations", operations), erasure_heat(bits, temperature)
    arguments.broadcastable(operations=operations, bits=bits, temperature=temperature)
    return operations * heat


def minimal_power(rate, bits=32, temperature=300.0):
    """Returns the least power of hardware that erases in every operation (Eq. 2.7.6).

    Args:
        rate: Operations a second.
        bits: Bits erased by each.
        temperature: Temperature T in kelvin.

    Returns:
        Power in watts. The notes' 10^14 operations of 16 bits need 4.6e-6 W at 300 K; they print 1e-5.

    Raises:
        ValueError: As `erasure_heat`, or if a rate is negative.
    """
    rate, heat = arguments.nonnegative("rate", rate), erasure_heat(bits, temperature)
    arguments.broadcastable(rate=rate, bits=bits, temperature=temperature)
    return rate * heat


def excess(power, rate, bits=32, temperature=300.0):
    """Returns how many times more power than Landauer's limit a machine draws.

    Args:
        power: Power drawn, in watts.
        rate: Operations a second, positive.
        bits: Bits erased by each, positive.
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
        outputs: The output of each possible input, [N] or, where an output is several, [N, D]:
            numbers, none of them NaN, or strings.
        probabilities: The inputs' probabilities, [N]; all equal if None.

    Returns:
        The entropy, zero if and only if no two possible inputs share their output: such an f can be undone.

    Raises:
        ValueError: If `outputs` has other axes, other entries or none, or `probabilities` are not N and a
            distribution.
    """
    outputs = np.asarray(outputs, dtype=object)
    if outputs.ndim not in (1, 2) or outputs.size == 0:
        raise ValueError(f"outputs must have shape [N] or [N, D] and not be empty, got {outputs.shape}")
    _check("outputs", outputs, _is_output, "a number or a string")
    if probabilities is None:
        probabilities = np.full(len(outputs), 1 / len(outputs))
    probabilities = arguments.distributions("probabilities", probabilities)
    if probabilities.shape != outputs.shape[:1]:
        raise ValueError(f"probabilities must have shape ({len(outputs)},), got {probabilities.shape}")
    groups = {}
    group = [groups.setdefault(tuple(row), len(groups)) for row in outputs.reshape(len(outputs), -1)]
    total = np.bincount(group, probabilities)[group]
    possible = probabilities > 0
    # Logarithms of the conditional probabilities: a map that can be undone gives an exact zero.
    return float(np.sum(probabilities[possible] * np.log(total[possible] / probabilities[possible])))


def addition_entropy(bits, wraps=True):
    """Returns the entropy erased by adding two uniformly random words and keeping the sum (Eq. 2.7.2).

    With M = 2^k words, addition modulo M has a uniform sum and erases log M = k log 2. The exact sum s is not
    uniform: min(s + 1, 2M - 1 - s) of the M^2 pairs give it, and what is erased is

        H(x, y | x + y) = (2 sum_{j=1}^{M-1} j log j + M log M) / M^2 = log M - 1/2 + O(log M / M^2).

    Args:
        bits: Width k of a word.
        wraps: Whether the sum is taken modulo 2^k, as in a register of k bits, or exactly.

    Returns:
        The entropy in nats.

    Raises:
        ValueError: If `bits` is not an integer of at least 1.
    """
    bits = arguments.integer("bits", bits, 1)
    log_words = bits * np.log(2)
    if wraps:
        return float(log_words)
    if bits > _SUMMED:
        # The hyperfactorial's asymptotic series; the next term, 1 / (360 M^4), is below rounding.
        return float(log_words - 1 / 2 + (log_words / 6 + 2 * _LOG_GLAISHER) * 4.0**-bits)
    j = np.arange(1.0, 2**bits)
    return float(2 * np.sum(j * np.log(j)) * 4.0**-bits + log_words * 2.0**-bits)


def add_reversibly(x, y, bits=16):
    """Maps (x, y) to (x, x + y mod 2^k), which erases nothing (Eq. 2.7.7).

    Without the modulo the map could be undone too, but would not fit in the register that held y.

    Args:
        x: First word, integers in 0 ... 2^k - 1.
        y: Second word, likewise, of a shape that broadcasts with x.
        bits: Width k of a word, 1 to 64.

    Returns:
        (x, sum), two uint64 arrays.

    Raises:
        ValueError: If `bits` is out of its range, an entry is not a word (the message has its index), or the
            shapes do not broadcast.
    """
    x, y, mask = _words(bits, x=x, y=y)
    return x, (x + y) & mask


def undo_addition(x, total, bits=16):
    """Maps (x, x + y mod 2^k) back to (x, y), the inverse of Eq. 2.7.7.

    Args:
        x: First word, integers in 0 ... 2^k - 1.
        total: The sum modulo 2^k, likewise.
        bits: Width k of a word, 1 to 64.

    Returns:
        (x, y), two uint64 arrays.

    Raises:
        ValueError: As `add_reversibly`.
    """
    x, total, mask = _words(bits, x=x, total=total)
    return x, (total - x) & mask


def _words(bits, **named):
    """Returns the named arrays as broadcast uint64 arrays, and the mask 2^k - 1."""
    bits = arguments.integer("bits", bits, 1)
    if bits > 64:
        raise ValueError(f"bits must be at most 64, got {bits}")

    def is_word(entry):
        return isinstance(entry, numbers.Integral) and not isinstance(entry, bool) and 0 <= entry < 2**bits

    # As objects, because NumPy makes floats of integers on both sides of 2^63.
    words = {name: np.asarray(value, dtype=object) for name, value in named.items()}
    for name, array in words.items():
        _check(name, array, is_word, f"an integer in 0 ... {2**bits - 1}")
    arguments.broadcastable(**words)
    words = np.broadcast_arrays(*(array.astype(np.uint64) for array in words.values()))
    return (*words, np.uint64(2**bits - 1))


def _is_output(entry):
    # NaN is not itself.
    return isinstance(entry, numbers.Number | str | bytes | np.generic) and bool(entry == entry)


def _check(name, array, is_valid, what):
    """Refuses the first entry of an array of objects that is not valid."""
    bad = ~np.vectorize(is_valid, otypes=[bool])(array)
    if bad.any():
        raise ValueError(f"{name}{arguments.first_index(bad)} must be {what}, got {array[bad][0]}")
