"""Maximum likelihood and maximum a posteriori estimation by optimization (Secs. 3.4 and 3.4.1).

The loss is the mean of -log p_theta(x_i). Any smooth log density is valid. Derivatives are central
differences in units in which the loss changes by order one, so parameters may be of any magnitude. The
inverse of the observed Fisher matrix, the Hessian of the total loss, gives the standard errors; for large N
it is the Cramer-Rao bound.

The search finds the maximum near the start. A `ValueError` is raised if there is none, because the likelihood
grows without bound or does not depend on a parameter, or if the maximum is not smooth, as for the width of
uniform data or the median of Laplace data.

Legend: N examples, P parameters theta.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

from .. import arguments

# Step of the differences, in units of the scales. Second derivatives then have truncation errors of 1e-7 and
# rounding errors of 1e-8.
_STEP = 1e-3
_MAX_ROUNDS = 10
_MIN_GAIN = 1e-3  # The search ends when a round gains less than this, in nats per example.
_MAX_NEWTON_STEPS = 20
_CONVERGED = 1e-10  # Tolerance on twice the predicted gain in nats; it corresponds to 1e-5 standard errors.


@dataclass(frozen=True)
class Estimate:
    """A point estimate and its uncertainty.

    Args:
        parameters: theta at the maximum, [P].
        standard_errors: Square roots of the diagonal of `covariance`, [P].
        covariance: Inverse of `information`, [P, P].
        information: Observed Fisher matrix at the maximum, [P, P]: the Hessian of -sum_i log p(x_i),
            plus that of -log p_prior for a posterior.
        log_likelihood: sum_i log p(x_i) at `parameters`, in nats, without the prior.
    """

    parameters: np.ndarray
    standard_errors: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    log_likelihood: float


def negative_log_likelihood(log_density, data, parameters):
    """Returns the loss L = -(1/N) sum_i log p_theta(x_i), in nats (Eq. 3.4.3).

    It is the cross-entropy between the frequencies P in the data and the model, S(P) + KL(P || p_theta)
    (Eq. 3.4.4). If the data are (x, y) and `log_density` is that of y given x, it is Eq. 3.4.5.

    Args:
        log_density: Function `log_density(data, parameters)` that returns log p_theta(x_i), [N].
        data: First argument of `log_density`: an array, or a tuple of arrays such as (x, y).
        parameters: theta, [P].

    Returns:
        The loss; infinite if the model excludes an example.

    Raises:
        ValueError: If `log_density` does not return an array [N], or a value is NaN or plus infinity.
    """
    values = _log_densities(log_density, data, np.asarray(parameters, dtype=np.float64))
    invalid = np.isnan(values) | (values == np.inf)
    if invalid.any():
        index = arguments.first_index(invalid)
        raise ValueError(
            f"log_density(data, parameters){index} must be below infinity, got {values[invalid][0]}"
        )
    return float(-np.mean(values))


def maximum_likelihood(log_density, data, start):
    """Finds the theta that maximizes sum_i log p_theta(x_i) (Eqs. 3.4.1 and 3.4.2).

    The estimate is consistent, and efficient as N goes to infinity. At finite N it is biased in general,
    contrary to footnote 6 of the notes (docs/errata.md).

    Args:
        log_density: Function `log_density(data, parameters)` that returns log p_theta(x_i), [N]; minus
            infinity or NaN if the parameters are not valid.
        data: First argument of `log_density`: an array, or a tuple of arrays such as (x, y).
        start: Initial parameters, [P], or a number if P = 1.

    Returns:
        An `Estimate`.

    Raises:
        ValueError: If the start is not valid, or there is no smooth maximum near it.

    Example:
        >>> from scipy.stats import norm
        >>> x = np.array([1.0, 2.0, 3.0, 6.0])
        >>> fit = maximum_likelihood(lambda x, p: norm.logpdf(x, p[0], p[1]), x, start=[0.0, 1.0])
        >>> fit.parameters.round(4)  # the mean and the naive standard deviation
        array([3.    , 1.8708])
    """
    return _maximize(log_density, None, data, start)


def maximum_a_posteriori(log_density, log_prior, data, start):
    """Finds the theta that maximizes log p_prior(theta) + sum_i log p_theta(x_i) (Eqs. 3.4.6 and 3.4.7).

    The prior contributes a fixed number of nats, so its part of the mean loss falls as 1/N. Unlike maximum
    likelihood, the result depends on the choice of parameters: a density over sigma and the same density over
    sigma^2 have their maxima at different models.

    Args:
        log_density: As in `maximum_likelihood`.
        log_prior: Function `log_prior(parameters)` that returns a number; it need not be normalized.
        data: As in `maximum_likelihood`.
        start: Initial parameters, [P], or a number if P = 1.

    Returns:
        An `Estimate`; its covariance is that of Laplace's approximation, the Gaussian that matches the
        curvature of the log posterior at its maximum.

    Raises:
        ValueError: As in `maximum_likelihood`.
    """
    return _maximize(log_density, log_prior, data, start)


def _maximize(log_density, log_prior, data, start):
    start = np.atleast_1d(arguments.finite("start", start))
    if start.ndim != 1 or start.size == 0:
        raise ValueError(f"start must have shape [P], got {start.shape}")
    n = _check_start(log_density, log_prior, data, start)
    loss = partial(_loss, log_density, log_prior, data)
    parameters, scale, hessian = _polish(loss, _approach(loss, start), n)
    information = n * hessian / np.outer(scale, scale)
    covariance = cho_solve(cho_factor(n * hessian), np.eye(len(scale))) * np.outer(scale, scale)
    _check_maximum(loss, parameters, n, covariance)
    return Estimate(
        parameters=parameters,
        standard_errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        information=information,
        log_likelihood=float(np.sum(_log_densities(log_density, data, parameters))),
    )


def _log_densities(log_density, data, parameters):
    with np.errstate(all="ignore"):
        values = np.asarray(log_density(data, parameters), dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"log_density(data, parameters) must have shape [N], got {values.shape}")
    return values


def _check_start(log_density, log_prior, data, start):
    """Returns the number of examples after checking that the densities at the start are finite."""
    values = arguments.finite("log_density(data, start)", _log_densities(log_density, data, start))
    if log_prior is not None:
        arguments.finite("log_prior(start)", log_prior(start), ndim=0)
    return len(values)


def _loss(log_density, log_prior, data, parameters):
    """Returns the loss per example, prior included; infinite where the parameters are not valid."""
    values = _log_densities(log_density, data, parameters)
    total = np.sum(values)
    if log_prior is not None:
        with np.errstate(all="ignore"):
            total = total + log_prior(parameters)
    return -float(total) / len(values) if np.isfinite(total) else np.inf


def _approach(loss, parameters):
    """Returns a point near the maximum: Nelder-Mead and BFGS alternate until a round gains little."""
    for _ in range(_MAX_ROUNDS):
        # Nelder-Mead crosses regions of zero likelihood, which have no gradient, but may stop too early.
        sides = 0.1 * np.where(parameters == 0, 1, np.abs(parameters))
        simplex = parameters + np.vstack([np.zeros_like(sides), np.diag(sides)])
        options = {"initial_simplex": simplex, "adaptive": True, "xatol": np.inf, "fatol": 1e-5}
        near = minimize(loss, parameters, method="Nelder-Mead", options=options).x
        scale = _scales(loss, near)
        # BFGS converges in many dimensions. Its differences may encounter infinite losses.
        with np.errstate(invalid="ignore"):
            u = minimize(partial(_shifted, loss, near, scale), np.zeros_like(near), jac="3-point", tol=1e-9).x
        parameters = near + scale * u
        if loss(near) - loss(parameters) < _MIN_GAIN:
            break
    return parameters


def _shifted(loss, parameters, scale, u):
    return loss(parameters + scale * u)


def _scales(loss, parameters):
    """Returns the change of each parameter for which the loss has a second difference of 0.01 to 1 nat."""
    center, scales = loss(parameters), np.where(parameters == 0, 1.0, np.abs(parameters))
    for i in range(len(parameters)):
        for _ in range(200):
            step = np.zeros_like(parameters)
            step[i] = scales[i]
            second_difference = loss(parameters + step) + loss(parameters - step) - 2 * center
            if not np.isfinite(second_difference) or second_difference > 1:
                scales[i] /= 5
            elif second_difference < 0.01:
                scales[i] *= 3
            else:
                break
        else:
            raise ValueError(
                f"log_density must have a smooth maximum, but it is not concave in parameters[{i}] near "
                f"{parameters}"
            )
    return scales


def _polish(loss, parameters, n):
    """Takes Newton steps to the maximum. Returns it, the scales, and the Hessian in units of the scales."""
    for _ in range(_MAX_NEWTON_STEPS):
        scale = _scales(loss, parameters)
        gradient, hessian = _derivatives(loss, parameters, scale, _STEP)
        try:
            step = cho_solve(cho_factor(hessian), gradient)
        except (LinAlgError, ValueError):
            raise ValueError(
                f"log_density must have a smooth maximum, but it is not concave at {parameters}"
            ) from None
        if n * gradient @ step < _CONVERGED:
            break
        parameters = parameters - scale * step
    else:
        raise ValueError(
            f"log_density must have a smooth maximum, but its gradient does not vanish near {parameters}"
        )
    _, coarse = _derivatives(loss, parameters, scale, 3 * _STEP)
    size = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    if not np.all(np.abs(coarse - hessian) < 0.01 * size):
        raise ValueError(
            f"log_density must be smooth at its maximum {parameters}: otherwise there are no standard errors"
        )
    return parameters, scale, hessian


def _derivatives(loss, parameters, scale, step):
    """Returns the gradient [P] and the Hessian [P, P] by central differences, in units of the scales."""
    size = len(parameters)
    shifts = step * np.diag(scale)
    center = loss(parameters)
    forward = np.array([loss(parameters + s) for s in shifts])
    backward = np.array([loss(parameters - s) for s in shifts])
    hessian = np.diag(forward + backward - 2 * center)
    for i in range(size):
        for j in range(i):
            corners = [
                loss(parameters + a * shifts[i] + b * shifts[j])
                for a, b in ((1, 1), (-1, -1), (1, -1), (-1, 1))
            ]
            hessian[i, j] = hessian[j, i] = (corners[0] + corners[1] - corners[2] - corners[3]) / 4
    return (forward - backward) / (2 * step), hessian / step**2


def _check_maximum(loss, parameters, n, covariance):
    """Checks that the likelihood decreases over one standard error in every principal direction."""
    values, vectors = np.linalg.eigh(covariance)
    center = loss(parameters)
    for step in (np.sqrt(values) * vectors).T:
        for sign in (1, -1):
            # At a maximum the log-likelihood falls by about 1/2; for separable classes it keeps growing.
            if n * (loss(parameters + sign * step) - center) < 0.05:
                raise ValueError(f"log_density must have a maximum, but it still grows at {parameters}")
