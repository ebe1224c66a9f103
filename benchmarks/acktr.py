"""Compares the policy gradient with K-FAC (`ACKTR`) and with Adam (`VPG`) on CartPole-v1.

    python benchmarks/acktr.py [--seeds 3] [--steps 200000] [--rates 0.0025,0.005,0.01]

Everything but the policy's optimizer is the same: the settings of the zoo's recipe `acktr_cartpole`, those
of K-FAC dropped for Adam. The table has the steps of experience until the mean return of the last 100
episodes is 475 (- if it never was), the final such mean, and the mean return of 100 episodes with the best
actions. The learning rates of Adam are those of `--rates`.
"""

import argparse
import dataclasses
import os

from curvezoo import quiet
from curvezoo.zoo import catalogue

SOLVED = 475


def learned(kind, settings, seed, steps):
    """Returns the steps to 475 (or `None`), the last running return, and the mean of 100 episodes."""
    from curvezoo import agents

    recipe = catalogue.recipe("acktr_cartpole")
    place = recipe.environment
    agent = getattr(agents, kind)(place.name, copies=place.copies, seed=seed, **settings)
    rows = agent.learn(steps, progress=False)
    agent.environments.close()
    first = next((row["steps"] for row in rows if row.get("return", 0) >= SOLVED), None)
    return first, rows[-1]["return"], agent.evaluate(seed=1_000_000).mean


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--rates", default="0.0025,0.005,0.01")
    options = parser.parse_args()
    quiet.load_tensorflow()
    from curvezoo.agents.settings import ACKTRSettings, VPGSettings

    own = catalogue.recipe("acktr_cartpole").agent.make_settings()
    shared = {field.name: getattr(own, field.name) for field in dataclasses.fields(VPGSettings)}
    variants = {"K-FAC": ("ACKTR", {f.name: getattr(own, f.name) for f in dataclasses.fields(ACKTRSettings)})}
    for rate in map(float, options.rates.split(",")):
        variants[f"Adam, rate {rate:g}"] = ("VPG", {**shared, "learning_rate": rate})
    print(f"| optimizer | steps to {SOLVED}, by seed | last 100 episodes | best actions |\n|---|---|---|---|")
    for label, (kind, settings) in variants.items():
        rows = [learned(kind, settings, seed, options.steps) for seed in range(options.seeds)]
        cells = (
            ", ".join("-" if first is None else f"{first:,.0f}" for first, _, _ in rows),
            ", ".join(f"{last:.0f}" for _, last, _ in rows),
            ", ".join(f"{mean:.0f}" for _, _, mean in rows),
        )
        print(f"| {label} | {' | '.join(cells)} |", flush=True)
    print(f"\nload of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end")


if __name__ == "__main__":
    main()
