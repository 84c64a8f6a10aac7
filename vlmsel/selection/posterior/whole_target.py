"""Models evaluated on the whole target: what it says of the others, and which one is next."""

import numpy as np

from vlmsel.selection.posterior.mixture import Posterior
from vlmsel.selection.posterior.observation import Observation
from vlmsel.selection.posterior.scale import to_scale

NOISE = 1e-4
# With fewer evaluated models rank by average rank.
LEAST_MODELS = 2
# About half a point of accuracy.
LEAST_IMPROVEMENT = 0.005


def observe_accuracies(models: np.ndarray, accuracy: np.ndarray) -> Observation:
    """Take accuracies on the whole target as an observation.

    Args:
        models: places of the evaluated models in the zoo.
        accuracy: of each, 0..1.
    """
    places = np.asarray(models, dtype=int)
    values = to_scale(np.asarray(accuracy, dtype=float))
    return Observation(places, values, NOISE * np.eye(len(places)))


def expected_improvement(posterior: Posterior, measured: Observation) -> np.ndarray:
    """Return how much evaluating each model is expected to raise the best measured accuracy.

    EI = sd (z Phi(z) + phi(z)), z = (mean - largest measured y) / sd, on the scale of the scores.

    Returns:
        (models,); the formula's value for a measured model, too.
    """
    from scipy.special import ndtr

    gain = posterior.score - measured.y.max()
    sd = np.maximum(posterior.deviation, 1e-300)
    z = gain / sd
    return gain * ndtr(z) + sd * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def next_model(
    posterior: Posterior, measured: Observation, *, least: float = LEAST_IMPROVEMENT
) -> int | None:
    """Choose the model to evaluate next.

    Args:
        posterior: given `measured` (and labels, where there are some).
        measured: of `observe_accuracies`, at least one model.
        least: improvement below which nothing is worth evaluating.

    Returns:
        Its place in the zoo; None when no model that is not measured promises `least`.
    """
    improvement = expected_improvement(posterior, measured)
    improvement[measured.models] = -1.0
    best = int(improvement.argmax())
    return best if improvement[best] >= least else None
