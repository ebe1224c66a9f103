"""Mutation testing of theory/, losses/ and optimizers/: a random sample of Cosmic Ray's mutants.

    python -m pip install cosmic-ray
    python tests/mutation.py build/mutation --sample 300 --seed 0

A mutant changes one operator, comparison, number, branch, loop or decorator. It is made in a checkout of HEAD
under the given folder, so that the working tree stays as it is, and tested by the test files of its module,
until the first failure. The same command continues an interrupted run, and `--survivors` tests the survivors
again after new tests are committed.

Each mutant has a process of its own, forked from one that has imported TensorFlow. Its limit is one on
processor time, since one on wall-clock time would kill mutants because the machine is busy.
"""

import argparse
import os
import random
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

ROOMS = ("theory", "losses", "optimizers")
PROCESSOR_SECONDS, WALL_SECONDS = 300, 3600
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
    options = parser.parse_args()
    folder = options.folder.resolve()
    os.chdir(_checkout(folder))
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True

    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(folder / f"{options.sample}-{options.seed}.sqlite", WorkDB.Mode.create) as session:
        if not session.num_work_items:
            session.add_work_items(_sample(options.sample, options.seed))
        if options.survivors:
            _forget_survivors(session)
        _preload()
        for item in session.pending_work_items:
            result = _test(item.mutations[0], folder / f"{item.job_id}.log")
            session.set_result(item.job_id, result)
            print(f"{item.job_id} {item.mutations[0].module_path} {result.test_outcome.value}", flush=True)
        _report(session)


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
    """Imports what takes long and is not mutated; processes can be forked until TensorFlow computes."""
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    import hypothesis  # noqa: F401
    import keras  # noqa: F401
    import pytest  # noqa: F401
    import scipy.integrate
    import scipy.optimize
    import scipy.stats  # noqa: F401
    import tensorflow_probability  # noqa: F401


def _test(mutation, log):
    """Returns Cosmic Ray's result for one mutant."""
    import difflib

    from cosmic_ray import plugins
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

    path = mutation.module_path
    with use_mutation(path, plugins.get_operator(mutation.operator_name)(), mutation.occurrence) as (
        before,
        after,
    ):
        process = os.fork()
        if process == 0:
            _run_tests(tests_of(path), log)
        _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NO_TESTS_COLLECTED:
        raise RuntimeError(f"{path} has no tests, see {log}")
    diff = difflib.unified_diff(before.split("\n"), after.split("\n"), str(path), str(path), lineterm="")
    outcome = TestOutcome.KILLED if status else TestOutcome.SURVIVED
    return WorkResult(WorkerOutcome.NORMAL, test_outcome=outcome, diff="\n".join(diff))


def _run_tests(files, log):
    """Ends this process with pytest's exit status, or by a signal at one of the limits."""
    import pytest

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    signal.alarm(WALL_SECONDS)
    status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *map(str, files)])
    sys.stdout.flush()
    os._exit(status)


def tests_of(module):
    """Returns the test files of a module: its mirror and others that name it, or else those of its folder."""
    folder = Path("tests", module.parent)
    if not folder.exists():
        return sorted(folder.parent.glob(f"test_*{folder.name}*.py"))
    files, mirror = sorted(folder.glob("test_*.py")), folder / f"test_{module.stem}.py"
    if mirror not in files:
        return files
    naming = [file for file in files if re.search(rf"\b{module.stem}\b", file.read_text(encoding="utf-8"))]
    return [mirror, *(file for file in naming if file != mirror)]


def _report(session):
    completed = list(session.completed_work_items)
    survivors = [(item, result) for item, result in completed if not result.is_killed]
    for item, result in survivors:
        print(f"\n{item.job_id}\n{result.diff}")
    killed = len(completed) - len(survivors)
    print(f"\n{killed} of {len(completed)} mutants killed ({killed / len(completed):.1%})")


if __name__ == "__main__":
    main()
