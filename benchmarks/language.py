"""Compares language models with PyTorch's: training, generation, the cost of a token, and memory.

    python -m venv PEER && PEER/bin/pip install torch transformers
    python benchmarks/language.py --peer PEER/bin/python [--rounds 5] [--parts training] [--figures FOLDER]

Variants take turns (`turns.py`), and a ratio is the median over the rounds of one variant's time over
curvezoo's in the same round. Compilation is left out and printed on its own.

- training: forward pass, backward pass and update on a batch in memory. curvezoo's step is the compiled
  function that `fit` calls, with its metrics.
- generation: tokens per second of whole calls of `generate`, which sample at temperature 1. nanoGPT has no
  cache; GPT-2 of transformers has one. All models have new weights.
- positions: the time of a token against its position in a context of 1,024.
- memory: the resident memory of a training step above that of one row of 8 tokens, each in a process.
"""

import argparse
import json
import pathlib
import statistics
import time

import turns

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


def made(kind, case, variant):
    """Returns the function to measure, and the number of parameters."""
    if "torch" in variant:
        import torch_language

        run, parameters = torch_language.measured(kind, case, variant, VOCABULARY)
    else:
        run, parameters = own(kind, case, variant)
    return run, {"parameters": parameters}


def compare(kind, case, variants, repetitions, options):
    """Returns the workers and, for each variant, the results of each round."""
    workers = {
        name: turns.Worker(__file__, [kind, case, variant], options.peer if "torch" in variant else None)
        for name, variant in variants.items()
        if options.peer or "torch" not in variant
    }
    return workers, turns.alternate(workers, options.rounds, repetitions)


def training(options):
    """Prints a table of the times of training steps."""
    turns.print_head("training", "ms a step")
    for label, (case, variants) in TRAINING.items():
        repetitions = max(1, options.steps // (5 if case["context"] > 64 else 1))
        compared = compare("training", case, variants, repetitions, options)
        turns.print_rows(label, *compared, lambda seconds: f"{1e3 * seconds:.1f}")


def rates(options):
    """Prints a table of the rates of generation."""
    turns.print_head("generation", "tokens/s")
    for label, (case, variants) in GENERATION.items():
        compared = compare("generation", case, variants, 1, options)
        tokens = case["batch"] * case["tokens"]
        turns.print_rows(label, *compared, lambda seconds, tokens=tokens: f"{tokens / seconds:,.0f}")


def positions(options):
    """Prints and returns ms per token by position: {variant: list}."""
    case, variants = POSITIONS
    _, results = compare("positions", case, variants, 1, options)
    ends = range(case["every"], case["context"], case["every"])
    print("\n| position |", " | ".join(f"{name}, ms a token" for name in results), "|")
    print("|---|" + "---|" * len(results))
    curves = {
        name: [1e3 * statistics.median(turn[0][i] for turn in rounds) for i in range(len(ends))]
        for name, rounds in results.items()
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
                worker = turns.Worker(__file__, ["memory", case, {}])
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
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, case, variant = json.loads(options.worker)
        turns.answer(lambda: made(kind, case, variant), timed=kind in ("training", "generation"))
        return
    if options.figures:
        options.figures.mkdir(parents=True, exist_ok=True)
    turns.print_conditions(("tensorflow", "keras"), options.peer, ("torch", "transformers"))
    parts = options.parts.split(",")
    if "training" in parts:
        training(options)
    if "generation" in parts:
        rates(options)
    curves = positions(options) if "positions" in parts else None
    measured = memory(options) if "memory" in parts else None
    print(f"\n{turns.load()} at the end")
    if options.figures:
        import language_figures

        if curves:
            language_figures.draw_positions(*curves, options.figures / "language_positions.png")
        if measured:
            language_figures.draw_memory(MEMORY, measured, options.figures / "language_memory.png")


if __name__ == "__main__":
    main()
