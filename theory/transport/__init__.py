"""Optimal transport: Wasserstein distances, exact plans, and entropic regularization (Sec. 3.6).

The earth mover's distance needs a geometry: the cost C_ij of moving a unit of mass from point i to point j. A
plan P_ij >= 0 with row sums a_i and column sums b_j transports the distribution a to b. The distance is the
minimum of <P, C> = sum_ij P_ij C_ij over plans; for C = d^p, its p-th root W_p is a metric on distributions.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
