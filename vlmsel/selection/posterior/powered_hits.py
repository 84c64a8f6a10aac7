"""Prediction-powered hits: answers on unlabelled images lower the noise of hit rates, unbiased.

The answers need not be right to be useful. Numbers that are known on every image without labels,
such as how many other models give a model's answer, are control variates: what their mean over the
labelled images differs from their mean over all images tells how lucky the labelled ones are.
"""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED, look_up_answers
from vlmsel.selection.estimators.one_coin import one_coin
from vlmsel.selection.estimators.pair_agreement_estimate import answer_shares
from vlmsel.selection.posterior.observation import Observation, hit_correlation, observe_counts

LEAST_RATIO, MOST_RATIO = 0.05, 1.0
RIDGE, SHRINKAGE = 1e-6, 0.3
# With fewer labels nothing is known of how the controls go with the hits.
LEAST_LABELS = 3


@dataclass(frozen=True)
class PoweredHits:
    """Hit rates with less noise.

    Attributes:
        rates: (models,), theta, 0..1; NaN for a model without a labelled image.
        factors: (controls,), lambda.
        raw_ratio: variance of the contrasts between models over that of plain hits, as measured.
        ratio: the same, corrected for the choice of lambda; 0.05..1.
        n_labels: (models,), labelled images of each model.
    """

    rates: np.ndarray
    factors: np.ndarray
    raw_ratio: float
    ratio: float
    n_labels: np.ndarray


def agreement_controls(
    answers: np.ndarray, n_classes: int, *, votes: np.ndarray | None = None
) -> np.ndarray:
    """Return the two controls made of answers: share of the others, one-coin probability.

    Args:
        answers: (models, images), see `vlmsel.selection.estimators.answers`.
        n_classes: number of classes.
        votes: (models,), 0 for near-duplicates: they get controls and cast no vote.

    Returns:
        (2, models, images), NaN where a prediction failed.
    """
    shares = answer_shares(answers, n_classes, votes=votes)
    classes = one_coin(answers, n_classes, votes=votes).classes
    probable = np.where(answers == FAILED, np.nan, look_up_answers(classes, answers))
    return np.stack([shares, probable])


def power_hits(hits: np.ndarray, controls: np.ndarray, labelled: np.ndarray) -> PoweredHits:
    """Adjust the hit rates of a few labelled images by controls known on all images.

    b_c = sum over models and labelled images of the contrasts of h times A_c, over n - 1; G_cd the
    same of A_c and A_d over all N images, over N; lambda = (G + 1e-6 tr(G) I + .3 diag(G))^-1 b /
    (1 + n / N); theta_m = mean h + sum_c lambda_c (mean over all A_c - mean over labelled A_c). A
    contrast takes off each image's mean over the models, then each model's mean over the images.
    Fewer than 3 labels, and N = n, change nothing.

    Args:
        hits: (labelled images, models) of 1, 0 and NaN (failed).
        controls: (controls, models, images), NaN where a prediction failed.
        labelled: (labelled images,), their places among the images, each once.

    Raises:
        SelectionError: the shapes do not fit.
    """
    h, a, at = np.asarray(hits, float).T, np.asarray(controls, float), np.asarray(labelled, int)
    if a.ndim != 3 or h.shape != (a.shape[1], len(at)) or len(np.unique(at)) < len(at):
        raise SelectionError(
            f"powered hits need one row of hits a labelled image: hits {h.T.shape}, controls "
            f"{a.shape}, {len(at)} labelled images"
        )
    n, n_all = len(at), a.shape[2]
    known_all = np.asarray(np.isfinite(a).all(axis=0))
    known = np.isfinite(h) & known_all[:, at]
    counted = known.sum(axis=1)
    plain = _mean(h, known)
    c = len(a)
    if n < LEAST_LABELS or n_all <= n or not c:
        return PoweredHits(plain, np.zeros(c), 1.0, 1.0, counted)
    of_hits = _contrast(h, known)
    of_labelled = np.stack([_contrast(x[:, at], known) for x in a])
    of_all = np.stack([_contrast(x, known_all) for x in a])
    b = (of_labelled * of_hits).sum(axis=(1, 2)) / (n - 1)
    g = np.einsum("cmi,dmi->cd", of_all, of_all) / n_all
    factors = _factors(g, b, n / n_all)
    shift = np.stack([_mean(x, known_all) - _mean(x[:, at], known) for x in a])
    rates = np.clip(plain + factors @ np.where(np.isfinite(shift), shift, 0.0), 0.0, 1.0)
    variance = (of_hits**2).sum() / (n - 1)
    if variance <= 0:
        return PoweredHits(rates, factors, 1.0, 1.0, counted)
    moved = factors @ g @ factors
    raw = ((variance - 2 * factors @ b + moved) / n + moved / n_all) / (variance / n)
    ratio = raw + (1 - raw) * min(1.0, c / (n - 1))
    ratio = float(np.clip(ratio, LEAST_RATIO, MOST_RATIO))
    return PoweredHits(rates, factors, float(raw), ratio, counted)


def observe_powered_hits(powered: PoweredHits, hits: np.ndarray, *, more: int = 0) -> Observation:
    """Take powered hits as an observation: n / r images, of which theta n / r are hits.

    Args:
        powered: of `power_hits`.
        hits: (labelled images, models), the plain ones, for their correlation.
        more: labels to count beside those there are in the noise alone.
    """
    n = powered.n_labels / powered.ratio
    rates = np.where(powered.n_labels > 0, powered.rates, 0.0)
    return observe_counts(rates * n, n, hit_correlation(hits), more=more / powered.ratio)


def _factors(g: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Solve for lambda; controls that do not vary get 0."""
    ridge = RIDGE * np.trace(g) * np.eye(len(g)) + SHRINKAGE * np.diag(np.diagonal(g))
    varies = np.diagonal(g) > 1e-15
    factors = np.zeros(len(b))
    if varies.any():
        system = (g + ridge)[np.ix_(varies, varies)]
        factors[varies] = np.linalg.solve(system, b[varies]) / (1 + share)
    return factors


def _mean(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of each row where known; NaN for none."""
    n = known.sum(axis=1)
    return np.where(n > 0, np.where(known, x, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)


def _contrast(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Take off each image's mean over the models, then each model's mean; 0 where not known."""
    by_image = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    rest = np.where(known, x - by_image, 0.0)
    by_model = rest.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, rest - by_model, 0.0)
