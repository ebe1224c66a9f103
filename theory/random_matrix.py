r"""The Marchenko-Pastur law: eigenvalues of X X^T for a large random matrix X (Eq. 6.0.15).

X [P, D] holds D examples of P independent inputs with mean zero, and P, D -> infinity at a fixed ratio
r = D/P. Two normalizations are in use:

- `parameters`: X X^T for inputs of variance 1/P. With lambda_pm = (1 +- sqrt r)^2 the density is

      rho(lambda) = sqrt((lambda_+ - lambda)(lambda - lambda_-)) / (2 pi lambda) + (1 - r)_+ delta(lambda).

- `examples`: the sample covariance X X^T / D for inputs of variance 1. Its eigenvalues are those above
  divided by r.

Eq. 6.0.15 is in the first, although the text before Eq. 6.0.1 has inputs of unit variance, for which the
eigenvalues of X X^T grow as P (docs/errata.md).

Integrals use lambda = lambda_- + (lambda_+ - lambda_-) sin^2(phi/2), which turns the square roots at the
edges into sin^2(phi), with panels that shrink geometrically towards phi = 0. They resolve a lower edge close
to zero (r close to 1), where functions such as 1/lambda vary fast.

Legend: N nodes, P parameters, D examples.

References:
    Marchenko and Pastur, "Distribution of eigenvalues for some sets of random matrices" (1967).
"""

import math
from dataclasses import dataclass

import numpy as np

from .. import arguments

NORMALIZATIONS = ("parameters", "examples")
"""X X^T for inputs of variance 1/P, and X X^T / D for inputs of variance 1."""

_PANELS, _ORDER = 48, 20
_AT_ONCE = 1000  # Values of the distribution function that are integrated together.


def _unit_rule():
    """Returns nodes and weights on [0, 1], Gauss-Legendre on panels that halve in width towards 0."""
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    edges = np.append(0.0, 0.5 ** np.arange(_PANELS)[::-1])
    halves = np.diff(edges) / 2
    return (edges[:-1] + halves + np.outer(nodes, halves)).T.ravel(), np.outer(halves, weights).ravel()


_NODES, _WEIGHTS = _unit_rule()


@dataclass(frozen=True)
class MarchenkoPastur:
    """The limit of the distribution of the P eigenvalues of X X^T, Eq. 6.0.15.

    Args:
        ratio: r = D/P, examples per parameter.
        normalization: `parameters` or `examples`, as in the description of the module.

    Raises:
        ValueError: If `ratio` is not positive or `normalization` is unknown.
    """

    ratio: float
    normalization: str = "parameters"

    def __post_init__(self):
        arguments.positive_number("ratio", self.ratio)
        arguments.one_of("normalization", self.normalization, NORMALIZATIONS)

    @property
    def unit(self):
        """The eigenvalue of this normalization that is 1 in `parameters`."""
        return 1.0 if self.normalization == "parameters" else 1 / self.ratio

    @property
    def support(self):
        """(lambda_-, lambda_+), the ends of the interval of positive eigenvalues."""
        return self.unit * self._low, self.unit * (1 + math.sqrt(self.ratio)) ** 2

    @property
    def mass_at_zero(self):
        """The fraction (1 - r)_+ of eigenvalues that are zero."""
        return max(0.0, 1 - self.ratio)

    def density(self, eigenvalue):
        """Returns the density of the positive eigenvalues, whose integral is min(1, r).

        Args:
            eigenvalue: Eigenvalues, of any shape.

        Raises:
            ValueError: If an eigenvalue is not finite.
        """
        x = arguments.finite("eigenvalue", eigenvalue)
        low, high = self.support
        inside = (x > low) & (x < high)
        x = np.where(inside, x, 1.0)
        root = np.sqrt(np.where(inside, (high - x) * (x - low), 0.0))
        return root / (2 * np.pi * self.unit * x)

    def cdf(self, eigenvalue):
        """Returns the fraction of eigenvalues, zeros included, of at most the given values.

        Args:
            eigenvalue: Values, of any shape.

        Raises:
            ValueError: If a value is not finite.
        """
        x = arguments.finite("eigenvalue", eigenvalue)
        low, high = self.support
        share = np.clip((x - low) / (high - low), 0.0, 1.0)
        angles = 2 * np.arcsin(np.sqrt(share)).ravel()
        # The nodes of all values together may not fit into memory.
        parts = np.array_split(angles, 1 + angles.size // _AT_ONCE)
        masses = np.concatenate([self._bulk(part)[1].sum(axis=-1) for part in parts])
        return np.where(x >= 0, self.mass_at_zero, 0.0) + masses.reshape(x.shape)

    def quadrature(self):
        """Returns eigenvalues [N] and weights [N], so that the mean of f is sum(weights * f(eigenvalues)).

        The first eigenvalue is zero if r < 1, with the weight `mass_at_zero`; the others are positive. The
        rule is accurate to about 1e-12 for functions such as exp(-lambda t) and 1/(lambda + c) at all scales
        of t and c.
        """
        eigenvalues, weights = self._bulk(np.pi)
        if self.mass_at_zero:
            return np.append(0.0, eigenvalues), np.append(self.mass_at_zero, weights)
        return eigenvalues, weights

    def mean(self, function):
        """Returns the mean of a function of the eigenvalue, zeros included.

        Args:
            function: Function from an array [N] to an array [N].
        """
        eigenvalues, weights = self.quadrature()
        return float(np.sum(weights * function(eigenvalues)))

    def moment(self, order):
        r"""Returns the mean of lambda^k in closed form, for k >= 1 a sum of Narayana numbers.

        \[ \langle \lambda^k \rangle = \sum_{j=1}^k \frac1k \binom kj \binom k{j-1} r^j \]

        in the normalization `parameters`.

        Args:
            order: The power k, an integer of at least 0.

        Raises:
            ValueError: If `order` is not such an integer, or the moment is above 1.8e308.
        """
        k = arguments.integer("order", order, 0)
        if k == 0:
            return 1.0
        narayana = [math.comb(k, j) * math.comb(k, j - 1) // k for j in range(1, k + 1)]
        # The terms are integers over a common denominator: they may exceed 1.8e308 where the sum does not.
        above, below = float(self.ratio).as_integer_ratio()
        total = sum(n * above**j * below ** (k - j) for j, n in enumerate(narayana, 1))
        try:
            return total / (below if self.normalization == "parameters" else above) ** k
        except OverflowError:
            raise ValueError(f"order must have a moment below 1.8e308, got {k}") from None

    def resolvent(self, shift):
        r"""Returns \(m(z) = \langle 1/(\lambda + z) \rangle\) in closed form, zeros included.

        In the normalization `parameters` it solves z m^2 + (z + r - 1) m - 1 = 0.

        Args:
            shift: Positive numbers z, of any shape.

        Raises:
            ValueError: If a shift is not positive.
        """
        z = arguments.positive("shift", shift) / self.unit
        b = z + (self.ratio - 1)
        root = np.hypot(b, 2 * np.sqrt(z))
        # For b > 0 the two terms of (root - b) / 2z would cancel.
        m = np.where(b > 0, 2 / (np.abs(b) + root), (np.abs(b) + root) / (2 * z))
        return m / self.unit

    def resolvent_slope(self, shift):
        r"""Returns \(m'(z) = -\langle 1/(\lambda + z)^2 \rangle\) in closed form.

        Args:
            shift: Positive numbers z, of any shape.

        Raises:
            ValueError: If a shift is not positive.
        """
        z = arguments.positive("shift", shift) / self.unit
        m = self.resolvent(shift) * self.unit
        # The derivative of the equation of `resolvent`, in which z m + (z + r - 1) is 1 / m.
        return -m * (1 + m) / (z * m + 1 / m) / self.unit**2

    @property
    def _low(self):
        """The lower edge (1 - sqrt r)^2 in `parameters`, without the cancellation for r close to 1."""
        return ((1 - self.ratio) / (1 + math.sqrt(self.ratio))) ** 2

    def _bulk(self, angle):
        """Returns positive eigenvalues and their weights on [0, angle], with an axis of nodes appended."""
        angle = np.asarray(angle)[..., None]
        phi = angle * _NODES
        r = self.ratio
        spread = 4 * math.sqrt(r)  # lambda_+ - lambda_-
        distance = spread * np.sin(phi / 2) ** 2
        eigenvalues = self._low + distance
        # sqrt((lambda_+ - lambda)(lambda - lambda_-)) / lambda dlambda; the share is 0/0 at r = 1, phi = 0.
        share = np.divide(distance, eigenvalues, out=np.zeros_like(phi), where=eigenvalues > 0)
        weights = spread * np.cos(phi / 2) ** 2 * share * angle * _WEIGHTS / (2 * np.pi)
        return self.unit * eigenvalues, weights
