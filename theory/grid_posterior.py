"""Posterior and evidence of any likelihood on a grid of a few parameters (Sec. 3.4, Eq. 3.4.6).

    p(theta|X) = p(X|theta) p(theta) / p(X),    p(X) = integral p(X|theta) p(theta) d theta

All integrals use the trapezoidal rule. If the posterior is smooth and vanishes at the ends of an even grid,
the error falls exponentially with the number of points: two points per standard deviation give about eight
digits. At an end where it does not vanish, the error is of second order in the distance of the points.
The cost is the product of the numbers of points. `curvezoo.theory.likelihood` finds the maximum for any
number of parameters, and `curvezoo.theory.conjugate_priors` has closed forms.

Legend: N examples, P parameters, G_p points of parameter p.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from .. import arguments
from .maxent import cell_widths


@dataclass(frozen=True)
class GridPosterior:
    """A posterior on a grid.

    Args:
        axes: Points of each parameter, P arrays [G_p].
        density: Density p(theta|X), [G_1, ..., G_P], in inverse units of the parameters; its integral is one.
        log_evidence: log p(X) in nats, in which p(X) is a density if the data are continuous.
        log_evidence_error: Estimated error of `log_evidence`: its change if every second point is left out.
            It bounds the error on a grid that resolves the posterior.
        prior_mass: Integral of the prior over the grid. If it is not one, part of the prior is outside, the
            grid is too coarse for it, or it is not normalized; the evidence is then that of this prior.
        mean: Posterior means, [P].
        covariance: Posterior covariances, [P, P].
    """

    axes: tuple
    density: np.ndarray
    log_evidence: float
    log_evidence_error: float
    prior_mass: float
    mean: np.ndarray
    covariance: np.ndarray

    def marginal(self, parameter):
        """Returns the density of one parameter, [G_p], integrated over the others.

        Args:
            parameter: Its index.

        Raises:
            ValueError: If there is no such parameter.
        """
        parameter = arguments.integer("parameter", parameter, 0, len(self.axes) - 1)
        return _integrate(self.density, self.axes, [p for p in range(len(self.axes)) if p != parameter])


def grid_posterior(log_density, log_prior, data, axes):
    """Computes the posterior, the evidence and the posterior moments on a grid.

    Args:
        log_density: Function `log_density(data, parameters)` that returns log p_theta(x_i), [N], as in
            `curvezoo.theory.likelihood`; minus infinity if the model excludes an example.
        log_prior: Function `log_prior(parameters)` that returns log p(theta), with the normalization if the
            evidence is wanted; minus infinity is valid.
        data: First argument of `log_density`: an array, or a tuple of arrays such as (x, y).
        axes: For each parameter its increasing points, [G_p], at least three.

    Returns:
        A `GridPosterior`.

    Raises:
        ValueError: If an axis does not increase or has fewer than three points, a function returns nan, plus
            infinity or an array of the wrong shape, or the posterior vanishes on the whole grid.

    Example:
        >>> from scipy import stats
        >>> def coin(x, parameters):
        ...     return np.log(np.where(x == 1, parameters[0], 1 - parameters[0]))
        >>> inside = np.linspace(0, 1, 1001)[1:-1]
        >>> result = grid_posterior(coin, lambda parameters: 0.0, np.array([1, 1, 0]), [inside])
        >>> print(round(float(result.mean[0]), 4))  # (2 + 1) / (3 + 2)
        0.6
    """
    axes = _axes(axes)
    points = list(itertools.product(*axes))
    shape = tuple(len(axis) for axis in axes)
    priors = np.array([_value("log_prior", log_prior(np.array(p)), p, ()) for p in points])
    likelihoods = np.array([np.sum(_value("log_density", log_density(data, np.array(p)), p)) for p in points])
    log_joint, prior = (likelihoods + priors).reshape(shape), np.exp(priors).reshape(shape)
    top = log_joint.max()
    if top == -np.inf:
        raise ValueError(
            "axes must hold parameters of positive posterior density, but it vanishes on the grid"
        )
    every = range(len(axes))
    log_evidence = top + np.log(_integrate(np.exp(log_joint - top), axes, every))
    density = np.exp(log_joint - log_evidence)
    coarse = [np.unique(np.append(np.arange(0, size, 2), size - 1)) for size in shape]
    coarse_axes = [axis[index] for axis, index in zip(axes, coarse, strict=True)]
    rough = _integrate(density[np.ix_(*coarse)], coarse_axes, every)
    mean, covariance = _moments(density, axes)
    return GridPosterior(
        axes=axes,
        density=density,
        log_evidence=float(log_evidence),
        log_evidence_error=float(abs(np.log(rough))) if rough > 0 else np.inf,
        prior_mass=float(_integrate(prior, axes, every)),
        mean=mean,
        covariance=covariance,
    )


def _axes(axes):
    """Returns the points of every parameter as a tuple of arrays."""
    if not isinstance(axes, list | tuple) or not axes:
        raise ValueError(
            f"axes must be a list with the points of every parameter, got {arguments.described(axes)}"
        )
    axes = tuple(arguments.finite(f"axes[{p}]", axis, 1) for p, axis in enumerate(axes))
    for p, axis in enumerate(axes):
        if len(axis) < 3 or (np.diff(axis) <= 0).any():
            raise ValueError(f"axes[{p}] must hold at least 3 increasing points, got {len(axis)} points")
    return axes


def _value(name, value, point, shape=None):
    """Returns values of a log density after checking that they are below infinity."""
    value = np.asarray(value, dtype=np.float64)
    invalid = np.isnan(value) | (value == np.inf)
    fits = value.ndim == 1 if shape is None else value.shape == shape
    if fits and not invalid.any():
        return value
    place = f"{name} at {arguments.described([float(x) for x in point])}"
    if not fits:
        rule = "have shape [N]" if shape is None else "be a number"
        raise ValueError(f"{place} must {rule}, got shape {value.shape}")
    raise ValueError(f"{place} must be below infinity and not nan, got {value[invalid][0]}")


def _integrate(values, axes, parameters):
    """Integrates over some parameters by the trapezoidal rule."""
    for p in sorted(parameters, reverse=True):
        values = np.tensordot(values, cell_widths(axes[p]), (p, 0))
    return values


def _moments(density, axes):
    weights = density
    for p, axis in enumerate(axes):
        weights = weights * cell_widths(axis).reshape([-1 if q == p else 1 for q in range(len(axes))])
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    mean = weights.ravel() @ theta
    deviations = theta - mean
    return mean, (weights.ravel()[:, None] * deviations).T @ deviations
