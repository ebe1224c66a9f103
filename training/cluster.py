"""The workers of a run on several machines: their addresses, and their meeting before TensorFlow starts.

TensorFlow waits for missing workers in silence and for ever, and trains on if workers have other settings. So
the workers first meet at the address of worker 0: each sends its settings, and worker 0 answers once all are
there. The connections stay open, so that `liveness` can notice a worker that dies next. This module does not
import TensorFlow.
"""

import contextlib
import dataclasses
import json
import os
import socket
import sys
import time

from .. import arguments

_FORM = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
REPORT_EVERY = 30.0
_RETRY = 0.2
# A greeting holds the settings of one run.
_LONGEST = 2**20


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The addresses of all workers, and the index of this one.

    Args:
        addresses: Pairs (host, port).
        index: This worker's index.
    """

    addresses: tuple[tuple[str, int], ...]
    index: int

    @classmethod
    def of_environment(cls):
        """Returns the cluster that the environment variable `TF_CONFIG` describes.

        Raises:
            ValueError: If it is missing, or does not describe a cluster of workers and the role of this
                process.
        """
        try:
            config = json.loads(os.environ["TF_CONFIG"])
            cluster, task = config["cluster"], config["task"]
            workers, index = cluster["worker"], task["index"]
            valid = set(cluster) == {"worker"} and task["type"] == "worker" and isinstance(workers, list)
        except (KeyError, TypeError, ValueError, RecursionError):
            valid = False
        if not valid or not workers:
            raise ValueError(f"strategy 'multiworker' needs the environment variable TF_CONFIG={_FORM}")
        addresses = tuple(_address(i, text) for i, text in enumerate(workers))
        for i, address in enumerate(addresses):
            if address in addresses[:i]:
                raise ValueError(
                    f"TF_CONFIG's workers must have different addresses, got {workers[i]!r} twice"
                )
        index = arguments.integer("the index of TF_CONFIG's task", index, 0, len(addresses) - 1)
        return cls(addresses, index)

    def name(self, index):
        """Returns a worker's index and address, for messages."""
        host, port = self.addresses[index]
        return f"worker {index} ({host}:{port})"


def _address(index, text):
    """Returns the host and the port of `host:port`."""
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(
            f"TF_CONFIG's worker {index} must be 'host:port' with a port from 1 to 65535, got "
            f"{arguments.described(text)}"
        )
    return host, int(port)


def meet(cluster, settings, wait, report_every=REPORT_EVERY):
    """Waits until all workers are there, and checks that they have the same settings.

    Args:
        cluster: The `Cluster`.
        settings: What must be the same on all workers, a JSON-serializable dictionary.
        wait: Seconds after which to give up.
        report_every: Seconds between the lines on stderr that say who is missing.

    Returns:
        The open connections by the names of the workers at the other end: all others for worker 0, and
        worker 0 for the others.

    Raises:
        WorkersMissing: If a worker did not come.
        ValueError: If a worker has other settings, or the name of its host is unknown.
    """
    arguments.positive_number("wait", wait)
    settings = json.loads(json.dumps(settings))
    patience = _Patience(cluster, wait, report_every)
    with contextlib.ExitStack() as stack:
        links = {}
        if len(cluster.addresses) > 1:
            links = (_receive if cluster.index == 0 else _send)(cluster, settings, patience, stack)
        for index, (host, _) in enumerate(cluster.addresses):
            reason = _unknown(host)
            if reason:
                raise ValueError(f"the host of {cluster.name(index)} is unknown: {reason}")
        stack.pop_all()
    return links


class WorkersMissing(TimeoutError):
    """Workers did not come in time."""


class _Patience:
    """Says at intervals who is missing, and gives up in the end."""

    def __init__(self, cluster, wait, report_every):
        self.cluster, self.wait, self.every = cluster, wait, report_every
        self.start = self.reported = time.monotonic()

    def check(self, missing):
        """Reports the missing workers if it is time.

        Args:
            missing: Their indices.
        """
        now = time.monotonic()
        who = ", ".join(self.cluster.name(index) for index in missing)
        if now - self.start > self.wait:
            raise WorkersMissing(f"{who} did not come within {self.wait:g} seconds")
        if now - self.reported > self.every:
            self.reported = now
            print(f"waiting for {who}", file=sys.stderr, flush=True)


def _receive(cluster, settings, patience, stack):
    """The part of worker 0: collects the settings of all others, and answers them."""
    port, others = cluster.addresses[0][1], {}
    missing = set(range(1, len(cluster.addresses)))
    try:
        server = socket.create_server(("", port), backlog=len(missing) + 8)
    except OSError as error:
        raise OSError(error.errno, f"port {port} of worker 0 can't be used: {error.strerror}") from None
    with server:
        server.settimeout(_RETRY)
        while True:
            gone = [index for index, (connection, _) in others.items() if _closed(connection)]
            missing.update(gone)
            for index in gone:
                del others[index]
            if not missing:
                break
            patience.check(sorted(missing))
            with contextlib.suppress(TimeoutError):
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(5)
                index, theirs = _greeting(connection)
                if index in range(1, len(cluster.addresses)):
                    # A worker that was restarted comes again.
                    others[index] = connection, theirs
                    missing.discard(index)
                else:
                    connection.close()
    problem = _difference(cluster, settings, {index: theirs for index, (_, theirs) in others.items()})
    for connection, _ in others.values():
        with contextlib.suppress(OSError):
            _write(connection, {"problem": problem})
    if problem:
        raise ValueError(problem)
    return {cluster.name(index): connection for index, (connection, _) in sorted(others.items())}


def _closed(connection):
    """Returns whether the other side, which waits for an answer, is gone."""
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(5)


def _send(cluster, settings, patience, stack):
    """The part of the others: greets worker 0 until it answers."""
    while True:
        patience.check([0])
        try:
            connection = socket.create_connection(cluster.addresses[0], timeout=5)
        except OSError:
            # Worker 0 is not there yet.
            time.sleep(_RETRY)
            continue
        stack.enter_context(connection)
        try:
            _write(connection, {"index": cluster.index, "settings": settings})
            problem = _answer(connection, patience)["problem"]
            break
        except WorkersMissing:
            raise
        except (OSError, ValueError, KeyError, TypeError):
            # TensorFlow still listens in worker 0's place.
            connection.close()
            time.sleep(_RETRY)
    if problem:
        raise ValueError(problem)
    return {cluster.name(0): connection}


def _answer(connection, patience):
    """Returns worker 0's answer, for which it waits until the others are there."""
    connection.settimeout(_RETRY)
    text = b""
    while not text.endswith(b"\n"):
        try:
            # One byte at a time, because the connection may carry more after this line.
            part = connection.recv(1)
        except TimeoutError:
            _check_others(patience)
            continue
        if not part or len(text) > _LONGEST:
            raise ValueError("no answer")
        text += part
    return json.loads(text)


def _check_others(patience):
    """Reports that others are missing; worker 0, which is there, knows which ones."""
    own = {0, patience.cluster.index}
    patience.check([i for i in range(len(patience.cluster.addresses)) if i not in own])


def _greeting(connection):
    """Returns the index and the settings that a worker sends; (None, None) for anything else."""
    text = b""
    try:
        while not text.endswith(b"\n") and len(text) <= _LONGEST:
            part = connection.recv(65536)
            if not part:
                return None, None
            text += part
        greeting = json.loads(text)
        return greeting["index"], dict(greeting["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None, None


def _write(connection, value):
    connection.sendall(json.dumps(value).encode() + b"\n")


def _difference(cluster, settings, others):
    """Returns a message about the first worker with other settings than worker 0; empty if there is none."""
    for index, theirs in sorted(others.items()):
        differing = [key for key in {**settings, **theirs} if settings.get(key) != theirs.get(key)]
        if differing:
            pairs = ", ".join(
                f"{key}={theirs.get(key)!r}, not {settings.get(key)!r}" for key in differing[:5]
            )
            return f"all workers must have the settings of worker 0, but {cluster.name(index)} has {pairs}"
    return ""


def _unknown(host):
    """Returns why the name of a host can't be resolved; empty if it can."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        return str(error)
    return ""
