"""The answer for one task: which model, what a wrong choice would cost, when to stop. Pure.

Frozen value in, frozen value out: what is known of the zoo (`Question`) becomes a posterior of its
accuracies, and its draws become the `Answer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.answers import FAILED
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.posterior.advice import (
    CHECKS,
    N_DRAWS,
    TOLERANCE,
    Advice,
    advise,
    is_enough,
    next_check,
)
from vlmsel.selection.posterior.estimate import observe_estimate
from vlmsel.selection.posterior.mixture import Posterior, condition
from vlmsel.selection.posterior.observation import Observation, hit_matrix
from vlmsel.selection.posterior.powered_hits import (
    agreement_controls,
    observe_powered_hits,
    power_hits,
)
from vlmsel.selection.posterior.prior import MIN_SOURCES, fit_prior
from vlmsel.selection.posterior.whole_target import (
    LEAST_IMPROVEMENT,
    LEAST_MODELS,
    next_model,
    observe_accuracies,
)
from vlmsel.selection.score_arrays import weighted_ranks, weights_of_known, zoo_ranks
from vlmsel.selection.zoo_answers import ZooAnswers

# Labels beside those at hand whose worth is told.
MORE = (25, 50, 100)
# A model is told apart from the first choice when it beats it in fewer of the draws.
APART = 0.05


@dataclass(frozen=True)
class Question:
    """Everything that is known of a zoo and one target.

    Attributes:
        models: (model, pretrained), each checkpoint once.
        accuracy: (sources, models), 0..1, NaN where unknown; references (ImageNet) are no rows.
        imagenet: (models,), accuracy on ImageNet, NaN where unknown; None without any.
        answers: of some of the models on the target's images; None where none was run.
        labels: class number by image id, of a random draw; below 0: in none of the classes.
        evaluated: accuracy on the whole target of models that were evaluated there.
        estimate: (models,), accuracies that a selector without labels believes, NaN for none; the
            order where there are no labels. None is average rank.
        source_estimates: (sources, models), the same of the sources, from as many images.
        eligible: (models,), whether a model may be chosen; all if None.
        tolerance: expected regret at which to stop, a share of 1.
        seed: of the draws.
    """

    models: tuple[ModelKey, ...]
    accuracy: np.ndarray
    imagenet: np.ndarray | None = None
    answers: ZooAnswers | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    evaluated: Mapping[ModelKey, float] = field(default_factory=dict)
    estimate: np.ndarray | None = None
    source_estimates: np.ndarray | None = None
    eligible: np.ndarray | None = None
    tolerance: float = TOLERANCE
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no answer."""
        if self.accuracy.ndim != 2 or self.accuracy.shape[1] != len(self.models):
            raise SelectionError(
                f"accuracies need one column per model: {self.accuracy.shape}, "
                f"{len(self.models)} models"
            )
        if self.eligible is not None and not self.eligible.any():
            raise SelectionError("no model of the zoo is within the limits; raise them")
        unknown = sorted(set(self.evaluated) - set(self.models))
        if unknown:
            raise SelectionError(
                f"the evaluated model {'/'.join(unknown[0])} is not in the zoo; name models as "
                "`vlmsel models` does"
            )


@dataclass(frozen=True)
class Answer:
    """Decision for a model, and how far to trust it.

    Attributes:
        models: of the question.
        ranks: (models,), place of each in the order; 1 is the first choice, 0 is not eligible.
        first: place of the first choice in `models`.
        accuracy: (models,), expected accuracy; NaN where nothing says it.
        advice: intervals and regret, of the eligible models in `among`; None without a posterior.
        among: places of the eligible models.
        rivals: eligible models that cannot be told apart from the first choice, best first.
        n_labels: labelled images that count.
        n_outside: labelled images in none of the classes, dropped.
        worth: plain labels that these are worth, n / r.
        n_images: images with answers.
        regrets: expected regret by number of further labels.
        enough: whether to stop labelling; None without labels.
        checked: number of labels at which `enough` was decided.
        next_check: number of labels at which it is decided next.
        next_model: place of the model to run next; None when none promises enough.
        average_rank: place of the first choice of average rank; None without sources.
        imagenet: place of the best on ImageNet; None where unknown.
        basis: `posterior`, `hits` (no prior), `estimate` (a selector's), `average-rank`.
        hits: (labelled images, models), which model was right on which image.
        labelled: ids of the labelled images, rows of `hits`.
    """

    models: tuple[ModelKey, ...]
    ranks: np.ndarray
    first: int
    accuracy: np.ndarray
    advice: Advice | None
    among: np.ndarray
    rivals: tuple[int, ...]
    n_labels: int
    n_outside: int
    worth: float
    n_images: int
    regrets: Mapping[int, float]
    enough: bool | None
    checked: int | None
    next_check: int | None
    next_model: int | None
    average_rank: int | None
    imagenet: int | None
    basis: str
    hits: np.ndarray
    labelled: tuple[str, ...]

    @property
    def regret(self) -> float | None:
        """Expected loss of accuracy of the first choice."""
        return None if self.advice is None else self.advice.expected_regret


@dataclass(frozen=True)
class _Labelled:
    """Hits of the zoo on the labelled images."""

    images: tuple[str, ...]
    places: np.ndarray  # of the images among those with answers
    hits: np.ndarray  # (images, models)
    n_outside: int


def answer(question: Question) -> Answer:
    """Answer a question.

    With labels, or two evaluated models, the order is that of the posterior. Without, it is that
    of the estimate or average rank, and the posterior only says what is expected of it.

    Raises:
        SelectionError: nothing is known that could rank a model.
    """
    labelled = _labelled(question)
    n_labels = len(labelled.images)
    posterior, worth = _posterior(question, labelled)
    score, basis = _score(question, posterior, n_labels)
    among = _eligible_places(question, score)
    means = None if question.accuracy.size == 0 else _average_ranks(question.accuracy)
    order = _order_places(question, score, means, among)
    ranks = np.zeros(len(score), dtype=int)
    ranks[order] = np.arange(1, len(order) + 1)
    first = int(order[0])
    found = Answer(
        models=question.models,
        ranks=ranks,
        first=first,
        accuracy=np.full(len(score), np.nan) if posterior is None else posterior.accuracy,
        advice=None,
        among=among,
        rivals=(),
        n_labels=n_labels,
        n_outside=labelled.n_outside,
        worth=worth,
        n_images=0 if question.answers is None else len(question.answers.images),
        regrets={},
        enough=None,
        checked=None,
        next_check=next_check(n_labels),
        next_model=None,
        average_rank=_best(means, among, low=True),
        imagenet=_best(question.imagenet, among, low=False),
        basis=basis,
        hits=labelled.hits,
        labelled=labelled.images,
    )
    if posterior is None:
        return found
    return _with_advice(found, question, labelled, posterior, order)


def compute_regret_after(question: Question, n_labels: int) -> float | None:
    """Return the expected regret that the answer to the first labels alone would have.

    Args:
        question: with labels.
        n_labels: how many of them, in the order of the answers.

    Returns:
        None where nothing says what a choice costs.
    """
    labelled = _take_first_labels(_labelled(question), n_labels)
    posterior, _ = _posterior(question, labelled)
    if posterior is None:
        return None
    score, _ = _score(question, posterior, len(labelled.images))
    among = _eligible_places(question, score)
    means = None if question.accuracy.size == 0 else _average_ranks(question.accuracy)
    first = _order_places(question, score, means, among)[0]
    draws = _draw(question, posterior)[:, among]
    return float((draws.max(axis=1) - draws[:, int(np.flatnonzero(among == first)[0])]).mean())


def average_rank_order(accuracy: np.ndarray) -> np.ndarray:
    """Return the places of the models by mean rank over the sources, the best first.

    Args:
        accuracy: (sources, models), NaN where unknown.
    """
    return np.argsort(_average_ranks(accuracy), kind="stable")


def _with_advice(
    found: Answer,
    question: Question,
    labelled: _Labelled,
    posterior: Posterior,
    order: np.ndarray,
) -> Answer:
    """The answer with everything that draws of the accuracies tell."""
    among, n_labels = found.among, found.n_labels
    at = int(np.flatnonzero(among == found.first)[0])
    draws = _draw(question, posterior)[:, among]
    chosen = np.zeros(len(among))
    chosen[at] = 1.0
    advice = advise(draws, chosen)
    better = (draws > draws[:, [at]]).mean(axis=0)
    alike = {int(among[i]) for i in np.flatnonzero(better >= APART)} - {found.first}
    regrets = {0: advice.expected_regret}
    if n_labels:
        for more in MORE:
            later, _ = _posterior(question, labelled, more=more)
            assert later is not None
            regrets[more] = _regret(question, later, found)
    checked, enough = _verdict(question, labelled, found)
    return replace(
        found,
        advice=advice,
        rivals=tuple(int(i) for i in order if int(i) in alike),
        regrets=regrets,
        enough=enough,
        checked=checked,
        next_model=_choose_next_model(question, posterior, found),
    )


def _labelled(question: Question) -> _Labelled:
    """Hits on the labelled images that have answers, in their order."""
    answers, n_models = question.answers, len(question.models)
    if answers is None or not question.labels:
        return _Labelled((), np.zeros(0, int), np.zeros((0, n_models)), 0)
    places = [i for i, image in enumerate(answers.images) if image in question.labels]
    truth = np.array([question.labels[answers.images[i]] for i in places], dtype=int)
    kept = [i for i, label in zip(places, truth, strict=True) if 0 <= label < answers.n_classes]
    found, n_outside = hit_matrix(answers.classes[:, places], truth, answers.n_classes)
    hits = np.full((len(kept), n_models), np.nan)
    column = {key: i for i, key in enumerate(answers.models)}
    for m, key in enumerate(question.models):
        # An evaluated model is known better than by its hits.
        if key in column and key not in question.evaluated:
            hits[:, m] = found[:, column[key]]
    images = tuple(answers.images[i] for i in kept)
    return _Labelled(images, np.array(kept, dtype=int), hits, n_outside)


def _take_first_labels(labelled: _Labelled, n_labels: int) -> _Labelled:
    """The first of the labels, in the order of the answers."""
    return replace(
        labelled,
        images=labelled.images[:n_labels],
        places=labelled.places[:n_labels],
        hits=labelled.hits[:n_labels],
    )


def _posterior(
    question: Question, labelled: _Labelled, *, more: int = 0
) -> tuple[Posterior | None, float]:
    """The posterior of the zoo and what the labels are worth; None where nothing is known."""
    seen: list[Observation] = []
    worth = 0.0
    if len(labelled.images):
        observed, worth = _observe_powered(question, labelled, more)
        seen.append(observed)
    if question.evaluated:
        place = {key: i for i, key in enumerate(question.models)}
        keys = sorted(question.evaluated)
        seen.append(
            observe_accuracies(
                np.array([place[key] for key in keys]),
                np.array([question.evaluated[key] for key in keys]),
            )
        )
    if not seen and question.estimate is not None and question.source_estimates is not None:
        seen.append(
            observe_estimate(question.accuracy, question.source_estimates, question.estimate)
        )
    rows = question.accuracy
    if question.imagenet is not None:
        rows = np.vstack([rows, question.imagenet])
    if np.isfinite(rows).any(axis=1).sum() >= MIN_SOURCES:
        return condition(fit_prior(rows), *seen), worth
    return (_posterior_without_prior(seen, len(question.models)) if seen else None), worth


def _observe_powered(
    question: Question, labelled: _Labelled, more: int
) -> tuple[Observation, float]:
    """Prediction-powered hits, and the number of plain labels that they are worth."""
    answers = question.answers
    assert answers is not None
    column = {key: i for i, key in enumerate(answers.models)}
    classes = np.full((len(question.models), len(answers.images)), FAILED)
    for m, key in enumerate(question.models):
        if key in column and key not in question.evaluated:
            classes[m] = answers.classes[column[key]]
    powered = power_hits(
        labelled.hits, agreement_controls(classes, answers.n_classes), labelled.places
    )
    seen = observe_powered_hits(powered, labelled.hits, more=more)
    return seen, len(labelled.images) / powered.ratio


def _posterior_without_prior(seen: list[Observation], n_models: int) -> Posterior:
    """Observations without a prior; a model that was not observed is unknown (NaN)."""
    mean = np.full(n_models, np.nan)
    covariance = np.zeros((n_models, n_models))
    for observed in seen:
        mean[observed.models] = observed.y
        covariance[np.ix_(observed.models, observed.models)] = observed.noise
    return Posterior(np.ones(1), mean[None], covariance[None])


def _score(
    question: Question, posterior: Posterior | None, n_labels: int
) -> tuple[np.ndarray, str]:
    """Score of every model, higher is better, and what it is made of."""
    if posterior is not None and (n_labels or len(question.evaluated) >= LEAST_MODELS):
        rows = 0 if question.accuracy.size == 0 else np.isfinite(question.accuracy).any(1).sum()
        rows += question.imagenet is not None
        return posterior.score, "posterior" if rows >= MIN_SOURCES else "hits"
    if question.estimate is not None:
        return question.estimate, "estimate"
    if question.accuracy.size == 0 or not np.isfinite(question.accuracy).any():
        raise SelectionError(
            "no source task is known and no image is labelled: give labels, or sources"
        )
    return -_average_ranks(question.accuracy), "average-rank"


def _eligible_places(question: Question, score: np.ndarray) -> np.ndarray:
    """Places of the models that may be chosen and have a score.

    Raises:
        SelectionError: there is none.
    """
    eligible = np.ones(len(score), bool) if question.eligible is None else question.eligible
    among = np.flatnonzero(eligible & np.isfinite(score))
    if not len(among):
        raise SelectionError("nothing is known that could rank an eligible model")
    return among


def _average_ranks(accuracy: np.ndarray) -> np.ndarray:
    """Mean rank of each model over the sources that know it."""
    ranks = zoo_ranks(accuracy.T)
    return weighted_ranks(weights_of_known(np.ones(accuracy.shape[0]), ranks), ranks)


def _order_places(
    question: Question, score: np.ndarray, means: np.ndarray | None, among: np.ndarray
) -> np.ndarray:
    """Places of the eligible models, best first; ties by average rank, then by name."""
    tie = np.zeros(len(score)) if means is None else np.nan_to_num(means, nan=np.inf)
    keys = [(-round(float(score[i]), 10), tie[i], question.models[i]) for i in among]
    return among[sorted(range(len(among)), key=keys.__getitem__)]


def _best(values: np.ndarray | None, among: np.ndarray, *, low: bool) -> int | None:
    """Place of the eligible model with the best value."""
    if values is None or not np.isfinite(values[among]).any():
        return None
    chosen = values[among] if low else -values[among]
    return int(among[np.nanargmin(chosen)])


def _draw(question: Question, posterior: Posterior) -> np.ndarray:
    """Accuracies drawn from the posterior, unknown models as NaN."""
    known = np.isfinite(posterior.score)
    part = Posterior(
        posterior.weights,
        posterior.means[:, known],
        posterior.covariances[np.ix_(np.arange(len(posterior.weights)), known, known)],
    )
    draws = np.full((N_DRAWS, len(known)), np.nan)
    draws[:, known] = part.draw(N_DRAWS, np.random.default_rng(question.seed))
    return draws


def _regret(question: Question, posterior: Posterior, found: Answer) -> float:
    """Expected regret of the model that this posterior puts first."""
    draws = _draw(question, posterior)[:, found.among]
    first = int(np.nanargmax(posterior.score[found.among]))
    return float((draws.max(axis=1) - draws[:, first]).mean())


def _verdict(
    question: Question, labelled: _Labelled, found: Answer
) -> tuple[int | None, bool | None]:
    """Decide whether to stop, at the last of the listed numbers of labels that was reached."""
    n = found.n_labels
    if not n:
        return None, None
    reached = [check for check in CHECKS if check <= n]
    if not reached:
        return None, False
    at = n if n > CHECKS[-1] else reached[-1]
    posterior, _ = _posterior(question, _take_first_labels(labelled, at))
    if posterior is None:
        return at, False
    regret = _regret(question, posterior, found)
    return at, is_enough(regret, at, tolerance=question.tolerance)


def _choose_next_model(question: Question, posterior: Posterior, found: Answer) -> int | None:
    """Place of the eligible model that was not run and promises most, by expected improvement."""
    run = {i for i, key in enumerate(question.models) if key in question.evaluated}
    run |= {int(i) for i in np.flatnonzero(np.isfinite(found.hits).any(axis=0))}
    measured = np.array(sorted(run & {int(i) for i in found.among}), dtype=int)
    if not len(measured) or len(measured) == len(found.among):
        return None
    place = {int(i): at for at, i in enumerate(found.among)}
    part = Posterior(
        posterior.weights,
        posterior.means[:, found.among],
        posterior.covariances[:, found.among][:, :, found.among],
    )
    at = np.array([place[int(i)] for i in measured])
    seen = Observation(at, part.score[at], np.zeros((len(at), len(at))))
    following = next_model(part, seen, least=LEAST_IMPROVEMENT)
    return None if following is None else int(found.among[following])
