"""Compares language models with PyTorch's: training, generation, the cost of a token, and memory.

    python -m venv PEER && PEER/bin/pip install torch transformers
    python benchmarks/language.py --peer PEER/bin/python [--rounds 5] [--parts training] [--figures FOLDER]

Every variant runs in its own process, which sleeps while another is measured. Rounds alternate between the
variants, so that other load on the machine meets all of them, and a ratio is the median over the rounds of
one variant's time over curvezoo's in the same round. Compilation is left out and printed on its own.

- training: forward pass, backward pass and update on a batch in memory. curvezoo's step is the compiled
  function that `fit` calls, with its metrics.
- generation: tokens per second of whole calls of `generate`, which sample at temperature 1. nanoGPT has no
  cache; GPT-2 of transformers has one. All models have new weights.
- positions: the time of a token against its position in a context of 1,024.
- memory: the resident memory of a training step above that of one row of 8 tokens, each in a process.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import time

NANOGPT = {"num_layers": 4, "width": 128, "heads": 4, "context": 64, "batch": 12, "dropout": 0.0}
LARGER = {"num_layers": 4, "width": 192, "heads": 6, "context": 256, "batch": 16, "dropout": 0.15}
LSTM = {"num_layers": 2, "width": 256, "context": 128, "batch": 32}
DEEP = {"num_layers": 12, "width": 128, "heads": 4, "dropout": 0.0}
VOCABULARY = 65

# The first variant of each case is the one that the others are compared with.
TRAINING = {
    "Transformer, 4 x 128, block 64, batch 12": (
        NANOGPT,
        {
            "curvezoo, XLA": {"jit": True},
            "curvezoo": {"jit": False},
            "nanoGPT, eager": {"torch": "nanogpt"},
            "nanoGPT, torch.compile": {"torch": "nanogpt", "compiled": True},
        },
    ),
    "Transformer, 4 x 192, block 256, batch 16, dropout 0.15": (
        LARGER,
        {
            "curvezoo": {"jit": False},
            "curvezoo, XLA": {"jit": True},
            "nanoGPT, eager": {"torch": "nanogpt"},
            "nanoGPT, torch.compile": {"torch": "nanogpt", "compiled": True},
        },
    ),
    "LSTM, 2 x 256, length 128, batch 32": (
        LSTM,
        {
            "curvezoo, XLA": {"jit": True},
            "curvezoo": {"jit": False},
            "torch.nn.LSTM, eager": {"torch": "lstm"},
        },
    ),
}
GENERATION = {
    "batch 1, block 64, 500 tokens": (
        NANOGPT | {"batch": 1, "tokens": 500},
        {"curvezoo": {}, "nanoGPT": {"torch": "nanogpt"}},
    ),
    "batch 16, block 64, 63 tokens": (
        NANOGPT | {"batch": 16, "tokens": 63},
        {"curvezoo": {}, "transformers, cache": {"torch": "gpt2"}},
    ),
    "batch 16, block 256, 255 tokens": (
        NANOGPT | {"batch": 16, "context": 256, "tokens": 255},
        {"curvezoo": {}, "transformers, cache": {"torch": "gpt2"}},
    ),
}
POSITIONS = (
    NANOGPT | {"context": 1024, "every": 32},
    {"curvezoo": {}, "nanoGPT": {"torch": "nanogpt"}},
)
MEMORY = {
    "batch": [(batch, 256) for batch in (4, 8, 16, 32)],
    "length": [(16, length) for length in (64, 128, 256, 512)],
}


def transformer(case, **settings):
    """Returns a model of nanoGPT's architecture."""
    import keras

    from curvezoo.zoo.language.transformer import TransformerLanguageModel

    keras.utils.set_random_seed(0)
    sizes = {key: case[key] for key in ("num_layers", "width", "heads", "dropout")}
    return TransformerLanguageModel(
        VOCABULARY, case["context"], positions="learned", tied=True, **sizes, **settings
    )


def training_step(case, jit, recurrent=False, **settings):
    """Returns a function that takes a training step of one of our models."""
    import keras
    import numpy as np
    import tensorflow as tf

    from curvezoo.losses.classification import CategoricalNLL
    from curvezoo.zoo.language.recurrent import RecurrentLanguageModel

    if recurrent:
        model = RecurrentLanguageModel(VOCABULARY, num_layers=case["num_layers"], width=case["width"])
    else:
        model = transformer(case, **settings)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    model.compile(optimizer, CategoricalNLL(), metrics=metrics, jit_compile=jit)
    shape = (8 * case["batch"], case["context"] + 1)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, shape).astype("int32")
    batches = tf.data.Dataset.from_tensor_slices((tokens[:, :-1], tokens[:, 1:]))
    batches = batches.batch(case["batch"], drop_remainder=True).cache().repeat().prefetch(2)
    model.fit(batches, steps_per_epoch=1, verbose=0)
    iterator = iter(batches)
    return lambda: float(model.train_function(iterator)["loss"]), model.count_params()


def generation(case):
    """Returns a function that generates tokens once with one of our models."""
    model = transformer(case)
    prompts = [[row] for row in range(case["batch"])]
    return lambda: model.generate(prompts, case["tokens"]), model.count_params()


def times_by_position(case):
    """Returns a function that returns seconds per token of one of our models, by position."""
    model = transformer(case)

    def run():
        begin, times = time.perf_counter(), []
        for piece in model.stream([0], case["context"] - 1, every=case["every"]):
            times.append((time.perf_counter() - begin) / len(piece))
            begin = time.perf_counter()
        return times

    return run, model.count_params()


def step_memory(case):
    """Returns the resident memory of this process after three training steps, in MB."""
    step, _ = training_step(case, case["jit"], remat=case["remat"])
    for _ in range(3):
        step()
    # The allocator keeps what the largest step needed; compilation has returned its memory.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def own(kind, case, variant):
    """Returns the function to measure, which may return numbers of its own, and the parameters."""
    if kind == "memory":
        return lambda: step_memory(case), 0
    if kind == "training":
        return training_step(case, variant["jit"], recurrent="heads" not in case)
    return generation(case) if kind == "generation" else times_by_position(case)


def work(kind, case, variant):
    """Writes the parameters and the seconds until the first result, then results for each line of stdin.

    A result is the seconds and processor seconds of a call, or the times by position.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    begin = time.perf_counter()
    if "torch" in variant:
        import torch_language

        run, parameters = torch_language.measured(kind, case, variant, VOCABULARY)
    else:
        run, parameters = own(kind, case, variant)
    result = run()
    first = time.perf_counter() - begin
    print(json.dumps([parameters, first, result if kind == "memory" else None]), file=replies, flush=True)
    for line in sys.stdin:
        results = []
        for _ in range(int(line)):
            begin = time.perf_counter(), time.process_time()
            result = run()
            spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
            results.append(result if kind == "positions" else spent)
        print(json.dumps(results), file=replies, flush=True)


class Worker:
    """A process that measures one variant.

    Args:
        kind: `training`, `generation`, `positions` or `memory`.
        case: The sizes of the model and its inputs.
        variant: Settings of the variant.
        peer: The Python of the variants with PyTorch.
    """

    def __init__(self, kind, case, variant, peer):
        python = peer if "torch" in variant else sys.executable
        command = [python, __file__, "--worker", kind, json.dumps(case), json.dumps(variant)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker must start, got no answer from {shlex.join(command)}")
        self.parameters, self.first, self.result = json.loads(line)

    def run(self, repetitions):
        """Returns the results of some repetitions."""
        print(repetitions, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def compare(kind, case, variants, repetitions, options):
    """Returns the workers and, for each variant, the results of each round."""
    if not options.peer:
        variants = {name: variant for name, variant in variants.items() if "torch" not in variant}
    workers = {name: Worker(kind, case, variant, options.peer) for name, variant in variants.items()}
    for worker in workers.values():
        worker.run(1)
    results = {name: [] for name in workers}
    for _ in range(options.rounds):
        for name, worker in workers.items():
            results[name].append(worker.run(repetitions))
    for worker in workers.values():
        worker.close()
    return workers, results


def speed(kind, cases, title, options):
    """Prints a table of the times of training steps or the rates of generation."""
    print(
        f"\n| {title} | parameters | first call s | time over curvezoo's | processor time over curvezoo's |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for label, (case, variants) in cases.items():
        repetitions = max(1, options.steps // (5 if case["context"] > 64 else 1)) if kind == "training" else 1
        workers, results = compare(kind, case, variants, repetitions, options)
        # By variant, the medians over each round of the seconds and of the processor seconds.
        medians = {
            name: [[statistics.median(times) for times in zip(*turn, strict=True)] for turn in turns]
            for name, turns in results.items()
        }
        base = medians[next(iter(medians))]
        for name, turns in medians.items():
            median = statistics.median(turn[0] for turn in turns)
            if kind == "training":
                measured = f"{1e3 * median:.1f}"
            else:
                measured = f"{case['batch'] * case['tokens'] / median:,.0f}"
            ratios = []
            for i in range(2):
                values = [its[i] / ours[i] for its, ours in zip(turns, base, strict=True)]
                low, ratio, high = quartiles(values)
                ratios.append(f"{ratio:.2f} ({low:.2f}-{high:.2f})")
            worker = workers[name]
            cells = (label, name, measured, f"{worker.parameters:,}", f"{worker.first:.0f}", *ratios)
            print(f"| {' | '.join(cells)} |", flush=True)


def quartiles(values):
    """Returns the lower quartile, the median and the upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def positions(options):
    """Prints and returns ms per token by position: {variant: list}."""
    case, variants = POSITIONS
    _, results = compare("positions", case, variants, 1, options)
    ends = range(case["every"], case["context"], case["every"])
    print("\n| position |", " | ".join(f"{name}, ms a token" for name in results), "|")
    print("|---|" + "---|" * len(results))
    curves = {
        name: [1e3 * statistics.median(turn[0][i] for turn in turns) for i in range(len(ends))]
        for name, turns in results.items()
    }
    for index, end in enumerate(ends):
        if index % 4 == 0 or index == len(ends) - 1:
            print(f"| {end} |", " | ".join(f"{curve[index]:.3f}" for curve in curves.values()), "|")
    return list(ends), curves


def memory(options):
    """Prints and returns the memory of training steps in MB: {(axis, jit, remat): list}."""
    print("\n| 12 x 128, MB of a step | XLA | batch | length | kept | remat | ratio |")
    print("|---|---|---|---|---|---|---|", flush=True)
    sizes = sorted({size for values in MEMORY.values() for size in values})
    measured = {}
    for jit in (False, True):
        for batch, length in [(1, 8), *sizes]:
            for remat in (False, True):
                case = DEEP | {"batch": batch, "context": length, "jit": jit, "remat": remat}
                worker = Worker("memory", case, {}, None)
                worker.close()
                measured[batch, length, jit, remat] = worker.result
            kept, again = (
                measured[batch, length, jit, remat] - measured[1, 8, jit, remat] for remat in (False, True)
            )
            if length > 8:
                cells = ("yes" if jit else "no", batch, length, f"{kept:.0f}", f"{again:.0f}")
                print(f"| | {' | '.join(map(str, cells))} | {kept / again:.1f} |", flush=True)
    return {
        (axis, jit, remat): [measured[*size, jit, remat] - measured[1, 8, jit, remat] for size in values]
        for axis, values in MEMORY.items()
        for jit in (False, True)
        for remat in (False, True)
    }


def main():
    """Prints the tables and draws the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python with torch and transformers, which are left out by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="training steps per round; a fifth if T > 64")
    parser.add_argument("--parts", default="training,generation,positions,memory")
    parser.add_argument("--figures", type=pathlib.Path, help="folder in which the two figures are drawn")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, case, variant = options.worker
        work(kind, json.loads(case), json.loads(variant))
        return
    if options.figures:
        options.figures.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    if options.peer:
        script = "import importlib.metadata as m; print(*[m.version(n) for n in ('torch', 'transformers')])"
        peers = subprocess.check_output([options.peer, "-c", script], text=True).split()
        versions |= dict(zip(("torch", "transformers"), peers, strict=True))
    load = "load {:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}, {load}")
    parts = options.parts.split(",")
    if "training" in parts:
        speed("training", TRAINING, "training | variant | ms a step", options)
    if "generation" in parts:
        speed("generation", GENERATION, "generation | variant | tokens/s", options)
    curves = positions(options) if "positions" in parts else None
    measured = memory(options) if "memory" in parts else None
    print("\nload {:.1f} {:.1f} {:.1f} at the end".format(*os.getloadavg()))
    if options.figures:
        import language_figures

        if curves:
            language_figures.draw_positions(*curves, options.figures / "language_positions.png")
        if measured:
            language_figures.draw_memory(MEMORY, measured, options.figures / "language_memory.png")


if __name__ == "__main__":
    main()
