"""Reinforcement learning: agents, from bandits to proximal policy optimization (chapter 8).

>>> from curvezoo.agents import PPO
>>> agent = PPO("CartPole-v1", copies=8, rollout=32, minibatch=256)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
