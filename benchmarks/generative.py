"""Compares generative models with PyTorch's: training steps, and the generation of images by PixelCNN.

    python -m venv PEER && PEER/bin/pip install torch
    python benchmarks/generative.py --peer PEER/bin/python [--rounds 5] [--steps 20] [--parts training]

The models, batches and optimizers are those of the recipes. Variants take turns (`turns.py`), and a ratio is
the median over the rounds of one variant's time over curvezoo's in the same round. Compilation is left out
and printed on its own. Before anything is timed, PyTorch's networks get curvezoo's weights, and must have the
same outputs.

- training: forward pass, backward pass and update on a batch in memory. curvezoo's step is the compiled
  function that `fit` calls, with its metrics. A step of the DCGAN trains critic and generator.
- sampling: 64 images of PixelCNN. curvezoo's `sample` computes nothing twice; the naive loops compute the
  whole network for each symbol. curvezoo's naive loop must draw the same images.

PyTorch's threads spin while they wait, unless OMP_WAIT_POLICY is `passive` in the environment.
"""

import argparse
import json
import pathlib
import tempfile

import turns

SAMPLING = "pixelcnn_mnist"
IMAGES = 64
PEERS = {"PyTorch, eager": {"torch": True}, "PyTorch, torch.compile": {"torch": True, "compiled": True}}
CONVOLUTIONAL = PEERS | {"PyTorch, eager, channels_last": {"torch": True, "channels_last": True}}
TRAINING = {"vae_mnist": PEERS, "pixelcnn_mnist": CONVOLUTIONAL, "dcgan_mnist": CONVOLUTIONAL}
SAMPLERS = {
    "curvezoo": {},
    "curvezoo, naive loop": {"naive": True},
    "PyTorch, naive loop": {"torch": True},
    "PyTorch, naive loop, torch.compile": {"torch": True, "compiled": True},
}
# Largest difference of outputs with the same weights, relative to the largest output.
TOLERANCE = 1e-3
# Passes after which the power iterations of spectral normalization have converged.
CONVERGED = 200


def case_of(name):
    """Returns the settings of a recipe, and the shape of its images."""
    from curvezoo import zoo

    recipe = zoo.recipe(name)
    return {"name": name, "shape": list(recipe.data.spec().shape), **recipe.settings()}


def training_variants(case):
    """Returns the variants of a training step, first the one with the recipe's own settings."""
    own = {"curvezoo": {"jit": False}, "curvezoo, XLA": {"jit": True}}
    first = case["execution"]["jit_compile"]
    return dict(sorted(own.items(), key=lambda item: item[1]["jit"] != first)) | TRAINING[case["name"]]


def learner(case, **settings):
    """Returns the learner of a recipe on eight batches of random images."""
    import numpy as np
    import tensorflow as tf

    from curvezoo import data, zoo
    from curvezoo.training.learner import Resources

    recipe = zoo.recipe(case["name"]).override(settings)
    batch_size, random = recipe.data.batch_size, np.random.default_rng(0)
    images = random.random((8 * batch_size, *case["shape"]), "float32")
    pairs = images, random.integers(0, 10, len(images)).astype("int32")
    splits = data.from_arrays(pairs, pairs, pairs, classes=10, name="random", batch_size=batch_size)
    with recipe.precision():
        return recipe.learner(Resources(tf.distribute.get_strategy(), data=splits))


def training_step(case, jit):
    """Returns a function that takes the training steps of a call with one of our models, and its facts."""
    trained = learner(case, **{"execution.jit_compile": jit})
    model, steps = trained.model, case["execution"]["steps_per_execution"]
    batches = trained.splits.train.take(8).cache().repeat().prefetch(2)
    model.fit(batches, steps_per_epoch=steps, verbose=0)
    iterator = iter(batches)
    facts = {"parameters": parameters(model), "steps": steps}
    return lambda: float(model.train_function(iterator)["loss"]), facts


def parameters(model):
    """Returns the number of trained parameters."""
    return sum(int(variable.numpy().size) for variable in model.trainable_variables)


def randomized(model):
    """Moves all weights, because new ones may be zero."""
    import numpy as np

    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * random.normal(size=variable.shape).astype("float32"))


def images_of(case):
    """Returns a function that draws images with `sample`, or with the whole network for each symbol."""
    import numpy as np

    from curvezoo.zoo.programs import Programs

    model = learner(case).model
    randomized(model)
    facts = {"parameters": parameters(model)}
    if "naive" not in case:
        return lambda: model.sample(IMAGES), facts
    programs = Programs(model, jit_compile=False)

    def run():
        return np.asarray(programs.run(naively_drawn, np.int32(0)))

    same = run() == model.sample(IMAGES)
    return run, facts | {"same": float(same.mean())}


def naively_drawn(model, seed):
    """Returns images for which the whole network is computed for each symbol."""
    from keras import ops

    from curvezoo.zoo.language.filters import draw
    from curvezoo.zoo.programs import uniform_numbers

    network = model.network
    rows, columns = network.symbols.grid
    count = rows * columns
    uniforms = uniform_numbers(1 + count, IMAGES, seed)[:, 1:]

    def symbol(index, numbers):
        grid = ops.reshape(numbers, (IMAGES, rows, columns))
        logits = ops.reshape(network.logits(network.inputs_of(grid)), (IMAGES, count, -1))
        new = draw(ops.take(logits, index, axis=1), ops.take(uniforms, index, axis=1), 1.0)
        return index + 1, ops.where(ops.arange(count) == index, new[:, None], numbers)

    start = ops.zeros((), "int32"), ops.zeros((IMAGES, count), "int32")
    numbers = ops.while_loop(lambda index, _: index < count, symbol, start)[1]
    return network.symbols.images(ops.reshape(numbers, (IMAGES, rows, columns)))


def outputs(case):
    """Writes random weights and inputs with the outputs of one of our models, for the peer to compare."""
    import numpy as np

    model = learner(case).model
    randomized(model)
    random = np.random.default_rng(2)
    images = (random.random((8, *case["shape"])) < 0.5).astype("float32")
    arrays = {"images": images}
    if "pixelcnn" in case["name"]:
        results = [model(images)]
    else:
        size = case["model"]["latents" if "vae" in case["name"] else "latent_size"]
        arrays["latents"] = latents = random.normal(size=(8, size)).astype("float32")
        if "vae" in case["name"]:
            results = [*model.encoder(images), model.decoder(latents)]
        else:
            drawn = model.generator(latents, training=True)
            for _ in range(CONVERGED):
                model.discriminator(images, training=True)
            results = [drawn, *(model.discriminator(x, training=True) for x in (images, drawn))]
    for kind, values in (("weight", model.trainable_variables), ("output", results)):
        arrays |= {f"{kind}_{index}": np.asarray(value) for index, value in enumerate(values)}
    np.savez(case["path"], **arrays)
    return lambda: None, {"parameters": parameters(model)}


def check(case, peer):
    """Checks that PyTorch's networks are the same functions as ours."""
    with tempfile.TemporaryDirectory() as folder:
        case = case | {"path": str(pathlib.Path(folder) / "outputs.npz")}
        ours = turns.Worker(__file__, ["outputs", case, {}])
        ours.close()
        theirs = turns.Worker(__file__, ["outputs", case, {"torch": True}], peer)
        theirs.close()
    counts = ours.facts["parameters"], theirs.facts["parameters"]
    if counts[0] != counts[1]:
        raise RuntimeError(f"{case['name']} must have as many parameters in PyTorch, got {counts}")
    if not theirs.result < TOLERANCE:
        raise RuntimeError(f"{case['name']} must have the same outputs in PyTorch, got {theirs.result}")
    print(f"{case['name']} with the same weights: outputs differ by {theirs.result:.0e} of the largest")


def made(kind, case, variant):
    """Returns the function to measure, and its facts."""
    if "torch" in variant:
        import torch_generative

        return torch_generative.measured(kind, case, variant)
    if kind == "training":
        return training_step(case, variant["jit"])
    return outputs(case) if kind == "outputs" else images_of(case | variant)


def compare(kind, case, variants, repetitions, options):
    """Returns the workers and, for each variant, the results of each round."""
    workers = {
        name: turns.Worker(__file__, [kind, case, variant], options.peer if "torch" in variant else None)
        for name, variant in variants.items()
        if options.peer or "torch" not in variant
    }
    for name, worker in workers.items():
        if worker.facts.get("same", 1) < 1 - TOLERANCE:
            raise RuntimeError(f"{name} must draw the same images, got a share of {worker.facts['same']}")
    return workers, turns.alternate(workers, options.rounds, repetitions)


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python with torch, which is left out by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=20, help="training steps per round; five times for the VAE"
    )
    parser.add_argument("--parts", default="training,sampling")
    parser.add_argument("--models", default=",".join(TRAINING), help="recipes whose steps are measured")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, case, variant = json.loads(options.worker)
        turns.answer(lambda: made(kind, case, variant), timed=kind != "outputs")
        return
    turns.print_conditions(("tensorflow", "keras"), options.peer, ("torch",))
    cases = {name: case_of(name) for name in (*options.models.split(","), SAMPLING)}
    if options.peer:
        for case in cases.values():
            check(case, options.peer)
    if "training" in options.parts:
        turns.print_head("training", "ms a step")
        for name in options.models.split(","):
            steps = options.steps * (5 if "vae" in name else 1)
            compared = compare("training", cases[name], training_variants(cases[name]), steps, options)
            turns.print_rows(name, *compared, lambda seconds: f"{1e3 * seconds:.2f}")
    if "sampling" in options.parts:
        turns.print_head("sampling", f"seconds for {IMAGES} images")
        compared = compare("sampling", cases[SAMPLING] | {"count": IMAGES}, SAMPLERS, 1, options)
        turns.print_rows(SAMPLING, *compared, lambda seconds: f"{seconds:.2f}")
    print(f"\n{turns.load()} at the end")


if __name__ == "__main__":
    main()
