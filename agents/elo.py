r"""Elo ratings: strengths of players from the results of their games.

In the model of Bradley and Terry, player i scores against player j on average

\[ E_{ij} = \frac{1}{1 + 10^{(R_j - R_i)/400}}. \]

`ratings` returns the maximum of the likelihood. Fictitious draws between players who met keep the ratings
finite where one of them has won all games.

Legend: P players. Notation: R is the rating.

References:
    Elo, "The Rating of Chessplayers, Past and Present" (1978).
    Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32 (2004).
"""

import numpy as np
import scipy.optimize

from .. import arguments

_SCALE = 400 / np.log(10)


def expected_score(difference):
    """Returns the expected score of a player whose rating is higher than the opponent's by a difference.

    Args:
        difference: The difference of ratings, any shape.
    """
    return 1 / (1 + 10 ** (-np.asarray(difference, np.float64) / 400))


def ratings(points, prior=1.0):
    """Returns the ratings of P players, with the first one's set to zero, [P].

    Args:
        points: Points that player i scored against player j, a draw counting one half for both, [P, P].
        prior: Number of drawn games that are added to each pair that met.

    Raises:
        ValueError: If points are not a square matrix of numbers that are not negative, no chain of games
            connects a player with the first, or without a prior some players won or lost all their games
            against the others, so that no ratings are the most likely ones.
    """
    points = arguments.nonnegative("points", points)
    if points.ndim != 2 or points.shape[0] != points.shape[1] or not len(points):
        raise ValueError(f"points must have shape [P, P], got {points.shape}")
    prior = arguments.nonnegative_number("prior", prior)
    met = (points + points.T) > 0
    np.fill_diagonal(met, False)
    apart = ~_reached(met)
    if apart.any():
        raise ValueError(
            f"points must connect all players by games, but player {apart.argmax()} is apart from player 0"
        )
    points = np.where(met, points + prior / 2, 0.0)
    unbounded = ~(_reached(points > 0) & _reached(points.T > 0))
    if unbounded.any():
        raise ValueError(
            f"prior must be positive, since player {unbounded.argmax()} has no finite rating without, got 0"
        )
    if len(points) == 1:
        return np.zeros(1)

    def negative_log_likelihood(free):
        strengths = np.concatenate([[0.0], free])
        differences = strengths[:, None] - strengths
        # -log E_ij = log(1 + exp(-(s_i - s_j))), with strengths s in units of 400 / log 10.
        loss = (points * np.logaddexp(0, -differences)).sum()
        missing = points * scipy.special.expit(-differences)
        return loss, (missing.sum(0) - missing.sum(1))[1:]

    found = scipy.optimize.minimize(
        negative_log_likelihood, np.zeros(len(points) - 1), jac=True, method="L-BFGS-B", tol=1e-12
    )
    return _SCALE * np.concatenate([[0.0], found.x])


def _reached(links):
    """Returns which players a chain of links leads to from the first one."""
    reached = np.zeros(len(links), bool)
    reached[0] = True
    for _ in range(len(links)):
        reached |= links[reached].any(0)
    return reached
