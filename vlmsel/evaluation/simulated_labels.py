"""Simulated hits on labelled images, drawn from published accuracies.

Each model's count is exactly binomial; how the hits of different models go together is assumed, not
measured. Whatever is made of such hits is called simulated.
"""

import zlib

import numpy as np

from vlmsel.errors import SelectionError


def draw_hits(
    accuracy: np.ndarray, n_images: int, n_draws: int, rho: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw hits: model m hits image i iff sqrt(rho) d_i + sqrt(1 - rho) e_im < Phi^-1(p_m).

    Args:
        accuracy: (models,), p, 0..1.
        n_images: labelled images of a draw.
        n_draws: independent draws.
        rho: correlation of the latent normals, 0..1.
        rng: source of d and e, standard normal.

    Returns:
        (draws, images, models), booleans.

    Raises:
        SelectionError: rho is no correlation of this kind.
    """
    from scipy.special import ndtri

    if not 0 <= rho <= 1:
        raise SelectionError(f"the correlation of hits must be 0 to 1, not {rho:g}")
    shape = (n_draws, n_images, len(accuracy))
    latent = np.sqrt(rho) * rng.standard_normal((n_draws, n_images, 1))
    latent = latent + np.sqrt(1 - rho) * rng.standard_normal(shape)
    return latent < ndtri(accuracy)


def target_rng(seed: int, target: str) -> np.random.Generator:
    """Return a source of randomness of its own for a target, whatever the other targets are."""
    return np.random.default_rng([seed % 2**32, zlib.crc32(target.encode())])
