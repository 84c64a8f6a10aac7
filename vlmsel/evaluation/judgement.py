"""Judgement of one selector: rankings of all held-out tasks, as arrays over models and tasks."""

from dataclasses import dataclass

import numpy as np

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.selection.axes import Axes
from vlmsel.selection.ranking import TIE_DECIMALS, Ranking, make_ranking
from vlmsel.selection.selector import BaseSelector, Scorer, Scores, Selector


@dataclass(frozen=True, eq=False)
class Names(Axes):
    """The axes of all judgements of a leave-one-out: models by name, targets and sources by name.

    Attributes:
        targets: those that are held out, in order.
    """

    targets: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Every ranking by one selector.

    Attributes:
        places: (targets, models), rank of each model, 1 is the first choice; 0 where the target, or
            the model for it, has none.
        scores: (targets, models), NaN where there is no place.
        weights: (targets, models, tasks), NaN where a source has no weight; None for a selector
            that compares no tasks.
        refused: why a target could not be ranked, "" where it was.
    """

    places: np.ndarray
    scores: np.ndarray
    weights: np.ndarray | None
    refused: tuple[str, ...]


def name_axes(held_out: HeldOutTasks) -> Names:
    """Return the models and tasks of a leave-one-out."""
    models = {key for task in held_out.tasks for key in task.truth.select(MODEL).rows()}
    targets = tuple(task.problem.target for task in held_out.tasks)
    tasks = {*targets, *(source for task in held_out.tasks for source in task.problem.sources)}
    return Names(tuple(sorted(models)), tuple(sorted(tasks)), targets)


class JudgementMaker:
    """Collects the rankings by one selector, target by target."""

    def __init__(self, selector: Selector, names: Names) -> None:
        self._selector = selector
        self._names = names
        shape = (len(names.targets), len(names.models))
        self._places = np.zeros(shape, dtype=np.int32)
        self._scores = np.full(shape, np.nan)
        self._weights: np.ndarray | None = None
        self._refused = [""] * len(names.targets)

    def add(self, number: int, task: HeldOut) -> None:
        """Rank the target of this number; an error of the selector is its reason to refuse."""
        try:
            self._add(number, task)
        except SelectionError as error:
            self._refused[number] = str(error)

    def finish(self) -> Judgement:
        """Return all of them."""
        return Judgement(self._places, self._scores, self._weights, tuple(self._refused))

    def _add(self, number: int, task: HeldOut) -> None:
        if type(self._selector).rank is not BaseSelector.rank:
            self._add_ranking(number, task, self._selector.rank(task.problem))
            return
        scorer = self._selector.prepare(task.problem)
        scores = scorer.score(np.arange(len(scorer.models))[None])
        values = scores.values[0]
        if not (len(values) == len(task.truth) and np.isfinite(values).all()):
            weights = None if scores.weights is None else scores.weights[0]
            made = make_ranking(task.problem, scorer.models, values, weights, scorer.left_out)
            self._add_ranking(number, task, made)
            return
        self._add_scores(number, task, scorer, scores)

    def _add_scores(self, number: int, task: HeldOut, scorer: Scorer, scores: Scores) -> None:
        """Keep the ranking of a whole zoo; ties as `make_ranking` breaks them."""
        rows = self._names.rows(scorer.models)
        values = scores.values[0]
        tie = task.problem.arrays.average_rank_of(scorer.models)
        order = np.lexsort((rows, tie.round(TIE_DECIMALS), values.round(TIE_DECIMALS)))
        self._places[number, rows[order]] = np.arange(1, len(order) + 1)
        self._scores[number, rows] = values
        if scores.weights is not None:
            columns = self._names.columns(task.problem.sources)
            self._all_weights()[number][np.ix_(rows, columns)] = scores.weights[0]

    def _add_ranking(self, number: int, task: HeldOut, ranking: Ranking) -> None:
        """Keep a ranking that was made as a table."""
        wanted = task.truth.select(MODEL)
        table = ranking.table.join(wanted, on=MODEL, how="semi").sort("rank")
        if len(table) < len(wanted):
            model, pretrained, why = ranking.left_out.select(*MODEL, "reason").row(0)
            count = f"{len(table)} of {len(wanted)} models ranked"
            raise SelectionError(f"{count}, not comparable; {model}/{pretrained}: {why}")
        rows = self._names.rows(table.select(MODEL).rows())
        self._places[number, rows] = np.arange(1, len(rows) + 1)
        self._scores[number, rows] = table["score"].cast(float).to_numpy()
        if ranking.weights is not None:
            known = ranking.weights.join(wanted, on=MODEL, how="semi", maintain_order="left")
            rows = self._names.rows(known.select(MODEL).rows())
            columns = self._names.columns(known["source"].to_list())
            self._all_weights()[number][rows, columns] = known["weight"].cast(float).to_numpy()

    def _all_weights(self) -> np.ndarray:
        if self._weights is None:
            names = self._names
            shape = (len(names.targets), len(names.models), len(names.tasks))
            self._weights = np.full(shape, np.nan)
        return self._weights
