"""Mutation testing of theory/, losses/ and optimizers/: a random sample of Cosmic Ray's mutants.

    python -m pip install cosmic-ray
    python tests/mutation.py build/mutation --sample 300 --seed 0

A mutant changes one operator, comparison, number, branch, loop or decorator. It is made in a checkout of HEAD
under the given folder, so that the working tree stays as it is, and tested by the test files of its module,
until the first failure. The same command continues an interrupted run, `--survivors` tests the survivors
again after new tests are committed, and `--jobs 2` tests two mutants at a time, each in its own checkout.

Each mutant has a process of its own, forked from one that has imported TensorFlow.
"""

import argparse
import ast
import gc
import importlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOMS = ("theory", "losses", "optimizers")
# Limits on processor time, because the machine may be busy: for a mutant, and for each of its test files.
SECONDS, FILE_SECONDS = 40, {"theory": 10, "losses": 10, "optimizers": 80}
WALL_SECONDS = 3600
NO_TESTS_COLLECTED = 5
# One replacement per operator: most others raise TypeError in any test. `|` occurs in annotations only.
REPLACEMENTS = re.compile(
    "core/(?:AddNot|Replace(?:TrueWith|FalseWith|AndWith|OrWith|BreakWith|ContinueWith).*|ExceptionReplacer"
    "|NumberReplacer|RemoveDecorator|ZeroIterationForLoop"
    "|ReplaceBinaryOperator_(?:Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_FloorDiv|Pow_Mul|BitAnd_BitOr)"
    "|ReplaceComparisonOperator_(?:Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|GtE_Lt|Gt_LtE|LtE_Gt"
    "|Is_IsNot|IsNot_Is)"
    "|ReplaceUnaryOperator_(?:USub_UAdd|Delete_Not|Delete_Invert))"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the checkout and the session")
    parser.add_argument("--sample", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--survivors", action="store_true", help="test the survivors again")
    parser.add_argument("--jobs", type=int, default=1, help="number of mutants tested at a time")
    options = parser.parse_args()
    folder = options.folder.resolve()
    checkouts = [_checkout(folder / str(job)) for job in range(options.jobs)]
    os.chdir(checkouts[0])
    sys.dont_write_bytecode = True

    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(folder / f"{options.sample}-{options.seed}.sqlite", WorkDB.Mode.create) as session:
        if not session.num_work_items:
            session.add_work_items(_sample(options.sample, options.seed))
        if options.survivors:
            _forget_survivors(session)
        _preload()
        pending = sorted(session.pending_work_items, key=lambda item: _expected_cost(item, folder))
        for item, result in _test_all(pending, checkouts, folder):
            session.set_result(item.job_id, result)
            path, outcome = item.mutations[0].module_path, result.test_outcome.value
            print(f"{item.job_id} {path} {outcome} {result.output}", flush=True)
        _report(session)


def _expected_cost(item, folder):
    """Returns a key that sorts mutants by cost: those that were interrupted come last."""
    interrupted = (folder / f"{item.job_id}.log").exists()
    return interrupted, ROOMS.index(item.mutations[0].module_path.parts[0]), item.job_id


def _checkout(folder):
    """A detached worktree of HEAD without mutations, under the name by which Python imports it."""
    root, checkout = Path(__file__).resolve().parents[1], folder / "curvezoo"
    head = subprocess.check_output(["git", "-C", str(root), "rev-parse", "HEAD"], text=True).strip()
    if checkout.exists():
        subprocess.check_call(
            ["git", "-C", str(checkout), "checkout", "--quiet", "--force", "--detach", head]
        )
    else:
        arguments = ["worktree", "add", "--quiet", "--detach", str(checkout), head]
        subprocess.check_call(["git", "-C", str(root), *arguments])
    return checkout


def _sample(size, seed):
    from cosmic_ray.work_item import WorkItem

    modules = sorted(path for room in ROOMS for path in Path(room).rglob("*.py"))
    mutations = [mutation for module in modules for mutation in _mutations(module)]
    print(f"{len(mutations)} mutants in {len(modules)} modules, of which {size} are tested", flush=True)
    sample = random.Random(seed).sample(mutations, size)
    return [WorkItem.single(f"{number:05}", mutation) for number, mutation in enumerate(sample)]


def _mutations(module):
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.work_item import MutationSpec

    nodes = list(ast_nodes(get_ast_from_path(module)))
    for name in filter(REPLACEMENTS.fullmatch, sorted(plugins.operator_names())):
        operator = plugins.get_operator(name)()
        positions = (position for node in nodes for position in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            yield MutationSpec(module, name, occurrence, start, end)


def _forget_survivors(session):
    items, completed = session.work_items, list(session.completed_work_items)
    session.clear()
    session.add_work_items(items)
    for item, result in completed:
        if result.is_killed:
            session.set_result(item.job_id, result)


def _preload():
    """Imports what the tests import and is not mutated; processes can be forked until TensorFlow computes."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    files = [file for room in ROOMS for file in Path("tests", room).rglob("*.py")]
    statements = [statement for file in files for statement in _parsed(file).body]
    modules = {alias.name for s in statements if isinstance(s, ast.Import) for alias in s.names}
    modules |= {s.module for s in statements if isinstance(s, ast.ImportFrom) and not s.level}
    for module in sorted(modules):
        if module.split(".")[0] != "curvezoo":
            importlib.import_module(module)

    import tensorflow as tf

    tf.config.list_physical_devices("CPU")
    # Garbage collections of the forked processes skip all this.
    gc.collect()
    gc.freeze()


def _parsed(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def _test_all(items, checkouts, folder):
    """Yields each item with Cosmic Ray's result, testing as many at a time as there are checkouts."""
    waiting, free, running = list(items), list(checkouts), {}
    while waiting or running:
        while waiting and free:
            item, checkout = waiting.pop(0), free.pop()
            mutant = _mutant(item.mutations[0], checkout)
            running[_start(mutant, folder / f"{item.job_id}.log")] = item, mutant
        process, status = os.wait()
        item, mutant = running.pop(process)
        (mutant.checkout / mutant.path).write_text(mutant.before, encoding="utf-8")
        free.append(mutant.checkout)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NO_TESTS_COLLECTED:
            raise RuntimeError(f"{mutant.path} has no tests, see {item.job_id}.log")
        yield item, _result(mutant, status)


class Mutant(NamedTuple):
    """A mutated module and the checkout that holds it."""

    checkout: Path
    path: Path
    line: int
    before: str
    after: str


def _mutant(mutation, checkout):
    """Mutates the module in the checkout."""
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    path = checkout / mutation.module_path
    before = path.read_text(encoding="utf-8")
    after = mutate_code(before, plugins.get_operator(mutation.operator_name)(), mutation.occurrence)
    path.write_text(after, encoding="utf-8")
    return Mutant(checkout, mutation.module_path, mutation.start_pos[0], before, after)


def _result(mutant, status):
    import difflib

    from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

    names = str(mutant.path), str(mutant.path)
    diff = difflib.unified_diff(mutant.before.split("\n"), mutant.after.split("\n"), *names, lineterm="")
    return WorkResult(
        WorkerOutcome.NORMAL,
        output="at a limit" if os.WIFSIGNALED(status) else "",
        test_outcome=TestOutcome.KILLED if status else TestOutcome.SURVIVED,
        diff="\n".join(diff),
    )


def _start(mutant, log):
    """Returns the number of a process that tests the mutant."""
    files = tests_of(mutant.path)
    definitions = _definitions(mutant)
    process = os.fork()
    if process == 0:
        os.chdir(mutant.checkout)
        # For this process and for those that tests start.
        sys.path.insert(0, str(mutant.checkout.parent))
        os.environ |= {"PYTHONPATH": str(mutant.checkout.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        _run_tests(files, definitions, log)
    return process


def _definitions(mutant):
    """Returns the names of the classes and functions that contain the mutated line."""
    nodes = [n for n in ast.walk(ast.parse(mutant.before)) if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    return {node.name for node in nodes if node.lineno <= mutant.line <= node.end_lineno}


def _run_tests(files, definitions, log):
    """Ends this process with pytest's exit status, or by a signal at one of the limits."""
    import hypothesis
    import pytest

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    limit = SECONDS + sum(FILE_SECONDS[file.parts[1]] for file in files)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    signal.alarm(WALL_SECONDS)
    # A failure is enough: it is not shrunk, and a slow example is none.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", phases=phases, deadline=None, database=None)
    hypothesis.settings.load_profile("mutation")
    arguments = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider", *map(str, files)]
    status = pytest.main(arguments, plugins=[_LikeliestFirst(files, definitions)])
    sys.stdout.flush()
    os._exit(status)


class _LikeliestFirst:
    """Runs the files in the given order, and in each first the tests that name a definition."""

    def __init__(self, files, definitions):
        self.files, self.definitions = [file.name for file in files], definitions

    def pytest_collection_modifyitems(self, items):
        tests = {file: self._tests_that_name_one(file) for file in {item.path for item in items}}
        items.sort(key=lambda i: (self.files.index(i.path.name), i.originalname not in tests[i.path]))

    def _tests_that_name_one(self, file):
        functions = [node for node in _parsed(file).body if isinstance(node, ast.FunctionDef)]
        words = {node.name: set(re.findall(r"\w+", ast.unparse(node))) for node in functions}
        return {name for name in words if words[name] & self.definitions}


def tests_of(module):
    """Returns the test files of a module: its mirror and others that name it, or else those of its folder."""
    folder = Path("tests", module.parent)
    if not folder.exists():
        return sorted(folder.parent.glob(f"test_*{folder.name}*.py"))
    files, mirror = sorted(folder.glob("test_*.py")), folder / f"test_{module.stem}.py"
    if mirror not in files:
        # First the tests of the modules that import it.
        importers = [path for path in module.parent.glob("*.py") if _names(path, module.stem)]
        first = {folder / f"test_{path.stem}.py" for path in importers}
        return sorted(files, key=lambda file: (file not in first, file))
    return [mirror, *(file for file in files if file != mirror and _names(file, module.stem))]


def _names(file, name):
    return bool(re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")))


def _report(session):
    completed = list(session.completed_work_items)
    survivors = [(item, result) for item, result in completed if not result.is_killed]
    for item, result in survivors:
        print(f"\n{item.job_id}\n{result.diff}")
    killed = len(completed) - len(survivors)
    print(f"\n{killed} of {len(completed)} mutants killed ({killed / len(completed):.1%})")


if __name__ == "__main__":
    main()
