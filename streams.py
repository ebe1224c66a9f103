"""Standard streams that a training outlives: what cannot be written to stderr is dropped.

stderr carries progress and messages. A reader that went away (`2>&1 | head -1`), a full disk or a closed
descriptor (`2>&-`) must not end a run of hours.
"""

import contextlib
import io
import os
import sys


class Tolerant(io.TextIOBase):
    """A text stream that passes everything on until a write fails, and drops what follows.

    Args:
        stream: The stream; `None` for one that is closed, whose text is dropped.

    Attributes:
        lost: Whether a write failed.
    """

    def __init__(self, stream):
        self._stream, self.lost = stream, False

    def write(self, text):
        """Writes text if the stream still takes it; returns its length."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self):
        """Flushes the stream if it still takes text."""
        self._try(lambda stream: stream.flush())

    def writable(self):
        """Returns True."""
        return True

    def isatty(self):
        """Returns whether the stream still takes text and is a terminal."""
        return bool(self._try(lambda stream: stream.isatty()))

    def fileno(self):
        """Returns the stream's file descriptor."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    @property
    def encoding(self):
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self):
        """How the stream treats characters that its encoding lacks."""
        return getattr(self._stream, "errors", None) or "strict"

    def _try(self, function):
        if self._stream is None:
            return None
        try:
            return function(self._stream)
        except (OSError, ValueError):
            # ValueError: the stream is closed.
            self._stream, self.lost = None, True
            return None


def stderr():
    """Returns stderr as a stream that never fails."""
    return sys.stderr if isinstance(sys.stderr, Tolerant) else Tolerant(sys.stderr)


@contextlib.contextmanager
def tolerant():
    """Within this context `sys.stderr` never fails; without a stdout, what is printed is dropped."""
    before = sys.stdout, sys.stderr
    sys.stderr = stderr()
    sys.stdout = Tolerant(None) if sys.stdout is None else sys.stdout
    try:
        yield
    finally:
        lost = sys.stderr.lost if isinstance(sys.stderr, Tolerant) else False
        sys.stdout, sys.stderr = before
        if lost:
            discard(sys.stderr)


def discard(stream):
    """Sends what a stream still holds nowhere, so that Python does not end with an error when it flushes it.

    Args:
        stream: A stream whose reader is gone, or whose disk is full.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
