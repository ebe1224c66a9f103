"""Numbers in English words and in digits: `three thousand four hundred and five` is `3405`."""

import functools

import numpy as np

from ... import arguments

_SMALL_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL, _TENS = _SMALL_WORDS.split(), _TENS_WORDS.split()

SOURCE_ALPHABET = " -" + "".join(sorted(set("".join([*_SMALL, *_TENS, "hundred", "thousand", "and"]))))
TARGET_ALPHABET = "0123456789"
LONGEST_SOURCE, LONGEST_TARGET = 72, 6

_SPLIT_SEED = 0
# For each number of digits the numbers for training, validation and testing. All numbers with at most two
# digits are for training, and those with more are less frequent than among all numbers below a million.
_COUNTS = {
    1: (10, 0, 0),
    2: (90, 0, 0),
    3: (800, 30, 70),
    4: (8000, 300, 700),
    5: (20000, 300, 1000),
    6: (21100, 370, 1230),
}
TRAIN, VALIDATION, TEST = (sum(counts) for counts in zip(*_COUNTS.values(), strict=True))


def in_words(number):
    """Returns a number in English words, as written in Britain: with hyphens, and with `and`.

    Args:
        number: An integer from 0 to 999,999.

    Raises:
        ValueError: If `number` is not such an integer.

    Example:
        >>> from curvezoo.data.text.numbers import in_words
        >>> in_words(421005)
        'four hundred and twenty-one thousand and five'
    """
    arguments.integer("number", number, 0, 999999)
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _below_thousand(rest)
    words = f"{_below_thousand(thousands)} thousand"
    if not rest:
        return words
    return f"{words} {'and ' if rest < 100 else ''}{_below_thousand(rest)}"


def _below_thousand(number):
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    words = f"{_SMALL[hundreds]} hundred"
    return f"{words} and {_below_hundred(rest)}" if rest else words


def _below_hundred(number):
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens - 2]}-{_SMALL[ones]}" if ones else _TENS[tens - 2]


@functools.cache
def pairs():
    """Returns the training, validation and test pairs, which share no number.

    Returns:
        Three pairs (sources, targets) of lists of strings, the shorter numbers first.
    """
    rng = np.random.default_rng(_SPLIT_SEED)
    numbers = [], [], []
    for digits, counts in _COUNTS.items():
        first = 10 ** (digits - 1) if digits > 1 else 0
        drawn = first + rng.permutation(10**digits - first)[: sum(counts)]
        for split, part in zip(numbers, np.split(drawn, np.cumsum(counts)[:-1]), strict=True):
            split.extend(part.tolist())
    return tuple(([in_words(n) for n in split], [str(n) for n in split]) for split in numbers)
