"""Paths of least energy under a metric, between points at any distance (Sec. 2.3).

The energy of a path, the integral of v^T F v dt over [0, 1], is least for the shortest path at constant
speed. Here a path is a continuous piecewise polynomial, given by its nodes, and the integral is a
Gauss-Lobatto sum over them, which Newton's method minimizes. A polygon comes first. Its sum overestimates
long steps, so that no step jumps over a region of large F, and its segments are bisected until F is nearly
linear on each. Then elements of degree six are split until the speed is constant. The choices do not depend
on the units of F or theta.

Legend: P parameters, E elements, p degree, n = E p + 1 nodes.
"""

import heapq
import itertools

import numpy as np
from numpy.polynomial import legendre
from scipy.interpolate import PPoly
from scipy.linalg import solveh_banded

_SEGMENTS, _DEGREE, _PER_ELEMENT = 4, 6, 4
_MOST_ELEMENTS, _ITERATIONS = 1024, 100
# Largest relative differences: of two lengths of a segment, and of the speed from its mean.
_NEARLY_LINEAR, _NEARLY_CONSTANT = 0.05, 1e-5
# Newton's method has converged if the last step is this small relative to the path, squared.
_COARSE, _FINE = 1e-4, 1e-14
# Steps of differences relative to the distance of the nodes, and the change that halving them may make.
_STEPS, _SMOOTH = 0.02 * 0.25 ** np.arange(16), 1e-2
_ROUNDING = 1e-12  # Relative rounding error of the energy.
_LEAST_SHIFT, _LARGEST_SHIFT = 2.0**-6, 2.0**60


def shortest_path(metric, start, end):
    """Computes a path of least energy.

    Args:
        metric: Function from theta, [P], to a positive definite F, [P, P]; a `ValueError` or a value that is
            not finite marks a theta outside its domain.
        start: The point at t = 0, [P].
        end: The point at t = 1, [P].

    Returns:
        The path as a `scipy.interpolate.PPoly` from t to theta, and its length.

    Raises:
        ValueError: If no path of constant speed is found.
    """
    if np.array_equal(start, end):
        return PPoly(start[None, None], [0.0, 1.0]), 0.0
    # Nearby points are told apart without rounding errors by their distance from the first.
    origin = np.where(np.abs(end - start) < np.abs(start) / 2, start, 0.0)
    guarded = _inside(lambda offset: metric(origin + offset))
    nodes = _line(guarded, start - origin, end - origin)
    widths = np.full(len(nodes) - 1, 1 / (len(nodes) - 1))
    while True:
        mesh = _Mesh(guarded, widths, 1)
        nodes = mesh.minimize(nodes, _COARSE)
        bent = mesh.bent(nodes)
        if not bent.any():
            break
        nodes, widths = mesh.split(nodes, bent)
    nodes, widths = mesh.merge(nodes)
    while True:
        mesh = _Mesh(guarded, widths, _DEGREE)
        nodes = mesh.minimize(nodes, _FINE)
        uneven = mesh.uneven(nodes)
        if not uneven.any():
            return mesh.polynomial(nodes, origin), mesh.length(nodes)
        nodes, widths = mesh.split(nodes, uneven)


class _Mesh:
    """Elements in t, and the energy of paths that are polynomials on them.

    Args:
        metric: Function from theta, [P], to F, or `None` outside the domain.
        widths: Widths of the elements in t, [E].
        degree: Degree p.
    """

    def __init__(self, metric, widths, degree):
        if len(widths) > _MOST_ELEMENTS:
            raise ValueError("the path of least energy is not smooth")
        self.metric, self.widths, self.degree = metric, widths, degree
        self.nodes, self.weights, self.slopes = _lobatto(degree)
        # The nodes of each element, [E, p + 1].
        self.index = np.arange(len(widths))[:, None] * degree + np.arange(degree + 1)

    def minimize(self, x, tolerance):
        """Returns the nodes of least energy by Newton's method.

        Where the Hessian is not positive definite or a step fails, a multiple of its first term is added.
        """
        matrices = self._metrics(x)
        energy, shift = self._energy(x, matrices), 0.0
        for _ in range(_ITERATIONS):
            gradient, hessian, kinetic = self._derivatives(x, matrices)
            while True:
                if shift > _LARGEST_SHIFT:
                    raise ValueError("no step decreases the energy")
                try:
                    step = solveh_banded(hessian + shift * kinetic, -gradient)
                except np.linalg.LinAlgError:
                    shift = max(4 * shift, _LEAST_SHIFT)
                    continue
                moved = x.copy()
                moved[1:-1] += step.reshape(-1, x.shape[1])
                decrease = -gradient @ step
                trial = self._metrics(moved)
                reached = np.inf if trial is None else self._energy(moved, trial)
                # The energy cannot judge a step that changes it by less than its rounding errors.
                noise = max(_ROUNDING, self._rounding(x, matrices)) * energy
                if reached < energy or (decrease <= noise and reached <= energy + noise):
                    break
                shift = max(4 * shift, _LEAST_SHIFT)
            small = decrease * (1 + shift) ** 2 <= max(tolerance * energy, noise**2 / energy)
            x, matrices, energy = moved, trial, reached
            if small:
                return x
            shift = shift / 8 if shift > _LEAST_SHIFT else 0.0
        raise ValueError("the energy does not converge")

    def length(self, x):
        """Returns the length of the path."""
        speeds = np.sqrt(_squares(self._velocities(x), self._metrics(x)[self.index]))
        return float(self.widths @ speeds @ self.weights)

    def bent(self, x):
        """Returns whether F changes much along each segment of a polygon, [E]."""
        steps, matrices = np.diff(x, axis=0), self._metrics(x)
        ends = np.sqrt((_squares(steps, matrices[1:]) + _squares(steps, matrices[:-1])) / 2)
        middles = np.sqrt(_squares(steps, self._metrics((x[1:] + x[:-1]) / 2)))
        return np.abs(ends - middles) > _NEARLY_LINEAR * ends

    def uneven(self, x):
        """Returns whether the speed varies within each element, or jumps at its ends, [E]."""
        velocities, matrices = self._velocities(x), self._metrics(x)[self.index]
        speeds = np.sqrt(_squares(velocities, matrices))
        rounding = self._rounding(x, self._metrics(x))
        if rounding > _NEARLY_CONSTANT:
            raise ValueError("theta has too few digits for the steps of the path")
        allowed = max(_NEARLY_CONSTANT, 100 * rounding) * (self.widths @ speeds @ self.weights)
        uneven = np.abs(speeds - speeds.mean()).max(axis=1) > allowed
        jumps = _squares(velocities[1:, 0] - velocities[:-1, -1], matrices[1:, 0]) > allowed**2
        uneven[1:] |= jumps
        uneven[:-1] |= jumps
        return uneven

    def split(self, x, chosen):
        """Returns the nodes and widths after halving the chosen elements."""
        halves = [np.concatenate([self.nodes / 2, (1 + self.nodes[1:]) / 2])]
        to_halves = _interpolation(self.nodes, halves[0])
        parts = [
            (to_halves @ part if halve else part)[1:]
            for part, halve in zip(x[self.index], chosen, strict=True)
        ]
        widths = np.repeat(np.where(chosen, self.widths / 2, self.widths), np.where(chosen, 2, 1))
        return np.concatenate([x[:1], *parts]), widths

    def merge(self, x):
        """Returns nodes and widths of elements of higher degree, each made of segments of this polygon."""
        times = np.concatenate([[0.0], self.widths.cumsum()])
        ends = times[np.unique(np.append(np.arange(0, len(times), _PER_ELEMENT), len(times) - 1))]
        nodes, widths = _lobatto(_DEGREE)[0], np.diff(ends)
        inner = (ends[:-1, None] + widths[:, None] * nodes[1:]).ravel()
        moved = np.stack([np.interp(inner, times, column) for column in x.T], axis=-1)
        moved[-1] = x[-1]
        return np.concatenate([x[:1], moved]), widths

    def polynomial(self, x, origin):
        """Returns the path as a piecewise polynomial in t."""
        edges = np.concatenate([[0.0], self.widths.cumsum()])
        edges[-1] = 1.0
        powers = np.linalg.inv(np.vander(self.nodes))
        units = self.widths[:, None] ** -np.arange(self.degree, -1, -1.0)
        coefficients = np.einsum("kr,erp,ek->kep", powers, x[self.index], units)
        coefficients[-1] += origin
        return PPoly(coefficients, edges)

    def _metrics(self, x):
        """Returns F at each node, [n, P, P], or `None` if a node is outside the domain."""
        matrices = []
        for theta in x:
            matrices.append(self.metric(theta))
            if matrices[-1] is None:
                return None
        return np.stack(matrices)

    def _velocities(self, x):
        """Returns d theta / dt at the nodes of each element, [E, p + 1, P]."""
        return np.einsum("qr,erp->eqp", self.slopes, x[self.index]) / self.widths[:, None, None]

    def _energy(self, x, matrices):
        return self.widths @ _squares(self._velocities(x), matrices[self.index]) @ self.weights

    def _rounding(self, x, matrices):
        """Returns the relative error of the length of a step from the rounding errors of its ends."""
        scales = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
        errors = np.finfo(float).eps * np.sum(np.abs(x) * scales, axis=1)
        return np.max(errors / self._spacing(x, matrices))

    def _spacing(self, x, matrices):
        """Returns the smaller of the distances of each node from its neighbors, [n], or its order."""
        speeds = np.sqrt(_squares(self._velocities(x), matrices[self.index]))
        spacing = np.full(len(x), np.inf)
        np.minimum.at(spacing, self.index, speeds * self.widths[:, None] / self.degree)
        return spacing

    def _derivatives(self, x, matrices):
        """Returns gradient, Hessian and its first term in the inner nodes; matrices in banded storage."""
        v, f, size = self._velocities(x), matrices[self.index], x.shape[1]
        spacing = self._spacing(x, matrices)
        expansions = [
            _differences(self.metric, theta, matrix, distance)
            for theta, matrix, distance in zip(x, matrices, spacing, strict=True)
        ]
        first, second = (np.stack(part)[self.index] for part in zip(*expansions, strict=True))
        weights = self.weights * self.widths[:, None]
        slopes = self.slopes / self.widths[:, None, None]
        momentum = np.einsum("eqij,eqj->eqi", f, v)
        pull = np.einsum("eqijk,eqj->eqik", first, v)
        gradient = 2 * np.einsum("eq,eqr,eqi->eri", weights, slopes, momentum)
        gradient += weights[..., None] * np.einsum("eqik,eqi->eqk", pull, v)
        kinetic = 2 * np.einsum("eq,eqr,eqs,eqij->erisj", weights, slopes, slopes, f)
        mixed = 2 * np.einsum("eq,eqr,eqik->eriqk", weights, slopes, pull)
        hessian = kinetic + mixed + np.moveaxis(mixed, (1, 2), (3, 4))
        here = np.arange(self.degree + 1)
        bend = np.einsum("eqijkl,eqi,eqj->eqkl", second, v, v)
        hessian[:, here, :, here] += np.moveaxis(weights[..., None, None] * bend, 1, 0)
        total = np.zeros(x.shape)
        np.add.at(total, self.index, gradient)
        return total[1:-1].ravel(), self._banded(hessian, size), self._banded(kinetic, size)

    def _banded(self, blocks, size):
        """Returns the matrix of the inner nodes as `solveh_banded` stores it."""
        unknowns = (self.index[..., None] * size + np.arange(size)).reshape(len(blocks), -1)
        width = unknowns.shape[1]
        rows, columns = np.broadcast_arrays(unknowns[:, :, None], unknowns[:, None, :])
        upper = rows <= columns
        rows, columns = rows[upper], columns[upper]
        banded = np.zeros((width, unknowns.max() + 1))
        np.add.at(banded, (width - 1 + rows - columns, columns), blocks.reshape(upper.shape)[upper])
        return banded[:, size:-size]


def _inside(metric):
    """Returns the metric with `None` for theta outside its domain."""

    def guarded(theta):
        try:
            matrix = np.asarray(metric(theta), float)
        except (ValueError, np.linalg.LinAlgError):
            return None
        return matrix if np.isfinite(matrix).all() and (matrix.diagonal() > 0).all() else None

    return guarded


def _line(metric, start, end):
    """Returns points on a straight line; the longest of the segments between them is bisected in turn."""

    def matrix(t):
        value = metric(start + t * (end - start))
        if value is None:
            raise ValueError(f"the straight line between the points leaves the domain at t = {t:.3g}")
        return (end - start) @ value @ (end - start)

    squares = {0.0: matrix(0.0), 1.0: matrix(1.0)}

    def segment(a, b):
        # First come segments on which the speed changes by a factor of more than four, then long ones.
        low, high = np.sqrt(sorted([squares[a], squares[b]]))
        return low * 4 >= high, -(b - a) * high, a, b

    segments = [segment(0.0, 1.0)]
    while len(segments) < _SEGMENTS or not segments[0][0]:
        *_, a, b = heapq.heappop(segments)
        middle = (a + b) / 2
        squares[middle] = matrix(middle)
        for half in ((a, middle), (middle, b)):
            heapq.heappush(segments, segment(*half))
    points = start + np.array(sorted(squares))[:, None] * (end - start)
    points[-1] = end
    return points


def _differences(metric, theta, matrix, distance):
    """Returns d_k F_ij, [P, P, P], and d_k d_l F_ij, [P, P, P, P], by differences of orders four and two."""
    size, units = theta.size, 1 / np.sqrt(matrix.diagonal())
    for step in _STEPS * distance:
        shifts = np.diag(step * units)
        near = [[metric(theta + sign * shift) for shift in shifts] for sign in (1, -1, 2, -2)]
        corners = {
            (k, m, sign): metric(theta + sign * (shifts[k] + shifts[m]))
            for (k, m), sign in itertools.product(itertools.combinations(range(size), 2), (1, -1))
        }
        if any(value is None for value in [*itertools.chain(*near), *corners.values()]):
            continue
        up, down, far_up, far_down = (np.stack(values, axis=-1) for values in near)
        coarse, fine = (far_up - far_down) / (4 * step), (up - down) / (2 * step)
        if np.abs(fine - coarse).max() > _SMOOTH * (np.abs(fine).max() + np.abs(matrix).max() * 1e-12 / step):
            continue
        second = np.empty((size,) * 4)
        for k in range(size):
            second[..., k, k] = up[..., k] + down[..., k] - 2 * matrix
        for k, m in itertools.combinations(range(size), 2):
            both = corners[k, m, 1] + corners[k, m, -1] - 2 * matrix
            second[..., k, m] = second[..., m, k] = (both - second[..., k, k] - second[..., m, m]) / 2
        return (4 * fine - coarse) / 3 / units, second / step**2 / (units[:, None] * units)
    raise ValueError(f"the metric is not smooth near theta = {theta}")


def _squares(vectors, matrices):
    return np.einsum("...i,...ij,...j->...", vectors, matrices, vectors)


def _lobatto(degree):
    """Returns nodes in [0, 1], weights, and derivatives at the nodes of polynomials of a degree."""
    inner = legendre.Legendre.basis(degree).deriv().roots()
    nodes = np.concatenate([[-1.0], np.sort(inner.real), [1.0]])
    weights = 2 / (degree * (degree + 1) * legendre.Legendre.basis(degree)(nodes) ** 2)
    nodes = (nodes + 1) / 2
    powers = np.arange(degree, -1, -1)
    slopes = np.vander(nodes)[:, 1:] * powers[:-1] @ np.linalg.inv(np.vander(nodes))[:-1]
    return nodes, weights / 2, slopes


def _interpolation(nodes, points):
    """Returns the matrix from the values of a polynomial at the nodes to those at the points."""
    return np.vander(points, len(nodes)) @ np.linalg.inv(np.vander(nodes))
