"""The recipes of agents. This module does not import TensorFlow.

The names are ALGORITHM_ENVIRONMENT. Each recipe trains three agents with the seeds 0, 1 and 2.
"""

from ...training.parts import Algorithm, Environment
from ...training.reinforcement import Reinforcement

_LIMITS = (
    "Acts in this one simulated environment. Another seed gives another policy; the card has the returns of "
    "all agents that were trained."
)
_TITLES = {
    "CartPole-v1": ("cartpole", "balances a pole on a cart"),
    "Acrobot-v1": ("acrobot", "swings a double pendulum up"),
    "Pendulum-v1": ("pendulum", "swings a pendulum up and holds it"),
}


def _recipe(name, environment, section, algorithm, steps, copies=1, reports=20, **settings):
    title, does = _TITLES[environment]
    return Reinforcement(
        name=f"{name}_{title}",
        section=section,
        summary=f"{algorithm} that {does}",
        agent=Algorithm(algorithm, settings),
        environment=Environment(environment, copies=copies),
        steps=steps,
        reports=reports,
        limits=_LIMITS,
    )


_PPO_CARTPOLE = {
    "rollout": 32,
    "minibatch": 256,
    "epochs": 20,
    "learning_rate": 1e-3,
    "lam": 0.8,
    "discount": 0.98,
}

RECIPES = (
    _recipe("ppo", "CartPole-v1", "8.5", "PPO", 100_000, 8, **_PPO_CARTPOLE),
    _recipe("ppo_kl", "CartPole-v1", "8.5", "PPO", 100_000, 8, **_PPO_CARTPOLE, surrogate="kl"),
    _recipe(
        "ppo",
        "Acrobot-v1",
        "8.5",
        "PPO",
        500_000,
        16,
        rollout=256,
        minibatch=128,
        epochs=4,
        lam=0.94,
        normalize_observations=True,
    ),
    _recipe(
        "ppo",
        "Pendulum-v1",
        "8.5",
        "PPO",
        200_000,
        4,
        rollout=1024,
        minibatch=64,
        epochs=10,
        learning_rate=1e-3,
        discount=0.9,
        normalize_rewards=True,
    ),
)
