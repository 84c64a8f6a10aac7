"""Effects of silenced layers, from stored knockouts and labels: vectors, likeness, adaptations."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from vlmsel.api.laboratory import current_knowledge, judged_tables
from vlmsel.api.workspace import Workspace
from vlmsel.columns import CELL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.held_out import Extras
from vlmsel.evaluation.leave_one_out import LeaveOneOut, leave_one_out
from vlmsel.evidence.evidence import Evidence
from vlmsel.measurements.knockout import Knockout
from vlmsel.measurements.measurement import Want
from vlmsel.selection.layers.adaptation import Adaptation, adapt
from vlmsel.selection.layers.changes import agresti_min
from vlmsel.selection.layers.knockout_answers import (
    LayerAnswers,
    Outcomes,
    choose_layers,
    collect_answers,
    label_knockouts,
)
from vlmsel.selection.layers.likeness import Likeness, compare_tasks, pool_models
from vlmsel.selection.layers.rules import RuleName
from vlmsel.selection.layers.vectors import interaction_vectors
from vlmsel.selection.registry import make_selector
from vlmsel.zoo.layer_name import PARTS, TOWERS, Part, Tower

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

COMPARED = ("average-rank", "dcd", "dcd-pooled", "interaction")


@dataclass(frozen=True)
class Chosen:
    """An adaptation, and what the layer does on labelled items that it was not chosen on.

    Attributes:
        others: gain, low, high and number of the items kept apart; None where none were.
    """

    adaptation: Adaptation
    others: tuple[float, float, float, int] | None


def read_answers(
    workspace: Workspace,
    *,
    towers: Sequence[Tower] = TOWERS,
    parts: Sequence[Part] = PARTS,
    models: Sequence[str] = (),
    tasks: Sequence[str] = (),
) -> list[LayerAnswers]:
    """Labelled answers with each layer silenced, of every tower and part that is measured.

    A model counts on a task only where every wanted cell of a tower and part is there.

    Args:
        workspace: the store with its zoo and tasks.
        towers: those that count.
        parts: likewise.
        models: names (`model` or `model/pretrained`); all of the zoo by default.
        tasks: names; all by default.

    Raises:
        StoreError: no knockout of them is measured, or none of a labelled image.
        ModelError, TaskError: there is no such model or task.
    """
    specs = [workspace.zoo.find(name) for name in models] or list(workspace.zoo.models)
    for name in tasks:
        workspace.tasks.find(name)
    names = {spec.name for spec in specs}
    catalogued = workspace.catalogued.only(tasks) if tasks else workspace.catalogued
    kept = tuple(candidate for candidate in catalogued.models if candidate[0].name in names)
    catalogued = replace(catalogued, models=kept)
    labels = Evidence(workspace.store, catalogued, {}).labels
    n_images = workspace.wants["knockout"].n_images if "knockout" in workspace.wants else None
    found: list[pl.DataFrame] = []
    for tower in towers:
        for part in parts:
            want = Want(Knockout(tower=tower, part=part), n_images)
            evidence = Evidence(workspace.store, catalogued, {"knockout": want})
            if evidence.files("knockout"):
                rows = _complete_rows(evidence)
                found.append(label_knockouts(rows, labels, tower, part))
    if not found:
        raise StoreError(
            f"store {workspace.address} holds no knockout of this zoo on these tasks: run `vlmsel "
            f"measure knockout --set tower={towers[0]} --set part={parts[0]}` with the same "
            "--store, --zoo and --tasks first"
        )
    answers = list(collect_answers(pl.concat(found)))
    if not answers:
        raise StoreError(
            f"store {workspace.address} holds knockouts, but none of a labelled image: label some"
        )
    return answers


def _complete_rows(evidence: Evidence) -> pl.DataFrame:
    """Rows of the models and tasks of which no wanted cell is missing."""
    scan = evidence.read("knockout")
    lacking = (evidence.wanted("knockout") - evidence.files("knockout").keys()) | set(scan.corrupt)
    incomplete = {(cell.model, cell.pretrained, cell.task) for cell in lacking}
    if incomplete:
        log.warning("passed over %d model(s) and task(s) with missing knockouts", len(incomplete))
    keys = pl.DataFrame(sorted(incomplete), schema=dict.fromkeys(CELL, pl.String), orient="row")
    return scan.measured.join(keys, on=CELL, how="anti")


@dataclass(frozen=True)
class TaskVectors:
    """Interaction vectors of a store.

    Attributes:
        vectors: see `vlmsel.selection.layers.vectors.SCHEMA`.
        likenesses: of the tasks, by model.
        idle: model, pretrained, layer, state: layers that are no candidates on any task.
        pooled: tasks compared over the layers of all models together.
    """

    vectors: pl.DataFrame
    likenesses: tuple[Likeness, ...]
    idle: pl.DataFrame
    pooled: tuple[Likeness, ...]


def task_vectors(answers: Sequence[LayerAnswers]) -> TaskVectors:
    """Vectors of all models and tasks, and tasks compared by them."""
    vectors = interaction_vectors(answers)
    idle = {
        (*answer.key[:2], name, state) for answer in answers for name, state in answer.idle.items()
    }
    columns = ["model", "pretrained", "layer", "state"]
    frame = pl.DataFrame(sorted(idle), schema=dict.fromkeys(columns, pl.String), orient="row").join(
        vectors, on=["model", "pretrained", "layer"], how="anti"
    )
    pooled = tuple(compare_tasks(pool_models(vectors)))
    return TaskVectors(vectors, tuple(compare_tasks(vectors)), frame.sort(columns), pooled)


def interaction_figure(found: TaskVectors, model: tuple[str, str]) -> "Figure | None":
    """Heatmap of one model's vectors, tasks by layers; None where it has none.

    Args:
        found: of `task_vectors`.
        model: model and pretrained.
    """
    from vlmsel.report.figures import interaction_heatmap

    name, pretrained = model
    rows = found.vectors.filter(pl.col("model") == name, pl.col("pretrained") == pretrained)
    wide = rows.sort("place").pivot("layer", index="task", values="delta").sort("task")
    layers = wide.columns[1:]
    if not layers or not wide.height:
        return None
    values = wide.select(layers).to_numpy().astype(float)
    return interaction_heatmap(values, wide["task"].to_list(), layers)


def judge_likeness(workspace: Workspace, found: TaskVectors) -> LeaveOneOut:
    """Leave-one-out of `interaction` beside average rank and DCD, on the store's accuracies.

    Raises:
        StoreError: no profile or accuracy is measured.
        SelectionError: too little is known.
    """
    knowledge = current_knowledge(workspace)
    once = judged_tables(knowledge)
    selectors = [make_selector(name) for name in COMPARED]
    return leave_one_out(
        selectors,
        once.accuracies,
        once.profiles,
        extras=Extras(vectors=selector_vectors(found.likenesses)),
    )


def selector_vectors(likenesses: Iterable[Likeness]) -> pl.DataFrame:
    """Vectors as `Problem.vectors` has them; saturated tasks have none."""
    rows = [
        (*likeness.model, task, likeness.vectors[place].tolist())
        for likeness in likenesses
        if likeness.layers
        for place, task in enumerate(likeness.tasks)
    ]
    schema = {**dict.fromkeys(CELL, pl.String), "vector": pl.List(pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def adapt_model(
    answers: LayerAnswers,
    *,
    layers: Sequence[str] = (),
    rule: RuleName | None = None,
    n_items: int | None = None,
    seed: int = 0,
) -> Chosen:
    """Choose a layer to silence for one model and task.

    Args:
        answers: of `read_answers`.
        layers: candidates by name; all by default.
        rule: by name; see `vlmsel.selection.layers.rules.default_rule`.
        n_items: labelled items to choose on, drawn at random; the others judge the choice. All by
            default.
        seed: of everything drawn.

    Raises:
        SelectionError: a layer is unknown, or fewer items are labelled.
    """
    chosen = choose_layers(answers, layers) if layers else answers
    outcomes = chosen.outcomes
    if n_items is None:
        return Chosen(adapt(chosen, rule=rule, seed=seed), None)
    if not 2 <= n_items <= outcomes.n_items:
        raise SelectionError(
            f"{'/'.join(chosen.key)}: {outcomes.n_items} items are labelled and measured, "
            f"not {n_items}"
        )
    order = np.random.default_rng([seed, 9]).permutation(outcomes.n_items)
    drawn, others = np.sort(order[:n_items]), np.sort(order[n_items:])
    found = adapt(replace(chosen, outcomes=outcomes.take(drawn)), rule=rule, seed=seed)
    return Chosen(found, _gain_on(chosen, found.proposed, outcomes.take(others)))


def _gain_on(
    answers: LayerAnswers, layer: str | None, others: Outcomes
) -> tuple[float, float, float, int] | None:
    """Gain of a layer with its interval on items that it was not chosen on."""
    if layer is None or not others.n_items:
        return None
    place = answers.layers.index(layer)
    up, down = (int(counts[place]) for counts in others.changes())
    _, low, high = agresti_min(up, down, others.n_items)
    return (up - down) / others.n_items, low, high, others.n_items
