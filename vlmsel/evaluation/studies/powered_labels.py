"""Variance that predictions on unlabelled images save, on real predictions with known labels.

Images are drawn at random and their labels shown; the error of the contrasts between models, over
many draws, with powered hits is compared with that of plain hits, and with what the powered hits
said of themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from vlmsel.errors import SelectionError
from vlmsel.evaluation.simulated_labels import target_rng
from vlmsel.selection.estimators.answers import FAILED, OUTSIDE
from vlmsel.selection.estimators.vote import vote
from vlmsel.selection.posterior.observation import hit_matrix
from vlmsel.selection.posterior.powered_hits import agreement_controls, power_hits

LABELS = (10, 25, 50)
N_DRAWS = 80
LEAST_MODELS = 3


@dataclass(frozen=True)
class Answered:
    """Predictions of a zoo on labelled images, as arrays.

    Attributes:
        name: of the zoo and its images.
        answers: (models, images), class numbers, `OUTSIDE` or `FAILED`.
        truth: (images,), class numbers.
        n_classes: number of classes.
    """

    name: str
    answers: np.ndarray
    truth: np.ndarray
    n_classes: int

    @property
    def hits(self) -> np.ndarray:
        """(images, models) of 1, 0 and NaN."""
        return hit_matrix(self.answers, self.truth, self.n_classes)[0]


def lay_out_predictions(predictions: pl.DataFrame, name: str) -> Answered:
    """Lay predictions of one task out as arrays.

    Args:
        predictions: model, pretrained, image_id, prediction (null: outside the classes), label; a
            row that is absent is a prediction that failed.
        name: to call them.

    Raises:
        SelectionError: there are fewer than 3 models or 2 classes.
    """
    images = predictions.select("image_id", "label").unique().sort("image_id")
    models = predictions.select("model", "pretrained").unique().sort("model", "pretrained")
    classes = images["label"].unique().sort()
    if models.height < LEAST_MODELS or len(classes) < 2:
        raise SelectionError(
            f"{name} has {models.height} models and {len(classes)} classes; {LEAST_MODELS} models "
            "and 2 classes are needed"
        )
    numbers = {label: number for number, label in enumerate(classes)}
    places = predictions.join(models.with_row_index("m"), on=["model", "pretrained"]).join(
        images.select("image_id").with_row_index("i"), on="image_id"
    )
    answers = np.full((models.height, images.height), FAILED)
    given = pl.col("prediction").replace_strict(numbers, default=OUTSIDE, return_dtype=pl.Int64)
    cells = places.select("m", "i", given=given.fill_null(OUTSIDE)).to_numpy()
    answers[cells[:, 0], cells[:, 1]] = cells[:, 2]
    truth = np.array([numbers[label] for label in images["label"]])
    return Answered(name, answers, truth, len(classes))


def saving_of_predictions(
    answered: Answered, *, labels: Sequence[int] = LABELS, n_draws: int = N_DRAWS, seed: int = 0
) -> pl.DataFrame:
    """Compare powered with plain hits over random draws of labelled images.

    Args:
        answered: predictions with labels.
        labels: numbers of labelled images, 3 or more.
        n_draws: draws of labelled images.
        seed: of the draws.

    Returns:
        table, n_models, n_images, n_labels, realised (variance of the contrasts between models over
        that of plain hits), stated (mean of the estimate's own ratio), stated_raw (before its
        correction), bias (largest mean error of a model's contrast), vote_tau (Kendall's tau of
        the vote alone with the accuracies).

    Raises:
        SelectionError: more labels than images are wanted.
    """
    n_images = len(answered.truth)
    if max(labels) >= n_images or min(labels) < LEAST_MODELS:
        raise SelectionError(
            f"{answered.name} has {n_images} images: labels must be {LEAST_MODELS} to "
            f"{n_images - 1}, not {', '.join(map(str, labels))}"
        )
    hits = answered.hits
    accuracy = np.nanmean(hits, axis=0)
    controls = agreement_controls(answered.answers, answered.n_classes)
    agreement = vote(answered.answers, answered.n_classes)
    order = float(np.asarray(kendalltau(agreement, accuracy))[0])
    rng = target_rng(seed, answered.name)
    rows = []
    for n in sorted(set(labels)):
        errors, plain, ratios, raw = [], [], [], []
        for _ in range(n_draws):
            chosen = rng.choice(n_images, n, replace=False)
            powered = power_hits(hits[chosen], controls, chosen)
            errors.append(_contrast(powered.rates - accuracy))
            plain.append(_contrast(_rates(hits[chosen]) - accuracy))
            ratios.append(powered.ratio)
            raw.append(powered.raw_ratio)
        realised = float(np.nansum(np.square(errors)) / np.nansum(np.square(plain)))
        bias = float(np.abs(np.nanmean(errors, axis=0)).max())
        stated, stated_raw = float(np.mean(ratios)), float(np.mean(raw))
        rows.append((n, realised, stated, stated_raw, bias, order))
    names = ["n_labels", "realised", "stated", "stated_raw", "bias", "vote_tau"]
    return pl.DataFrame(rows, schema=names, orient="row").select(
        pl.lit(answered.name).alias("table"),
        pl.lit(len(answered.answers)).alias("n_models"),
        pl.lit(n_images).alias("n_images"),
        pl.all(),
    )


def _rates(hits: np.ndarray) -> np.ndarray:
    known = np.isfinite(hits)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, hits, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)


def _contrast(error: np.ndarray) -> np.ndarray:
    return error - np.nanmean(error)
