"""VEGA: do the images lie to each other as the class names do?

arXiv 2412.20682, as public reimplementations quote it. As printed, a similarity of texts is
correlated with a distance of images, so that a good model gets a low score of edges; `edge_score`
gives both that and the one with the sign turned.
"""

from typing import NamedTuple

import numpy as np

TEMPERATURE = 0.05
# Added to every variance, as a share of the mean variance of all images: pseudo classes of a few
# images, or of one, have next to none of their own.
RIDGE = 1.0
# With two classes there is one edge, which correlates with nothing.
LEAST_CLASSES = 3


class VegaParts(NamedTuple):
    """Parts of the score.

    Attributes:
        node: mean softmax probability of the class that each image is assigned to.
        edges: Pearson's correlation of the cosine of two class texts with the Bhattacharyya
            distance of their images; NaN where images fall into fewer than three classes.
    """

    node: float
    edges: float


def vega_parts(
    images: np.ndarray, classes: np.ndarray, *, temperature: float = TEMPERATURE
) -> VegaParts:
    """Assign each image to its nearest class text, and compare the two graphs.

    Args:
        images: (N, D), of length 1.
        classes: (K, D), of length 1.
        temperature: of the softmax over cosines.
    """
    cosine = images @ classes.T
    assigned = cosine.argmax(axis=1)
    raised = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / temperature)
    node = float((1 / raised.sum(axis=1)).mean())
    nodes = np.unique(assigned)
    if len(nodes) < LEAST_CLASSES:
        return VegaParts(node, float("nan"))
    first, second = np.triu_indices(len(nodes), 1)
    text = (classes[nodes] @ classes[nodes].T)[first, second]
    distance = _bhattacharyya(images, assigned, nodes)[first, second]
    return VegaParts(node, _pearson(text, distance))


def edge_score(edges: float | np.ndarray, *, is_mended: bool) -> np.ndarray:
    """(r + 1) / 2 of a correlation as printed, or with its sign turned; 1/2 where there is none."""
    known = np.nan_to_num(np.asarray(edges, dtype=float))
    return ((-known if is_mended else known) + 1) / 2


def _bhattacharyya(images: np.ndarray, assigned: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Distance of the Gaussians of two classes, (nodes, nodes); covariances are diagonal.

    Few images cannot tell a full covariance: 1/8 sum (m1 - m2)^2 / v + 1/2 sum ln(v / sqrt(v1 v2))
    with v the mean of both variances.
    """
    ridge = RIDGE * images.var(axis=0).mean()
    means = np.stack([images[assigned == node].mean(axis=0) for node in nodes])
    variances = np.stack([images[assigned == node].var(axis=0) for node in nodes]) + ridge
    found = np.zeros((len(nodes), len(nodes)))
    for i in range(len(nodes)):
        mean = (variances[i] + variances) / 2
        shift = ((means[i] - means) ** 2 / mean).sum(axis=1) / 8
        logs = np.log(mean) - (np.log(variances[i]) + np.log(variances)) / 2
        found[i] = shift + logs.sum(axis=1) / 2
    return found


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation; 0 where either does not vary."""
    x, y = x - x.mean(), y - y.mean()
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length > 1e-15 else 0.0
