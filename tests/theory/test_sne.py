"""Oracles: naive forms of the printed sums with complex-step derivatives, scikit-learn's exact loss and final
KL, and a ring of points, which SNE must reproduce exactly.
"""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.special import logsumexp, rel_entr
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, _t_sne

from curvezoo.theory import differentiation, sne
from curvezoo.theory import perplexity as neighbors

N = 600  # Above 362 points a matrix has several blocks.


def problem(points, seed=0, spread=1.0):
    """Returns (conditional p, joint p, y) for a random cloud."""
    rng = np.random.default_rng(seed)
    p, _ = neighbors.conditional_probabilities(rng.standard_normal((points, 5)), 8)
    return p, neighbors.joint_probabilities(p), spread * rng.standard_normal((points, 2))


def naive_sne(p, y):
    """Returns Eq. 2.6.3 with Eq. 2.6.2 for real or complex y; the sum excludes j = i."""
    weights = np.exp(-np.sum((y[:, None] - y) ** 2, axis=-1)) * (1 - np.eye(len(y)))
    q = weights / weights.sum(axis=1, keepdims=True)
    off = ~np.eye(len(y), dtype=bool)
    return np.sum(p[off] * np.log(p[off] / q[off]))


def naive_tsne(p, y):
    weights = (1 - np.eye(len(y))) / (1 + np.sum((y[:, None] - y) ** 2, axis=-1))
    q = weights / weights.sum()
    off = ~np.eye(len(y), dtype=bool)
    return np.sum(p[off] * np.log(p[off] / q[off]))


def tsne_gradient(p, y, exaggeration=1.0):
    """Returns 4 sum_j (p_ij - q_ij) w_ij (y_i - y_j) with exaggerated p."""
    differences = y[:, None] - y
    weights = (1 - np.eye(len(y))) / (1 + np.sum(differences**2, axis=-1))
    forces = (exaggeration * p - weights / weights.sum()) * weights
    return 4 * np.einsum("ij,ijd->id", forces, differences)


def ring(points):
    angles = 2 * np.pi * np.arange(points) / points
    return 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:150]


@pytest.fixture(scope="module")
def digits_embedding(digits):
    return sne.embed(digits, iterations=500)


@pytest.mark.equation("2.6.2")
@pytest.mark.equation("2.6.3")
def test_the_sne_loss_sums_the_divergences_over_all_other_points():
    p, _, y = problem(N)
    q = neighbors.gaussian_probabilities(y)
    loss, _ = sne.sne_loss_and_gradient(p, y)
    assert loss == pytest.approx(np.sum(rel_entr(p, q)), rel=1e-12)
    assert loss == pytest.approx(naive_sne(p, y), rel=1e-12)


@pytest.mark.equation("2.6.3")
def test_the_gradient_of_sne_matches_complex_steps():
    p, _, y = problem(25)
    _, gradient = sne.sne_loss_and_gradient(p, y)
    exact = differentiation.complex_step(lambda flat: naive_sne(p, flat.reshape(y.shape)), y.ravel(), 1e-30)
    np.testing.assert_allclose(gradient.ravel(), exact, rtol=1e-11, atol=1e-12)


def test_the_gradient_of_tsne_matches_complex_steps():
    _, p, y = problem(25)
    loss, gradient = sne.tsne_loss_and_gradient(p, y)
    assert loss == pytest.approx(naive_tsne(p, y), rel=1e-12)
    exact = differentiation.complex_step(lambda flat: naive_tsne(p, flat.reshape(y.shape)), y.ravel(), 1e-30)
    np.testing.assert_allclose(gradient.ravel(), exact, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("spread", [1e-4, 1.0, 50.0])
def test_the_loss_and_gradient_of_tsne_match_scikit_learn(spread):
    _, p, y = problem(N, spread=spread)
    loss, gradient = sne.tsne_loss_and_gradient(p, y)
    theirs, their_gradient = _t_sne._kl_divergence(y.ravel(), squareform(p), 1, N, 2)
    # scikit-learn clips p and q at 1e-16, which changes its loss slightly.
    assert loss == pytest.approx(theirs, rel=1e-9)
    scale = np.abs(their_gradient).max()
    np.testing.assert_allclose(gradient.ravel(), their_gradient, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.equation("2.6.2")
def test_the_printed_q_is_not_that_of_tsne():
    _, _, y = problem(40)
    conditional = neighbors.gaussian_probabilities(y)
    weights = squareform(1 / (1 + pdist(y, "sqeuclidean")))
    assert sne.sne_loss_and_gradient(conditional, y)[0] == pytest.approx(0, abs=1e-11)
    assert sne.tsne_loss_and_gradient(weights / weights.sum(), y)[0] == pytest.approx(0, abs=1e-12)
    # Neither the normalization by rows nor the kernel agrees: the symmetrized printed q still differs.
    assert not np.allclose(conditional, conditional.T)
    assert sne.tsne_loss_and_gradient(neighbors.joint_probabilities(conditional), y)[0] > 0.1


def test_far_points_do_not_underflow():
    p, _, y = problem(30, spread=1e3)
    loss, gradient = sne.sne_loss_and_gradient(p, y)
    exponents = -squareform(pdist(y, "sqeuclidean"))
    np.fill_diagonal(exponents, -np.inf)
    log_q = exponents - logsumexp(exponents, axis=1, keepdims=True)
    off = ~np.eye(30, dtype=bool)
    assert loss == pytest.approx(np.sum(p[off] * (np.log(p[off]) - log_q[off])), rel=1e-12)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("method", ["sne", "tsne"])
def test_the_losses_depend_on_distances_only(method):
    conditional, joint, y = problem(N)
    y = np.ldexp(np.rint(np.ldexp(y, 20)), -20)  # Multiples of 2^-20 make y + 1e8 exact.
    p, function = {
        "sne": (conditional, sne.sne_loss_and_gradient),
        "tsne": (joint, sne.tsne_loss_and_gradient),
    }[method]
    loss, gradient = function(p, y)
    for shift in (1e8, [-1e8, 0.0]):
        shifted, shifted_gradient = function(p, y + shift)
        assert shifted == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(
            shifted_gradient, gradient, rtol=1e-10, atol=1e-11 * np.abs(gradient).max()
        )
    x, start = np.random.default_rng(0).standard_normal((30, 4)), y[:30]
    near, far = (
        sne.embed(x, method, perplexity=5, initial=start + shift, iterations=5) for shift in (0, 1e8)
    )
    np.testing.assert_allclose(far.points, near.points, atol=1e-8)
    assert far.history[0, 1] == pytest.approx(near.history[0, 1], rel=1e-12)


def test_embeddings_too_wide_for_accurate_distances_are_refused():
    conditional, joint, y = problem(N)
    # At the largest valid extent, distances within two clusters keep five digits.
    clusters = y.copy()
    clusters[::2] += 1e5 - 10
    assert sne.tsne_loss_and_gradient(joint, clusters)[0] == pytest.approx(
        naive_tsne(joint, clusters), rel=1e-5
    )
    for scale in (1e7, 1e200, 1e308 / np.abs(y).max()):
        with pytest.raises(ValueError, match=r"y must extend over at most 100000 along an axis, got"):
            sne.tsne_loss_and_gradient(joint, y * scale)
        with pytest.raises(ValueError, match=r"y must extend over at most 100000 along an axis, got"):
            sne.sne_loss_and_gradient(conditional, y * scale)
    x = np.random.default_rng(0).standard_normal((12, 3))
    with pytest.raises(
        ValueError, match=r"initial must extend over at most 100000 along an axis, got 1e\+09"
    ):
        sne.embed(x, perplexity=3, initial=1e9 * np.eye(12, 2))


@pytest.mark.parametrize("exponent", [-700, 700, 1000])
def test_embeddings_do_not_depend_on_the_units_of_the_data(exponent):
    x = np.random.default_rng(0).standard_normal((30, 4))
    near = sne.embed(x, perplexity=5, iterations=5)
    far = sne.embed(np.ldexp(x, exponent), perplexity=5, iterations=5)
    np.testing.assert_array_equal(far.points, near.points)
    np.testing.assert_array_equal(far.bandwidths, np.ldexp(near.bandwidths, exponent))


def test_sne_diverges_at_a_large_rate_and_recovers_from_an_overshoot():
    x = np.random.default_rng(0).standard_normal((40, 5))
    start = sne.embed(x, "sne", perplexity=10, iterations=1).history[0, 1]
    # SNE's attraction grows with the distance: above a rate of order one the extent grows exponentially.
    with pytest.raises(ValueError, match="learning_rate 2 is too large: the descent diverges"):
        sne.embed(x, "sne", perplexity=10, learning_rate=2, iterations=500)
    with pytest.raises(
        ValueError, match=rf"learning_rate 0.7 is too large, or .*=20 .* at the end and {start:.3g} at"
    ):
        sne.embed(x, "sne", perplexity=10, learning_rate=0.7, iterations=20)
    assert sne.embed(x, "sne", perplexity=10, learning_rate=0.7, iterations=100).kl < start / 2


class Slope:
    """A loss that falls or rises at a constant rate as the points move out along the first axis."""

    def __init__(self, y, sign):
        self.outward = np.zeros_like(y)
        self.outward[:, 0] = np.where(np.arange(len(y)) % 2 == 0, 1.0, -1.0)
        self.sign = sign

    def __call__(self, y, exaggeration=1.0, with_value=True):
        return self.sign * np.sum(self.outward * y), -self.outward


@pytest.mark.parametrize(("method", "name"), [("sne", "_GaussianLoss"), ("tsne", "_StudentLoss")])
def test_a_descent_that_diverges_or_ends_above_its_start_is_an_error(method, name, monkeypatch):
    x = np.random.default_rng(0).standard_normal((40, 5))
    options = {"perplexity": 10, "initial": np.zeros((40, 2)), "iterations": 300}
    monkeypatch.setattr(sne, name, lambda p, y: Slope(y, -1.0))
    falling = sne.embed(x, method, learning_rate=0.5, **options)
    assert falling.kl < falling.history[0, 1] == 0
    # Every step moves the points by more than 3000, so that they extend over more than 1e5 after 50 steps.
    with pytest.raises(ValueError, match=r"learning_rate 3000 is too large: the descent diverges$"):
        sne.embed(x, method, learning_rate=3000, **options)
    monkeypatch.setattr(sne, name, lambda p, y: Slope(y, 1.0))
    with pytest.raises(
        ValueError,
        match=r"learning_rate 0.5 is too large, or iterations=300 too few: "
        r"the loss is [1-9][.\de+]* nats at the end and 0 at the start",
    ):
        sne.embed(x, method, learning_rate=0.5, **options)


def test_a_final_loss_above_one_of_start_and_coincident_points_is_accepted(monkeypatch):
    x = np.random.default_rng(0).standard_normal((40, 5))
    inward = -100 * Slope(np.zeros((40, 2)), 1.0).outward
    options = {"perplexity": 10, "initial": inward, "iterations": 300, "learning_rate": 1e-3}
    monkeypatch.setattr(sne, "_GaussianLoss", lambda p, y: Slope(y, 1.0))
    above_start = sne.embed(x, "sne", **options)
    assert above_start.history[0, 1] == -4000 < above_start.kl < 0
    # An exaggerated run may end above both.
    options["initial"] = np.zeros((40, 2))
    exaggerated = sne.embed(x, "sne", exaggeration=4.0, exaggerated_iterations=300, **options)
    assert exaggerated.kl > exaggerated.history[0, 1] == 0
    monkeypatch.setattr(sne, "_GaussianLoss", lambda p, y: Slope(y, -1.0))
    options["initial"] = inward
    above_coincident = sne.embed(x, "sne", **options)
    assert above_coincident.history[0, 1] == 4000 > above_coincident.kl > 0


def test_exaggeration_may_end_above_a_good_start(digits, digits_embedding):
    best = digits_embedding
    # So few iterations repeat to three digits whatever the rounding; hundreds end in other minima.
    again = sne.embed(digits, initial=best.points, iterations=70, exaggerated_iterations=20)
    assert again.history[0, 1] == pytest.approx(best.kl, rel=1e-9)
    assert best.kl < again.kl < 1.1 * best.kl
    # While p is exaggerated, the true loss may rise above its start, here that of coincident points.
    early = sne.embed(load_digits().data[:300], initial="random", iterations=30)
    assert early.kl > early.history[0, 1]


@pytest.mark.equation("2.6.3")
def test_sne_reproduces_a_ring_of_points():
    x = np.hstack([ring(12), np.zeros((12, 3))])
    y = sne.embed(x, "sne", perplexity=4, iterations=3000, min_gradient_norm=1e-9)
    # All bandwidths are equal, so y = x / sigma has q = p: the loss is zero, and only there.
    assert y.kl == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(pdist(y.points), pdist(x) / y.bandwidths[0], rtol=1e-6)
    assert y.iterations < 3000
    assert y.iterations % 50 == 0


def test_the_first_iterations_follow_the_paper():
    x = np.random.default_rng(3).standard_normal((20, 4))
    y = np.random.default_rng(4).standard_normal((20, 2))
    p = neighbors.joint_probabilities(neighbors.conditional_probabilities(x, 5)[0])
    ours = sne.embed(
        x, perplexity=5, initial=y, iterations=12, exaggerated_iterations=7, exaggeration=4, learning_rate=20
    )
    for count, momentum, exaggeration in ((7, 0.3 + 0.2, 4), (5, 0.8, 1)):
        step, gains = np.zeros_like(y), np.ones_like(y)
        for _ in range(count):
            gradient = tsne_gradient(p, y, exaggeration)
            for index in np.ndindex(y.shape):
                downhill = step[index] * gradient[index] < 0
                gains[index] = max(gains[index] + 0.2 if downhill else gains[index] * 0.8, 0.01)
            step = momentum * step - 20 * gains * gradient
            y = y + step
    np.testing.assert_allclose(ours.points, y - y.mean(axis=0), rtol=1e-8, atol=1e-9)
    assert ours.kl == pytest.approx(naive_tsne(p, y), rel=1e-9)


@pytest.mark.parametrize(("points", "exaggeration", "rate"), [(40, 12, 5), (416, 12, 50), (416, 2, 52)])
def test_the_default_rate_of_tsne_is_belkinas_rule_with_a_floor(points, exaggeration, rate):
    x = np.random.default_rng(0).standard_normal((points, 3))
    options = {"perplexity": 5, "initial": x[:, :2], "exaggeration": exaggeration, "iterations": 1}
    expected = sne.embed(x, learning_rate=rate, **options).points
    np.testing.assert_array_equal(sne.embed(x, **options).points, expected)


def test_the_final_divergence_on_digits_is_no_worse_than_scikit_learns(digits, digits_embedding):
    p, bandwidths = neighbors.conditional_probabilities(digits, 30)
    joint = neighbors.joint_probabilities(p)
    theirs = TSNE(method="exact", max_iter=500, random_state=0).fit_transform(digits)
    ours = digits_embedding
    limit, _ = sne.tsne_loss_and_gradient(joint, theirs)
    assert ours.kl <= 1.02 * limit
    assert ours.kl == pytest.approx(sne.tsne_loss_and_gradient(joint, ours.points)[0], rel=1e-12)
    np.testing.assert_array_equal(ours.bandwidths, bandwidths)
    # The loss of the same points in another order is far larger.
    assert sne.tsne_loss_and_gradient(joint, ours.points[::-1])[0] > 4 * limit


def test_history_and_progress_report_the_loss_without_exaggeration():
    x = np.random.default_rng(0).standard_normal((40, 3))
    calls = []
    y = sne.embed(
        x, perplexity=5, iterations=330, exaggerated_iterations=120, progress=lambda *a: calls.append(a)
    )
    assert [call[0] for call in calls] == [0, 50, 100, 150, 200, 250, 300, 330]
    assert {call[1] for call in calls} == {330}
    np.testing.assert_array_equal(y.history, [(call[0], call[2]) for call in calls])
    joint = neighbors.joint_probabilities(neighbors.conditional_probabilities(x, 5)[0])
    # At distances of 1e-4 all q_ij are equal: the first loss is log(N (N - 1)) minus the entropy of p.
    start = np.log(40 * 39) + np.sum(joint[joint > 0] * np.log(joint[joint > 0]))
    assert y.history[0, 1] == pytest.approx(start, rel=1e-6)
    assert y.history[-1, 1] == y.kl


@pytest.mark.parametrize("method", ["sne", "tsne"])
def test_a_seed_repeats_a_random_start_and_an_initial_array_is_not_modified(method):
    x = np.random.default_rng(0).standard_normal((30, 3))
    first, again, other = (
        sne.embed(x, method, perplexity=5, initial="random", iterations=20, seed=s).points for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    start = np.random.default_rng(5).standard_normal((30, 3))
    original = start.copy()
    moved = sne.embed(x, method, perplexity=5, initial=start, iterations=20).points
    np.testing.assert_array_equal(start, original)
    assert moved.shape == (30, 3)
    assert not np.allclose(moved, start)


def test_the_initial_principal_components_match_scikit_learn_up_to_scale():
    from sklearn.decomposition import PCA

    x = load_digits().data[:100]
    y = sne._initial(x, "pca", 2, 0)
    theirs = PCA(2, svd_solver="full").fit_transform(x)
    np.testing.assert_allclose(y / 1e-4, theirs / theirs[:, 0].std(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["sne", "tsne"])
def test_duplicates_are_embedded_like_other_points(method):
    x = np.random.default_rng(0).standard_normal((30, 3))
    kl = sne.embed(x, method, perplexity=5).kl
    x[5] = x[6]
    doubled = sne.embed(x, method, perplexity=5)
    assert np.all(np.isfinite(doubled.points))
    assert doubled.kl == pytest.approx(kl, rel=0.25)


@pytest.mark.parametrize("method", ["sne", "tsne"])
def test_heavy_duplicates_are_embedded_by_their_groups(method):
    groups = np.repeat(np.arange(3), 10)
    x = 10.0 * np.eye(3)[groups]
    with pytest.warns(RuntimeWarning, match="perplexity 5 cannot be reached at 30 of 30 points"):
        y = sne.embed(x, method, perplexity=5).points
    apart = np.linalg.norm(y[:, None] - y, axis=2)
    same = groups[:, None] == groups
    assert apart[same].max() < apart[~same].min()


def test_few_points_recover_after_exaggeration_collapses_them():
    x = np.random.default_rng(0).standard_normal((30, 3))
    p, _ = neighbors.conditional_probabilities(x, 5)
    joint = neighbors.joint_probabilities(p)
    # The attraction of 12 p exceeds the repulsion of coincident points in every direction except a common
    # shift: the smallest nonzero eigenvalue of its Laplacian is above that of q_ij = 1 / (N (N - 1)).
    laplacian = 12 * (np.diag(joint.sum(axis=1)) - joint)
    assert np.linalg.eigvalsh(laplacian)[1] > 1 / 29
    slow = sne.embed(x, perplexity=5, learning_rate=2)
    assert slow.iterations == 1000
    assert slow.history[4, 1] == pytest.approx(slow.history[0, 1], rel=1e-6)
    plain = sne.embed(x, perplexity=5, exaggeration=1, iterations=1000)
    assert slow.kl <= 1.1 * plain.kl < 0.3 * slow.history[0, 1]


def test_invalid_arguments_are_named():
    x = np.random.default_rng(0).standard_normal((12, 3))
    with pytest.raises(ValueError, match=r"method must be one of .*'umap'"):
        sne.embed(x, "umap", perplexity=3)
    with pytest.raises(ValueError, match=r"below the number of other points \(11\), got 30"):
        sne.embed(x)
    with pytest.raises(ValueError, match=r"learning_rate must be positive, got -1"):
        sne.embed(x, perplexity=3, learning_rate=-1)
    with pytest.raises(ValueError, match=r"learning_rate 1e\+09 is too large: the descent diverges"):
        sne.embed(x, "sne", perplexity=3, learning_rate=1e9, iterations=200)
    with pytest.raises(ValueError, match=r"min_gradient_norm must hold real numbers .* got str"):
        sne.embed(x, perplexity=3, min_gradient_norm="a")
    with pytest.raises(ValueError, match="min_gradient_norm must be finite, got nan"):
        sne.embed(x, perplexity=3, min_gradient_norm=np.nan)
    with pytest.raises(ValueError, match="min_gradient_norm must not be negative, got -1"):
        sne.embed(x, perplexity=3, min_gradient_norm=-1)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0, got 'a'"):
        sne.embed(x, perplexity=3, initial="random", seed="a")
    with pytest.raises(ValueError, match="iterations must be an integer of at least 1, got 0"):
        sne.embed(x, perplexity=3, iterations=0)
    with pytest.raises(ValueError, match=r"momenta must be two numbers.*\(0.5, 1\)"):
        sne.embed(x, perplexity=3, momenta=(0.5, 1))
    with pytest.raises(ValueError, match=r"initial must be 'pca', 'random' or an array.*'spectral'"):
        sne.embed(x, perplexity=3, initial="spectral")
    with pytest.raises(ValueError, match=r"initial must have shape \(12, d\).*\(11, 2\)"):
        sne.embed(x, perplexity=3, initial=np.zeros((11, 2)))
    with pytest.raises(ValueError, match="initial='pca' needs x to span 2 directions"):
        sne.embed(np.outer(np.arange(12.0), [1, 2]), perplexity=3)
    broken = x.copy()
    broken[7, 2] = np.inf
    with pytest.raises(ValueError, match=r"x\[7, 2\] must be finite"):
        sne.embed(broken, perplexity=3)


def test_invalid_probabilities_are_named():
    p, joint, y = problem(12)
    with pytest.raises(ValueError, match=r"p\[3\] must sum to 1, got 2"):
        sne.sne_loss_and_gradient(np.where(np.arange(12)[:, None] == 3, 2 * p, p), y)
    with pytest.raises(ValueError, match="p must sum to 1, got 12"):
        sne.tsne_loss_and_gradient(p, y)
    with pytest.raises(ValueError, match=r"p must be symmetric, p\[0, 1\]"):
        sne.tsne_loss_and_gradient(p / 12, y)
    with pytest.raises(ValueError, match=r"y\[2, 0\] must be finite"):
        sne.tsne_loss_and_gradient(joint, np.where(np.arange(24).reshape(12, 2) == 4, np.nan, y))
    with pytest.raises(ValueError, match=r"y must have shape \(12, d\)"):
        sne.sne_loss_and_gradient(p, y[:5])
