"""ITM with DVA: held-out accuracy of a learnt bottleneck (arXiv 2510.23145, NeurIPS 2025).

The paper's body and its authors' repository could not be read: what is here follows notes on the
paper and a third party's port, the code at second hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.support.class_folds import class_folds
from vlmsel.selection.scores.support.image_copies import copy_groups
from vlmsel.selection.scores.support.label_groups import LabelGroups, labelled

LEAST_STD = 1e-6
LEAST_LENGTH = 1e-12
# The learning rate falls linearly to 0 over so many iterations, of which few are done.
DECAY_ITERATIONS = 10_000


@dataclass(frozen=True)
class ItmOptions:
    """Settings of the training; the defaults are the port's, one for all tasks.

    Attributes:
        eta: strength of an evolution step; above about 20 labels leak into the score.
        steps: evolution steps at once; above about 20 labels leak into the score.
        batch: images of a mini-batch; the last short one is kept.
        iterations: mini-batches.
        rate: learning rate of AdamW.
        decay: weight decay of AdamW.
        every: iterations between two evaluations; the best counts.
        hidden: layers of width d with ReLU before the bottleneck.
        seed: of the split, the start and the order of the images.
    """

    eta: float = 0.5
    steps: int = 1
    batch: int = 256
    iterations: int = 500
    rate: float = 5e-3
    decay: float = 1e-2
    every: int = 100
    hidden: int = 0
    seed: int = 12357

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        least = {"steps": 1, "batch": 1, "iterations": 1, "every": 1, "hidden": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise SelectionError(f"ITM: {name}={getattr(self, name)} is below {bound}")
        if not (self.eta >= 0 and self.rate > 0 and self.decay >= 0):
            raise SelectionError(
                f"ITM: eta={self.eta}, rate={self.rate}, decay={self.decay}: none may be negative, "
                "and the rate must be above 0"
            )


class Itm(NamedTuple):
    """ITM's score and what stands beside it.

    Attributes:
        score: best accuracy over the evaluations on the held-out images, with the evolution step,
            which moves their embeddings towards the centres of their true classes: the labels leak
            into the score. Negligible at the defaults, real for large eta or many steps.
        without_step: the same network and evaluations without the step, so without a leak. The two
            differ by an image or so: it is the accuracy of a linear bottleneck probe.
        log_likelihood: best mean ln of the probability of the true class without the step.
        n_held_out: images that were held out.
        accuracies: of each evaluation, with the step.
        losses: of each iteration.
    """

    score: float
    without_step: float
    log_likelihood: float
    n_held_out: int
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]


def itm(
    features: Any,
    labels: Any,
    *,
    options: ItmOptions | None = None,
    held_out: Any = None,
    images: Any = None,
) -> Itm:
    """Train the map of one (model, task) and judge it on a fifth of the images.

    Z = standardised features; E0 = rows of Z W' + b at length 1; D = E0 - onehot(y); at each step
    D <- D - eta Theta Theta' D / B with Theta = E0 held constant; loss = cross-entropy of
    (D + onehot(y)) V' + v.

    Args:
        features: (n, d).
        labels: (n,) classes, two images each at least.
        options: of the training.
        held_out: (n,) booleans; a stratified fifth when None.
        images: (n,) identities: copies of an image lie on one side of the split.

    Raises:
        SelectionError: features or labels cannot be scored, such as one image per class.
    """
    settings = options or ItmOptions()
    rows, groups = labelled(features, labels)
    judged = _split(groups, held_out, images, settings.seed)
    std = np.maximum(rows.std(axis=0, ddof=1), LEAST_STD)
    standard = (rows - rows.mean(axis=0)) / std
    training = np.flatnonzero(~judged)
    network = _Network(standard.shape[1], groups.n_classes, settings)
    validation = standard[judged], groups.codes[judged]
    losses: list[float] = []
    results = []
    for number, batch in enumerate(_batches(training, settings), start=1):
        rate = settings.rate * max(0.0, 1 - (number - 1) / DECAY_ITERATIONS)
        losses.append(network.learn(standard[batch], groups.codes[batch], rate))
        if number % settings.every == 0 or number == settings.iterations:
            results.append(_evaluate(network, *validation, settings))
    with_step, without, likely = zip(*results, strict=True)
    return Itm(
        max(with_step), max(without), max(likely), int(judged.sum()), with_step, tuple(losses)
    )


def evolve(start: np.ndarray, centres: np.ndarray, *, eta: float, steps: int = 1) -> np.ndarray:
    """E^(m) = (I - eta C)^m (E0 - Ehat) + Ehat with C = E0 E0' / B, by thin products.

    Args:
        start: (B, C) embeddings E0, rows of length 1.
        centres: (B, C) centres Ehat of the images' classes.
        eta: strength.
        steps: m.
    """
    return _push(start - centres, start, eta, steps) + centres


def _push(difference: np.ndarray, theta: np.ndarray, eta: float, steps: int) -> np.ndarray:
    """(I - eta Theta Theta' / B)^m D; its own transpose, so that it serves the gradient, too."""
    for _ in range(steps):
        difference = difference - eta / len(theta) * (theta @ (theta.T @ difference))
    return difference


class _Network:
    """The implicit map and its classifier, with gradients and AdamW written out."""

    def __init__(self, d: int, classes: int, options: ItmOptions) -> None:
        random = np.random.RandomState(options.seed)
        shapes = [(d, d)] * options.hidden + [(classes, d), (classes, classes)]
        self.options = options
        self.weights: list[np.ndarray] = []
        for out, into in shapes:
            bound = 1 / np.sqrt(into)
            self.weights.append(random.uniform(-bound, bound, (out, into)))
            self.weights.append(random.uniform(-bound, bound, out))
        self.first = [np.zeros_like(weight) for weight in self.weights]
        self.second = [np.zeros_like(weight) for weight in self.weights]
        self.updates = 0

    def embed(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return E0, the lengths before scaling, and the inputs of each layer of the map."""
        inputs = [rows]
        for i in range(self.options.hidden):
            hidden = inputs[-1] @ self.weights[2 * i].T + self.weights[2 * i + 1]
            inputs.append(np.maximum(hidden, 0.0))
        raw = inputs[-1] @ self.weights[-4].T + self.weights[-3]
        length = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), LEAST_LENGTH)
        return raw / length, length, inputs

    def classify(self, embedding: np.ndarray) -> np.ndarray:
        """Return the log-probabilities of the classes."""
        return log_softmax(embedding @ self.weights[-2].T + self.weights[-1], axis=1)

    def learn(self, rows: np.ndarray, codes: np.ndarray, rate: float) -> float:
        """Update once on a mini-batch and return its loss before that."""
        start, length, inputs = self.embed(rows)
        centres = np.eye(len(self.weights[-1]))[codes]
        eta, steps = self.options.eta, self.options.steps
        moved = evolve(start, centres, eta=eta, steps=steps)
        logs = self.classify(moved)
        loss = -logs[np.arange(len(codes)), codes].mean()
        slope = (np.exp(logs) - centres) / len(codes)
        gradients = [slope.T @ moved, slope.sum(axis=0)]
        towards = _push(slope @ self.weights[-2], start, eta, steps)
        towards = (towards - start * (start * towards).sum(axis=1, keepdims=True)) / length
        for i in range(self.options.hidden, -1, -1):
            gradients = [towards.T @ inputs[i], towards.sum(axis=0), *gradients]
            if i:
                towards = (towards @ self.weights[2 * i]) * (inputs[i] > 0)
        self._update(gradients, rate)
        return float(loss)

    def _update(self, gradients: list[np.ndarray], rate: float) -> None:
        self.updates += 1
        rising = 1 - 0.9**self.updates, 1 - 0.999**self.updates
        for weight, gradient, first, second in zip(
            self.weights, gradients, self.first, self.second, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            weight *= 1 - rate * self.options.decay
            weight -= rate * (first / rising[0]) / (np.sqrt(second / rising[1]) + 1e-8)


def _evaluate(
    network: _Network, rows: np.ndarray, codes: np.ndarray, options: ItmOptions
) -> tuple[float, float, float]:
    """Accuracy with and without the step and log-likelihood without, in the batches of training."""
    right, plain, likely = 0, 0, 0.0
    for start in range(0, len(rows), options.batch):
        batch_codes = codes[start : start + options.batch]
        embedding = network.embed(rows[start : start + options.batch])[0]
        centres = np.eye(embedding.shape[1])[batch_codes]
        moved = evolve(embedding, centres, eta=options.eta, steps=options.steps)
        right += int((network.classify(moved).argmax(axis=1) == batch_codes).sum())
        logs = network.classify(embedding)
        plain += int((logs.argmax(axis=1) == batch_codes).sum())
        likely += float(logs[np.arange(len(batch_codes)), batch_codes].sum())
    return right / len(rows), plain / len(rows), likely / len(rows)


def _batches(training: np.ndarray, options: ItmOptions) -> Iterator[np.ndarray]:
    """Mini-batches of reshuffled training images, as many as iterations."""
    random = np.random.RandomState(options.seed + 1)
    done = 0
    while True:
        order = random.permutation(training)
        for start in range(0, len(order), options.batch):
            if done == options.iterations:
                return
            done += 1
            yield order[start : start + options.batch]


def _split(groups: LabelGroups, held_out: Any, images: Any, seed: int) -> np.ndarray:
    """Booleans of the held-out images."""
    n = len(groups.codes)
    if held_out is None:
        copies = copy_groups(images, n)
        judged = np.zeros(n, dtype=bool)
        judged[class_folds(groups, copies, most=5, seed=seed)[0][1]] = True
        return judged
    judged = np.asarray(held_out)
    if judged.dtype != bool or judged.shape != (n,) or judged.all() or not judged.any():
        raise SelectionError(
            f"held_out must be one boolean for each of {n} images, some true and some false, not "
            f"{judged.dtype} of shape {judged.shape}"
        )
    return judged
