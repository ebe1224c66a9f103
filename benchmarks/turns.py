"""Processes that take turns: each measures one variant, and sleeps while another is measured.

So the variants share neither cores nor a thread pool, and rounds that alternate between them meet the same
other load on the machine.
"""

import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time


class Worker:
    """A process of a script, which calls `answer`.

    Args:
        script: The script's path.
        task: What the process measures, for JSON; the argument of the script's option `--worker`.
        python: The process's Python; `None` for this one.

    Attributes:
        facts: What `make` of `answer` returned, such as the number of `parameters`.
        first: Seconds until the end of the first call, which compiles.
        result: The first call's result, if calls are not timed.

    Raises:
        RuntimeError: If the process ends before its first call does.
    """

    def __init__(self, script, task, python=None):
        command = [python or sys.executable, script, "--worker", json.dumps(task)]
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            line = self._process.stdout.readline()
            if not line:
                errors.seek(0)
                print(errors.read().decode(errors="replace"), file=sys.stderr)
                raise RuntimeError(f"the worker must start, got no answer from {shlex.join(command)}")
        self.facts, self.first, self.result = json.loads(line)

    def run(self, repetitions):
        """Returns the results of some repetitions: pairs of seconds and processor seconds, if timed."""
        print(repetitions, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def answer(make, timed=True):
    """Measures in a worker's process, as often as its lines of stdin say.

    Args:
        make: Function that returns the function to call, and its facts, which have the number of
            `parameters` and may have the number of `steps` of a call, 1 by default.
        timed: Whether the seconds of each step are the results, and not what the function returns.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    begin = time.perf_counter()
    run, facts = make()
    result = run()
    first = time.perf_counter() - begin
    print(json.dumps([facts, first, None if timed else result]), file=replies, flush=True)
    steps = facts.get("steps", 1)
    for line in sys.stdin:
        calls = range(max(1, int(line) // steps))
        results = [_timed(run, steps) if timed else run() for _ in calls]
        print(json.dumps(results), file=replies, flush=True)


def _timed(run, steps):
    """Returns the seconds and the processor seconds of a step."""
    begin = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - begin[0]) / steps, (time.process_time() - begin[1]) / steps


def alternate(workers, rounds, repetitions):
    """Returns the results of each round, a list for each worker, and ends the workers.

    Args:
        workers: {variant: `Worker`}.
        rounds: Number of rounds.
        repetitions: Repetitions of each worker in a round, after one more in the first.
    """
    for worker in workers.values():
        worker.run(1)
    results = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            results[name].append(worker.run(repetitions))
    for worker in workers.values():
        worker.close()
    return results


def print_head(title, measured):
    """Prints the head of a table of `print_rows`."""
    ratios = "time over curvezoo's | processor time over curvezoo's"
    print(f"\n| {title} | variant | {measured} | parameters | first call s | {ratios} |")
    print("|---|---|---|---|---|---|---|", flush=True)


def print_rows(label, workers, results, measured):
    """Prints a row for each variant, whose times are compared with the first one's in the same round.

    Args:
        label: The first cell.
        workers: {variant: `Worker`}.
        results: What `alternate` returned.
        measured: Function from seconds to the text of a cell.
    """
    # By variant, the medians over each round of the seconds and of the processor seconds.
    medians = {
        name: [[statistics.median(times) for times in zip(*turn, strict=True)] for turn in turns]
        for name, turns in results.items()
    }
    base = medians[next(iter(medians))]
    for name, turns in medians.items():
        ratios = []
        for i in range(2):
            values = [its[i] / ours[i] for its, ours in zip(turns, base, strict=True)]
            low, ratio, high = quartiles(values)
            ratios.append(f"{ratio:.2f} ({low:.2f}-{high:.2f})")
        worker, median = workers[name], statistics.median(turn[0] for turn in turns)
        cells = (measured(median), f"{worker.facts['parameters']:,}", f"{worker.first:.0f}", *ratios)
        print(f"| {label} | {name} | {' | '.join(cells)} |", flush=True)


def quartiles(values):
    """Returns the lower quartile, the median and the upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def print_conditions(packages, peer=None, peers=()):
    """Prints the number of cores, the load, and the versions of Python and of packages.

    Args:
        packages: Names of packages of this Python.
        peer: Another Python; `None` for none.
        peers: Names of packages of that one.
    """
    versions = {name: importlib.metadata.version(name) for name in packages}
    if peer:
        script = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
        found = subprocess.check_output([peer, "-c", script, *peers], text=True).split()
        versions |= dict(zip(peers, found, strict=True))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}, {load()}")


def load():
    """Returns the machine's load as text."""
    return "load {:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
