"""The posterior of a zoo on one target: a mixture of Gaussians over the target's spread."""

from dataclasses import dataclass

import numpy as np

from vlmsel.selection.posterior.observation import Observation
from vlmsel.selection.posterior.prior import Prior
from vlmsel.selection.posterior.scale import to_accuracy

JITTER = 1e-9


@dataclass(frozen=True)
class Posterior:
    """A mixture over the grid of spreads.

    Attributes:
        weights: (grid,), sum to 1.
        means: (grid, models).
        covariances: (grid, models, models).
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """Posterior mean of every model, on the scale arcsin(sqrt(p)); higher is better."""
        return self.weights @ self.means

    @property
    def variance(self) -> np.ndarray:
        """Variance of every model: sum_s w_s (var_s + mean_s^2) - mean^2."""
        within = np.diagonal(self.covariances, axis1=1, axis2=2)
        # Around the mixture's mean, where nothing cancels.
        return self.weights @ (within + (self.means - self.score) ** 2)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of every model."""
        return np.sqrt(np.maximum(self.variance, 0.0))

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy to display: sin(score)^2."""
        return to_accuracy(self.score)

    def draw(self, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        """Draw accuracies of the whole zoo, (n_draws, models), from the mixture."""
        counts = rng.multinomial(n_draws, self.weights)
        parts = []
        for count, mean, covariance in zip(counts, self.means, self.covariances, strict=True):
            if count:
                values, vectors = np.linalg.eigh(covariance)
                root = vectors * np.sqrt(np.maximum(values, 0.0))
                parts.append(mean + rng.standard_normal((count, len(mean))) @ root.T)
        return to_accuracy(np.concatenate(parts))


def condition(prior: Prior, *observations: Observation) -> Posterior:
    """Condition the prior on what was seen.

    For each spread s: K = s^2 Sigma + vc 11', a = mc + s mu, G = (K + R + 1e-9 I)^-1, mean = a +
    K G (y - a), covariance = K - K G K, log evidence = log weight - 1/2 (y - a)' G (y - a) - 1/2
    ln det(K + R + 1e-9 I). A model that was not observed gets its mean through the others.

    Args:
        prior: of the zoo.
        observations: independent of each other given the accuracies; none gives the prior itself.
    """
    from scipy.linalg import block_diag
    from scipy.special import softmax

    models = np.concatenate([np.zeros(0, dtype=int), *(o.models for o in observations)])
    y = np.concatenate([np.zeros(0), *(o.y for o in observations)])
    blocks = block_diag(*(o.noise for o in observations)) if len(y) else np.zeros((0, 0))
    noise = np.asarray(blocks) + JITTER * np.eye(len(y))
    parts = [_condition_at(prior, s, models, y, noise) for s in prior.spreads]
    means, covariances, evidence = (np.array(part) for part in zip(*parts, strict=True))
    return Posterior(softmax(prior.log_weights + evidence), means, covariances)


def _condition_at(
    prior: Prior, spread: float, models: np.ndarray, y: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, covariance and log evidence at one spread."""
    from scipy.linalg import cho_factor, cho_solve

    k = spread**2 * prior.covariance + prior.level_variance
    a = prior.level + spread * prior.mean
    if not len(y):
        return a, k, 0.0
    cross = k[:, models]
    factor = cho_factor(k[np.ix_(models, models)] + noise, lower=True)
    residual = y - a[models]
    solved = cho_solve(factor, residual)
    log_det = 2 * np.log(np.diagonal(factor[0])).sum()
    covariance = k - cross @ cho_solve(factor, cross.T)
    return a + cross @ solved, covariance, -0.5 * float(residual @ solved + log_det)
