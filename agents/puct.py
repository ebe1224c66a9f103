"""The formulas of AlphaZero's search: the bonus for exploration and the policy of visit counts (Sec. 8.6).

Legend: A actions. Notation: c_puct is `c`, tau is `temperature`.
"""

import numpy as np

from .. import arguments


def exploration(priors, visits, total, c):
    """Returns U(s, a), Eq. 8.6.2.

    Args:
        priors: Probabilities p(a|s), [..., A].
        visits: Visit counts N(s, a), [..., A].
        total: Their sum over actions, [..., 1].
        c: The constant c_puct.
    """
    return c * priors * np.sqrt(total) / (1 + visits)


def visit_policy(visits, temperature=1.0):
    """Returns pi(a|s), Eq. 8.6.5.

    Args:
        visits: Visit counts N(s, a), at least one of them positive in each row, [..., A].
        temperature: tau, a number or an array [...]. At zero the actions with the largest count have equal
            probabilities, the limit of small temperatures.

    Returns:
        Probabilities, [..., A].

    Raises:
        ValueError: If a count or a temperature is negative, or a row has no visits.
    """
    visits = arguments.nonnegative("visits", visits)
    temperature = np.asarray(arguments.nonnegative("temperature", temperature))[..., None]
    largest = visits.max(-1, keepdims=True)
    arguments.require("visits", largest[..., 0], largest[..., 0] > 0, "have a positive count in each row")
    # Dividing by the largest count first, a power neither overflows nor loses the largest entry.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log(visits / largest)
        powers = np.exp(np.where(logs < 0, logs / temperature, 0.0))
    return powers / powers.sum(-1, keepdims=True)
