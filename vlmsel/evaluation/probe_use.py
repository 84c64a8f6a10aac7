"""Leave-one-out for the model of the best probe (or zero-shot accuracy), a few labels shown.

Every task is the target once. Scores see the drawn images of the target and their labels; average
rank and the mixture's weights see the other tasks. The truth of a draw is the accuracy on the
images that were not drawn: of a probe of all images by held-out folds, or of the zero-shot
classifier.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.label_budgets import MARK
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut, leave_one_out
from vlmsel.evaluation.metrics import evaluate_ranking
from vlmsel.evaluation.probe_tables import ProbeTables
from vlmsel.selection.knowledge import ModelKey, value_matrix
from vlmsel.selection.labelled_hits import LabelledHits
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import make_selector
from vlmsel.selection.score_arrays import zoo_ranks
from vlmsel.selection.transfer.rank_mixture import PRIOR, Mixture, learn_mixture, mean_places

Use = Literal["probe", "zero-shot"]
TABLE_ONLY = (BASELINE, "average-accuracy")
ZERO_SHOT, SIZE, FEW_SHOT = "zero-shot", "size", "few-shot-probe"
MIXTURE, POSTERIOR = "mixture", "posterior"
# What the mixture is made of, beside average rank.
COMPONENTS = ("logme", "probe-likelihood", "zero-shot-likelihood")


@dataclass(frozen=True)
class Scored:
    """One order of a zoo for one target.

    Attributes:
        selector: its name.
        target: the task.
        score: (models,), lower is better; NaN leaves the selector out for this target.
        truth: (models,), NaN for a model that is no part of the target's zoo.
        reason: why a score is not known.
    """

    selector: str
    target: str
    score: np.ndarray
    truth: np.ndarray
    reason: str | None = None


def judge_use(
    tables: ProbeTables,
    use: Use,
    *,
    zero_shot: pl.DataFrame | None = None,
    sizes: Mapping[ModelKey, float] | None = None,
) -> LeaveOneOut:
    """Judge scores, mixture, posterior and rivals on every task.

    Args:
        tables: results of the zoo.
        use: what the model is chosen for.
        zero_shot: model, pretrained, task, acc1, known where the use is zero-shot.
        sizes: parameters of each model.

    Raises:
        SelectionError: too little is known to hold a task out.
    """
    truth = tables.truth if use == "probe" else _select_zoo(zero_shot, tables)
    plain = _rivals(truth, tables.models, use, zero_shot, sizes or {})
    shown = [
        scored
        for shots in tables.options.shots
        for scored in _with_shots(tables, use, shots, truth)
    ]
    return judge_scored(truth, tables.models, [*plain, *shown])


def judge_published(
    probes: pl.DataFrame,
    zero_shot: pl.DataFrame | None,
    sizes: Mapping[ModelKey, float] | None = None,
) -> LeaveOneOut:
    """Judge published few-shot probes and rivals against published probes of all images.

    Args:
        probes: model, pretrained, task, shots (null: all images), acc1.
        zero_shot: model, pretrained, task, acc1.
        sizes: parameters of each model.

    Raises:
        SelectionError: too little is known to hold a task out.
    """
    truth = probes.filter(pl.col("shots").is_null()).drop("shots")
    unknown: list[tuple[str, str, str]] = []
    if zero_shot is not None:
        # All rivals rank one zoo.
        known = truth.join(zero_shot, on=MODEL, how="semi", maintain_order="left")
        unknown_models = (
            truth.join(known, on=MODEL, how="anti").select(MODEL).unique().sort(MODEL).rows()
        )
        unknown = [
            ("model", "/".join(key), "no zero-shot accuracy is known") for key in unknown_models
        ]
        truth = known
    if truth.is_empty():
        raise SelectionError("no probe of all images is known: nothing to judge against")
    models = tuple(truth.select(MODEL).unique().sort(MODEL).rows())
    scored = _rivals(truth, models, "probe", zero_shot, sizes or {})
    tasks = sorted(truth["task"].unique())
    right = value_matrix(truth, "acc1", models, tasks)
    for shots in sorted(probes["shots"].drop_nulls().unique()):
        few = value_matrix(probes.filter(shots=shots), "acc1", models, tasks)
        name = f"{FEW_SHOT}{MARK}{shots}"
        lack = f"no probe of {shots} shots is known of some models"
        scored += [
            Scored(name, task, -few[:, i], right[:, i], lack) for i, task in enumerate(tasks)
        ]
    return with_left_out(judge_scored(truth, models, scored), unknown)


def judge_scored(
    truth: pl.DataFrame, models: Sequence[ModelKey], scored: Sequence[Scored]
) -> LeaveOneOut:
    """Metrics of every order, means over the draws of a target, beside average rank.

    A selector that cannot rank a target in some draws is judged on the others, and named.

    Raises:
        SelectionError: too little is known to hold a task out.
    """
    rivals = [make_selector(name) for name in TABLE_ONLY]
    base = leave_one_out(rivals, truth, references=())
    n_sources = dict(base.metrics.select("target", "n_sources").unique().iter_rows())
    metrics, rankings, left_out = [], [], []
    for (name, target), draws in _group(scored).items():
        if target not in n_sources:
            continue
        usable = [draw for draw in draws if _is_whole(draw)]
        if len(usable) < len(draws):
            why = next(draw.reason for draw in draws if not _is_whole(draw))
            part = "" if not usable else f" ({len(draws) - len(usable)} of {len(draws)} draws)"
            left_out.append(("selector", name, f"on {target}: {why}{part}"))
        if not usable:
            continue
        values = [_metrics(draw) for draw in usable]
        n_models = int(np.isfinite(usable[0].truth).sum())
        for metric in values[0]:
            mean = float(np.mean([value[metric] for value in values]))
            metrics.append((name, target, n_models, n_sources[target], metric, mean))
        rankings.append(_ranking(usable[0], models))
    return LeaveOneOut(
        pl.concat([base.metrics, _frame(metrics, base.metrics)]),
        pl.concat([base.rankings, *(frame.cast(dict(base.rankings.schema)) for frame in rankings)]),
        base.weights,
        pl.concat([base.left_out, _frame(left_out, base.left_out)]).unique(maintain_order=True),
    )


def _select_zoo(zero_shot: pl.DataFrame | None, tables: ProbeTables) -> pl.DataFrame:
    if zero_shot is None or zero_shot.is_empty():
        raise SelectionError("no zero-shot accuracy is known: measure predictions first")
    names = pl.DataFrame(list(tables.models), schema=MODEL, orient="row")
    tasks = pl.col("task").is_in(list(tables.images))
    return zero_shot.join(names, on=MODEL, how="semi").filter(tasks).select(*MODEL, "task", "acc1")


def _rivals(
    truth: pl.DataFrame,
    models: Sequence[ModelKey],
    use: Use,
    zero_shot: pl.DataFrame | None,
    sizes: Mapping[ModelKey, float],
) -> list[Scored]:
    """Orders that look at no label of the target but, for probes, its zero-shot accuracies."""
    tasks = sorted(truth["task"].unique())
    right = value_matrix(truth, "acc1", models, tasks)
    scored = []
    if use == "probe" and zero_shot is not None:
        known = value_matrix(zero_shot, "acc1", models, tasks)
        lack = "no zero-shot accuracy is known of some models"
        scored += [
            Scored(ZERO_SHOT, task, -known[:, i], right[:, i], lack) for i, task in enumerate(tasks)
        ]
    if sizes:
        size = np.array([-sizes.get(key, np.nan) for key in models], dtype=float)
        lack = "the number of parameters of some models is not known"
        scored += [Scored(SIZE, task, size, right[:, i], lack) for i, task in enumerate(tasks)]
    return scored


def _with_shots(tables: ProbeTables, use: Use, shots: int, truth: pl.DataFrame) -> Iterator[Scored]:
    """Every score, mixture and posterior of a number of shots on every target and draw."""
    tasks = sorted(truth["task"].unique())
    right = value_matrix(truth, "acc1", tables.models, tasks)
    places = _all_places(tables, shots, tasks)
    mixtures = _Mixtures(places, right)
    for i, task in enumerate(tasks):
        for draw in range(tables.options.draws):
            try:
                drawn = tables.draw_rows(task, shots, draw)
            except SelectionError as error:
                lost = np.full(len(tables.models), np.nan)
                for name in (*tables.options.estimators, MIXTURE, POSTERIOR):
                    yield Scored(f"{name}{MARK}{shots}", task, lost, right[:, i], str(error))
                break
            unseen = tables.unseen_accuracy(task, drawn, zero_shot=use == "zero-shot")
            unseen = np.where(np.isfinite(right[:, i]), unseen, np.nan)
            found = {
                name: (draws_of_models[i][draw].place, draws_of_models[i][draw].reason)
                for name, draws_of_models in places.items()
            }
            found[MIXTURE] = mixtures.score(i, draw), "some models have no place to mix"
            found[POSTERIOR] = _posterior(tables, use, truth, task, (shots, draw))
            if use == "probe":
                found[FEW_SHOT] = (
                    _score_few_shot(tables, task, shots, draw),
                    "some models have no probe",
                )
            for name, (score, reason) in found.items():
                yield Scored(f"{name}{MARK}{shots}", task, score, unseen, reason)


def _all_places(tables: ProbeTables, shots: int, tasks: Sequence[str]) -> dict[str, list]:
    """Places by score, task and draw."""
    draws = range(tables.options.draws)
    return {
        name: [[tables.places(name, task, shots, draw) for draw in draws] for task in tasks]
        for name in tables.options.estimators
    }


def learn_from_tables(tables: ProbeTables, shots: int, names: Sequence[str]) -> Mixture:
    """Learn the mixture for a new target from all tasks of the tables.

    Args:
        tables: results of the zoo with these shots.
        shots: images per class that the new target has.
        names: scores that rank the new target.
    """
    tasks = sorted(set(tables.truth["task"]))
    right = value_matrix(tables.truth, "acc1", tables.models, tasks)
    return _Mixtures(_all_places(tables, shots, tasks), right).learn(None, list(names))


def prior_places(tables: ProbeTables) -> dict[ModelKey, float]:
    """Average rank by probes of all images over the tasks; models that no task knows are absent."""
    tasks = sorted(set(tables.truth["task"]))
    right = value_matrix(tables.truth, "acc1", tables.models, tasks)
    means = mean_places(zoo_ranks(right).T)
    return {
        key: float(mean)
        for key, mean in zip(tables.models, means, strict=True)
        if np.isfinite(mean)
    }


class _Mixtures:
    """Mixtures of one number of shots, each learnt without its target."""

    def __init__(self, places: Mapping[str, list], right: np.ndarray) -> None:
        self._names = [name for name in COMPONENTS if name in places]
        self._places = places
        self._truth = zoo_ranks(right).T
        self._tasks = range(len(self._truth))

    def score(self, target: int, draw: int) -> np.ndarray:
        """Mix the places of one draw of a target."""
        names = [name for name in self._names if self._places[name][target][draw].reason is None]
        mixture = self.learn(target, names)
        return mixture.score(self._stack(names, target, draw, [target]))

    def learn(self, target: int | None, names: Sequence[str]) -> Mixture:
        """Learn from all tasks but the target, which may be none of them."""
        hidden = [] if target is None else [target]
        sources, rows, truth = [], [], []
        for source in self._tasks:
            if source == target:
                continue
            for draw in range(len(self._places[names[0]][source]) if names else 1):
                if all(self._places[name][source][draw].reason is None for name in names):
                    sources.append(str(source))
                    rows.append(self._stack(names, source, draw, [source, *hidden]))
                    truth.append(self._truth[source])
        return learn_mixture([PRIOR, *names], sources, rows, truth)

    def _stack(
        self, names: Sequence[str], task: int, draw: int, left_out: Sequence[int]
    ) -> np.ndarray:
        prior = mean_places(self._truth, left_out)
        return np.stack([prior, *(self._places[name][task][draw].place for name in names)])


def _posterior(
    tables: ProbeTables, use: Use, truth: pl.DataFrame, task: str, which: tuple[int, int]
) -> tuple[np.ndarray, str | None]:
    """The posterior of held-out hits on the drawn images, given the other tasks."""
    lost = np.full(len(tables.models), np.nan)
    hits = tables.hits(task, *which, zero_shot=use == "zero-shot")
    if hits is None:
        return lost, "nothing can be held out of one image per class"
    sources = truth.filter(pl.col("task") != task)
    problem = Problem(
        task,
        tuple(sorted(sources["task"].unique())),
        sources,
        hits=LabelledHits(tables.models, hits),
    )
    try:
        ranked = make_selector(POSTERIOR).rank(problem).table
    except SelectionError as error:
        return lost, str(error)
    score = dict(zip(ranked.select(MODEL).rows(), ranked["score"], strict=True))
    return np.array([score.get(key, np.nan) for key in tables.models]), "a model was not ranked"


def _score_few_shot(tables: ProbeTables, task: str, shots: int, draw: int) -> np.ndarray:
    found = [tables.shot(key, task, shots, draw) for key in tables.models]
    return np.array([np.nan if shot is None else -shot.accuracy for shot in found])


def _group(scored: Sequence[Scored]) -> dict[tuple[str, str], list[Scored]]:
    found: dict[tuple[str, str], list[Scored]] = {}
    for ranked in scored:
        found.setdefault((ranked.selector, ranked.target), []).append(ranked)
    return found


def _is_whole(scored: Scored) -> bool:
    """True if every model of the target's zoo has a score, and two have."""
    zoo = np.isfinite(scored.truth)
    return bool(zoo.sum() > 1 and np.isfinite(scored.score[zoo]).all())


def _metrics(scored: Scored) -> dict[str, float]:
    zoo = np.isfinite(scored.truth)
    return evaluate_ranking(scored.truth[zoo], scored.score[zoo])


def _ranking(scored: Scored, models: Sequence[ModelKey]) -> pl.DataFrame:
    zoo = np.flatnonzero(np.isfinite(scored.truth))
    order = zoo[np.argsort(scored.score[zoo], kind="stable")]
    return pl.DataFrame(
        {
            "selector": scored.selector,
            "target": scored.target,
            "rank": np.arange(1, len(order) + 1),
            **{part: [models[i][at] for i in order] for at, part in enumerate(MODEL)},
            "score": scored.score[order],
            "accuracy": scored.truth[order],
        }
    )


def _frame(rows: list[tuple], like: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=like.schema, orient="row")


def with_left_out(found: LeaveOneOut, rows: Sequence[tuple[str, str, str]]) -> LeaveOneOut:
    """The same with more that was left out: kind, name, reason."""
    more = _frame(list(rows), found.left_out)
    return replace(found, left_out=pl.concat([more, found.left_out]).unique(maintain_order=True))
