"""Text-weighted average rank: sources that are described like the target count for more."""

from collections.abc import Sequence

import numpy as np

from vlmsel.errors import SelectionError

TEXT_SHARE = 0.7
SHARPNESS = 3.0
CLASSES_WIDTH = 4.5


def text_similarity(
    target: str, sources: Sequence[str], n_classes: int, source_classes: Sequence[int]
) -> np.ndarray:
    """Return k = .7 <x_t, x_s> + .3 exp(-(ln C_t - ln C_s)^2 / 4.5) of every source.

    Args:
        target: text of the target: its kind (twice) and a few words, such as "satellite satellite
            aerial land cover"; x is TF-IDF of unit norm.
        sources: texts of the sources; an empty one has the mean similarity of the others.
        n_classes: of the target.
        source_classes: of the sources.

    Raises:
        SelectionError: the lengths differ, or there is no text.
    """
    # Imported here: it takes a second.
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(sources) != len(source_classes) or not sources:
        raise SelectionError("every source needs a text (it may be empty) and a number of classes")
    written = np.array([bool(text.strip()) for text in sources])
    if not (target.strip() and written.any()):
        return np.zeros(len(sources))
    x = TfidfVectorizer().fit_transform([target, *sources])
    cosine = np.asarray((x[1:] @ x[0].T).todense()).ravel()
    log_ratio = np.log(n_classes) - np.log(np.asarray(source_classes, dtype=float))
    k = TEXT_SHARE * cosine + (1 - TEXT_SHARE) * np.exp(-(log_ratio**2) / CLASSES_WIDTH)
    return np.where(written, k, k[written].mean())


def text_weights(similarity: np.ndarray, sharpness: float = SHARPNESS) -> np.ndarray:
    """Return softmax over the sources of `sharpness` times the similarity."""
    from scipy.special import softmax

    return softmax(sharpness * np.asarray(similarity, dtype=float))


def text_weighted_ranks(weights: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the score of each model, sum_s w_s r_s over the sources that know it; lower is better.

    Args:
        weights: (sources,).
        ranks: (sources, models), NaN where a source does not know a model.
    """
    known = np.isfinite(ranks)
    total = np.where(known, weights[:, None] * np.where(known, ranks, 0.0), 0.0).sum(axis=0)
    weight = (weights[:, None] * known).sum(axis=0)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
