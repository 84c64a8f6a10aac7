"""Partial optimal transport between two sets of classes, solved as a linear programme."""

import numpy as np

from vlmsel.errors import SelectionError

# The simplex takes minutes beyond.
MOST_PAIRS = 200_000


def partial_transport(cost: np.ndarray, mass: float) -> np.ndarray:
    """Plan of least cost that moves a share of the mass, every class of a side weighing the same.

    Minimises sum(plan * cost) with plan >= 0, row sums of at most 1 / n, column sums of at most
    1 / k and a total of `mass`.

    Args:
        cost: (n, k), finite.
        mass: share that is moved, above 0 and at most 1.

    Returns:
        (n, k).

    Raises:
        SelectionError: a number is impossible, there are too many classes, or no plan is found.
    """
    n, k = cost.shape
    if not (n and k and 0 < mass <= 1 and np.isfinite(cost).all()):
        raise SelectionError("a transport needs classes on both sides, costs, and a mass of 0 to 1")
    if n * k > MOST_PAIRS:
        raise SelectionError(
            f"a transport of {n} to {k} classes is too large, at most {MOST_PAIRS} pairs are moved"
        )
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    pairs = np.arange(n * k)
    rows = np.concatenate([pairs // k, n + pairs % k])
    limits = coo_array((np.ones(2 * n * k), (rows, np.tile(pairs, 2))), shape=(n + k, n * k))
    found = linprog(
        cost.ravel(),
        A_ub=limits.tocsr(),
        b_ub=np.repeat([1 / n, 1 / k], [n, k]),
        A_eq=np.ones((1, n * k)),
        # The whole mass is a limit that rounding may put out of reach.
        b_eq=[min(mass, 1 - 1e-9)],
        method="highs",
    )
    if found.x is None:
        raise SelectionError(f"no transport plan was found: {found.message}")
    return np.maximum(found.x, 0.0).reshape(n, k)
