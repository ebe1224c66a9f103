r"""Spectra of symmetric matrices from products with vectors: Lanczos and stochastic Lanczos quadrature.

For an orthonormal basis Q [n, m] of the Krylov space of a start vector, T = Q^T A Q is tridiagonal [m, m].
Its eigenvalues, the Ritz values, approximate the ends of the spectrum of A first. In every step the new
vector is orthogonalized against the whole basis, which prevents spurious copies of eigenvalues.

A matrix is anything with `shape` and `@` (an array, a SciPy operator, an operator of `curvature`) or a
function of a vector together with the dimension. All computations except the products use NumPy in float64.

Legend: n dimension of the matrix, m steps, P probes.
"""

import dataclasses

import numpy as np
import scipy.linalg
import threadpoolctl

from ... import arguments

# Below this fraction of the matrix norm a new direction is rounding error: the Krylov space is complete.
BREAKDOWN = 1e-10
# If less than this fraction of a vector's norm remains, rounding may leave it far from orthogonal.
CANCELLED = 0.7
# Components of the basis that are rotated to Ritz vectors at a time; they fit in a processor's cache.
CHUNK = 2**14
# BLAS threads keep spinning after their work and slow down the next product. The work here is bound by memory
# bandwidth, so that one thread suffices.
_BLAS = threadpoolctl.ThreadpoolController().select(user_api="blas")


@dataclasses.dataclass(frozen=True)
class Spectrum:
    r"""Ritz values and vectors.

    Args:
        values: Ritz values in descending order, [m].
        vectors: Ritz vectors of unit norm, in columns, [n, m].
        bounds: The norm of the residual of each Ritz value, \(|A y - \theta y|\), [m]: an eigenvalue of A
            lies within this distance. Two neighboring Ritz values may be near the same eigenvalue. Exact up
            to the rounding of the products.
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
        nodes: Ritz values of all probes, [P, m]; a probe whose Krylov space was complete earlier is padded
            with zeros of weight 0.
        weights: Their weights, [P, m], with a total of 1.
    """

    nodes: np.ndarray
    weights: np.ndarray

    def moment(self, order):
        r"""Returns an estimate of \(\mathrm{tr} A^k / n\), unbiased for k up to 2m - 1.

        Args:
            order: The power k, an integer of at least 0.

        Raises:
            ValueError: If `order` is not such an integer.
        """
        return float(np.sum(self.weights * self.nodes ** arguments.integer("order", order, 0)))

    def __call__(self, grid, width=None):
        """Returns the density with each node broadened to a Gaussian; its integral is 1.

        Args:
            grid: Where to evaluate it, in the units of the eigenvalues.
            width: Standard deviation of the Gaussians; by default a hundredth of the range of the nodes.

        Raises:
            ValueError: If `grid` is not finite or `width` is not positive.
        """
        grid = arguments.finite("grid", grid)
        nodes, weights = self.nodes[self.weights > 0], self.weights[self.weights > 0]
        if width is None:
            width = np.ptp(nodes) / 100 or max(abs(nodes[0]), 1.0) / 100
        width = float(arguments.positive("width", width, 0))
        z = (grid[..., None] - nodes) / width
        return np.exp(-(z**2) / 2) @ weights / (width * np.sqrt(2 * np.pi))


def lanczos_spectrum(matrix, steps=20, *, dimension=None, start=None, seed=0):
    """Returns the Ritz values of a symmetric matrix with Ritz vectors and error bounds.

    If the Krylov space is complete before the last step (few distinct eigenvalues), the iteration continues
    from a random vector orthogonal to it, and so finds the multiplicities of the eigenvalues; with `steps=n`
    it finds all of them.

    Args:
        matrix: The symmetric matrix, [n, n], or a function that returns its product with a vector [n].
        steps: The number m of products, at most n.
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
    # The vectors overwrite the basis, as allocating memory of that size costs more than the product.
    for first in range(0, n, CHUNK):
        chunk = basis[:, first : first + CHUNK]
        chunk[:] = small.T @ chunk
    return Spectrum(values, basis.T, np.abs(last * small[-1]), len(diagonal))


def spectral_density(matrix, steps=50, probes=10, *, dimension=None, seed=0):
    r"""Returns an estimate of the density of eigenvalues by stochastic Lanczos quadrature.

    For a random vector v with \(E\, v v^T = 1\), \(E\, v^T f(A) v = \mathrm{tr} f(A)\). The m Lanczos steps
    from v give the Gauss quadrature of \(v^T f(A) v / n\): its nodes are the Ritz values, and its weights are
    the squared first components of the eigenvectors of T. It is exact for polynomials f of degree up to
    2m - 1.

    Args:
        matrix: The symmetric matrix, [n, n], or a function that returns its product with a vector [n].
        steps: The number m of products for each probe.
        probes: The number P of random vectors, with entries of -1 and 1.
        dimension: n, if `matrix` is a function.
        seed: Seed of the random vectors.

    Returns:
        A `SpectralDensity`, which can be called with a grid of eigenvalues.

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
    """Returns a function that multiplies a matrix by a vector and checks the result, and the dimension.

    Args:
        matrix: Anything with `shape` and `@`, or a function of a vector.
        dimension: The dimension, if `matrix` is a function.

    Raises:
        ValueError: If the matrix is not square, or the dimension is missing or wrong.
    """
    shape = getattr(matrix, "shape", None)
    if shape is None:
        if not callable(matrix):
            got = arguments.described(matrix)
            raise ValueError(f"matrix must be a square matrix, an operator or a function, got {got}")
        if dimension is None:
            raise ValueError("dimension must be given if matrix is a function, got None")
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
            raise ValueError("matrix must return finite products, got a non-finite one")
        return result

    return product, n


def _tridiagonalize(product, start, steps, rng=None):
    """Returns the basis [m, n], T's diagonal [m] and off-diagonal [m - 1], and its next off-diagonal entry.

    When the Krylov space is complete, it continues from a random vector, or stops if `rng` is None.
    """
    basis, diagonal, off = np.empty((steps, len(start))), [], []
    vector, size, last = start / np.linalg.norm(start), 0.0, 0.0
    for step in range(steps):
        basis[step] = vector
        image = product(vector)
        with _BLAS.limit(limits=1):
            diagonal.append(vector @ image)
            size = max(size, np.linalg.norm(image))
            # In exact arithmetic the image is orthogonal to all vectors but the last two.
            last_two = slice(max(step - 1, 0), step + 1)
            image = image - np.array([last, diagonal[-1]][-step - 1 :]) @ basis[last_two]
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
    """Returns the normalized component of a vector orthogonal to orthonormal rows, and its norm."""
    length = np.linalg.norm(vector)
    # Twice is enough, and once if little cancels (Kahan and Parlett; Daniel et al.).
    for _ in range(2):
        before, vector = length, vector - (basis @ vector) @ basis
        length = np.linalg.norm(vector)
        if length > CANCELLED * before:
            break
    return vector / length if length else vector, length
