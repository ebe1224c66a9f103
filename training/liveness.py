"""Notices a worker that dies after the meeting, while TensorFlow connects the workers.

TensorFlow's heartbeats report a lost worker once all are connected. Before that TensorFlow waits in native
code, for an hour or more, and holds Python's global lock, so that no thread and no signal handler of the
process can run. A second process, which runs this file as a script, therefore watches the connections of the
meeting and ends the first.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time

_CONNECTED = "connected"


@contextlib.contextmanager
def watched(links, wait):
    """Within this context the process ends, with a message on stderr, if another worker is lost.

    It is killed, because TensorFlow can't be interrupted. A worker that leaves the context without an error
    tells the others that it is connected; the connections are closed then.

    Args:
        links: The connections to the other workers by their names, such as `meet` returns.
        wait: Seconds after which a worker that is not connected counts as lost.
    """
    if not links or os.name == "nt":
        # Windows has no `select` for pipes, and does not pass file descriptors on.
        yield
        return
    with contextlib.ExitStack() as stack:
        for link in links.values():
            stack.enter_context(link)
            link.setblocking(True)
        stack.enter_context(_watcher(links, wait))
        yield
        for link in links.values():
            _say(link, _CONNECTED)


def _watcher(links, wait):
    """Starts the second process, which shares the connections and ends with the pipe to its stdin."""
    numbers = [link.fileno() for link in links.values()]
    words = [str(os.getpid()), str(wait), *(f"{n}={name}" for n, name in zip(numbers, links, strict=True))]
    command = [sys.executable, "-I", __file__, *words]
    # Ctrl-C in a terminal is for the first process.
    return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=numbers, start_new_session=True)


def _say(link, text):
    with contextlib.suppress(OSError):
        link.sendall(text.encode())


def _watch(links, wait):
    """Returns why the process must end; `None` if all workers are connected or the process is gone.

    Args:
        links: The names of the other workers by connection.
        wait: Seconds after which a worker that is not connected counts as lost.
    """
    waiting, limit = dict(links), time.monotonic() + wait
    while waiting:
        ready, _, _ = select.select([*waiting, sys.stdin], [], [], max(0.0, limit - time.monotonic()))
        if sys.stdin in ready:
            return None
        if not ready:
            return f"{', '.join(waiting.values())} did not connect within {wait:g} seconds"
        for link in ready:
            name = waiting.pop(link)
            try:
                text = link.recv(4096).decode()
            except OSError:
                text = ""
            if text != _CONNECTED:
                # Worker 0, to which all others are linked, passes on who was lost.
                return text or f"{name} was lost while TensorFlow connected the workers"
    return None


def _main(process, wait, *words):
    """Watches as the second process.

    Args:
        process: The number of the process to end.
        wait: Seconds, as text.
        *words: The file descriptor and the name of each connection, as `NUMBER=NAME`.
    """
    pairs = (word.split("=", 1) for word in words)
    links = {socket.socket(fileno=int(number)): name for number, name in pairs}
    reason = _watch(links, float(wait))
    if reason is None:
        return
    for link in links:
        _say(link, reason)
    try:
        print(f"curvezoo: {reason}; start all workers again", file=sys.stderr, flush=True)
    finally:
        os.kill(int(process), signal.SIGKILL)


if __name__ == "__main__":
    _main(*sys.argv[1:])
