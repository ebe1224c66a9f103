"""Compares t-SNE of all 1,797 digits by curvezoo and by scikit-learn's exact method.

    python benchmarks/sne.py [--rounds 3]

Rounds alternate between the two, each in its own process. Both use their defaults: perplexity 30, 1,000
iterations, exaggeration 12 for the first 250, and the same principal components as the start. The time is
that of the whole call, from pixels to points. The final KL of both is computed in float64 by the same
function, `curvezoo.theory.sne.tsne_loss_and_gradient`, with p calibrated to 1e-5.
"""

import argparse
import concurrent.futures
import importlib.metadata
import multiprocessing
import os
import platform
import statistics
import time

from sklearn.datasets import load_digits

from curvezoo.theory import perplexity, sne

PEER = "scikit-learn exact"
PERPLEXITY = 30.0


def curvezoo_points(x):
    return sne.embed(x, perplexity=PERPLEXITY, seed=0).points


def sklearn_points(x):
    from sklearn.manifold import TSNE

    return TSNE(method="exact", perplexity=PERPLEXITY, random_state=0).fit_transform(x)


VARIANTS = {"curvezoo": curvezoo_points, PEER: sklearn_points}


def measure(variant):
    """Returns (points, wall seconds, processor seconds) of one embedding, without the imports."""
    x = load_digits().data
    VARIANTS[variant](x[:100])
    wall, processor = time.perf_counter(), time.process_time()
    points = VARIANTS[variant](x)
    return points, time.perf_counter() - wall, time.process_time() - processor


def main():
    """Prints a table of both methods."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "scikit-learn")}
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")

    conditional, _ = perplexity.conditional_probabilities(load_digits().data, PERPLEXITY)
    p = perplexity.joint_probabilities(conditional)
    results = {variant: [] for variant in VARIANTS}
    context = multiprocessing.get_context("spawn")
    for _ in range(rounds):
        for variant, runs in results.items():
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                runs.append(pool.submit(measure, variant).result())

    walls = {v: statistics.median(run[1] for run in runs) for v, runs in results.items()}
    kls = {v: sne.tsne_loss_and_gradient(p, runs[-1][0])[0] for v, runs in results.items()}
    print("| method | median s | fastest s | processor s | final KL (nats) | time over peer | KL over peer |")
    print("|---|---|---|---|---|---|---|")
    for variant, runs in results.items():
        fastest = min(run[1] for run in runs)
        processor = statistics.median(run[2] for run in runs)
        times = f"{walls[variant]:.1f} | {fastest:.1f} | {processor:.1f}"
        ratios = f"{walls[variant] / walls[PEER]:.2f} | {kls[variant] / kls[PEER]:.4f}"
        print(f"| {variant} | {times} | {kls[variant]:.5f} | {ratios} |")


if __name__ == "__main__":
    main()
