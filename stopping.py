"""Signals that ask a process to stop, treated as Ctrl-C: it removes what is half written and says a line."""

import contextlib
import signal
import threading

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal asked the process to stop.

    Args:
        number: The number of the signal.
    """

    def __init__(self, number):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


def exit_code(error):
    """Returns the exit code after a `KeyboardInterrupt`: 128 plus the number of the signal.

    Args:
        error: The `KeyboardInterrupt`.
    """
    return 128 + getattr(error, "number", signal.SIGINT)


@contextlib.contextmanager
def raising():
    """Within this context SIGTERM and SIGHUP raise `Stopped` in the main thread.

    A signal that the parent process had ignored, as `nohup` does with SIGHUP, stays ignored. Outside the main
    thread, where Python sets no handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    changed = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in changed:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, before[number] or signal.SIG_DFL)


def _stop(number, frame):
    raise Stopped(number)
