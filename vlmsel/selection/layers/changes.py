"""Statistics of paired answers: items gained and items lost."""

import math

Z95 = 1.96


def mid_p(up: int, down: int) -> float:
    """One-sided mid-p of McNemar's test: P(X > up) + P(X = up) / 2, X ~ Bin(up + down, 1/2).

    Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013).

    Args:
        up: items gained.
        down: items lost.

    Returns:
        1 where nothing changed.
    """
    total = up + down
    if total == 0:
        return 1.0
    # Imported here: it takes a second, and few commands need it.
    from scipy.stats import binom

    return float(binom.sf(up, total, 0.5) + binom.pmf(up, total, 0.5) / 2)


def agresti_min(up: int, down: int, n_items: int) -> tuple[float, float, float]:
    """Centre, lower and upper end of the 95 % interval of a difference of paired proportions.

    Centre (up - down) / (n + 2), half width 1.96 sqrt(up + down + 1 - (up - down)^2 / (n + 2)) /
    (n + 2), cut to -1 .. 1; Agresti and Min, Statistics in Medicine 24 (2005).

    Args:
        up: items gained.
        down: items lost.
        n_items: of which they are.
    """
    size = n_items + 2
    difference = up - down
    centre = difference / size
    half = Z95 * math.sqrt(up + down + 1 - difference**2 / size) / size
    return centre, max(-1.0, centre - half), min(1.0, centre + half)


def wilson_lower(hits: int, n_items: int) -> float:
    """Lower end of Wilson's 95 % interval of a proportion; 0 of no items."""
    if n_items == 0:
        return 0.0
    share, z2 = hits / n_items, Z95**2
    half = Z95 * math.sqrt(share * (1 - share) / n_items + z2 / (4 * n_items**2))
    return (share + z2 / (2 * n_items) - half) / (1 + z2 / n_items)
