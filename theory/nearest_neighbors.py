"""Entropy, mutual information and divergence of continuous variables, estimated from nearest neighbors.

The distance to the k-th nearest neighbor measures the density around each example, without bins and without a
model. Distances are in the maximum norm. The estimates are consistent; their bias and their statistical error
decrease with N, the bias more slowly in many dimensions, and a larger k trades a smaller statistical error
for a larger bias. The standard error of the entropy and of the divergence is about that of a mean over the
examples; measure it, as that of the information, with independent samples or halves of one.

The estimates assume densities, with which no two examples coincide. Examples that occur more than k times
have a k-th neighbor at distance zero and are refused: such variables are discrete, rounded or repeated. Use
`curvezoo.theory.plug_in` for discrete variables, remove copies, or add noise of the size of the rounding.

Legend: N, M examples; D dimensions; K in equations the k-th neighbor. Results are in nats; `base=2` gives
bits.

References:
    Kozachenko and Leonenko, "Sample estimate of the entropy of a random vector" (1987), Problems of
        Information Transmission 23, 95-101.
    Kraskov, Stögbauer and Grassberger, "Estimating mutual information" (2004), Physical Review E 69, 066138.
    Wang, Kulkarni and Verdú, "Divergence estimation for multidimensional densities via k-nearest-neighbor
        distances" (2009), IEEE Transactions on Information Theory 55, 2392-2405.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from .. import arguments
from .information import in_base


def entropy(x, neighbors=3, base=None):
    """Estimates the differential entropy S = -<log p(x)>, Eq. 2.1.5, after Kozachenko and Leonenko.

        S = psi(N) - psi(k) + (D / N) sum_i log(2 r_i)

    A cube of the edge 2 r_i around example i, with the k-th neighbor on its surface, has on average a mass
    whose logarithm is psi(k) - psi(N).

    Args:
        x: Examples, [N] or [N, D].
        neighbors: Number k of neighbors, below N.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate, which increases by log c if the unit of one coordinate becomes c times smaller.

    Raises:
        ValueError: If `x` is not finite or has the wrong shape, an example occurs more than k times, or there
            are too few examples.

    Example:
        >>> x = np.random.default_rng(0).normal(size=5000)
        >>> bool(abs(entropy(x) - np.log(2 * np.pi * np.e) / 2) < 0.05)
        True
    """
    x = _examples("x", x)
    k = _neighbors(neighbors, x=x)
    volumes = x.shape[1] * np.mean(np.log(2 * _radii("x", x, k)))
    return in_base(digamma(len(x)) - digamma(k) + volumes, base)


def mutual_information(x, y, neighbors=3, base=None):
    """Estimates I(X,Y), Eq. 2.5.3, after Kraskov, Stögbauer and Grassberger (their first algorithm).

        I = psi(k) + psi(N) - (1 / N) sum_i [psi(n_x(i) + 1) + psi(n_y(i) + 1)]

    Here n_x(i) is the number of other examples whose distance to example i in x alone is below the distance
    to its k-th neighbor in (x, y). The biases of the three entropies mostly cancel, and for independent
    variables the mean of the estimate is zero up to its statistical error. It may therefore be negative.

    Every coordinate is divided by its standard deviation, which changes no information.

    Args:
        x: Examples of X, [N] or [N, D_x].
        y: Examples of Y, [N] or [N, D_y].
        neighbors: Number k of neighbors, below N.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate.

    Raises:
        ValueError: If an example is not finite or the shapes do not match, a value of X or of Y occurs more
            than k times, or there are too few examples.
    """
    x, y = _examples("x", x), _examples("y", y)
    if len(x) != len(y):
        raise ValueError(f"x and y must hold the same number of examples, got {len(x)} and {len(y)}")
    k = _neighbors(neighbors, x=x)
    x, y = _standardized("x", x), _standardized("y", y)
    for name, array in (("x", x), ("y", y)):
        _radii(name, array, k)
    radii = _radii("x and y", np.concatenate([x, y], axis=1), k)
    counts = digamma(_count_within(x, radii)) + digamma(_count_within(y, radii))
    return in_base(digamma(k) + digamma(len(x)) - np.mean(counts), base)


def kl_divergence(x, y, neighbors=3, base=None):
    """Estimates D_KL(p||q), Eq. 2.3.3, from examples of p and of q, after Wang, Kulkarni and Verdú.

        D = (D / N) sum_i log(s_i / r_i) + log(M / (N - 1))

    Here r_i is the distance of example i of p to its k-th neighbor among the other examples of p, and s_i
    that to its k-th neighbor among the examples of q. The estimate may be negative. It is far too small if
    the examples of q do not reach where p has mass: s_i grows with the distance there, -log q with its
    square or faster.

    Args:
        x: Examples of p, [N] or [N, D].
        y: Examples of q, [M] or [M, D].
        neighbors: Number k of neighbors, below N and at most M.
        base: Base of the logarithm, `None` for nats.

    Returns:
        The estimate.

    Raises:
        ValueError: If an example is not finite or the shapes do not match, an example of p occurs more than k
            times in `x` or at least k times in `y`, or there are too few examples.
    """
    x, y = _examples("x", x), _examples("y", y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same dimensions, got {x.shape[1]} and {y.shape[1]}")
    k = _neighbors(neighbors, x=x)
    if len(y) < k:
        raise ValueError(f"y must hold at least {k} examples for {k} neighbors, got {len(y)}")
    own = _radii("x", x, k)
    other = cKDTree(y).query(x, [k], p=np.inf)[0][:, 0]
    if (other == 0).any():
        raise ValueError(
            f"y must not hold an example of x {k} times or more, but holds that of x{_row(other == 0)}: two "
            "samples of densities share no examples"
        )
    ratio = x.shape[1] * np.mean(np.log(other / own))
    return in_base(ratio + np.log(len(y) / (len(x) - 1)), base)


def _examples(name, value):
    """Returns examples as an array [N, D]."""
    array = arguments.finite(name, value)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must have shape [N] or [N, D], got {np.shape(value)}")
    return array


def _neighbors(neighbors, x):
    k = arguments.integer("neighbors", neighbors, 1)
    if k >= len(x):
        raise ValueError(f"neighbors must be below the number of examples, {len(x)}, got {k}")
    return k


def _standardized(name, x):
    # A power of two changes no digits, and keeps squares from overflowing or vanishing.
    x = np.ldexp(x, -np.frexp(np.abs(x).max(axis=0))[1])
    spread = x.std(axis=0)
    if not spread.all():
        raise ValueError(f"{name} must vary: column {int(np.argmin(spread))} is constant")
    return x / spread


def _radii(name, x, k):
    """Returns the distance of each example to its k-th neighbor, [N], after checking that it is positive."""
    # The nearest point of the tree is the example itself.
    radii = cKDTree(x).query(x, [k + 1], p=np.inf)[0][:, 0]
    copies = radii == 0
    if copies.any():
        raise ValueError(
            f"{name} must not repeat an example more than {k} times, but {np.count_nonzero(copies)} of "
            f"{len(x)} have {k} or more copies, the first is {name}{_row(copies)}; use plug_in for discrete "
            "variables, remove copies, or add noise of the size of the rounding"
        )
    return radii


def _count_within(x, radii):
    """Returns the number of examples, including itself, closer to each example than its radius, [N]."""
    return cKDTree(x).query_ball_point(x, np.nextafter(radii, 0), p=np.inf, return_length=True)


def _row(bad):
    return f"[{int(np.argmax(bad))}]"
