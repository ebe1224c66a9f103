"""Measures the gradient noise scale of an agent while it learns, in steps of experience.

    python benchmarks/policy_noise.py [--name ppo_cartpole] [--seeds 3] [--points 5] [--rollouts 64]

Each agent of a recipe of the zoo learns in equal parts. Before each of them and at the end,
`agents.noise_scale` measures the noise scale of single steps, as if they were independent, and that of
segments as long as a rollout, with the correlations of successive steps. A row has the medians over the seeds
and, in brackets, the smallest and the largest value.
"""

import argparse
import os

import numpy as np

from curvezoo import quiet
from curvezoo.zoo import catalogue


def measure(recipe, seed, points, rollouts):
    """Returns steps, running return, and both noise scales at each point, [points, 4]."""
    from curvezoo.agents import noise_scale

    agent, rows = recipe.new_agent(seed), []
    for point in range(points):
        goal = recipe.steps * point // (points - 1)
        if agent.steps < goal:
            agent.learn(goal - agent.steps, planned=recipe.steps, progress=False)
        scales = [
            noise_scale(agent, rollouts, segment).noise_scale for segment in (1, agent.settings.rollout)
        ]
        rows.append((agent.steps, agent.mean_return or np.nan, *scales))
    agent.environments.close()
    return np.array(rows, float)


def spread(values):
    """Returns the median, the smallest and the largest value as text."""
    low, middle, high = np.quantile(values, [0, 0.5, 1], method="nearest")
    return f"{middle:,.0f} ({low:,.0f}-{high:,.0f})"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="ppo_cartpole")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=64)
    options = parser.parse_args()
    quiet.load_tensorflow()
    recipe = catalogue.recipe(options.name)
    results = np.stack(
        [measure(recipe, seed, options.points, options.rollouts) for seed in range(options.seeds)]
    )
    print("| steps | return | noise scale, single steps | noise scale, segments |\n|---|---|---|---|")
    for row in results.transpose(1, 2, 0):
        print(f"| {row[0, 0]:,.0f} | {' | '.join(map(spread, row[1:]))} |", flush=True)
    print(f"\nload of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end")


if __name__ == "__main__":
    main()
