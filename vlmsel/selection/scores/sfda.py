"""SFDA: regularised Fisher discriminant, twice, the second time on harder features."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from scipy.special import softmax

from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled

LEAST_SHRINKAGE = 1e-10


class Sfda(NamedTuple):
    """SFDA and what it is made of.

    Attributes:
        score: mean probability of the true class in the second stage, higher is better.
        first_stage: the same in the first stage.
        shrinkage: of the covariance within classes.
    """

    score: float
    first_stage: float
    shrinkage: float


def sfda(features: Any, labels: Any) -> Sfda:
    """Mean probability of the true class after two discriminant fits (arXiv 2207.03036).

    W = (1 - a) Sw + a tr(Sw) / d I, a = max(exp(-5 lam1(Sw)), 1e-10); p = softmax(F W^-1 M'
    - 1/2 diag(M W^-1 M') + ln prior); then x_i moves to q_i x_i + (1 - q_i) (mean of the other
    classes' means), q_i = softmax(p_i)[y_i], and the fit is made once more with the same a.

    The images judged are those fitted: 1.0 for pure noise at n < d, so refuse it below n = 3 d. It
    depends on the scale of F through a.

    Args:
        features: (n, d); not changed, unlike in the reference.
        labels: (n,) classes.

    Raises:
        SelectionError: features or labels cannot be scored.
    """
    rows, groups = labelled(features, labels)
    within = _scatter_within(rows, groups)
    a = max(math.exp(-5 * _largest_eigenvalue(within)), LEAST_SHRINKAGE)
    first = _probabilities(rows, groups, within, a)
    q = softmax(first, axis=1)[np.arange(len(rows)), groups.codes][:, None]
    means = groups.means(rows)
    others = (means.sum(axis=0) - means) / (groups.n_classes - 1)
    harder = q * rows + (1 - q) * others[groups.codes]
    second = _probabilities(harder, groups, _scatter_within(harder, groups), a)
    true_class = np.arange(len(rows)), groups.codes
    return Sfda(float(second[true_class].mean()), float(first[true_class].mean()), a)


def _scatter_within(rows: np.ndarray, groups: LabelGroups) -> np.ndarray:
    """Sum over classes of p_c cov_c: the covariance of the rows around their class means."""
    centred = rows - groups.means(rows)[groups.codes]
    return centred.T @ centred / len(rows)


def _largest_eigenvalue(matrix: np.ndarray) -> float:
    """The reference's estimate: three double power steps from the row sums."""
    x = matrix.sum(axis=1)
    y = x
    for _ in range(3):
        y = _unit(matrix @ x)
        x = _unit(matrix @ y)
    return float(x @ matrix @ y)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def _probabilities(
    rows: np.ndarray, groups: LabelGroups, within: np.ndarray, a: float
) -> np.ndarray:
    d = len(within)
    scale = np.trace(within) / d
    if scale == 0:  # every class is one point: distances to the means are infinite or zero
        scale, within = 1.0, within + np.eye(d) * np.finfo(float).eps
    regular = (1 - a) * within
    regular[np.diag_indices(d)] += a * scale
    means = groups.means(rows)
    solved = _solve(regular, means.T)
    logits = rows @ solved - 0.5 * (means.T * solved).sum(axis=0) + np.log(groups.priors)
    return softmax(logits, axis=1)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive definite system; the least-squares way where it is singular."""
    try:
        return linalg.cho_solve(linalg.cho_factor(matrix, check_finite=False), right)
    except linalg.LinAlgError:
        return np.linalg.lstsq(matrix, right, rcond=None)[0]
