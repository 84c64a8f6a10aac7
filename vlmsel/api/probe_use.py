"""Probe accuracies from stored embeddings and labels, and who foretells them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.api.published_tables import chosen_accuracies
from vlmsel.api.workspace import Workspace
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.model_probes import ModelProbes, TaskCells, run_model_probes
from vlmsel.evaluation.probe_cache import ProbeCache, probe_key
from vlmsel.evaluation.probe_tables import ProbeTables
from vlmsel.evaluation.probe_use import Use, judge_published, judge_use, with_left_out
from vlmsel.evaluation.probe_work import ProbeOptions
from vlmsel.evaluation.shots import LabelledImages, labelled_images
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.executors.model_tasks import run_model_tasks
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.published import stored_tables
from vlmsel.published.stored_tables import read_probes
from vlmsel.selection.knowledge import ModelKey
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store
from vlmsel.tasks.shards import plan_shards
from vlmsel.zoo.sizes import count_parameters

EMBEDDING, PREDICTION = "embedding", "prediction"
OnModel = Callable[[str, int, int], None]
"""Is told a model's name, how many models are done, and of how many."""


@dataclass(frozen=True)
class ProbeEvidence:
    """Results of a zoo, and what of it could not be used.

    Attributes:
        tables: the results.
        left_out: kind, name, reason.
        n_kept: units that were in the cache.
        n_computed: units that were not.
    """

    tables: ProbeTables
    left_out: tuple[tuple[str, str, str], ...]
    n_kept: int
    n_computed: int


def probe_evidence(
    workspace: Workspace,
    options: ProbeOptions,
    *,
    run: RunOptions | None = None,
    cache: ProbeCache | None = None,
    on_model: OnModel | None = None,
) -> ProbeEvidence:
    """Probe every model on every labelled task whose embeddings are stored; measure nothing.

    What is in the user's cache, of the same cells, labels, options and code, is taken from there.

    Args:
        workspace: with embeddings among its wants.
        options: shots, draws, scores.
        run: this process, or Ray: one task per model.
        cache: by default the user's.
        on_model: called as models are done.

    Raises:
        StoreError: no embedding of this zoo on these tasks is stored.
        SelectionError: no task has labels to use.
    """
    evidence, kept = workspace.evidence, cache or ProbeCache()
    if not evidence.files(EMBEDDING):
        raise StoreError(
            f"store {workspace.address} holds no embeddings of this zoo on these tasks: run "
            f"`vlmsel measure {EMBEDDING} --store {workspace.address}` first"
        )
    images, left_out = _labelled_tasks(workspace)
    cells = _cells_by_model(evidence, images, left_out)
    results, works = {}, []
    for key, by_task in cells.items():
        tasks = []
        for task, (embeddings, predictions) in by_task.items():
            files = [*embeddings.values(), *predictions.values()]
            units = [
                probe_key(key, images[task], files, shots, options)
                for shots in (None, *sorted(set(options.shots)))
            ]
            found = {unit: kept.read(unit) for unit in units}
            results |= {(key, task, u.shots): r for u, r in found.items() if r is not None}
            missing = tuple(unit for unit, result in found.items() if result is None)
            if missing:
                tasks.append(TaskCells(images[task], embeddings, predictions, missing))
        if tasks:
            works.append(ModelProbes("/".join(key), workspace.store.uri, tuple(tasks), options))
    n_kept = len(results)
    for done, answers in enumerate(run_model_tasks(run_model_probes, works, run or RunOptions())):
        for unit, result in answers:
            kept.write(unit, result)
            results[(unit.model, unit.pretrained), unit.task, unit.shots] = result
        if on_model is not None and answers:
            on_model(f"{answers[0][0].model}/{answers[0][0].pretrained}", done + 1, len(works))
    tables = ProbeTables(tuple(sorted(cells)), images, results, options)
    return ProbeEvidence(tables, tuple(left_out), n_kept, len(results) - n_kept)


def evaluate_use(workspace: Workspace, found: ProbeEvidence, use: Use) -> LeaveOneOut:
    """Judge scores, mixture, posterior and rivals for one use of the model.

    Raises:
        SelectionError: too little is known to hold a task out.
    """
    zero_shot = workspace.evidence.accuracies if PREDICTION in workspace.wants else None
    judged = judge_use(found.tables, use, zero_shot=zero_shot, sizes=model_sizes(workspace))
    return with_left_out(judged, found.left_out)


def model_sizes(workspace: Workspace) -> dict[ModelKey, float]:
    """Parameters of the zoo's visual towers, where all are known; else none."""
    sizes = {
        (spec.model, spec.pretrained): count_parameters(spec)
        for spec, _ in workspace.catalogued.models
    }
    known = {key: float(size) for key, size in sizes.items() if size is not None}
    return known if len(known) == len(sizes) else {}


def imported_probes(store: str | Path) -> pl.DataFrame:
    """Published probes in a store: model, pretrained, task, shots (null: all images), acc1.

    Raises:
        StoreError: none were imported.
    """
    opened = Store(store)
    known = read_probes(opened.folder)
    if known.is_empty():
        raise StoreError(
            f"store {opened.address} holds no imported probes: `vlmsel import probes FILE --store "
            f"{opened.address}` reads them"
        )
    return known.unique([*MODEL, "task", "shots"], keep="first", maintain_order=True)


def evaluate_imported_use(store: str | Path, shots: Collection[int] | None = None) -> LeaveOneOut:
    """Judge published few-shot probes, zero-shot accuracies and average rank by published probes.

    Args:
        store: folder or address.
        shots: only probes of these; all when None.

    Raises:
        StoreError: no probes were imported.
        SelectionError: too little is known to hold a task out, or no probe is of these shots.
    """
    probes = imported_probes(store)
    if shots is not None:
        _require_shots(probes, shots)
        probes = probes.filter(pl.col("shots").is_null() | pl.col("shots").is_in(list(shots)))
    has_accuracies = not stored_tables.read_accuracies(Store(store).folder).is_empty()
    zero_shot = chosen_accuracies(store, ()) if has_accuracies else None
    return judge_published(probes.drop("source"), zero_shot)


def _require_shots(probes: pl.DataFrame, shots: Collection[int]) -> None:
    """Refuse shots of which no probe is known.

    Raises:
        SelectionError: names the first, and those that are known.
    """
    known = sorted(probes["shots"].drop_nulls().unique())
    absent = [number for number in shots if number not in known]
    if absent:
        kinds = [f"{number} shots" for number in known]
        kinds += ["all images"] if probes["shots"].null_count() else []
        raise SelectionError(
            f"no imported probe is of {absent[0]} shots: they are of {', '.join(kinds)}"
        )


def _labelled_tasks(
    workspace: Workspace,
) -> tuple[dict[str, LabelledImages], list[tuple[str, str, str]]]:
    """Labelled images of every task that are meant to have an embedding."""
    evidence = workspace.evidence
    n_images = workspace.wants[EMBEDDING].n_images
    left_out = [("task", fault.task, fault.reason) for fault in evidence.label_faults]
    found = {}
    for (task,), rows in evidence.labels.group_by("task", maintain_order=True):
        name = str(task)
        shards = plan_shards(evidence.catalogued.indexes[name], n_images=n_images)
        wanted = {ref.image_id: ref.sha256 for shard in shards for ref in shard.images}
        labels = rows.filter(pl.col("image_id").is_in(list(wanted)))
        ids = np.array(labels["image_id"].to_list(), dtype=object)
        sums = np.array([wanted[image] for image in ids], dtype=object)
        try:
            found[name] = labelled_images(name, ids, labels["label"].to_numpy(), sums)
        except SelectionError as error:
            left_out.append(("task", name, str(error)))
    if not found:
        why = f": {left_out[0][-1]}" if left_out else ""
        raise SelectionError(f"no task of {workspace.address} has labels to probe with{why}")
    return found, left_out


Files = dict[CellId, str]


def _cells_by_model(
    evidence: Evidence,
    images: Mapping[str, LabelledImages],
    left_out: list[tuple[str, str, str]],
) -> dict[ModelKey, dict[str, tuple[Files, Files]]]:
    """Files of embeddings and predictions by model and task, where all embeddings are there."""
    embeddings = _files_by_cell(evidence, EMBEDDING)
    predictions = _files_by_cell(evidence, PREDICTION)
    wanted: dict[tuple[ModelKey, str], int] = {}
    for cell in evidence.wanted(EMBEDDING):
        where = ((cell.model, cell.pretrained), cell.task)
        wanted[where] = wanted.get(where, 0) + 1
    found: dict[ModelKey, dict[str, tuple[Files, Files]]] = {}
    for (key, task), number in sorted(wanted.items()):
        if task not in images:
            continue
        files = embeddings.get((key, task), {})
        if len(files) < number:
            name = f"{'/'.join(key)} on {task}"
            left_out.append(("embedding", name, f"{len(files)} of {number} cells are measured"))
            continue
        found.setdefault(key, {})[task] = (files, predictions.get((key, task), {}))
    return found


def _files_by_cell(evidence: Evidence, kind: str) -> dict[tuple[ModelKey, str], Files]:
    found: dict[tuple[ModelKey, str], Files] = {}
    for cell, path in evidence.files(kind).items():
        found.setdefault(((cell.model, cell.pretrained), cell.task), {})[cell] = path
    return found
