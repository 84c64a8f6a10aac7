"""Every transferability score by name: how it is called here, its gate, its floor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection import scores as s
from vlmsel.selection.transfer import gates as g
from vlmsel.selection.transfer.model_inputs import ModelInputs
from vlmsel.suggest import nearest

Needs = Literal["features", "head", "zero-shot"]
Cost = Literal["closed form", "trained"]


@dataclass(frozen=True)
class Value:
    """Value of a score for one model.

    Attributes:
        score: higher is better; NaN until the zoo is known for scores that are combined over it.
        tie_break: orders models of one score, higher is better.
        also: further terms, in words.
        terms: what is combined over the zoo, if anything.
        judged: the term that shuffled labels are compared in; the score when None.
    """

    score: float
    tie_break: float = 0.0
    also: str = ""
    terms: Any = None
    judged: float | None = None


@dataclass(frozen=True)
class Estimator:
    """One score as a zoo's table uses it.

    Attributes:
        function: a model's inputs in, its value out.
        definition: one line for a legend.
        gate: for which sizes it means nothing.
        floor: what features that say nothing score; None: the score with shuffled labels.
        needs: what it is computed from.
        cost: whether something is trained for it.
        ceiling: largest possible value, given the number of classes, where a value near it with
            shuffled labels gives the score away.
        has_one_dimension: it grows with the dimension: it ranks models of one dimension only.
        combine: from the terms of all models to their scores, for scores of the zoo.
    """

    function: Callable[[ModelInputs], Value]
    definition: str
    gate: g.Gate = g.allow_all
    floor: Callable[[ModelInputs], float] | None = None
    needs: Needs = "features"
    cost: Cost = "closed form"
    ceiling: Callable[[int], float] | None = None
    has_one_dimension: bool = False
    combine: Callable[[Sequence[Any]], np.ndarray] | None = None


def _chance(inputs: ModelInputs) -> float:
    """Accuracy of always naming the largest class."""
    return float(inputs.groups.priors.max())


def _blind_likelihood(inputs: ModelInputs) -> float:
    """Log-likelihood of the classes' shares: minus their entropy."""
    priors = inputs.groups.priors
    return float((priors * np.log(priors)).sum())


def _zero(inputs: ModelInputs) -> float:
    return 0.0


def _logme_floor(inputs: ModelInputs) -> float:
    return s.logme_floor(inputs.labels)


def _gbc_floor(inputs: ModelInputs) -> float:
    classes = inputs.groups.n_classes
    return -float(np.log(classes * (classes - 1)))


def _wrap_shared(score: Callable[..., float], **options: Any) -> Callable[[ModelInputs], Value]:
    """Call a score that uses the model's decomposition."""

    def function(inputs: ModelInputs) -> Value:
        found = score(inputs.features, inputs.labels, decomposition=inputs.decomposition, **options)
        return Value(found)

    return function


def _wrap_plain(score: Callable[..., float], **options: Any) -> Callable[[ModelInputs], Value]:
    return lambda inputs: Value(score(inputs.features, inputs.labels, **options))


def _wrap_held_out(score: Callable[..., float], **options: Any) -> Callable[[ModelInputs], Value]:
    """Call a held-out score, copies of an image on one side."""

    def function(inputs: ModelInputs) -> Value:
        copies = inputs.task.copies
        return Value(score(inputs.features, inputs.labels, images=copies, **options))

    return function


def _sfda(inputs: ModelInputs) -> Value:
    found = s.sfda(inputs.features, inputs.labels)
    return Value(found.score, found.first_stage, f"shrinkage {found.shrinkage:.3g}")


def _ped(inputs: ModelInputs) -> Value:
    found = s.ped(inputs.features, inputs.labels)
    return Value(found.score, also=f"{found.steps} steps")


def _ncti(inputs: ModelInputs) -> Value:
    found = s.ncti(inputs.features, inputs.labels, decomposition=inputs.decomposition)
    also = f"seli {found.seli:.4g}, ncc {found.ncc:.4g}, vc {found.vc:.4g}"
    return Value(float("nan"), also=also, terms=found, judged=found.ncc)


def _etran(inputs: ModelInputs) -> Value:
    found = s.etran(inputs.features, inputs.labels)
    also = f"lda {found.lda:.4g}, energy {found.energy:.4g}"
    return Value(float("nan"), also=also, terms=found, judged=found.lda)


def _ridge(inputs: ModelInputs) -> Value:
    parts, copies = inputs.decomposition, inputs.task.copies
    found = s.ridge(inputs.features, inputs.labels, images=copies, decomposition=parts)
    return Value(found.accuracy, -found.mse, f"mse {found.mse:.4g}")


def _probe(inputs: ModelInputs) -> Value:
    found = inputs.probe
    return Value(found.accuracy, found.log_likelihood, _converged(found))


def _probe_likelihood(inputs: ModelInputs) -> Value:
    return Value(inputs.probe.log_likelihood, also=_converged(inputs.probe))


def _converged(found: Any) -> str:
    return "" if found.converged else "the fit stopped at its limit of iterations"


def _itm(inputs: ModelInputs) -> Value:
    options = s.ItmOptions(seed=s.ItmOptions().seed + inputs.seed)
    found = s.itm(inputs.features, inputs.labels, options=options, images=inputs.task.copies)
    also = f"without the step {found.without_step:.4g}, {found.n_held_out} images held out"
    return Value(found.score, found.log_likelihood, also)


def _nleep(inputs: ModelInputs) -> Value:
    found = s.nleep(
        inputs.features,
        inputs.labels,
        components=g.mixture_components(inputs.sizes),
        decomposition=inputs.decomposition,
    )
    low, high = min(found.by_seed), max(found.by_seed)
    return Value(found.score, also=f"{low:.3g} to {high:.3g} over {len(found.by_seed)} seeds")


def _leep(inputs: ModelInputs) -> Value:
    return Value(s.leep(inputs.head, inputs.labels).score)


def _nce(inputs: ModelInputs) -> Value:
    return Value(s.nce(inputs.head, inputs.labels))


def _zero_shot(inputs: ModelInputs) -> Value:
    return Value(inputs.zero_shot.accuracy, inputs.zero_shot.log_likelihood)


def _zero_shot_likelihood(inputs: ModelInputs) -> Value:
    return Value(inputs.zero_shot.log_likelihood)


_PAIRS = g.images_a_class(2)
_HELD_OUT = g.all_of(_PAIRS, g.limit_memory)
_TRAINED = g.all_of(_PAIRS, g.limit_memory, g.limit_time)
_FITTED = g.all_of(_PAIRS, g.three_images_a_dimension, g.limit_memory)

ESTIMATORS: dict[str, Estimator] = {
    "logme": Estimator(
        _wrap_shared(s.logme), "log evidence of a linear model, nats an image", _PAIRS, _logme_floor
    ),
    "hscore": Estimator(
        _wrap_shared(s.hscore), "variance between classes, in that of the features",
        g.all_of(_PAIRS, g.saturated_hscore), ceiling=lambda classes: classes - 1,
    ),
    "hscore-shrunk": Estimator(
        _wrap_shared(s.hscore_shrunk), "H-score with a shrunk covariance", g.images_a_class(5),
        ceiling=lambda classes: classes - 1,
    ),
    "transrate": Estimator(
        _wrap_shared(s.transrate), "coding rate less that within classes", _PAIRS,
        has_one_dimension=True,
    ),
    "gbc": Estimator(
        _wrap_shared(s.gbc, unit_variance=True, log_scale=True),
        "-ln of the overlap of the classes as Gaussians, 64 components",
        _PAIRS, _gbc_floor,
    ),
    "parc": Estimator(
        _wrap_plain(s.parc), "100 x rank correlation of distances and labels", _PAIRS, _zero
    ),
    "sfda": Estimator(
        _sfda, "probability of the true class, twice fitted discriminant", _FITTED,
        ceiling=lambda classes: 1.0,
    ),
    "ncti": Estimator(
        _ncti, "neural collapse: three terms scaled over the zoo",
        g.all_of(_PAIRS, g.three_images_a_component, g.limit_memory),
        ceiling=lambda classes: 1.0, combine=s.combine_ncti,
    ),
    "etran": Estimator(
        _etran, "energy and nearest-mean discriminant, scaled over the zoo", g.limit_memory,
        has_one_dimension=True, combine=s.combine_etran,
    ),
    "ped": Estimator(
        _ped, "SFDA after classes pushed each other apart", _FITTED,
        ceiling=lambda classes: 1.0,
    ),
    "leep": Estimator(
        _leep, "log-likelihood of labels through the source head", _PAIRS, _blind_likelihood,
        needs="head",
    ),
    "nce": Estimator(
        _nce, "minus entropy of labels, given the head's class", _PAIRS, _blind_likelihood,
        needs="head",
    ),
    "nleep": Estimator(
        _nleep, "LEEP of a Gaussian mixture, mean of 5 seeds",
        g.all_of(_PAIRS, g.enough_for_a_mixture, g.limit_time), _blind_likelihood,
        cost="trained",
    ),
    "knn": Estimator(_wrap_held_out(s.knn), "accuracy of the nearest image", _PAIRS, _chance),
    "knn-5": Estimator(
        _wrap_held_out(s.knn, k=5), "accuracy of the 5 nearest images", g.images_a_class(3), _chance
    ),
    "nearest-mean": Estimator(
        _wrap_held_out(s.nearest_mean), "accuracy of the nearest class mean, left out", _PAIRS,
        _chance,
    ),
    "ridge": Estimator(_ridge, "accuracy of ridge regression, left out", _HELD_OUT, _chance),
    "lda": Estimator(
        _wrap_held_out(s.lda), "accuracy of a shrunk discriminant, 5 folds",
        g.all_of(g.images_a_class(3), g.limit_memory, g.limit_time), _chance, cost="trained",
    ),
    "lfc": Estimator(
        _wrap_plain(s.lfc), "correlation of the kernels of features and labels", _PAIRS, _zero,
        has_one_dimension=True,
    ),
    "tmi": Estimator(
        _wrap_plain(s.tmi), "squared distance to the class mean", _PAIRS, has_one_dimension=True
    ),
    "probe": Estimator(
        _probe, "accuracy of a linear probe, 5 folds", _TRAINED, _chance, cost="trained"
    ),
    "probe-likelihood": Estimator(
        _probe_likelihood, "log-likelihood of a linear probe, 5 folds", _TRAINED, _blind_likelihood,
        cost="trained",
    ),
    "itm": Estimator(
        _itm, "accuracy of a learnt bottleneck on a held-out fifth",
        g.all_of(_TRAINED, g.enough_held_out), _chance, cost="trained",
    ),
    "zero-shot": Estimator(
        _zero_shot, "zero-shot accuracy on the labelled images", floor=_chance, needs="zero-shot"
    ),
    "zero-shot-likelihood": Estimator(
        _zero_shot_likelihood, "zero-shot log-likelihood on the labelled images",
        floor=_blind_likelihood, needs="zero-shot",
    ),
}  # fmt: skip


def estimator_names(cost: Cost | None = None) -> tuple[str, ...]:
    """Return the names of all scores, or of those of one cost."""
    return tuple(name for name, estimator in ESTIMATORS.items() if cost in (None, estimator.cost))


def find_estimator(name: str) -> Estimator:
    """Return a score by its name.

    Raises:
        SelectionError: there is none of that name.
    """
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    hint = nearest(name, ESTIMATORS) or f"; known are {', '.join(ESTIMATORS)}"
    raise SelectionError(f"there is no score {name!r}{hint}")
