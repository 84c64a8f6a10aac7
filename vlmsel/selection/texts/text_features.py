"""The features of ModelGPT: how well a text tower tells a task's classes apart, by texts alone.

Zohar et al. 2023, https://arxiv.org/abs/2306.08893; names as in their published table.
"""

import numpy as np

from vlmsel.columns import FEATURE_NAMES
from vlmsel.selection.texts.text_view import TextView

FEATURES = FEATURE_NAMES
IMAGENET, *_OTHERS = FEATURES
TEXT_FEATURES = tuple(_OTHERS)
# Deviation of the noise in each dimension, as published; few captions make one draw a lottery.
SIGMA, N_DRAWS = 0.1, 10


def text_features(
    view: TextView, *, sigma: float = SIGMA, n_draws: int = N_DRAWS, seed: int = 0
) -> np.ndarray:
    """Features in the order of `TEXT_FEATURES`.

    - text-f1, text-acc1: macro F1 and accuracy of captions with Gaussian noise, classified by the
      class vectors;
    - intraclass_sim: cosine of captions to their own class, mean over the classes;
    - inter_close: largest cosine of a class to another, mean over the classes;
    - intra_close: largest cosine of a caption to a wrong class, mean over the captions;
    - superclass_metric: cosine of synonyms to their class, mean; NaN without synonyms.

    Args:
        view: of a task by a model.
        sigma: deviation of the noise in each dimension.
        n_draws: draws of the noise; F1 and accuracy are means over them.
        seed: of the noise; models with vectors of one length see the same noise.
    """
    cosine = view.captions @ view.classes.T
    true_classes = view.caption_classes
    rows = np.arange(len(true_classes))
    n_classes = len(view.names)
    per_class = np.bincount(true_classes, cosine[rows, true_classes], n_classes) / np.bincount(
        true_classes, minlength=n_classes
    )
    wrong = cosine.copy()
    wrong[rows, true_classes] = -np.inf
    between = view.classes @ view.classes.T
    np.fill_diagonal(between, -np.inf)
    f1, accuracy = _score_noisy(view, sigma, n_draws, seed)
    synonyms = (view.synonyms * view.classes[view.synonym_classes]).sum(axis=1)
    return np.array(
        [
            f1,
            accuracy,
            per_class.mean(),
            between.max(axis=1).mean(),
            wrong.max(axis=1).mean(),
            synonyms.mean() if len(synonyms) else np.nan,
        ]
    )


def macro_f1(truth: np.ndarray, answers: np.ndarray, n_classes: int) -> float:
    """F1 of each class, 2 hits / (its captions + its answers), mean over the classes.

    Args:
        truth: (N,), class numbers.
        answers: (N,), class numbers.
        n_classes: every class has a caption.
    """
    hits = np.bincount(truth[truth == answers], minlength=n_classes)
    total = np.bincount(truth, minlength=n_classes) + np.bincount(answers, minlength=n_classes)
    return float((2 * hits / total).mean())


def _score_noisy(view: TextView, sigma: float, n_draws: int, seed: int) -> tuple[float, float]:
    """Macro F1 and accuracy of noisy captions, means over the draws."""
    rng = np.random.default_rng(seed)
    f1 = accuracy = 0.0
    for _ in range(n_draws):
        noisy = view.captions + rng.normal(0.0, sigma, view.captions.shape)
        answers = (noisy @ view.classes.T).argmax(axis=1)
        f1 += macro_f1(view.caption_classes, answers, len(view.names)) / n_draws
        accuracy += float((answers == view.caption_classes).mean()) / n_draws
    return f1, accuracy
