"""Whether expectation values are possible: targets inside, on the boundary or outside a convex hull.

Some distribution over N states has given expectation values of M features if they lie in the convex hull of
the states' features. Linear programs decide it.

Legend: N states, M constraints, R dimensions of the hull.
"""

import numpy as np
from scipy.optimize import linprog

# The tolerance is relative to the spread of the features. HiGHS works to 1e-10.
ON_BOUNDARY = 1e-9
_LINEAR_PROGRAM = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def supporting_plane(axes):
    """Returns the normal of a plane through the origin and the height of the lowest state above it.

    The plane maximizes this height at a mean height of 1. The height is positive if the origin is outside the
    hull, zero on its boundary, and negative inside.

    Args:
        axes: Coordinates of the states, [N, R], with the targets at the origin.

    Returns:
        (normal, height), or (`None`, minus infinity) if the origin is the center of the states.
    """
    rank = axes.shape[1]
    center = axes.mean(axis=0)
    # Few states matter: start from the extreme ones and add the lowest state until it is already included.
    active = [*axes.argmin(axis=0), *axes.argmax(axis=0)]
    while True:
        solution = linprog(
            np.append(np.zeros(rank), -1.0),
            A_ub=np.column_stack([-axes[active], np.ones(len(active))]),
            b_ub=np.zeros(len(active)),
            A_eq=np.append(center, 0.0)[None],
            b_eq=[1.0],
            bounds=[(-1 / ON_BOUNDARY, 1 / ON_BOUNDARY)] * rank + [(None, None)],
            options=_LINEAR_PROGRAM,
        )
        if not solution.success:
            # There is no plane within the bounds if the origin is the center of the states.
            return None, -np.inf
        normal, bound = solution.x[:-1], solution.x[-1]
        heights = axes @ normal
        lowest = int(heights.argmin())
        if bound < -ON_BOUNDARY or heights[lowest] >= bound - ON_BOUNDARY / 10 or lowest in active:
            return normal, bound
        active.append(lowest)


def infeasible(features, targets):
    """Returns a message that names the first target that is infeasible given those before it.

    Args:
        features: Value of the feature of constraint j in state i, [N, M].
        targets: Expectation values, [M], outside the convex hull of the rows of `features`.
    """
    scale = np.maximum(np.abs(features).max(axis=0), np.finfo(float).tiny)
    scaled, scaled_targets = features / scale, targets / scale
    for j, target in enumerate(scaled_targets):
        conditions = np.column_stack([np.ones(len(scaled)), scaled[:, :j]]).T
        ends = [
            linprog(
                sign * scaled[:, j],
                A_eq=conditions,
                b_eq=np.append(1.0, scaled_targets[:j]),
                method="highs-ipm",
                options=_LINEAR_PROGRAM,
            )
            for sign in (1, -1)
        ]
        # If a target passed only because of rounding, the next program is infeasible.
        if not all(end.success for end in ends):
            break
        low, high = ends[0].fun, -ends[1].fun
        condition = " given the targets before it" if j else ""
        interval = f"between {low * scale[j]:.10g} and {high * scale[j]:.10g}"
        message = f"targets[{j}] must be {interval}{condition}, got {targets[j]:.10g}"
        if not low - ON_BOUNDARY <= target <= high + ON_BOUNDARY:
            break
    return message
