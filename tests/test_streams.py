"""stderr that fails, is full or closed, in the process itself."""

import io
import os
import sys

import pytest
import rich.console

from curvezoo import streams
from curvezoo.progress import Progress


def gone():
    """A stream whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


def full():
    return open("/dev/full", "w", buffering=1)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("make", [gone, full, closed, lambda: None], ids=["gone", "full", "closed", "none"])
def test_progress_and_messages_go_on_when_stderr_is_lost(make, monkeypatch):
    lost = make()
    monkeypatch.setattr(sys, "stderr", lost)
    with streams.tolerant(), Progress("epoch", 3) as progress:
        for _ in range(3):
            progress.step(1, 2, {"loss": 1.0})
            progress.unit_done({"loss": 1.0})
            print("a message", file=sys.stderr, flush=True)
        rich.console.Console(file=sys.stderr).print("text")
    assert progress.done == 3
    assert sys.stderr is lost
    if lost is not None:
        # Nothing is left that Python could fail to flush at its end.
        lost.close()


def test_a_working_stream_gets_everything():
    text = io.StringIO()
    stream = streams.Tolerant(text)
    assert stream.write("one\n") == 4
    print("two", file=stream, flush=True)
    assert text.getvalue() == "one\ntwo\n"
    assert not stream.isatty()


def test_a_closed_stdout_takes_prints(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with streams.tolerant():
        print("dropped", flush=True)
    assert sys.stdout is None
