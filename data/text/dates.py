"""Dates as people write them and as ISO 8601 writes them: `Tuesday, 5 March 1996` is `1996-03-05`.

Only forms with one meaning occur: years have four digits, a month in digits stands between dots after the day
(`5.3.1996`) or after the year (`1996/3/5`), and weekdays are right.
"""

import datetime
import functools
import string

import numpy as np

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)

_MONTHS = "January February March April May June July August September October November December"
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_FORMS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{day} {mon} {year}",
    "{mon} {day} {year}",
    "{mon} {day}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{weekday} {day} {mon} {year}",
    "{wd}, {day} {mon} {year}",
    "{wd} {mon} {day} {year}",
    "{ordinal} {month} {year}",
    "{month} {ordinal}, {year}",
    "{ordinal} of {month} {year}",
    "the {ordinal} of {month}, {year}",
    "{weekday}, the {ordinal} of {month} {year}",
    "{day}-{mon}-{year}",
    "{day:02}-{mon}-{year}",
    "{year} {month} {day}",
    "{year}, {month} {ordinal}",
    "{day}.{number}.{year}",
    "{day:02}.{number:02}.{year}",
    "{day}. {month} {year}",
    "{year}/{number}/{day}",
    "{year}/{number:02}/{day:02}",
    "{year}.{number:02}.{day:02}",
    "{year}{number:02}{day:02}",
)
FORMS = len(_FORMS)

SOURCE_ALPHABET = " ,-./" + string.digits + string.ascii_letters
TARGET_ALPHABET = "-" + string.digits
LONGEST_SOURCE, LONGEST_TARGET = 37, 10

VALIDATION, TEST = 1000, 3000
TRAIN = (LAST - FIRST).days + 1 - VALIDATION - TEST
_SPLIT_SEED = 0


def written(date, form):
    """Returns a date as people write it.

    Args:
        date: A `datetime.date`.
        form: Number of the form, from 0 to `FORMS` - 1.

    Example:
        >>> import datetime
        >>> from curvezoo.data.text.dates import written
        >>> written(datetime.date(1996, 3, 5), 5)
        'Tuesday, 5 March 1996'
    """
    month, weekday = _MONTHS.split()[date.month - 1], _WEEKDAYS.split()[date.weekday()]
    return _FORMS[form].format(
        day=date.day,
        ordinal=_ordinal(date.day),
        month=month,
        mon=month[:3],
        number=date.month,
        weekday=weekday,
        wd=weekday[:3],
        year=date.year,
    )


def _ordinal(day):
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


@functools.cache
def pairs():
    """Returns the training, validation and test pairs, which share no date.

    Each date from 1900 to 2099 occurs once, in a form that is drawn at random.

    Returns:
        Three pairs (sources, targets) of lists of strings.
    """
    rng = np.random.default_rng(_SPLIT_SEED)
    days = FIRST.toordinal() + rng.permutation(TRAIN + VALIDATION + TEST)
    forms = rng.integers(FORMS, size=len(days)).tolist()
    dates = [datetime.date.fromordinal(day) for day in days.tolist()]
    sources = [written(date, form) for date, form in zip(dates, forms, strict=True)]
    targets = [date.isoformat() for date in dates]
    cuts = [slice(0, TRAIN), slice(TRAIN, TRAIN + VALIDATION), slice(TRAIN + VALIDATION, None)]
    return tuple((sources[cut], targets[cut]) for cut in cuts)
