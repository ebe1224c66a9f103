"""Maximum likelihood and maximum a posteriori as optimization, with standard errors (Secs. 3.4 and 3.4.1).

The loss is the mean of -log p_theta(x_i). Any smooth log-density will do: derivatives are central differences
in units in which the likelihood changes by order one, so that parameters of any size are found. The inverse
of the observed Fisher matrix, the Hessian of the total loss, gives the standard errors; for large N it is the
Cramer-Rao bound.

What is found is the maximum near the start. Where there is none (a likelihood that grows without end, or a
parameter on which it does not depend) or it is a corner (the width of uniform data, the median of Laplace
data) a `ValueError` says so.

Legend: N examples, P parameters theta.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

from .. import arguments

_STEP = 1e-3  # Of a parameter's scale: truncation 1e-7 and rounding 1e-8 of a second derivative.
_TURNS, _GAIN = 10, 1e-3  # Of the search; nats an example.
_NEWTON_STEPS = 20
_CONVERGED = 1e-10  # Twice the log-likelihood still to be gained, in nats: 1e-5 of a standard error.


@dataclass(frozen=True)
class Estimate:
    """A point estimate and its uncertainty.

    Args:
        parameters: theta at the maximum, [P].
        standard_errors: Square roots of the diagonal of `covariance`, [P].
        covariance: Inverse of `information`, [P, P].
        information: Observed Fisher matrix: the Hessian of -sum_i log p(x_i) and, for a posterior, of
            -log p_prior, at the maximum, [P, P].
        log_likelihood: sum_i log p(x_i) at `parameters`, in nats, without the prior.
    """

    parameters: np.ndarray
    standard_errors: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    log_likelihood: float


def negative_log_likelihood(log_density, data, parameters):
    """Returns the loss L = -(1/N) sum_i log p_theta(x_i), in nats (Eq. 3.4.3).

    It is the cross-entropy between the data's frequencies P and the model, S(P) + KL(P || p_theta)
    (Eq. 3.4.4). With data (x, y) and `log_density` that of y given x it is Eq. 3.4.5.

    Args:
        log_density: Function `log_density(data, parameters)` that returns log p_theta(x_i), [N].
        data: What `log_density` takes: an array, or several, as (x, y).
        parameters: theta, [P].

    Returns:
        The loss; infinite where the model excludes an example.

    Raises:
        ValueError: If `log_density` does not return an array [N], or a value is NaN or plus infinity.
    """
    values = _log_densities(log_density, data, np.asarray(parameters, dtype=np.float64))
    bad = np.isnan(values) | (values == np.inf)
    if bad.any():
        index = arguments.first_index(bad)
        raise ValueError(f"log_density(data, parameters){index} must be below infinity, got {values[bad][0]}")
    return float(-np.mean(values))


def maximum_likelihood(log_density, data, start):
    """Finds the theta that maximizes sum_i log p_theta(x_i) (Eqs. 3.4.1 and 3.4.2).

    The estimate is consistent, and efficient as N goes to infinity. At finite N it is in general biased, and
    the notes' footnote 6 is wrong (docs/errata.md).

    Args:
        log_density: Function `log_density(data, parameters)` that returns log p_theta(x_i), [N]; minus
            infinity or NaN where the parameters are not valid.
        data: What `log_density` takes: an array, or several, as (x, y).
        start: Where to start, [P], or a number if P = 1.

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

    The prior is worth a fixed number of nats, so its share of the mean loss falls as 1/N. Unlike the maximum
    of the likelihood, this one moves with the choice of parameters: a density over sigma and the same one
    over sigma^2 peak at different places.

    Args:
        log_density: As for `maximum_likelihood`.
        log_prior: Function `log_prior(parameters)` that returns a number; it need not be normalized.
        data: As for `maximum_likelihood`.
        start: Where to start, [P], or a number if P = 1.

    Returns:
        An `Estimate`; its covariance is that of the Gaussian that touches the posterior at its maximum
        (Laplace's approximation).

    Raises:
        ValueError: As `maximum_likelihood`.
    """
    return _maximize(log_density, log_prior, data, start)


def _maximize(log_density, log_prior, data, start):
    start = np.atleast_1d(arguments.finite("start", start))
    if start.ndim != 1 or start.size == 0:
        raise ValueError(f"start must have shape [P], got {start.shape}")
    n = _check_start(log_density, log_prior, data, start)
    loss = partial(_loss, log_density, log_prior, data)
    parameters, scale, hessian = _polish(loss, _climb(loss, start), n)
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
    """Returns the number of examples after checking that the start has a posterior density."""
    values = arguments.finite("log_density(data, start)", _log_densities(log_density, data, start))
    if log_prior is not None:
        arguments.finite("log_prior(start)", log_prior(start), ndim=0)
    return len(values)


def _loss(log_density, log_prior, data, parameters):
    """Returns the loss for each example, with the prior's share 1/N, and infinity outside of the model."""
    values = _log_densities(log_density, data, parameters)
    total = np.sum(values)
    if log_prior is not None:
        with np.errstate(all="ignore"):
            total = total + log_prior(parameters)
    return -float(total) / len(values) if np.isfinite(total) else np.inf


def _climb(loss, parameters):
    """Returns a point near the maximum: a simplex and BFGS take turns until BFGS gains next to nothing."""
    for _ in range(_TURNS):
        # The simplex crosses regions of no likelihood, where gradients end, but may shrink too early.
        sides = 0.1 * np.where(parameters == 0, 1, np.abs(parameters))
        simplex = parameters + np.vstack([np.zeros_like(sides), np.diag(sides)])
        options = {"initial_simplex": simplex, "adaptive": True, "xatol": np.inf, "fatol": 1e-5}
        near = minimize(loss, parameters, method="Nelder-Mead", options=options).x
        scale = _scales(loss, near)
        # BFGS converges in many dimensions. Its differences meet infinite losses.
        with np.errstate(invalid="ignore"):
            u = minimize(partial(_shifted, loss, near, scale), np.zeros_like(near), jac="3-point", tol=1e-9).x
        parameters = near + scale * u
        if loss(near) - loss(parameters) < _GAIN:
            break
    return parameters


def _shifted(loss, parameters, scale, u):
    return loss(parameters + scale * u)


def _scales(loss, parameters):
    """Returns for each parameter a change for which the loss of an example bends by 0.01 to 1 nat."""
    centre, scales = loss(parameters), np.where(parameters == 0, 1.0, np.abs(parameters))
    for i in range(len(parameters)):
        for _ in range(200):
            step = np.zeros_like(parameters)
            step[i] = scales[i]
            bend = loss(parameters + step) + loss(parameters - step) - 2 * centre
            if not np.isfinite(bend) or bend > 1:
                scales[i] /= 5
            elif bend < 0.01:
                scales[i] *= 3
            else:
                break
        else:
            raise ValueError(
                f"log_density has no smooth maximum: parameters[{i}] does not bend it down near {parameters}"
            )
    return scales


def _polish(loss, parameters, n):
    """Takes Newton steps to the maximum; returns it, the scales, and the loss's Hessian in their units."""
    for _ in range(_NEWTON_STEPS):
        scale = _scales(loss, parameters)
        gradient, hessian = _derivatives(loss, parameters, scale, _STEP)
        try:
            step = cho_solve(cho_factor(hessian), gradient)
        except (LinAlgError, ValueError):
            raise ValueError(
                f"log_density has no smooth maximum: it does not bend down at {parameters}"
            ) from None
        if n * gradient @ step < _CONVERGED:
            break
        parameters = parameters - scale * step
    else:
        raise ValueError(f"log_density has no smooth maximum: its gradient does not vanish near {parameters}")
    _, coarse = _derivatives(loss, parameters, scale, 3 * _STEP)
    size = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    if not np.all(np.abs(coarse - hessian) < 0.01 * size):
        raise ValueError(f"log_density is not smooth at its maximum {parameters}: it has no standard errors")
    return parameters, scale, hessian


def _derivatives(loss, parameters, scale, step):
    """Returns the gradient [P] and the Hessian [P, P] by central differences, in units of the scales."""
    size = len(parameters)
    shifts = step * np.diag(scale)
    centre = loss(parameters)
    forward = np.array([loss(parameters + s) for s in shifts])
    backward = np.array([loss(parameters - s) for s in shifts])
    hessian = np.diag(forward + backward - 2 * centre)
    for i in range(size):
        for j in range(i):
            corners = [
                loss(parameters + a * shifts[i] + b * shifts[j])
                for a, b in ((1, 1), (-1, -1), (1, -1), (-1, 1))
            ]
            hessian[i, j] = hessian[j, i] = (corners[0] + corners[1] - corners[2] - corners[3]) / 4
    return (forward - backward) / (2 * step), hessian / step**2


def _check_maximum(loss, parameters, n, covariance):
    """Refuses a point from which one standard error, in any principal direction, leads as high or higher."""
    values, vectors = np.linalg.eigh(covariance)
    centre = loss(parameters)
    for step in (np.sqrt(values) * vectors).T:
        for sign in (1, -1):
            # At a maximum the likelihood falls by about 1/2; that of separable classes keeps rising.
            if n * (loss(parameters + sign * step) - centre) < 0.05:
                raise ValueError(f"log_density has no maximum: it still grows at {parameters}")
