"""English text that comes with Python: the topics of the language reference, in ASCII."""

import functools
import platform
import re

_REPLACED = {
    "\t": "    ",
    "\r": "",
    "\N{NO-BREAK SPACE}": " ",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{HYPHEN}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "--",
    "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
}


def ascii_text(text):
    """Returns a text in printable ASCII and line breaks.

    Typographic quotation marks, dashes, ellipses and spaces are replaced, other characters are dropped.

    Args:
        text: A string.
    """
    return re.sub(r"[^\n -~]", "", text.translate(str.maketrans(_REPLACED)))


@functools.cache
def text():
    """Returns the topics in the alphabetical order of their keys, each paragraph only where it comes first.

    Several topics repeat passages of others word for word. Without the repetitions, no split contains
    paragraphs of another.
    """
    from pydoc_data.topics import topics

    paragraphs = "\n\n".join(ascii_text(topics[key]).strip("\n") for key in sorted(topics)).split("\n\n")
    return "\n\n".join(dict.fromkeys(paragraphs)) + "\n"


def provenance():
    """Returns which Python the text comes from."""
    return f"embedded, Python {platform.python_version()}"
