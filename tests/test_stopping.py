import os
import signal
import threading

import pytest

from curvezoo import cli, stopping


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_a_command_with_a_line_and_its_exit_code(number, code, monkeypatch, capsys):
    def receive(arguments):
        os.kill(os.getpid(), number)
        signal.pause()

    monkeypatch.setattr(cli, "_train", receive)
    # The tests may run under nohup, which ignores a signal.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert cli.main(["train", "mlp_digits"]) == code
        message = "curvezoo train: stopped; continue with --resume and the same --out\n"
        assert capsys.readouterr().err == message
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_ctrl_c_has_its_own_exit_code():
    assert stopping.exit_code(KeyboardInterrupt()) == 130


def test_a_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.raising():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_change_no_handler():
    seen = []

    def run():
        with stopping.raising():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
