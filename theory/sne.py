"""Stochastic neighbor embedding: SNE as printed in the notes, and t-SNE (Sec. 2.6).

Both methods place points y_i in the plane such that neighbors stay neighbors. Eqs. 2.6.2 and 2.6.3 are SNE
(Hinton and Roweis, 2002): a Gaussian q_{j|i} and one KL divergence per point. t-SNE (van der Maaten and
Hinton, 2008), after which the section is named, minimizes one KL divergence between joint distributions,

    p_ij = (p_{j|i} + p_{i|j}) / (2 N),    q_ij = w_ij / sum_{k != l} w_kl,    w_ij = 1 / (1 + |y_i - y_j|^2).

Its Student-t kernel has a heavy tail, which lets points at a moderate distance move far apart. SNE crowds
such points together in the middle.

Time and memory grow as N^2: 1,797 points take seconds; 5,000 points take a minute and 0.5 GB. For more than
5,000 points use openTSNE (https://opentsne.readthedocs.io), whose approximations scale as N. The functions
here raise an error above 20,000 points.

Legend: N points, D features, d dimensions of the embedding. Divergences are in nats.

References:
    Hinton and Roweis, "Stochastic neighbor embedding", NIPS 15 (2002).
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9 (2008) 2579.
    Belkina et al., "Automated optimized parameters for t-SNE", Nature Communications 10 (2019) 5415.
    Kobak and Linderman, "Initialization is critical for preserving global data structure in both t-SNE and
    UMAP", Nature Biotechnology 39 (2021) 156.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from .. import arguments
from .perplexity import (
    blocks,
    check_points,
    check_square,
    conditional_probabilities,
    joint_probabilities,
    near_one,
)

_METHODS = ("sne", "tsne")
_CHECK_INTERVAL = 50  # Iterations between evaluations of the loss.
_INITIAL_DEVIATION = 1e-4  # Standard deviation of the initial points: all distances are far below one.
_MAX_EXTENT = 1e5  # Above it, rounding errors of squared distances are not small compared with the 1 in w_ij.


@dataclass(frozen=True)
class Embedding:
    """An embedding and the record of its optimization.

    Args:
        points: Coordinates y, [N, d].
        kl: Loss of `points` in nats: Eq. 2.6.3 for SNE, KL(p || q) of the joint distributions for t-SNE.
        bandwidths: sigma_i in the convention of Eq. 2.6.1, [N].
        iterations: Number of iterations performed; fewer than requested if the gradient vanished.
        history: Pairs (iteration, loss in nats), [M, 2], always without exaggeration.
    """

    points: np.ndarray
    kl: float
    bandwidths: np.ndarray
    iterations: int
    history: np.ndarray


def sne_loss_and_gradient(p, y):
    """Returns the loss of SNE, Eq. 2.6.3 with the q_{j|i} of Eq. 2.6.2, and its gradient.

    L = sum_i sum_{j != i} p_{j|i} log(p_{j|i} / q_{j|i}); the printed sum must exclude j = i, where both
    probabilities are zero. dL/dy_i = 2 sum_j (p_{j|i} - q_{j|i} + p_{i|j} - q_{i|j}) (y_i - y_j).

    Args:
        p: Conditional probabilities p_{j|i}, [N, N]: each row is a distribution, the diagonal is zero.
        y: Embedding, [N, d].

    Returns:
        (loss in nats, gradient [N, d]).

    Raises:
        ValueError: If p is not such a matrix, y is not finite, y extends over more than 1e5 along an axis (so
            that small distances lose digits), or the shapes do not match.
    """
    p = check_square("p", arguments.distributions("p", p))
    y = _check_embedding("y", y, len(p))
    return _GaussianLoss(p, y)(y)


def tsne_loss_and_gradient(p, y):
    """Returns the loss of t-SNE, the KL divergence between joint distributions, and its gradient.

    KL(p || q) = sum_{i != j} p_ij log(p_ij / q_ij), dKL/dy_i = 4 sum_j (p_ij - q_ij) w_ij (y_i - y_j).

    Args:
        p: Joint probabilities p_ij, [N, N], symmetric, with sum one and a zero diagonal.
        y: Embedding, [N, d].

    Returns:
        (loss in nats, gradient [N, d]).

    Raises:
        ValueError: If p is not such a matrix, or as in `sne_loss_and_gradient`.
    """
    p = check_square("p", arguments.distributions("p", p, axis=None))
    asymmetric = np.abs(p - p.T) > arguments.ROUNDING * p.max()
    if asymmetric.any():
        index = arguments.first_index(asymmetric)
        raise ValueError(f"p must be symmetric, p{index} differs from its mirror image")
    y = _check_embedding("y", y, len(p))
    return _StudentLoss(p, y)(y)


def embed(
    x,
    method="tsne",
    perplexity=30.0,
    *,
    initial="pca",
    dimensions=2,
    iterations=1000,
    exaggeration=None,
    exaggerated_iterations=250,
    learning_rate=None,
    momenta=(0.5, 0.8),
    min_gradient_norm=1e-7,
    seed=0,
    progress=None,
):
    """Embeds points with t-SNE or SNE: gradient descent with momentum and a gain for each coordinate.

    A gain grows by 0.2 while its coordinate keeps its direction and is multiplied by 0.8 where it turns
    (Jacobs, 1988). In the first phase p is multiplied by the exaggeration, so that clusters can pass each
    other. For more than 5,000 points use openTSNE; see the top of this module.

    Args:
        x: Points, [N, D].
        method: `tsne`, or `sne` for Eqs. 2.6.1 to 2.6.3 as printed.
        perplexity: Smooth number of neighbors of each point, Eq. 2.6.4, above 1 and below N - 1.
        initial: `pca` for the first principal components, `random` for Gaussian points, or an array [N, d].
            The first two are scaled to a standard deviation of 1e-4.
        dimensions: Number d of dimensions of the embedding; not used if `initial` is an array.
        iterations: Maximum number of iterations.
        exaggeration: Factor on p in the first phase; `None` means 12 for `tsne` and 1 for `sne`.
        exaggerated_iterations: Number of iterations in the first phase.
        learning_rate: Step per unit of gradient; `None` means max(N / (4 exaggeration), min(N / 8, 50)) for
            `tsne` and 0.1 for `sne`, whose loss is a sum over points instead of a mean.
        momenta: Momentum in the first phase and momentum afterwards.
        min_gradient_norm: Stop when the Euclidean norm of the gradient is at most this.
        seed: Seed of the `random` initial points.
        progress: Called as progress(iteration, iterations, loss) every 50 iterations, for a progress bar.

    Returns:
        An `Embedding`.

    Raises:
        ValueError: If an argument is not valid, as in `conditional_probabilities`; or if the descent
            diverges: the points fly apart, or a run that ends without exaggeration has a larger loss than
            both its start and coincident points.
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {_METHODS}, got {method!r}")
    x = check_points("x", x)
    exaggeration, learning_rate = _rates(method, len(x), exaggeration, learning_rate)
    phases = _phases(iterations, exaggerated_iterations, momenta, exaggeration)
    min_gradient_norm = arguments.nonnegative("min_gradient_norm", min_gradient_norm, ndim=0)
    y = _initial(x, initial, dimensions, seed)
    p, bandwidths = conditional_probabilities(x, perplexity)
    loss = _StudentLoss(joint_probabilities(p), y) if method == "tsne" else _GaussianLoss(p, y)
    descent = _Descent(loss, y, phases, learning_rate, min_gradient_norm, progress)
    kl = descent.minimize()
    return Embedding(y, kl, bandwidths, descent.done, np.array(list(descent.history.items())))


def _rates(method, points, exaggeration, learning_rate):
    """Returns the exaggeration and the learning rate, with the defaults of the method for `None`."""
    if exaggeration is None:
        exaggeration = 12.0 if method == "tsne" else 1.0
    exaggeration = float(arguments.positive("exaggeration", exaggeration, ndim=0))
    if learning_rate is None:
        # Belkina's rule, with scikit-learn's floor of 50 lowered for few points, which it would scatter.
        tsne_rate = max(points / exaggeration / 4, min(points / 8, 50.0))
        learning_rate = tsne_rate if method == "tsne" else 0.1
    return exaggeration, float(arguments.positive("learning_rate", learning_rate, ndim=0))


@dataclass(frozen=True)
class _Phase:
    """A phase of the descent: the iteration at which it ends, its momentum and its factor on p."""

    end: int
    momentum: float
    exaggeration: float


def _phases(iterations, exaggerated_iterations, momenta, exaggeration):
    """Returns the exaggerated phase and the one after it."""
    iterations = arguments.integer("iterations", iterations, 1)
    switch = min(iterations, arguments.integer("exaggerated_iterations", exaggerated_iterations, 0))
    values = arguments.finite("momenta", momenta, ndim=1)
    if len(values) != 2 or np.any(values < 0) or np.any(values >= 1):
        raise ValueError(f"momenta must be two numbers in [0, 1), got {momenta}")
    return _Phase(switch, values[0], exaggeration), _Phase(iterations, values[1], 1.0)


def _check_embedding(name, y, points):
    """Returns a centered copy of `y`: the squares of a common shift would swamp the distances."""
    y = arguments.finite(name, y, ndim=2)
    if len(y) != points or y.shape[1] == 0:
        raise ValueError(f"{name} must have shape ({points}, d), one row per point, got {y.shape}")
    extent = 2 * float(np.ptp(y / 2, axis=0).max())
    if extent > _MAX_EXTENT:
        raise ValueError(f"{name} must extend over at most {_MAX_EXTENT:g} along an axis, got {extent:.9g}")
    y = y - y[0]
    return y - y.mean(axis=0)


def _initial(x, initial, dimensions, seed):
    """Returns the initial embedding, [N, d], as a new array."""
    if not isinstance(initial, str):
        return _check_embedding("initial", initial, len(x))
    dimensions = arguments.integer("dimensions", dimensions, 1)
    if initial == "random":
        rng = np.random.default_rng(arguments.integer("seed", seed, 0))
        return _INITIAL_DEVIATION * rng.standard_normal((len(x), dimensions))
    if initial != "pca":
        raise ValueError(f"initial must be 'pca', 'random' or an array [N, d], got {initial!r}")
    return _principal_components(x, dimensions)


def _principal_components(x, dimensions):
    """Returns the first principal components of x, [N, d], scaled to the initial standard deviation."""
    x, _ = near_one(x)
    left, spread, right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    if len(spread) < dimensions or spread[dimensions - 1] <= 1e-12 * spread[0]:
        raise ValueError(
            f"initial='pca' needs x to span {dimensions} directions, as many as dimensions: use 'random'"
        )
    # The sign of a component is arbitrary: choose the one that makes its largest loading positive.
    right = right[:dimensions]
    signs = np.sign(right[np.arange(dimensions), np.abs(right).argmax(axis=1)])
    y = left[:, :dimensions] * (spread[:dimensions] / spread[0]) * signs
    return y * (_INITIAL_DEVIATION / y[:, 0].std())


class _Descent:
    """Gradient descent that moves `y` in place, with momentum and a gain for each coordinate."""

    def __init__(self, loss, y, phases, learning_rate, min_gradient_norm, progress):
        self.loss, self.y, self.phases = loss, y, phases
        self.learning_rate, self.min_gradient_norm = learning_rate, min_gradient_norm
        self.progress, self.iterations = progress, phases[-1].end
        self.done, self.history = 0, {}

    # `_record` detects divergence.
    @np.errstate(over="ignore", invalid="ignore")
    def minimize(self):
        """Runs both phases and returns the final loss."""
        exaggerated, plain = self.phases
        start = self.y.copy()
        self._run(exaggerated)
        if self.y.std() < min(start.std(), _INITIAL_DEVIATION):
            # For few points, exaggerated attraction may collapse all of them into one: discard that phase.
            self.y[:] = start
        self._run(plain)
        value, _ = self.loss(self.y)
        self._record(value)
        if exaggerated.exaggeration == 1 or exaggerated.end < self.iterations:
            self._check_final(value)
        return value

    def _run(self, phase):
        """Continues to the end of the phase, or until the gradient vanishes."""
        y, step, gains = self.y, np.zeros_like(self.y), np.ones_like(self.y)
        while self.done < phase.end:
            check = self.done % _CHECK_INTERVAL == 0
            value, gradient = self.loss(y, phase.exaggeration, with_value=check)
            if check:
                self._record(value)
                if np.linalg.norm(gradient) <= self.min_gradient_norm:
                    return
            gains = np.maximum(np.where(step * gradient < 0, gains + 0.2, gains * 0.8), 0.01)
            step *= phase.momentum
            step -= self.learning_rate * gains * gradient
            y += step
            y -= y.mean(axis=0)
            self.done += 1

    def _record(self, value):
        """Appends the loss to the history and reports it, once for each iteration."""
        if not np.isfinite(value) or np.ptp(self.y, axis=0).max() > _MAX_EXTENT:
            raise ValueError(f"learning_rate {self.learning_rate:g} is too large: the descent diverges")
        if self.done not in self.history and self.progress is not None:
            self.progress(self.done, self.iterations, value)
        self.history[self.done] = value

    def _check_final(self, value):
        """Raises an error if the final loss is above both that of the start and that of coincident points."""
        # Exaggeration may turn a good start into a worse minimum, but not worse than coincident points.
        limit = max(self.history[0], self.loss(np.zeros_like(self.y))[0])
        if value > limit + 1e-3:
            raise ValueError(
                f"learning_rate {self.learning_rate:g} is too large, or iterations={self.iterations} too few:"
                f" the loss is {value:.3g} nats at the end and {self.history[0]:.3g} at the start"
            )


def _negative_entropy(p, row_blocks):
    return sum(xlogy(p[rows], p[rows]).sum() for rows in row_blocks)


def _factors(y):
    """Returns matrices [N, d + 2] and [d + 2, N] whose product, by BLAS, is |y_i - y_j|^2."""
    squares, ones = np.sum(y**2, axis=1, keepdims=True), np.ones((len(y), 1))
    return np.hstack([-2 * y, squares, ones]), np.ascontiguousarray(np.hstack([y, ones, squares]).T)


class _StudentLoss:
    """The loss of t-SNE and its gradient, in blocks of rows that stay in cache.

    The matrices are symmetric, so a block covers only the columns from its first row on. It contributes to
    the forces on its rows and, transposed, to those on its columns.
    """

    def __init__(self, p, y):
        self.p, self.blocks = p, blocks(len(p))
        self.negative_entropy = _negative_entropy(p, self.blocks)
        self.forces = np.empty((2, len(p), y.shape[1] + 1))
        self.buffers = np.empty((2, self.blocks[0].stop * len(p)))

    def __call__(self, y, exaggeration=1.0, with_value=True):
        """Returns (loss or None, gradient [N, d] of the loss with exaggerated p)."""
        left, right = _factors(y)
        left[:, -2] += 1.0  # The product becomes 1 + |y_i - y_j|^2.
        moments = np.hstack([y, np.ones((len(y), 1))])
        attraction, repulsion = self.forces
        self.forces[:] = 0.0
        total, energy = 0.0, 0.0
        for rows in self.blocks:
            p = self.p[rows, rows.start :]
            w, scratch = (buffer[: p.size].reshape(p.shape) for buffer in self.buffers)
            np.matmul(left[rows], right[:, rows.start :], out=w)
            if with_value:
                energy += _symmetric_sum(np.multiply(np.log(w, out=scratch), p, out=scratch))
            np.reciprocal(w, out=w)
            np.fill_diagonal(w, 0.0)
            total += _symmetric_sum(w)
            _add_symmetric(attraction, np.multiply(p, w, out=scratch), moments, rows)
            _add_symmetric(repulsion, np.square(w, out=w), moments, rows)
        force = exaggeration * attraction - repulsion / total
        value = self.negative_entropy + energy + np.log(total) if with_value else None
        return value, 4 * (y * force[:, -1:] - force[:, :-1])


def _symmetric_sum(block):
    """Returns the sum of a block that starts at the diagonal and of its mirror image."""
    return 2 * block.sum() - block[:, : len(block)].sum()


def _add_symmetric(forces, block, moments, rows):
    """Adds to the forces a block, and the mirror image of its off-diagonal columns, times `moments`."""
    forces[rows] += block @ moments[rows.start :]
    forces[rows.stop :] += block[:, len(block) :].T @ moments[rows]


class _GaussianLoss:
    """The loss of SNE and its gradient, in blocks of rows that stay in cache.

    Symmetry does not help, because the normalization of each row needs all of its columns.
    """

    def __init__(self, p, y):
        self.mutual, self.blocks = p + p.T, blocks(len(p))
        self.negative_entropy = _negative_entropy(p, self.blocks)
        self.forces = np.empty((len(p), y.shape[1] + 1))
        self.buffer = np.empty((self.blocks[0].stop, len(p)))

    def __call__(self, y, exaggeration=1.0, with_value=True):
        """Returns (loss or None, gradient [N, d] of the loss with exaggerated p)."""
        left, right = _factors(y)
        np.negative(left, out=left)
        moments = np.hstack([y, np.ones((len(y), 1))])
        self.forces[:] = 0.0
        logarithms = 0.0
        for rows in self.blocks:
            q = self.buffer[: rows.stop - rows.start]
            np.matmul(left[rows], right, out=q)
            np.fill_diagonal(q[:, rows.start :], -np.inf)
            # The nearest neighbor contributes exp(0), so that no row of distant points sums to zero.
            largest = q.max(axis=1, keepdims=True)
            np.exp(np.subtract(q, largest, out=q), out=q)
            weighted = q @ moments
            sums = weighted[:, -1:]
            logarithms += np.sum(largest) + np.sum(np.log(sums))
            self.forces[rows] += weighted / sums
            self.forces += q.T @ (moments[rows] / sums)
        attraction = self.mutual @ moments
        energy = np.sum(y * (y * attraction[:, -1:] - attraction[:, :-1]))
        value = self.negative_entropy + energy + logarithms if with_value else None
        force = exaggeration * attraction - self.forces
        return value, 2 * (y * force[:, -1:] - force[:, :-1])
