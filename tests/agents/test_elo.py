import numpy as np
import pytest
import scipy.optimize

from curvezoo.agents.elo import expected_score, ratings


def test_the_difference_of_two_players_follows_from_the_score():
    # R = 400 log10(p / (1 - p)) for a score of p = 15/20.
    points = np.array([[0, 5], [15, 0]])
    np.testing.assert_allclose(ratings(points, prior=0), [0, 400 * np.log10(3)], rtol=1e-7)
    assert expected_score(400 * np.log10(3)) == pytest.approx(0.75, rel=1e-14)


def test_ratings_reproduce_the_total_score_of_each_player():
    # The maximum of the likelihood: the expected points of each player are those scored.
    random = np.random.default_rng(0)
    points = random.integers(1, 9, (5, 5)) / 2
    np.fill_diagonal(points, 0)
    found = ratings(points, prior=0)
    games = points + points.T
    expected = games * expected_score(found[:, None] - found)
    np.testing.assert_allclose(expected.sum(1), points.sum(1), rtol=1e-6)


def test_ratings_maximize_the_likelihood():
    points = np.array([[0, 3, 0], [1, 0, 2.5], [0, 0.5, 0]])

    def loss(free):
        rating = np.array([0, *free])
        return -(points * np.log(expected_score(rating[:, None] - rating))).sum()

    oracle = scipy.optimize.minimize(
        loss, [0, 0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12}
    )
    np.testing.assert_allclose(ratings(points, prior=0)[1:], oracle.x, atol=1e-2)


def test_one_drawn_game_keeps_a_perfect_score_finite():
    # 10.5 of 11 points.
    found = ratings(np.array([[0, 0], [10, 0]]))
    np.testing.assert_allclose(found[1], 400 * np.log10(10.5 / 0.5), rtol=1e-6)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 1]], r"points must have shape \[P, P\], got \(1, 2\)"),
        ([[0, -1], [1, 0]], r"points\[0, 1\] must not be negative, got -1"),
        (
            [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
            "connect all players by games, but player 2 is apart from player 0",
        ),
    ],
)
def test_bad_points_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        ratings(np.array(points))


@pytest.mark.parametrize("points", [[[0, 0], [10, 0]], [[0, 5, 0], [5, 0, 0], [1, 2, 0]]])
def test_without_a_prior_nobody_may_win_or_lose_all_games(points):
    with pytest.raises(ValueError, match=r"prior must be positive, since player \d has no finite rating"):
        ratings(np.array(points), prior=0)
    assert np.isfinite(ratings(np.array(points))).all()


def test_a_cycle_of_wins_needs_no_prior():
    np.testing.assert_allclose(ratings(np.roll(np.eye(3), 1, axis=1), prior=0), 0, atol=1e-6)


def test_the_prior_is_one_number():
    with pytest.raises(ValueError, match="prior must be"):
        ratings(np.ones((2, 2)), prior=[1.0, 2.0])
