"""Turn two tables into one selection problem per target: what a selector may know, and the truth.

Every task is the target once and all others are its sources. The zoo of a target is every model
whose accuracy (and, when profiles are used, profile) is known on the target and on at least one
source: a table with holes gives each target its own zoo, the same for every selector. What cannot
be used is left out by name, never in silence.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from vlmsel.columns import IMAGENET_NAMES, MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.usable_accuracies import known_accuracies
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.task_grid import TaskGrid, lay_out
from vlmsel.selection.texts.text_evidence import TextEvidence
from vlmsel.selection.zoo_answers import ZooAnswers


@dataclass(frozen=True)
class Extras:
    """Inputs that few selectors ask for, of all tasks together.

    Attributes:
        vectors: interaction vectors (model, pretrained, task, vector).
        texts: what the models make of texts, and of labelled images.
    """

    vectors: pl.DataFrame | None = None
    texts: TextEvidence | None = None


@dataclass(frozen=True)
class HeldOut:
    """One target of a leave-one-out.

    Attributes:
        problem: what a selector sees; its truth is for `oracle` selectors alone.
        truth: model, pretrained, accuracy on the target, sorted by name.
    """

    problem: Problem
    truth: pl.DataFrame


@dataclass(frozen=True)
class HeldOutTasks:
    """All targets of a leave-one-out.

    Attributes:
        tasks: one per target, by name.
        left_out: kind ("task" or "model"), name, reason.
    """

    tasks: tuple[HeldOut, ...]
    left_out: pl.DataFrame


def hold_out(
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    targets: Collection[str] | None = None,
    references: Collection[str] = IMAGENET_NAMES,
    extras: Extras | None = None,
    min_models: int = 2,
    min_sources: int = 1,
    answers: Mapping[str, ZooAnswers] | None = None,
) -> HeldOutTasks:
    """One problem per target, and what was left out.

    Args:
        accuracies: model, pretrained, task, acc1 (0..1); NaN and null mean unknown.
        profiles: long profiles, or `task_profiles` of them; None for selectors that need none.
        targets: tasks to hold out; all that are no reference when None.
        references: tasks that are never target nor source, only known to selectors that ask for
            them by name (ImageNet).
        extras: inputs that few selectors ask for; nobody is left out for them.
        min_models: a target with fewer known models is left out.
        min_sources: a target with fewer sources is left out.
        answers: by task, for selectors that look at those of the target.

    Raises:
        SelectionError: No target is left, with the last reason; or the accuracies contradict
            themselves.
    """
    known = known_accuracies(accuracies)
    shapes = None if profiles is None else task_profiles(profiles)
    is_reference = pl.col("task").is_in(list(references))
    reference, cells = known.filter(is_reference), known.filter(~is_reference)
    left_out = _find_lost("accuracy", accuracies.filter(~is_reference), cells)
    if shapes is not None:
        left_out += _find_lost("accuracy", shapes.join(reference, on="task", how="anti"), cells)
        profiled = cells.join(shapes, on=[*MODEL, "task"], how="semi")
        left_out += _find_lost("profile", cells, profiled)
        cells = profiled
    tables = _lay_out(cells, reference, shapes, references)
    tasks = []
    wanted = cells["task"].unique() if targets is None else targets
    for target in sorted(wanted):
        task = _hold_out_one(target, tables, (min_models, min_sources))
        if isinstance(task, str):
            left_out.append(("task", target, task))
        else:
            found = _with_answers(task, (answers or {}).get(target))
            tasks.append(_with_extras(found, extras or Extras()))
    if not tasks:
        raise SelectionError(_explain_no_target(cells, left_out))
    schema = {"kind": pl.String, "name": pl.String, "reason": pl.String}
    names = pl.DataFrame(left_out, schema=schema, orient="row").unique(maintain_order=True)
    return HeldOutTasks(tuple(tasks), names)


def _with_extras(task: HeldOut, extras: Extras) -> HeldOut:
    """The same with the vectors of its zoo, and with texts that hide the target's labels."""
    changed: dict[str, Any] = {}
    if extras.vectors is not None:
        changed["vectors"] = extras.vectors.join(
            task.truth, on=MODEL, how="semi", maintain_order="left"
        )
    if extras.texts is not None:
        changed["texts"] = extras.texts.hide_labels(task.problem.target)
    return replace(task, problem=task.problem.with_others(**changed)) if changed else task


def _explain_no_target(cells: pl.DataFrame, left_out: list[tuple[str, str, str]]) -> str:
    """Say in one line why no target is left."""
    tasks, models = cells["task"].unique().to_list(), cells.select(MODEL).unique().rows()
    why = ": ".join(left_out[-1][1:]) if left_out else ""
    if not tasks:
        why = "no model and task has both an accuracy and a profile" if why else "nothing is known"
    elif len(models) == 1:
        why = f"there is only one model, {'/'.join(models[0])}"
    elif len(tasks) == 1:
        why = f"there is only one task, {tasks[0]}"
    return f"no task can be held out: {why}; give at least 2 tasks with 2 models in common"


@dataclass(frozen=True, eq=False)
class _Tables:
    """All that is known, with the place of every row in the grid.

    Attributes:
        grid: the same as arrays.
        known: (models, tasks), cells that can be a source or a target.
        accuracies: of sources and references, sorted by name.
        shapes: task profiles of sources; None without.
        of_accuracies: row and column in the grid of every row of `accuracies`.
        of_shapes: likewise.
    """

    grid: TaskGrid
    known: np.ndarray
    accuracies: pl.DataFrame
    shapes: pl.DataFrame | None
    of_accuracies: tuple[np.ndarray, np.ndarray]
    of_shapes: tuple[np.ndarray, np.ndarray] | None


def _lay_out(
    cells: pl.DataFrame,
    reference: pl.DataFrame,
    shapes: pl.DataFrame | None,
    references: Collection[str],
) -> _Tables:
    """Lay out once what every target looks at."""
    accuracies = pl.concat([cells, reference]).sort(*MODEL, "task")
    if shapes is not None:
        shapes = shapes.filter(~pl.col("task").is_in(list(references)))
    grid = lay_out(accuracies, shapes)
    is_source = ~np.isin(grid.tasks, list(references))
    return _Tables(
        grid,
        np.isfinite(grid.accuracy) & is_source,
        accuracies,
        shapes,
        _places(accuracies, grid),
        None if shapes is None else _places(shapes, grid),
    )


def _places(frame: pl.DataFrame, grid: TaskGrid) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the grid of every row of a table."""
    models = pl.DataFrame(list(grid.models), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    tasks = pl.DataFrame({"task": list(grid.tasks)}, schema={"task": pl.String})
    found = (
        frame.select(*MODEL, "task")
        .join(models.with_row_index("_row"), on=MODEL, how="left", maintain_order="left")
        .join(tasks.with_row_index("_column"), on="task", how="left", maintain_order="left")
    )
    return found["_row"].to_numpy(), found["_column"].to_numpy()


def _hold_out_one(target: str, tables: _Tables, least: tuple[int, int]) -> HeldOut | str:
    """The problem, or why there is none."""
    grid, known = tables.grid, tables.known
    column = grid.column_of.get(target)
    is_other = np.arange(len(grid.tasks)) != column
    elsewhere = (known & is_other).any(axis=1)
    in_zoo = elsewhere & known[:, column] if column is not None else np.zeros_like(elsewhere)
    is_source = (known[in_zoo] & is_other).any(axis=0)
    zoo, sources = np.flatnonzero(in_zoo), np.flatnonzero(is_source)
    min_models, min_sources = least
    if len(zoo) < min_models:
        return f"known for {len(zoo)} model(s) that a source knows too, {min_models} needed"
    if len(sources) < min_sources:
        return f"{len(sources)} source task(s), {min_sources} needed"
    row, task = tables.of_accuracies
    shapes = None
    if tables.shapes is not None and tables.of_shapes is not None:
        of_row, of_task = tables.of_shapes
        shapes = tables.shapes.filter(in_zoo[of_row] & (is_source | ~is_other)[of_task])
    models = [grid.models[place] for place in zoo]
    truth = pl.DataFrame(models, schema=dict.fromkeys(MODEL, pl.String), orient="row").with_columns(
        accuracy=pl.Series(grid.accuracy[zoo, column])
    )
    problem = Problem(
        target=target,
        sources=tuple(grid.tasks[place] for place in sources),
        accuracies=tables.accuracies.filter(in_zoo[row] & is_other[task]),
        profiles=shapes,
        truth=truth,
    )
    problem.share(grid, zoo)
    return HeldOut(problem, truth)


def _with_answers(task: HeldOut, answers: ZooAnswers | None) -> HeldOut:
    """The target with the answers of its zoo, where there are some."""
    if answers is None:
        return task
    zoo = set(task.truth.select(MODEL).rows())
    places = [place for place, key in enumerate(answers.models) if key in zoo]
    return replace(task, problem=task.problem.with_answers(answers.select_models(places)))


def _find_lost(what: str, before: pl.DataFrame, after: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Tasks and models that are in no row of `after`, in words."""
    reason = f"no usable {what} at all"
    tasks = sorted(set(before["task"]) - set(after["task"]))
    models = sorted(set(before.select(*MODEL).rows()) - set(after.select(*MODEL).rows()))
    named = [("model", f"{model}/{pretrained}", reason) for model, pretrained in models]
    return [("task", task, reason) for task in tasks] + named
