"""The recipes of networks that learn games by self-play. This module does not import TensorFlow."""

from ...training.parts import Architecture, BoardGame, Optimizer, Play
from ...training.self_play import SelfPlay
from .alphazero import dense_tower, residual_tower

_LIMITS = "Plays this one game by the rules of OpenSpiel; its strength is that of the matches on this card."


def _recipe(game, title, model, iterations, optimizer, **play):
    return SelfPlay(
        name=f"alphazero_{game}",
        section="8.6",
        summary=f"AlphaZero's network, which learned {title} by self-play",
        game=BoardGame(game),
        model=model,
        play=Play(**play),
        optimizer=Optimizer("adamw", learning_rate=2e-3, schedule="cosine", **optimizer),
        iterations=iterations,
        limits=_LIMITS,
    )


RECIPES = (
    _recipe(
        "tic_tac_toe",
        "tic-tac-toe",
        Architecture(dense_tower, {"units": 128, "depth": 3}),
        iterations=30,
        optimizer={"weight_decay": 1e-3},
        simulations=50,
        exploring_moves=6,
        games=64,
        moves=18,
        window=20_000,
        updates=100,
        actors=0,
        arena_every=5,
    ),
    _recipe(
        "connect_four",
        "connect four",
        Architecture(residual_tower, {"filters": 64, "blocks": 4}),
        iterations=70,
        optimizer={"warmup": 2.0, "weight_decay": 1e-2},
        simulations=64,
        concentration=1.4,
        exploring_moves=12,
        games=256,
        moves=16,
        window=150_000,
        updates=60,
        batch_size=512,
        actors=2,
        arena_every=10,
    ),
)
