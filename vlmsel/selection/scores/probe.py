"""Linear probe: logistic regression judged on held-out folds. What people understand."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.class_folds import class_folds
from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled
from vlmsel.selection.scores.support.logistic_folds import can_stack, fit_folds

FOLDS = 5
LEAST = 1e-12
MOST_ITERATIONS = 1000
TOLERANCE = 1e-6


class LinearProbe(NamedTuple):
    """Held-out results of a linear probe.

    Attributes:
        accuracy: share of the held-out images classified right, higher is better.
        log_likelihood: mean ln of the probability of the true class, higher is better; it rarely
            ties, so it orders models of one accuracy.
        converged: False where a fold's fit stopped at its limit of iterations.
    """

    accuracy: float
    log_likelihood: float
    converged: bool


class ProbeAnswers(NamedTuple):
    """Held-out answers of a linear probe, image by image.

    Attributes:
        hits: (n,) 1 where the image was classified right, 0 where not, NaN where it was not held
            out.
        likely: (n,) ln of the probability of the true class, NaN likewise.
        converged: False where a fold's fit stopped at its limit of iterations.
    """

    hits: np.ndarray
    likely: np.ndarray
    converged: bool

    @property
    def summary(self) -> LinearProbe:
        """Means over the held-out images."""
        judged = np.isfinite(self.hits)
        return LinearProbe(
            float(self.hits[judged].mean()), float(self.likely[judged].mean()), self.converged
        )


def probe(
    features: Any,
    labels: Any,
    *,
    strength: float = 1.0,
    folds: int = FOLDS,
    standardise: bool = False,
    held_out: Any = None,
    seed: int = 0,
    images: Any = None,
) -> LinearProbe:
    """Fit a logistic regression on the training folds, judge the others.

    Args:
        features: (n, d).
        labels: (n,) classes, two images each at least.
        strength: C of scikit-learn's logistic regression.
        folds: at most; as many as the smallest class has images where that is less.
        standardise: scale the columns of each training fold to variance 1 first. Without it the
            strength depends on the scale of the features: rows of length 1 are hardly fitted.
        held_out: (n,) booleans: one split instead of folds.
        seed: of the folds.
        images: (n,) identities: copies of an image lie in one fold.

    Raises:
        SelectionError: features or labels cannot be scored, such as one image per class.
    """
    return probe_answers(
        features,
        labels,
        strength=strength,
        folds=folds,
        standardise=standardise,
        held_out=held_out,
        seed=seed,
        images=images,
    ).summary


def probe_answers(
    features: Any,
    labels: Any,
    *,
    strength: float = 1.0,
    folds: int = FOLDS,
    standardise: bool = False,
    held_out: Any = None,
    seed: int = 0,
    images: Any = None,
) -> ProbeAnswers:
    """Fit and judge as `probe` does; return what each held-out image was answered.

    Raises:
        SelectionError: features or labels cannot be scored, such as one image per class.
    """
    rows, groups = labelled(features, labels)
    if held_out is None:
        splits = class_folds(groups, copy_groups(images, len(rows)), most=folds, seed=seed)
    else:
        splits = [_check_split(held_out, groups.codes)]
    hits, likely = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    answers, converged = _answers(rows, groups, splits, strength, standardise)
    for (_, judged), probability in zip(splits, answers, strict=True):
        truth = groups.codes[judged]
        hits[judged] = probability.argmax(axis=1) == truth
        likely[judged] = np.log(np.maximum(probability[np.arange(len(judged)), truth], LEAST))
    return ProbeAnswers(hits, likely, converged)


Splits = Sequence[tuple[np.ndarray, np.ndarray]]


def _answers(
    rows: np.ndarray, groups: LabelGroups, splits: Splits, strength: float, standardise: bool
) -> tuple[list[np.ndarray], bool]:
    """Probabilities of all classes for the held-out rows of every split, and if all fits ended."""
    trainings = [training for training, _ in splits]
    if can_stack(rows, groups.codes, trainings):
        found = fit_folds(rows, groups.codes, trainings, strength=strength, standardise=standardise)
        answers = [found.probabilities(i, rows[judged]) for i, (_, judged) in enumerate(splits)]
        return answers, found.converged
    answers, converged = [], True
    for training, judged in splits:
        known, codes = np.unique(groups.codes[training], return_inverse=True)
        model, done = _fit(rows[training], codes, strength, standardise)
        converged &= done
        probability = np.zeros((len(judged), groups.n_classes))
        probability[:, known] = model.predict_proba(rows[judged])
        answers.append(probability)
    return answers, converged


def _fit(
    rows: np.ndarray, codes: np.ndarray, strength: float, standardise: bool
) -> tuple[Any, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler() if standardise else "passthrough",
        LogisticRegression(C=strength, max_iter=MOST_ITERATIONS, tol=TOLERANCE),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said in the result instead
        model.fit(rows, codes)
    steps: Any = model.named_steps
    return model, bool(steps["logisticregression"].n_iter_.max() < MOST_ITERATIONS)


def _check_split(held_out: Any, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    judged = np.asarray(held_out)
    if judged.dtype != bool or judged.shape != codes.shape or judged.all() or not judged.any():
        raise SelectionError(
            "held_out must be one boolean an image, some true and some false, not "
            f"{judged.dtype} of shape {judged.shape}"
        )
    if len(np.unique(codes[~judged])) < 2:
        raise SelectionError("fewer than two classes are left to fit on; hold out fewer images")
    return np.flatnonzero(~judged), np.flatnonzero(judged)
