"""Compares agents with stable-baselines3 (TRPO: sb3-contrib), with the same hyperparameters.

    python -m venv PEER && PEER/bin/pip install stable-baselines3 sb3-contrib
    python benchmarks/agents.py --peer PEER/bin/python [--rounds 3] [--steps 8192] [--curves 3]

- Speed: steps of experience per second of whole learning, updates included, on CartPole-v1. Variants take
  turns (`turns.py`): each call learns `--steps` further steps, and a ratio is the median over the rounds of
  one variant's time over curvezoo's in the same round. Compilation is in the first call, which is not timed.
- Steps to 475: with `--curves N`, N seeds each learn until the mean return of their last 100 episodes is 475,
  at most 200,000 steps.
- Memory: with `--memory STEPS`, the resident memory of a DQN after each tenth of STEPS.

The hyperparameters are those of rl-baselines3-zoo for CartPole-v1.
"""

import argparse
import functools
import json

import turns

PPO = {
    "n_steps": 32,
    "batch_size": 256,
    "n_epochs": 20,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "learning_rate": 1e-3,
}
DQN = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "train_freq": 256,
    "gradient_steps": 128,
    "target_update_interval": 10,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
TRPO = {
    "n_steps": 512,
    "batch_size": 128,
    "gamma": 0.99,
    "gae_lambda": 0.98,
    "cg_max_steps": 10,
    "n_critic_updates": 10,
}
PEER = {"PPO": (PPO, 8, [64, 64]), "DQN": (DQN, 1, [256, 256]), "TRPO": (TRPO, 2, [64, 64])}
OWN = {
    "PPO": {
        "rollout": 32,
        "minibatch": 256,
        "epochs": 20,
        "lam": 0.8,
        "discount": 0.98,
        "learning_rate": 1e-3,
        "schedule": "constant",
        # Of half the squared error; the peer's 0.5 multiplies the whole.
        "value_weight": 1.0,
    },
    "DQN": {"learning_rate": 2.3e-3},
    "TRPO": {"rollout": 512, "minibatch": 128, "lam": 0.98, "value_epochs": 10, "solver_steps": 10},
}
CAP, SOLVED = 200_000, 475


def own_agent(name, seed=0):
    """Returns curvezoo's agent."""
    from curvezoo import agents

    return getattr(agents, name)("CartPole-v1", copies=PEER[name][1], seed=seed, **OWN[name])


def peer_agent(name, seed=0):
    """Returns the agent of stable-baselines3, with its default number of threads."""
    import sb3_contrib
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env

    settings, copies, width = PEER[name]
    kind = getattr(sb3_contrib if name == "TRPO" else stable_baselines3, name)
    policy = {"net_arch": width}
    environment = make_vec_env("CartPole-v1", copies, seed=seed)
    return kind("MlpPolicy", environment, seed=seed, policy_kwargs=policy, device="cpu", **settings)


def learner(task):
    """Returns a function that learns further steps with one variant, and the number of its parameters."""
    if task["peer"]:
        agent = peer_agent(task["name"])
        count = sum(weight.numel() for weight in agent.policy.parameters())

        def learn():
            agent.learn(task["steps"], reset_num_timesteps=False)
    else:
        agent = own_agent(task["name"])
        count = sum(model.count_params() for model, _ in agent._networks().values())

        def learn():
            agent.learn(task["steps"], planned=CAP, progress=False)

    return learn, {"parameters": int(count)}


def steps_to_solve(name, peer, seed):
    """Returns the steps until the running return is 475; `None` if it is not within the cap."""
    if not peer:
        agent = own_agent(name, seed)
        rows = agent.learn(CAP, progress=False, report=lambda _, row: row.get("return", 0) >= SOLVED)
        return rows[-1]["steps"] if rows[-1].get("return", 0) >= SOLVED else None
    import numpy as np
    from stable_baselines3.common.callbacks import BaseCallback

    class Stop(BaseCallback):
        def _on_step(self):
            recent = self.model.ep_info_buffer
            return not (recent and np.mean([episode["r"] for episode in recent]) >= SOLVED)

    agent = peer_agent(name, seed)
    agent.learn(CAP, callback=Stop())
    recent = [episode["r"] for episode in agent.ep_info_buffer]
    return agent.num_timesteps if np.mean(recent) >= SOLVED else None


def memory(steps):
    """Prints the resident memory of a DQN after each tenth of the steps, in MB."""
    import pathlib

    agent = own_agent("DQN")
    for _ in range(10):
        agent.learn(steps // 10, planned=steps, progress=False)
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        print(f"{agent.steps:9,d} steps  {pages * 4096 / 1e6:8.1f} MB", flush=True)


def compare(options):
    """Prints the tables of speeds and of steps to 475."""
    peers = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium")
    turns.print_conditions(("tensorflow", "keras", "gymnasium"), options.peer, peers)
    names = options.names.split(",")
    variants = {"curvezoo": None, "stable-baselines3": options.peer}
    turns.print_head("algorithm", "steps/s")
    for name in names:
        workers = {
            label: turns.Worker(
                __file__, {"name": name, "peer": python is not None, "steps": options.steps}, python
            )
            for label, python in variants.items()
        }
        results = turns.alternate(workers, options.rounds, 1)
        turns.print_rows(name, workers, results, lambda seconds: f"{options.steps / seconds:,.0f}")
    if options.curves:
        print(f"\n| algorithm | variant | steps to {SOLVED}, by seed (- if above {CAP:,}) |\n|---|---|---|")
    for name in names if options.curves else ():
        for label, python in variants.items():
            found = []
            for seed in range(options.curves):
                task = {"name": name, "peer": python is not None, "seed": seed}
                worker = turns.Worker(__file__, task, python)
                found.append("-" if worker.result is None else f"{worker.result:,.0f}")
                worker.close()
            print(f"| {name} | {label} | {', '.join(found)} |", flush=True)
    print(f"\n{turns.load()} at the end")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the Python with stable-baselines3 and sb3-contrib")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8192)
    parser.add_argument("--names", default="PPO,DQN,TRPO")
    parser.add_argument("--curves", type=int, default=0, help="seeds of the steps to 475")
    parser.add_argument("--memory", type=int, default=0, help="steps of the measurement of memory")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task = json.loads(options.worker)
        if "seed" in task:
            solve = functools.partial(steps_to_solve, task["name"], task["peer"], task["seed"])
            return turns.answer(lambda: (solve, {}), timed=False)
        return turns.answer(lambda: learner(task))
    if options.memory:
        return memory(options.memory)
    if not options.peer:
        parser.error("--peer must be given: the Python with stable-baselines3 and sb3-contrib")
    compare(options)


if __name__ == "__main__":
    main()
