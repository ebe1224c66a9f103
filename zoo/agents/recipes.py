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
    "LunarLander-v3": ("lunarlander", "lands a spacecraft"),
    "HalfCheetah-v5": ("halfcheetah", "makes a two-legged cheetah run"),
    "ALE/Pong-v5": ("pong", "plays Pong from its screen"),
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
_PPO_ACROBOT = {
    "rollout": 256,
    "minibatch": 128,
    "epochs": 4,
    "lam": 0.94,
    "learning_rate": 1e-3,
    "normalize_observations": True,
}
# A pendulum has no end, and what happens in more than a second does not depend on the present torque.
_PPO_PENDULUM = {
    "rollout": 256,
    "minibatch": 128,
    "learning_rate": 1e-3,
    "discount": 0.9,
    "normalize_rewards": True,
}
# The hyperparameters of rl-baselines3-zoo.
_PPO_LUNARLANDER = {
    "rollout": 1024,
    "minibatch": 64,
    "epochs": 4,
    "lam": 0.98,
    "discount": 0.999,
    "entropy": 0.01,
}
# Those of CleanRL, with eight copies instead of one and the same number of steps in a rollout.
_PPO_HALFCHEETAH = {
    "rollout": 256,
    "minibatch": 64,
    "value_clip": 0.2,
    "normalize_observations": True,
    "normalize_rewards": True,
}
# Those of CleanRL, of which each game has the same.
_PPO_PONG = {
    "rollout": 128,
    "minibatch": 256,
    "epochs": 4,
    "learning_rate": 2.5e-4,
    "clip": 0.1,
    "value_clip": 0.1,
    "entropy": 0.01,
    "hidden": (512,),
    "activation": "relu",
}
_VPG_CARTPOLE = {
    "rollout": 64,
    "learning_rate": 5e-3,
    "schedule": "linear",
    "value_steps": 20,
    "value_learning_rate": 5e-3,
}
_ACKTR_CARTPOLE = {**_VPG_CARTPOLE, "learning_rate": 1.0}
_TRPO_CARTPOLE = {"rollout": 128, "lam": 0.98, "minibatch": 128}
_TRPO_PENDULUM = {
    "rollout": 256,
    "discount": 0.9,
    "minibatch": 128,
    "value_epochs": 20,
    "normalize_rewards": True,
}
# With a discount of 0.99 errors of Q, which is near 100 for every action, exceed the differences of actions.
_DQN = {
    "learning_rate": 1e-3,
    "schedule": "linear",
    "hidden": (128, 128),
    "batch_size": 128,
    "horizon": 4,
    "discount": 0.98,
}
_DQN_ACROBOT = {**_DQN, "discount": 0.99, "train_every": 64, "updates": 64, "target_every": 250}
_DDPG_PENDULUM = {
    "discount": 0.98,
    "schedule": "linear",
    "hidden": (128, 128),
    "train_every": 50,
    "updates": 50,
}

RECIPES = (
    _recipe("vpg", "CartPole-v1", "8.2", "VPG", 200_000, 8, **_VPG_CARTPOLE),
    _recipe("acktr", "CartPole-v1", "8.5", "ACKTR", 100_000, 8, **_ACKTR_CARTPOLE),
    _recipe("trpo", "CartPole-v1", "8.5", "TRPO", 150_000, 8, **_TRPO_CARTPOLE),
    _recipe("trpo", "Pendulum-v1", "8.5", "TRPO", 300_000, 8, **_TRPO_PENDULUM),
    _recipe("ppo", "CartPole-v1", "8.5", "PPO", 100_000, 8, **_PPO_CARTPOLE),
    _recipe("ppo_kl", "CartPole-v1", "8.5", "PPO", 100_000, 8, **_PPO_CARTPOLE, surrogate="kl"),
    _recipe("dqn", "CartPole-v1", "8.3", "DQN", 100_000, 8, **_DQN),
    _recipe("double_dqn", "CartPole-v1", "8.3", "DQN", 100_000, 8, **_DQN, double=True),
    _recipe("c51", "CartPole-v1", "8.3", "C51", 100_000, 8, **_DQN, high=50.0),
    _recipe("qr_dqn", "CartPole-v1", "8.3", "QRDQN", 100_000, 8, **_DQN, quantiles=10),
    _recipe("ppo", "Acrobot-v1", "8.5", "PPO", 400_000, 16, **_PPO_ACROBOT),
    _recipe("dqn", "Acrobot-v1", "8.3", "DQN", 100_000, 8, **_DQN_ACROBOT),
    _recipe("ppo", "Pendulum-v1", "8.5", "PPO", 200_000, 8, **_PPO_PENDULUM),
    _recipe("ppo", "LunarLander-v3", "8.5", "PPO", 1_000_000, 16, **_PPO_LUNARLANDER),
    _recipe("ppo", "HalfCheetah-v5", "8.5", "PPO", 1_000_000, 8, **_PPO_HALFCHEETAH),
    _recipe("ppo", "ALE/Pong-v5", "8.5", "PPO", 10_000_000, 8, **_PPO_PONG),
    _recipe("ddpg", "Pendulum-v1", "8.3", "DDPG", 20_000, 5, **_DDPG_PENDULUM),
)
