"""Agents of the zoo: recipes of reinforcement learning, named ALGORITHM_ENVIRONMENT."""
