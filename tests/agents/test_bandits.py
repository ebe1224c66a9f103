"""Oracles: exact means over all outcomes, SciPy's distributions, quadrature, and published bounds."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from curvezoo.agents import bandits
from curvezoo.agents.bandits import BernoulliBandit, GaussianBandit

COIN = BernoulliBandit([0.7, 0.2, 0.5])
NORMAL = GaussianBandit([0.0, 1.0, -0.5], scale=0.5)
STRATEGIES = [
    bandits.EpsilonGreedy(0.2),
    bandits.EpsilonGreedy(1.0, decay=5),
    bandits.UCB1(),
    bandits.GradientBandit(),
    bandits.GradientBandit(baseline=False),
    bandits.BernoulliThompson(),
    bandits.GaussianThompson(),
]


def trained(strategy, bandit, steps=30, runs=4):
    """Returns a player after some steps."""
    rng = np.random.default_rng(0)
    player = strategy.begin(runs, len(bandit.means))
    for _ in range(steps):
        arms = player.choose(rng)
        player.update(arms, bandit.draw(arms, rng))
    return player


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_regret_is_the_sum_of_gaps_times_pulls_at_every_step(strategy):
    result = bandits.play(COIN, strategy, steps=25, runs=3, seed=1)
    pulls = np.cumsum(result.arms[..., None] == np.arange(3), axis=1)
    np.testing.assert_allclose(result.regret, pulls @ [0.0, 0.5, 0.2], atol=1e-13)
    assert set(np.unique(result.rewards)) == {0.0, 1.0}
    again = bandits.play(COIN, strategy, steps=25, runs=3, seed=1)
    np.testing.assert_array_equal(again.arms, result.arms)


@pytest.mark.parametrize("bandit", [COIN, NORMAL])
def test_rewards_have_the_means_of_their_arms(bandit):
    arms = np.repeat([0, 1, 2], 20_000)
    rewards = bandit.draw(arms, np.random.default_rng(0)).reshape(3, -1)
    errors = rewards.std(axis=1) / np.sqrt(rewards.shape[1])
    assert np.all(np.abs(rewards.mean(axis=1) - bandit.means) < 4 * errors)


def test_the_lai_robbins_slope_has_the_divergences_of_scipy():
    expected = [stats.entropy([p, 1 - p], [0.7, 0.3]) for p in COIN.means]
    np.testing.assert_allclose(COIN.divergences(), expected, atol=1e-15)
    assert bandits.lai_robbins_slope(COIN) == pytest.approx(0.5 / expected[1] + 0.2 / expected[2], rel=1e-13)
    x = np.linspace(-8, 8, 4001)[:, None]
    arms, best = stats.norm(NORMAL.means, 0.5), stats.norm(1.0, 0.5)
    integrals = np.trapezoid(arms.pdf(x) * (arms.logpdf(x) - best.logpdf(x)), x, axis=0)
    np.testing.assert_allclose(NORMAL.divergences(), integrals, atol=1e-9)
    assert bandits.lai_robbins_slope(BernoulliBandit([0.4, 0.4])) == 0
    # One success of a certain arm is proof enough against an arm that never fails.
    assert bandits.lai_robbins_slope(BernoulliBandit([1.0, 0.4])) == 0


@pytest.mark.equation("8.2.7")
@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_bandit_moves_along_the_exact_gradient_in_expectation(baseline):
    strategy = bandits.GradientBandit(0.3, baseline)
    logits = trained(strategy, COIN, runs=1).logits[0]
    policy = special.softmax(logits)
    mean = np.zeros(3)
    for arm, reward in itertools.product(range(3), (0.0, 1.0)):
        probability = policy[arm] * (COIN.means[arm] if reward else 1 - COIN.means[arm])
        player = trained(strategy, COIN, runs=1)
        player.update(np.array([arm]), np.array([reward]))
        mean += probability * (player.logits[0] - logits)
    step = 1e-30
    gradient = [softmax_mean(logits + 1j * step * direction).imag / step for direction in np.eye(3)]
    np.testing.assert_allclose(mean, 0.3 * np.array(gradient), rtol=1e-12)


def softmax_mean(logits):
    """Returns the expected reward of the softmax of complex logits."""
    weights = np.exp(logits)
    return weights @ COIN.means / weights.sum()


def test_a_baseline_lowers_the_variance_of_the_gradient_bandit():
    # With rewards of 100 plus noise, steps without a baseline are a hundred times larger.
    bandit = GaussianBandit([100.0, 101.0])
    with_baseline, without = (
        bandits.play(bandit, bandits.GradientBandit(0.1, baseline), steps=200, runs=100)
        for baseline in (True, False)
    )
    assert with_baseline.regret[:, -1].mean() < 0.5 * without.regret[:, -1].mean()


def test_gradient_bandits_pull_arms_with_the_probabilities_of_their_softmax():
    player = bandits.GradientBandit().begin(40_000, 3)
    player.logits[:] = [1.0, 0.0, -1.0]
    counts = np.bincount(player.choose(np.random.default_rng(0)), minlength=3)
    assert stats.chisquare(counts, 40_000 * special.softmax([1.0, 0.0, -1.0])).pvalue > 1e-3


def test_ucb_indices_are_averages_plus_confidence_radii_and_unknown_arms_come_first():
    player = bandits.UCB1(2.0).begin(1, 3)
    rng = np.random.default_rng(0)
    pulled = []
    for reward in (1.0, 0.0, 1.0):
        arms = player.choose(rng)
        pulled.append(int(arms[0]))
        player.update(arms, np.array([reward]))
    assert sorted(pulled) == [0, 1, 2]
    player.update(np.array([pulled[1]]), np.array([1.0]))
    expected = np.empty(3)
    expected[pulled] = [
        1 + np.sqrt(2 * np.log(4)),
        0.5 + np.sqrt(2 * np.log(4) / 2),
        1 + np.sqrt(2 * np.log(4)),
    ]
    np.testing.assert_allclose(player.bounds()[0], expected, rtol=1e-14)
    assert player.choose(rng)[0] in (pulled[0], pulled[2])


def test_ucb1_keeps_the_bound_that_auer_et_al_prove():
    steps = 2000
    regret = bandits.play(COIN, bandits.UCB1(), steps, runs=50).regret[:, -1].mean()
    differences = np.array([0.5, 0.2])
    assert regret <= np.sum(8 * np.log(steps) / differences + (1 + np.pi**2 / 3) * differences)


def test_the_posterior_of_bernoulli_arms_is_beta_by_bayes_theorem():
    player = trained(bandits.BernoulliThompson(2.0, 3.0), COIN)
    p = np.linspace(0, 1, 4001)[:, None, None]
    joint = stats.beta(2, 3).pdf(p) * p**player.sums * (1 - p) ** (player.pulls - player.sums)
    evidence = np.trapezoid(joint, p, axis=0)
    np.testing.assert_allclose(stats.beta(*player.posterior()).pdf(p), joint / evidence, rtol=1e-4, atol=1e-9)


def test_the_posterior_of_normal_arms_is_normal_by_bayes_theorem():
    player = trained(bandits.GaussianThompson(0.5, prior_mean=0.3, prior_scale=2.0), NORMAL)
    mu = np.linspace(-20, 20, 20_001)[:, None, None]
    # Up to factors without mu, the likelihood is exp(mu (sum of rewards) / sigma^2 - N mu^2 / (2 sigma^2)).
    exponent = (mu * player.sums - player.pulls * mu**2 / 2) / 0.5**2
    joint = np.exp(exponent - exponent.max(axis=0)) * stats.norm(0.3, 2.0).pdf(mu)
    evidence = np.trapezoid(joint, mu, axis=0)
    np.testing.assert_allclose(
        stats.norm(*player.posterior()).pdf(mu), joint / evidence, rtol=1e-6, atol=1e-9
    )


def test_thompson_sampling_pulls_arms_with_the_probability_that_they_are_best():
    runs = 40_000
    player = bandits.BernoulliThompson().begin(runs, 2)
    player.sums[:] = [3.0, 1.0]
    player.pulls[:] = [5, 4]
    first, second = stats.beta(4, 3), stats.beta(2, 4)
    p = np.linspace(0, 1, 4001)
    best = np.trapezoid(first.pdf(p) * second.cdf(p), p)
    counts = np.bincount(player.choose(np.random.default_rng(0)), minlength=2)
    assert abs(counts[0] / runs - best) < 4 * np.sqrt(best * (1 - best) / runs)


def test_epsilon_greedy_has_its_linear_regret_and_its_exact_first_steps():
    strategy = bandits.EpsilonGreedy(0.3)
    player = strategy.begin(40_000, 3)
    player.sums[:], player.pulls[:] = [1.0, 5.0, 2.0], [2, 6, 3]
    counts = np.bincount(player.choose(np.random.default_rng(0)), minlength=3)
    assert stats.chisquare(counts, 40_000 * np.array([0.1, 0.8, 0.1])).pvalue > 1e-3
    # In the long run every step loses epsilon times the average gap.
    regret = bandits.play(COIN, strategy, 1500, runs=50).regret
    slope = (regret[:, -1] - regret[:, 499]).mean() / 1000
    assert slope == pytest.approx(0.3 * np.mean([0.0, 0.5, 0.2]), rel=0.15)


def test_the_exploration_of_epsilon_greedy_falls_as_one_over_the_step():
    decaying = bandits.EpsilonGreedy(0.5, decay=10)
    assert [decaying.probability(step) for step in (1, 10, 20, 100)] == pytest.approx([0.5, 0.5, 0.25, 0.05])
    assert bandits.EpsilonGreedy(0.5).probability(10**6) == 0.5


def test_thompson_sampling_has_logarithmic_regret_and_constant_exploration_linear():
    steps, bandit = 2000, BernoulliBandit([0.8, 0.4])
    thompson, constant = (
        bandits.play(bandit, strategy, steps, runs=60).regret.mean(axis=0)
        for strategy in (bandits.BernoulliThompson(), bandits.EpsilonGreedy(0.1))
    )
    # log T grows by log 20 from 100 to 2000, T itself by 1900.
    slope = (thompson[-1] - thompson[99]) / np.log(20)
    assert slope < 2 * bandits.lai_robbins_slope(bandit)
    assert constant[-1] > 3 * thompson[-1]


def test_equal_values_are_chosen_equally_often():
    chosen = bandits.largest(np.tile([1.0, 2.0, 2.0], (10_000, 1)), np.random.default_rng(0))
    counts = np.bincount(chosen, minlength=3)
    assert counts[0] == 0
    assert abs(counts[1] - 5000) < 4 * 50
    infinite = bandits.largest(np.tile([-np.inf, -np.inf], (100, 1)), np.random.default_rng(0))
    assert set(infinite) == {0, 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BernoulliBandit([0.5, 1.5]), r"means\[1\] must be in \[0, 1\], got 1.5"),
        (lambda: GaussianBandit([]), "means must have at least one arm"),
        (lambda: GaussianBandit([0.0], scale=0.0), "scale must be a positive finite number, got 0.0"),
        (lambda: bandits.EpsilonGreedy(1.5), r"epsilon must be in \[0, 1\], got 1.5"),
        (lambda: bandits.EpsilonGreedy(decay=0), "decay must be an integer of at least 1, got 0"),
        (lambda: bandits.UCB1(-1.0), "exploration must be"),
        (lambda: bandits.GradientBandit(0.0), "learning_rate must be"),
        (lambda: bandits.BernoulliThompson(0.0), "successes must be"),
        (lambda: bandits.GaussianThompson(prior_scale=-1.0), "prior_scale must be"),
        (lambda: bandits.play(COIN, bandits.UCB1(), 0), "steps must be an integer of at least 1, got 0"),
        (lambda: bandits.play(NORMAL, bandits.BernoulliThompson(), 5), r"rewards\[0\] must be 0 or 1, got"),
    ],
)
def test_bad_input_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Constant:
    means = [0.1, 0.5]  # noqa: RUF012

    def __init__(self, reward):
        self.reward = reward

    def draw(self, arms, rng):
        return np.full(len(arms), self.reward)


def test_a_bandit_of_ones_own_may_list_its_means_and_must_pay_finite_rewards():
    played = bandits.play(Constant(1.0), bandits.UCB1(), 4)
    np.testing.assert_allclose(np.diff(played.regret, prepend=0), 0.4 * (1 - played.arms))
    with pytest.raises(ValueError, match=r"rewards\[0, 0\] must be finite, got nan"):
        bandits.play(Constant(np.nan), bandits.UCB1(), 4)
