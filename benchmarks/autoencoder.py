"""Compares K-FAC with Adam and kfac-jax on the deep autoencoder of MNIST.

    python -m venv PEER && PEER/bin/python -m pip install kfac-jax "jax<0.9"
    python benchmarks/autoencoder.py --peer PEER/bin/python [--batch 4000] [--rounds 5]

The network is the standard 784-1000-500-250-30-250-500-1000-784 with tanh units, a linear code and the
sigmoid cross entropy in nats per image; the loss includes a weight decay of 1e-5. All variants start at the
same weights and see the same batches in the same order. The loss is that of all 60,000 training images.

First, every optimizer trains at each learning rate in a process of its own: Adam for 20 epochs, the others
until they reach Adam's best loss. K-FAC's rate is dimensionless, so that its initial damping is varied
instead; 0 selects its default. Then the best settings take turns of 20 steps, while the other processes wait.
The cost of a step is the mean after the first turn. The time of a training run is its number of steps times
their mean time, excluding the first two steps, which compile. kfac-jax runs twice: with its own intervals,
and with the default intervals of curvezoo after the first 20 steps.
"""

import argparse
import importlib.metadata
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

WIDTHS = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
LINEAR = {3, 7}
DECAY = 1e-5
EPOCHS = 20
# Evaluating all data costs several steps; do it only if the batch's loss is this close to the goal.
NEAR = 3.0
# Number of steps per turn of a variant when steps are timed.
TURN = 20
SEARCHES = {
    "adam": [3e-4, 5e-4, 1e-3, 2e-3],
    "kfac": [0.0, 0.1, 1.0, 10.0],
    "kfac-jax": [0.01, 0.1, 1.0, 10.0],
    "kfac-jax, rarer": [0.01, 0.1, 1.0, 10.0],
}
RARER = {"curvature_update_period": 4, "inverse_update_period": 20, "damping_adaptation_interval": 10}


def images():
    """Returns the training images of MNIST, [60000, 784], in [0, 1]."""
    import tensorflow_datasets as tfds

    whole = tfds.as_numpy(tfds.load("mnist", split="train", batch_size=-1))
    return whole["image"].reshape(-1, 784).astype("float32") / 255


def initial_weights(seed):
    """Returns kernels from Glorot and Bengio's uniform distribution, and zero biases."""
    rng = np.random.default_rng(seed)
    weights = []
    for rows, columns in itertools.pairwise(WIDTHS):
        limit = np.sqrt(6 / (rows + columns))
        kernel = rng.uniform(-limit, limit, (rows, columns)).astype("float32")
        weights += [kernel, np.zeros(columns, "float32")]
    return weights


def batches(data, size, seed):
    """Yields batches forever, in a new order each epoch."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(data))
        for start in range(0, len(data) - size + 1, size):
            yield data[order[start : start + size]]


class KerasTrainer:
    """The network in Keras with one optimizer, compiled with Keras's defaults."""

    def __init__(self, optimizer, setting, seed):
        import keras

        import curvezoo

        layers = [
            keras.layers.Dense(
                width,
                None if place in LINEAR else "tanh",
                kernel_regularizer=keras.regularizers.L2(DECAY / 2),
            )
            for place, width in enumerate(WIDTHS[1:])
        ]
        self.model = keras.Sequential([keras.Input((784,)), *layers])
        self.model.set_weights(initial_weights(seed))
        if optimizer == "adam":
            optimizer = keras.optimizers.Adam(setting)
        else:
            optimizer = curvezoo.optimizers.KFAC(damping=setting or None)
        self.model.compile(optimizer, curvezoo.losses.BernoulliNLL())
        self.model.make_train_function()

    def step(self, batch):
        """Takes one step; returns the batch's loss before it."""
        import tensorflow as tf

        batch = tf.constant(batch)
        # Otherwise the loss would be the mean over all steps so far.
        self.model.reset_metrics()
        return float(self.model.train_function(iter([(batch, batch)]))["loss"])

    def loss(self, data):
        """Returns the loss of all data."""
        return self.model.evaluate(data, data, batch_size=10000, verbose=0)


class JaxTrainer:
    """The network in JAX with kfac-jax, with its own adaptive rate, momentum and damping."""

    def __init__(self, optimizer, setting, seed):
        import jax
        import jax.numpy as jnp
        import kfac_jax

        weights = initial_weights(seed)
        self.params = [(jnp.array(w), jnp.array(b)) for w, b in zip(weights[::2], weights[1::2], strict=True)]

        def logits(params, x):
            for place, (w, b) in enumerate(params):
                x = x @ w + b
                x = x if place in LINEAR else jnp.tanh(x)
            return x

        def penalized(params, batch):
            out = logits(params, batch)
            kfac_jax.register_multi_bernoulli_predictive_distribution(out, batch)
            nll = jnp.mean(jnp.sum(jax.nn.softplus(out) - batch * out, axis=-1))
            return nll + DECAY / 2 * sum(jnp.sum(w**2) for w, _ in params)

        self.optimizer = kfac_jax.Optimizer(
            jax.value_and_grad(penalized),
            l2_reg=DECAY,
            use_adaptive_learning_rate=True,
            use_adaptive_momentum=True,
            use_adaptive_damping=True,
            initial_damping=setting,
            num_burnin_steps=0,
            **(RARER if optimizer == "kfac-jax, rarer" else {}),
        )
        self.key = jax.random.PRNGKey(seed)
        self.state, self.evaluate = None, jax.jit(penalized)

    def step(self, batch):
        """Takes one step; returns the batch's loss before it."""
        import jax

        self.key, key = jax.random.split(self.key)
        if self.state is None:
            self.state = self.optimizer.init(self.params, key, batch)
        result = self.optimizer.step(self.params, self.state, key, batch=batch)
        self.params, self.state = result[0], result[1]
        return float(result[-1]["loss"])

    def loss(self, data):
        """Returns the loss of all data."""
        parts = [float(self.evaluate(self.params, part)) for part in np.split(data, 6)]
        return statistics.mean(parts)


def worker(options):
    """Trains one variant for the number of steps that stdin requests, or until the loss reaches a goal."""
    data = np.load(options.data)
    trainer = (JaxTrainer if "jax" in options.worker else KerasTrainer)(
        options.worker, options.setting, options.seed
    )
    source, done, seconds = batches(data, options.batch, options.seed), 0, 0.0
    for line in sys.stdin:
        steps, goal = json.loads(line)
        times, loss = [], None
        for _ in range(steps):
            batch = next(source)
            begin = time.perf_counter()
            before = trainer.step(batch)
            times.append(time.perf_counter() - begin)
            seconds, done = seconds + times[-1], done + 1
            if goal is not None and before < goal + NEAR:
                loss = trainer.loss(data)
                if not loss > goal:
                    break
        if loss is None and steps > TURN:
            loss = trainer.loss(data)
        reached = goal is None or (loss is not None and loss <= goal)
        answer = {"times": times, "loss": loss, "steps": done if reached else None, "seconds": seconds}
        print("\n" + json.dumps(answer), flush=True)


class Variant:
    """A process that trains one optimizer at one setting."""

    def __init__(self, name, setting, options, data):
        python = options.peer if "jax" in name else sys.executable
        command = [python, __file__, "--worker", name, "--setting", str(setting), "--data", data]
        command += ["--batch", str(options.batch), "--seed", str(options.seed)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, steps, goal=None):
        """Returns the worker's results after more steps."""
        self.process.stdin.write(json.dumps([steps, goal]) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"the worker of {self.process.args} stopped")

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def search(options, data):
    """Prints the search of each optimizer; returns the best setting of each."""
    epoch, best, goal = 60000 // options.batch, {}, None
    print("| optimizer | rate, or initial damping | steps | training loss (nats) | seconds |")
    print("|---|---|---|---|---|", flush=True)
    for name, settings in options.searches.items():
        rows = []
        for setting in settings:
            variant = Variant(name, setting, options, data)
            result = variant.run(EPOCHS * epoch, goal)
            variant.close()
            rows.append((result, setting))
            cells = f"{result['steps'] or 'not reached'} | {result['loss']:.2f} | {result['seconds']:.0f}"
            print(f"| {name} | {setting:g} | {cells} |", flush=True)
        key = "loss" if goal is None else "steps"
        rows = [row for row in rows if row[0]["steps"] is not None]
        if rows:
            best[name] = min(rows, key=lambda row: row[0][key])
            goal = best[name][0]["loss"] if goal is None else goal
    return best


def main():
    """Prints the searches, the steps to Adam's loss, and the cost of a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python with kfac-jax, which is left out by default")
    parser.add_argument("--batch", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    options.searches = {k: v for k, v in SEARCHES.items() if options.peer or "jax" not in k}
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    if options.peer:
        script = "import importlib.metadata as m; print(*[m.version(n) for n in ('kfac-jax', 'jax')])"
        peers = subprocess.check_output([options.peer, "-c", script], text=True).split()
        versions |= dict(zip(("kfac-jax", "jax"), peers, strict=True))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}, batch {options.batch}\n")

    with tempfile.TemporaryDirectory() as folder:
        data = str(pathlib.Path(folder) / "images.npy")
        np.save(data, images())
        best = search(options, data)
        variants = {name: Variant(name, setting, options, data) for name, (_, setting) in best.items()}
        times = {name: [] for name in variants}
        for _ in range(options.rounds + 1):
            for name, variant in variants.items():
                times[name] += variant.run(TURN)["times"]
        for variant in variants.values():
            variant.close()

    print(
        "\n| optimizer | setting | steps to Adam's loss | s | ms a step | over Adam: steps | time | a step |"
    )
    print("|---|---|---|---|---|---|---|---|")
    adam = None
    for name, (run, setting) in best.items():
        steps, step = run["steps"], statistics.mean(times[name][TURN:])
        # Use the mean time of the steps that it took, without the first two, which compile.
        total = steps * statistics.mean(times[name][2:steps])
        adam = adam or (steps, total, step)
        ratios = " | ".join(f"{ours / its:.2f}" for ours, its in zip((steps, total, step), adam, strict=True))
        print(f"| {name} | {setting:g} | {steps} | {total:.0f} | {1000 * step:.0f} | {ratios} |")


if __name__ == "__main__":
    main()
