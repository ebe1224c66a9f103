"""Simulations of an estimator at several numbers of examples.

Legend: N examples, R repetitions, S sizes N.
"""

from dataclasses import dataclass

import numpy as np

from ...theory import estimators


@dataclass(frozen=True)
class Curve:
    """Simulations of one estimator at several sizes.

    Args:
        sizes: Numbers N of examples, [S].
        simulations: A `theory.estimators.Simulation` for each size, [S].
    """

    sizes: tuple
    simulations: tuple

    def values(self, name):
        """Returns one field of all simulations, [S]."""
        return np.array([getattr(s, name) for s in self.simulations])


def simulate(estimator, law, sizes, repeats, seed, truth):
    """Simulates an estimator at several sizes.

    Args:
        estimator: Function from data [R, N] to estimates [R].
        law: Frozen SciPy distribution of the data.
        sizes: Numbers N of examples, [S].
        repeats: Number R of data sets for each size.
        seed: Seed of the generator.
        truth: The true value of the estimated quantity.

    Returns:
        A `Curve`.
    """

    def sample(shape, rng):
        return law.rvs(size=shape, random_state=rng)

    rng = np.random.default_rng(seed)
    simulations = (estimators.simulate(estimator, sample, truth, int(n), repeats, rng) for n in sizes)
    return Curve(tuple(sizes), tuple(simulations))
