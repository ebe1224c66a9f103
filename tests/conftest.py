"""Quiet TensorFlow, skips for absent data sets, and the ledger check.

docs/equations.csv says which test verifies which equation. A mark with a number that the ledger lacks is a
collection error. After a full run (no path, -k, -m or other selection) the session fails unless every
`tested` row has a passing test that carries its mark, its `by` test passed, and every mark's equation is
`tested` in the ledger. A test skipped because its data set is absent excuses its row; no other skip does.
"""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Parallel workers share the processors; threads of each would only wait for those of the others.
    for threads in ("OMP_NUM", "OPENBLAS_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
        os.environ.setdefault(f"{threads}_THREADS", "1")

from collections import defaultdict
from pathlib import Path

import pytest

from curvezoo import equations

MARKS, ABSENT = "equations", "absent data sets"
# Files and folders that take longest, the longest first.
SLOWEST = (
    "test_published.py",
    "test_conversion.py",
    "training",
    "test_guides.py",
    "kfac",
    "test_levenberg_marquardt.py",
    "noise_scale",
    "zoo",
    "optimizers",
)


@pytest.fixture(scope="session")
def mirrored():
    """Two replicas, to be fed with `tf.data.Dataset`s: NumPy arrays can crash them (docs/optimizers.md).

    One strategy for all tests: a second one would use the keys of the first one's collectives again.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def game_network():
    """A function from the name of a game to a small network for it with random weights, always the same."""
    import functools

    @functools.cache
    def network(name):
        import keras

        from curvezoo.agents.games import Game

        game = Game(name)
        keras.utils.set_random_seed(3)
        observations = keras.Input(game.observation_shape)
        hidden = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(observations))
        logits = keras.layers.Dense(game.actions, name="logits")(hidden)
        values = keras.layers.Dense(1, activation="tanh", name="values")(hidden)
        return keras.Model(observations, [logits, values])

    return network


@pytest.fixture(scope="module", autouse=True)
def frozen_garbage():
    """Freezes the objects of finished modules, so that garbage collections skip TensorFlow's graphs."""
    yield
    gc.collect()
    gc.freeze()


def pytest_configure(config):
    ledger = equations.load(config.rootpath / "docs" / "equations.csv")
    config.pluginmanager.register(LedgerCheck(ledger), "curvezoo-ledger")
    # Before collection, because test modules may start TensorFlow. Tests of the ledger do not need it, nor
    # does the process that only hands out tests to parallel workers.
    distributes = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if (config.rootpath / "tests" / "optimizers").is_dir() and not distributes:
        import tensorflow as tf

        [cpu] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def pytest_collection_modifyitems(items):
    """Runs the slowest files first, so that parallel workers end together."""
    items.sort(key=lambda item: min((SLOWEST.index(p) for p in item.path.parts if p in SLOWEST), default=99))


class LedgerCheck:
    """Checks that the ledger and the marks of the tests agree."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.violations = []
        self.outcomes = defaultdict(set)
        self.marks = {}
        self.excused = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self, collector, name, obj):
        collected = yield
        for item in collected if isinstance(collected, list) else []:
            for mark in item.iter_markers("equation"):
                if len(mark.args) != 1 or mark.args[0] not in self.ledger:
                    raise collector.CollectError(
                        f"{item.nodeid}: equation{mark.args} names no equation of docs/equations.csv"
                    )
        return collected

    def pytest_collection_modifyitems(self, items):
        for item in items:
            numbers = sorted({mark.args[0] for mark in item.iter_markers("equation")})
            absent = [mark.args[0] for mark in item.iter_markers("dataset") if not is_prepared(mark.args[0])]
            # User properties are part of the reports, also those of parallel workers.
            item.user_properties += [(MARKS, numbers), (ABSENT, absent)]
            for name in absent:
                reason = f"{name} is not under TFDS_DATA_DIR: tfds build {name} --data_dir $TFDS_DATA_DIR"
                item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_runtest_logreport(self, report):
        properties = dict(report.user_properties)
        self.marks[report.nodeid] = properties.get(MARKS, [])
        # Setup and teardown count only if they fail or skip; the call always counts.
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid].add(report.outcome)
        if report.skipped and properties.get(ABSENT):
            self.excused.add(report.nodeid)

    def pytest_sessionfinish(self, session):
        if not is_full_run(session):
            return
        self.violations = list(self._violations())
        if self.violations and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.violations:
            terminalreporter.section("docs/equations.csv", red=True)
            for violation in self.violations:
                terminalreporter.write_line(violation)

    def _violations(self):
        for number, row in self.ledger.items():
            marked = [node for node, numbers in self.marks.items() if number in numbers]
            if row.status != "tested":
                for node in marked:
                    yield f"{number}: is '{row.status}' in the ledger but {node} is marked with it"
                continue
            if not any(self._stands(node) for node in marked):
                yield f"{number}: is 'tested' but no passing test is marked with it"
            nodes = [node for node in self.marks if node == row.by or node.startswith(row.by + "[")]
            if not nodes:
                yield f"{number}: by = {row.by!r} does not name a test"
            elif not set(nodes) & set(marked):
                yield f"{number}: by = {row.by!r} is not marked with it"
            elif not all(self._stands(node) for node in nodes):
                yield f"{number}: by = {row.by!r} did not pass"

    def _stands(self, node):
        return self.outcomes[node] == {"passed"} or node in self.excused


def is_prepared(name):
    """Whether a data set lies under TFDS_DATA_DIR, as NAME/VERSION."""
    folder = os.environ.get("TFDS_DATA_DIR")
    return bool(folder) and any((Path(folder) / name).glob("*/dataset_info.json"))


def is_full_run(session):
    """Whether the session ran every test to the end, so that no missing result can still arrive."""
    config, option = session.config, session.config.option
    selected = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "collectonly")
    whole = {config.rootpath, *(config.rootpath / path for path in config.getini("testpaths"))}
    arguments = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    worker = hasattr(config, "workerinput")
    complete = not (session.shouldstop or session.shouldfail)
    return (
        arguments <= whole and complete and not worker and not any(getattr(option, n, None) for n in selected)
    )
