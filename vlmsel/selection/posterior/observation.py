"""Observations of a target: hit rates on labelled images, noisy values on the prior's scale."""

from dataclasses import dataclass

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED

MOST_CORRELATION = 0.95
# Fewer images say nothing of how hits move together.
LEAST_IMAGES = 3


@dataclass(frozen=True)
class Observation:
    """Noisy values of some models: y ~ N(x[models], noise).

    Attributes:
        models: (observed,), places of the models in the zoo; a model may be absent.
        y: (observed,), on the scale arcsin(sqrt(p)).
        noise: (observed, observed), covariance.
    """

    models: np.ndarray
    y: np.ndarray
    noise: np.ndarray


def hit_matrix(answers: np.ndarray, truth: np.ndarray, n_classes: int) -> tuple[np.ndarray, int]:
    """Compare predictions with labels.

    Args:
        answers: (models, images), class numbers; an answer outside the classes (`OUTSIDE`) never
            hits, one that failed (`FAILED`) is a hole, see `vlmsel.selection.estimators.answers`.
        truth: (images,), class numbers; an image in none of the classes (below 0, or `n_classes`
            and above) is dropped.
        n_classes: number of classes.

    Returns:
        (kept images, models) of 1, 0 and NaN (failed), and how many images were dropped.

    Raises:
        SelectionError: there is not one label per image.
    """
    classes, labels = np.asarray(answers).T, np.asarray(truth)
    if classes.ndim != 2 or labels.shape != classes.shape[:1]:
        raise SelectionError(
            f"one label per image is needed: answers {classes.T.shape}, labels {labels.shape}"
        )
    kept = (labels >= 0) & (labels < n_classes)
    chosen = classes[kept]
    hits = np.where(chosen == FAILED, np.nan, chosen == labels[kept, None])
    return hits.astype(float), int((~kept).sum())


def hit_correlation(hits: np.ndarray) -> float:
    """Estimate the common correlation of the models' hits over images.

    rho = (M^2 Var(row means) - sum_m b_m) / ((sum_m sqrt b_m)^2 - sum_m b_m), b_m the population
    variance of column m; cut to 0..0.95; 0 with fewer than 3 images or where nothing varies.

    Args:
        hits: (images, models) of 1, 0 and NaN; only images that all models have count, and models
            without any image are no part of it.
    """
    usable = hits[:, np.isfinite(hits).any(axis=0)]
    usable = usable[np.isfinite(usable).all(axis=1)]
    if len(usable) < LEAST_IMAGES or usable.shape[1] < 2:
        return 0.0
    b = usable.var(axis=0)
    independent = np.sqrt(b).sum() ** 2 - b.sum()
    if independent <= 1e-12:
        return 0.0
    common = usable.mean(axis=1).var() * usable.shape[1] ** 2 - b.sum()
    return float(np.clip(common / independent, 0.0, MOST_CORRELATION))


def observe_counts(
    hits: np.ndarray, images: np.ndarray | float, rho: float, *, more: float = 0
) -> Observation:
    """Turn hit counts into an observation.

    y = arcsin(sqrt((k + 3/8) / (n + 3/4))) (Anscombe), v = 1 / (4 (n + 1/2)), covariance rho
    sqrt(v_i v_j) between models.

    Args:
        hits: (models,), k; need not be whole (powered hits).
        images: (models,) or one number, n; models with 0 are not observed.
        rho: common correlation.
        more: images to count beside those there are in the noise alone: what as many further
            labels would bring, were they to say the same.
    """
    k = np.asarray(hits, dtype=float)
    n = np.broadcast_to(np.asarray(images, dtype=float), k.shape)
    models = np.flatnonzero(n > 0)
    k, n = k[models], n[models]
    y = np.arcsin(np.sqrt(np.clip((k + 0.375) / (n + 0.75), 0.0, 1.0)))
    variance = 1 / (4 * (n + more + 0.5))
    noise = rho * np.sqrt(np.outer(variance, variance))
    np.fill_diagonal(noise, variance)
    return Observation(models, y, noise)


def observe_hits(hits: np.ndarray, *, more: int = 0) -> Observation:
    """Turn hits on labelled images, drawn at random, into an observation.

    Args:
        hits: (images, models) of 1, 0 and NaN where the image failed for the model; a model that
            has no image is not observed.
        more: labels to count beside those there are in the noise alone.
    """
    table = np.asarray(hits, dtype=float)
    known = np.isfinite(table)
    counts = np.where(known, table, 0.0).sum(axis=0)
    return observe_counts(counts, known.sum(axis=0), hit_correlation(table), more=more)
