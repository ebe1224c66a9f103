"""Workers meet before they train: in threads, with short waits in place of minutes."""

import contextlib
import functools
import json
import re
import socket
import threading

import pytest

from curvezoo.training.cluster import Cluster, WorkersMissing, meet

SETTINGS = {"model": "mlp_digits", "epochs": 3, "widths": (4, 2)}


def outcomes(meetings):
    """Runs each function in a thread; returns what it raised, or None."""
    results = [None] * len(meetings)

    def run(index):
        try:
            meetings[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(meetings))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_workers_with_the_same_settings_meet_and_leave_the_port_free(clusters):
    workers = clusters(3)
    links = [None] * 3

    def run(index):
        links[index] = meet(workers[index], SETTINGS, 30)

    assert outcomes([functools.partial(run, index) for index in range(3)]) == [None] * 3
    assert [list(link) for link in links] == [
        [workers[0].name(1), workers[0].name(2)],
        [workers[0].name(0)],
        [workers[0].name(0)],
    ]
    # TensorFlow listens there next, while the connections are open.
    socket.create_server(("", workers[0].addresses[0][1])).close()
    for (_, link), other in zip(links[0].items(), links[1:], strict=True):
        link.sendall(b"x")
        assert other[workers[0].name(0)].recv(1) == b"x"


def test_other_settings_are_named_on_every_worker(clusters):
    workers = clusters(3)
    settings = [SETTINGS, SETTINGS, SETTINGS | {"epochs": 4}]
    errors = outcomes([lambda w=w, s=s: meet(w, s, 30) for w, s in zip(workers, settings, strict=True)])
    for error in errors:
        assert isinstance(error, ValueError)
        assert re.search(r"but worker 2 \(127.0.0.1:\d+\) has epochs=4, not 3", str(error))


def test_a_worker_that_never_comes_is_named_again_and_again_and_given_up(clusters, capsys):
    workers = clusters(3)
    errors = outcomes([lambda w=w: meet(w, SETTINGS, 1.5, report_every=0.4) for w in workers[:2]])
    name = re.escape(workers[0].name(2))
    # On a slow machine worker 1 gives up before it hears from worker 0 who is missing.
    assert all(isinstance(error, WorkersMissing) for error in errors)
    assert re.search(f"{name} did not come within 1.5 seconds", str(errors[0]))
    assert len(re.findall(f"waiting for {name}\n", capsys.readouterr().err)) >= 2


def test_a_missing_worker_0_is_named_by_the_others(clusters):
    with pytest.raises(WorkersMissing, match=r"worker 0 \(127.0.0.1:\d+\) did not come within 0.5 seconds"):
        meet(clusters(2)[1], SETTINGS, 0.5)


def test_a_worker_that_leaves_before_all_have_come_is_missing_again(clusters):
    first, second, third = clusters(3)

    def leave_before_the_third():
        greeting = json.dumps({"index": 1, "settings": SETTINGS}).encode() + b"\n"
        while True:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(first.addresses[0], timeout=5) as connection,
            ):
                connection.sendall(greeting)
                break
        meet(third, SETTINGS, 3)

    errors = outcomes([lambda: meet(first, SETTINGS, 3), leave_before_the_third])
    assert str(errors[0]).startswith(second.name(1))


def test_strangers_on_the_port_are_ignored(clusters):
    first, second = clusters(2)

    def noise():
        for message in (b"GET / HTTP/1.1\r\n", b"[1, 2]\n", b'{"index": "x", "settings": {}}\n'):
            while True:
                try:
                    with socket.create_connection(first.addresses[0], timeout=5) as connection:
                        connection.sendall(message)
                    break
                except ConnectionRefusedError:
                    continue
        meet(second, SETTINGS, 30)

    assert outcomes([lambda: meet(first, SETTINGS, 30), noise]) == [None, None]


def test_a_port_in_use_is_an_error_of_one_line(clusters):
    first, _ = clusters(2)
    message = r"port \d+ of worker 0 can't be used"
    with socket.create_server(("", first.addresses[0][1])), pytest.raises(OSError, match=message):
        meet(first, SETTINGS, 30)


CONFIGS = {
    "number": ([3], 0, "worker 0 must be 'host:port' with a port from 1 to 65535, got 3"),
    "empty port": (["a:"], 0, "worker 0 must be 'host:port' .*, got 'a:'"),
    "no port": (["a:1", "b"], 0, "worker 1 must be 'host:port' .*, got 'b'"),
    "large port": (["127.0.0.1:99999"], 0, "worker 0 must be 'host:port' .*, got '127.0.0.1:99999'"),
    "no host": ([":80"], 0, "worker 0 must be 'host:port' .*, got ':80'"),
    "twice": (["a:1", "a:1"], 0, "workers must have different addresses, got 'a:1' twice"),
    "index": (["a:1"], 3, "index of TF_CONFIG's task must be an integer from 0 to 0, got 3"),
    "negative": (["a:1"], -1, "index of TF_CONFIG's task must be an integer from 0 to 0, got -1"),
    "true": (["a:1", "b:1"], True, "index of TF_CONFIG's task must be an integer from 0 to 1, got True"),
    "no list": ("a:1", 0, "needs the environment variable TF_CONFIG="),
}


@pytest.mark.parametrize(("workers", "index", "message"), CONFIGS.values(), ids=CONFIGS)
def test_a_bad_tf_config_is_an_error_of_one_line(workers, index, message, monkeypatch):
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(ValueError, match=message) as error:
        Cluster.of_environment()
    assert "\n" not in str(error.value)


def test_a_host_without_an_address_is_named():
    with pytest.raises(ValueError, match=r"host of worker 0 \(nowhere.invalid:80\) is unknown"):
        meet(Cluster((("nowhere.invalid", 80),), 0), SETTINGS, 1)
