r"""Spectra of symmetric matrices from products with vectors alone: Lanczos and stochastic quadrature.

With an orthonormal basis Q [n, m] of the Krylov space of a start vector, T = Q^T A Q is tridiagonal [m, m].
Its eigenvalues, the Ritz values, come near the ends of the spectrum of A first. In every step the new vector
is orthogonalized against all of the basis, so that no eigenvalue appears as a ghost.

A matrix is anything with `shape` and `@` (an array, a SciPy operator, an operator of `curvature`) or a
function of a vector together with the dimension. Everything beside the products is NumPy in float64.

Legend: n dimension of the matrix, m steps, P probes.
"""

import dataclasses

import numpy as np
import scipy.linalg
import threadpoolctl

from ... import arguments

# Below this share of the matrix's size a new direction is rounding: the Krylov space is complete.
BREAKDOWN = 1e-10
# Where less of a vector's length is left than this share, rounding may leave it far from orthogonal.
CANCELLED = 0.7
# Components of the basis that are turned into Ritz vectors at a time; they fit in a processor's cache.
CHUNK = 2**14
# Threads of BLAS spin for a while after their work, in the way of the next product's; memory bounds theirs.
_BLAS = threadpoolctl.ThreadpoolController().select(user_api="blas")


@dataclasses.dataclass(frozen=True)
class Spectrum:
    r"""Ritz values and vectors.

    Args:
        values: Ritz values, largest first, [m].
        vectors: Ritz vectors of unit length, in columns, [n, m].
        bounds: For each Ritz value the length of the residual, \(|A y - \theta y|\), [m]: an eigenvalue of A
            lies within this distance. Of several Ritz values near one another, each has its own, but two may
            be near the same eigenvalue. Exact up to the rounding of the products.
        steps: The number m of products.
    """

    values: np.ndarray
    vectors: np.ndarray
    bounds: np.ndarray
    steps: int


@dataclasses.dataclass(frozen=True)
class SpectralDensity:
    r"""An estimate of the density of eigenvalues: \(\sum_k w_k \delta(\lambda - \theta_k)\).

    Args:
        nodes: Ritz values of all probes, [P, m]; a probe whose Krylov space was complete before fills up with
            zeros of weight 0.
        weights: Their weights, [P, m], which sum to 1 in all.
    """

    nodes: np.ndarray
    weights: np.ndarray

    def moment(self, order):
        r"""Returns an estimate of \(\mathrm{tr} A^k / n\), unbiased for k up to 2m - 1.

        Args:
            order: The power k, an integer of at least 0.

        Raises:
            ValueError: If it is not.
        """
        return float(np.sum(self.weights * self.nodes ** arguments.integer("order", order, 0)))

    def __call__(self, grid, width=None):
        """Returns the density with each node widened to a Gaussian; over all numbers it integrates to 1.

        Args:
            grid: Where, in the units of the eigenvalues.
            width: Standard deviation of the Gaussians; by default a hundredth of the range of the nodes.

        Raises:
            ValueError: If `grid` is not finite or `width` not positive.
        """
        grid = arguments.finite("grid", grid)
        nodes, weights = self.nodes[self.weights > 0], self.weights[self.weights > 0]
        if width is None:
            width = np.ptp(nodes) / 100 or max(abs(nodes[0]), 1.0) / 100
        width = float(arguments.positive("width", width, 0))
        z = (grid[..., None] - nodes) / width
        return np.exp(-(z**2) / 2) @ weights / (width * np.sqrt(2 * np.pi))


def lanczos_spectrum(matrix, steps=20, *, dimension=None, start=None, seed=0):
    """Returns the Ritz values of a symmetric matrix with vectors and error bounds.

    Where the Krylov space is complete before the last step (few distinct eigenvalues), the iteration goes on
    from a random vector orthogonal to it, and so finds the eigenvalues' multiplicities; with `steps=n` it
    finds all.

    Args:
        matrix: The symmetric matrix, [n, n], or a function that returns its product with a vector [n].
        steps: The number m of products; no more than n are made.
        dimension: n, if `matrix` is a function.
        start: The first vector, [n]; None for a random one.
        seed: Seed of the random vectors.

    Returns:
        A `Spectrum`.

    Raises:
        ValueError: If an argument is out of range, the matrix is not square, or a product is not finite.

    Example:
        >>> lanczos_spectrum(np.diag([1.0, 2.0, 5.0]), steps=3).values.round(6)
        array([5., 2., 1.])

    References:
        Parlett, "The Symmetric Eigenvalue Problem" (1980), chapter 13.
    """
    product, n = as_product(matrix, dimension)
    steps = min(arguments.integer("steps", steps, 1), n)
    rng = np.random.default_rng(seed)
    if start is None:
        start = rng.normal(size=n)
    start = arguments.finite("start", start, 1)
    if start.shape != (n,) or not start.any():
        raise ValueError(f"start must be a nonzero vector of length {n}, got shape {start.shape}")
    basis, diagonal, off, last = _tridiagonalize(product, start, steps, rng)
    values, small = scipy.linalg.eigh_tridiagonal(diagonal, off)
    values, small = values[::-1], np.ascontiguousarray(small[:, ::-1])
    # The vectors take the place of the basis: fresh memory of that size costs more than the product.
    for first in range(0, n, CHUNK):
        part = basis[:, first : first + CHUNK]
        part[:] = small.T @ part
    return Spectrum(values, basis.T, np.abs(last * small[-1]), len(diagonal))


def spectral_density(matrix, steps=50, probes=10, *, dimension=None, seed=0):
    r"""Returns an estimate of the density of eigenvalues by stochastic Lanczos quadrature.

    For a random vector v with \(E\, v v^T = 1\), \(E\, v^T f(A) v = \mathrm{tr} f(A)\), and m Lanczos steps
    from v give Gauss's quadrature of \(v^T f(A) v / n\): the Ritz values are its nodes, the squared first
    components of T's eigenvectors its weights. It is exact for polynomials f of degree up to 2m - 1.

    Args:
        matrix: The symmetric matrix, [n, n], or a function that returns its product with a vector [n].
        steps: The number m of products for each probe.
        probes: The number P of random vectors, with entries of -1 and 1.
        dimension: n, if `matrix` is a function.
        seed: Seed of the random vectors.

    Returns:
        A `SpectralDensity`, which is a function of eigenvalues.

    Raises:
        ValueError: If an argument is out of range, the matrix is not square, or a product is not finite.

    Example:
        >>> density = spectral_density(np.diag([1.0, 2.0, 6.0]), steps=3, probes=1)
        >>> density.nodes.round(6), round(density.moment(1), 6)
        (array([[1., 2., 6.]]), 3.0)

    References:
        Golub and Meurant, "Matrices, Moments and Quadrature with Applications" (2009).
        Ghorbani, Krishnan and Xiao, "An Investigation into Neural Net Optimization via Hessian Eigenvalue
        Density" (2019).
    """
    product, n = as_product(matrix, dimension)
    steps = min(arguments.integer("steps", steps, 1), n)
    probes = arguments.integer("probes", probes, 1)
    rng = np.random.default_rng(seed)
    nodes, weights = np.zeros((2, probes, steps))
    for probe in range(probes):
        start = rng.choice([-1.0, 1.0], size=n)
        _, diagonal, off, _ = _tridiagonalize(product, start, steps)
        values, small = scipy.linalg.eigh_tridiagonal(diagonal, off)
        nodes[probe, : len(values)] = values
        weights[probe, : len(values)] = small[0] ** 2 / probes
    return SpectralDensity(nodes, weights)


def as_product(matrix, dimension=None):
    """Returns a function that multiplies a vector by a matrix and checks the product, and the dimension.

    Args:
        matrix: Anything with `shape` and `@`, or a function of a vector.
        dimension: The dimension, if `matrix` is a function.

    Raises:
        ValueError: If the matrix is not square, or the dimension is missing or another.
    """
    shape = getattr(matrix, "shape", None)
    if shape is None:
        if not callable(matrix):
            raise ValueError(f"matrix must be a square matrix, an operator or a function, got {matrix!r}")
        if dimension is None:
            raise ValueError("dimension must be given where the matrix is a function")
        n = arguments.integer("dimension", dimension, 1)
    else:
        n = shape[0] if len(shape) == 2 and shape[0] == shape[1] else 0
        if not n or dimension not in (None, n):
            raise ValueError(
                f"matrix must be square, of dimension {dimension or 'n'}, got shape {tuple(shape)}"
            )

    def product(vector):
        result = np.asarray(matrix @ vector if shape is not None else matrix(vector), np.float64)
        if result.shape != (n,):
            raise ValueError(f"matrix must return products of shape {(n,)}, got shape {result.shape}")
        if not np.isfinite(result).all():
            raise ValueError("matrix must return finite products, got one that is not")
        return result

    return product, n


def _tridiagonalize(product, start, steps, rng=None):
    """Returns the basis [m, n], the diagonal [m] and off-diagonal [m - 1] of T, and the next off-diagonal.

    Where the Krylov space is complete it goes on from a random vector by `rng`, or stops if that is None.
    """
    basis, diagonal, off = np.empty((steps, len(start))), [], []
    vector, size, last = start / np.linalg.norm(start), 0.0, 0.0
    for step in range(steps):
        basis[step] = vector
        image = product(vector)
        with _BLAS.limit(limits=1):
            diagonal.append(vector @ image)
            size = max(size, np.linalg.norm(image))
            # In exact arithmetic the last two vectors are all that the image is not orthogonal to.
            near = slice(max(step - 1, 0), step + 1)
            image = image - np.array([last, diagonal[-1]][-step - 1 :]) @ basis[near]
            vector, last = _orthogonalized(image, basis[: step + 1])
        if last <= BREAKDOWN * size:
            last = 0.0
            if rng is None or step + 1 == len(start):
                break
            vector, _ = _orthogonalized(rng.normal(size=len(start)), basis[: step + 1])
        off.append(last)
    count = len(diagonal)
    return basis[:count], np.array(diagonal), np.array(off[: count - 1]), last


def _orthogonalized(vector, basis):
    """Returns the part of a vector orthogonal to orthonormal rows, at unit length, and its length."""
    length = np.linalg.norm(vector)
    # Twice is enough, and once where little was cut off (Kahan and Parlett; Daniel and others).
    for _ in range(2):
        before, vector = length, vector - (basis @ vector) @ basis
        length = np.linalg.norm(vector)
        if length > CANCELLED * before:
            break
    return vector / length if length else vector, length
