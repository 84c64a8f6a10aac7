"""Shrinkage of a covariance: Ledoit and Wolf's intensity from a decomposition."""

from vlmsel.selection.scores.support.decomposition import Decomposition


def ledoit_wolf(parts: Decomposition) -> float:
    """Return the intensity a of S_a = (1 - a) S + a tr(S) / d I, S with 1 / n.

    Equal to `sklearn.covariance.ledoit_wolf_shrinkage`, of the singular values and the lengths of
    the rows alone:

    b = (mean |x_i|^4 - |S|^2) / (n d), e = (|S|^2 - tr(S)^2 / d) / d, a = min(b, e) / e.
    """
    variances = parts.singular**2 / parts.n
    lengths = ((parts.left_vectors * parts.singular) ** 2).sum(axis=1)
    squared = (variances**2).sum()
    distance = (squared - variances.sum() ** 2 / parts.d) / parts.d
    noise = ((lengths**2).mean() - squared) / (parts.n * parts.d)
    noise = min(noise, distance)
    return 0.0 if noise <= 0 else float(noise / distance)
