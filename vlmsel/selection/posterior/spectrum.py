"""Many posteriors of one prior at once, in the basis in which the models' covariance is diagonal.

With U Lambda U' = Sigma, all models observed on the same images and a common correlation,
K + R = U (s^2 Lambda + v (1 - rho) I) U' + (vc + v rho) 11': a diagonal and one vector. Every draw
has its own v and rho, and costs one rotation instead of a factorisation for every spread.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vlmsel.selection.posterior.mixture import JITTER
from vlmsel.selection.posterior.observation import LEAST_IMAGES, MOST_CORRELATION
from vlmsel.selection.posterior.prior import Prior
from vlmsel.selection.posterior.scale import to_accuracy


class ManyObservations(NamedTuple):
    """Observations of whole zoos, one per draw of labelled images.

    Attributes:
        y: (draws, models), on the scale of the scores.
        variance: (draws,), v of every model.
        rho: (draws,), common correlation.
    """

    y: np.ndarray
    variance: np.ndarray
    rho: np.ndarray


def observe_draws(hits: np.ndarray) -> ManyObservations:
    """Observe several draws of labelled images, as `observation.observe_hits` does each.

    Args:
        hits: (draws, images, models) of 1 and 0, without holes.
    """
    n_draws, n, n_models = hits.shape
    rate = hits.mean(axis=1)
    y = np.arcsin(np.sqrt((n * rate + 0.375) / (n + 0.75)))
    variance = np.full(n_draws, 1 / (4 * (n + 0.5)))
    b = rate * (1 - rate)
    sums = b.sum(axis=1)
    independent = np.sqrt(b).sum(axis=1) ** 2 - sums
    common = hits.mean(axis=2).var(axis=1) * n_models**2 - sums
    usable = (independent > 1e-12) & (n >= LEAST_IMAGES)
    rho = np.where(usable, common / np.where(usable, independent, 1.0), 0.0)
    return ManyObservations(y, variance, np.clip(rho, 0.0, MOST_CORRELATION))


@dataclass(frozen=True)
class ManyPosteriors:
    """Posteriors of several observations of one zoo.

    Attributes:
        scores: (observations, models), as `Posterior.score`.
        weights: (observations, grid), as `Posterior.weights`.
    """

    scores: np.ndarray
    weights: np.ndarray


class SpectralPrior:
    """A prior in its own basis."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        values, self._vectors = np.linalg.eigh(prior.covariance)
        self._scaled = prior.spreads[:, None] ** 2 * np.maximum(values, 0.0)
        self._ones = self._vectors.sum(axis=0)
        self._mean = self._vectors.T @ prior.mean

    def condition(self, seen: ManyObservations) -> ManyPosteriors:
        """Condition on each observation alone; equal to `mixture.condition` of it."""
        from scipy.special import softmax

        y, variance, rho = seen
        gain, evidence = self._solve(y[:, None] @ self._vectors, variance, rho)
        weights = softmax(self._prior.log_weights + evidence, axis=1)
        mean = self._prior_mean() + self._times_k(gain)
        scores = np.einsum("og,ogm->om", weights, mean) @ self._vectors.T
        return ManyPosteriors(scores, weights)

    def draw(
        self,
        seen: ManyObservations,
        which: int,
        weights: np.ndarray,
        n_draws: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draw accuracies from one posterior: a prior draw, corrected by what was seen.

        Args:
            seen: the observations.
            which: of them.
            weights: (grid,), of `condition` for it.
            n_draws: how many.
            rng: source of the draws.

        Returns:
            (n_draws, models).
        """
        y, variance, rho = (part[which] for part in seen)
        grid = np.repeat(np.arange(len(weights)), rng.multinomial(n_draws, weights))
        shape = (n_draws, len(self._ones))
        common = rng.standard_normal((2, n_draws, 1))
        level = np.sqrt(self._prior.level_variance) * common[0] * self._ones
        x = self._prior_mean()[grid] + level
        x = x + np.sqrt(self._scaled[grid]) * rng.standard_normal(shape)
        error = np.sqrt(variance * (1 - rho) + JITTER) * rng.standard_normal(shape)
        error = error + np.sqrt(variance * rho) * common[1] * self._ones
        residual = y @ self._vectors - x - error
        d = self._scaled[grid] + variance * (1 - rho) + JITTER
        gain = self._inverse(residual, d, self._prior.level_variance + variance * rho)
        inner = (gain * self._ones).sum(axis=1, keepdims=True) * self._prior.level_variance
        return to_accuracy((x + self._scaled[grid] * gain + inner * self._ones) @ self._vectors.T)

    def _prior_mean(self) -> np.ndarray:
        """A of every spread, (grid, models)."""
        return self._prior.level * self._ones + self._prior.spreads[:, None] * self._mean

    def _solve(
        self, y: np.ndarray, variance: np.ndarray, rho: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """G (y - a), (observations, grid, models), and the log evidence, (observations, grid)."""
        residual = y - self._prior_mean()
        alone = (variance * (1 - rho))[:, None, None]
        shared = (self._prior.level_variance + variance * rho)[:, None, None]
        d = self._scaled + alone + JITTER
        gain = self._inverse(residual, d, shared)
        stretch = 1 + shared[..., 0] * (self._ones**2 / d).sum(axis=-1)
        log_det = np.log(d).sum(axis=-1) + np.log(stretch)
        return gain, -0.5 * ((residual * gain).sum(axis=-1) + log_det)

    def _inverse(self, r: np.ndarray, d: np.ndarray, shared: np.ndarray | float) -> np.ndarray:
        """(diag d + shared 11')^-1 r by Sherman and Morrison."""
        u = self._ones / d
        top = (r * u).sum(axis=-1, keepdims=True)
        return r / d - shared * top / (1 + shared * (u * self._ones).sum(-1, keepdims=True)) * u

    def _times_k(self, gain: np.ndarray) -> np.ndarray:
        """K G (y - a) of every observation and spread."""
        inner = (gain * self._ones).sum(axis=-1, keepdims=True)
        return self._scaled * gain + self._prior.level_variance * inner * self._ones
