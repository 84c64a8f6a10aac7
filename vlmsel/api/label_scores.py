"""Scores of a zoo for a folder of labelled images: embed what is missing, score, resample."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.addresses import absolute_path
from vlmsel.api.workspace import Workspace
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError, TaskError
from vlmsel.evaluation.model_scores import ModelScores, ScoringWork, run_model_scores
from vlmsel.evaluation.probe_work import LEAST_SHARE
from vlmsel.evaluation.shots import LabelledImages
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.executors.model_tasks import run_model_tasks
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.plurals import number_of
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.transfer.bootstrap_places import RESAMPLES, place_intervals
from vlmsel.selection.transfer.labelled_task import LabelledTask, labelled_task
from vlmsel.selection.transfer.score_catalog import find_estimator
from vlmsel.selection.transfer.zoo_table import DEFAULT_ESTIMATORS, estimator_column
from vlmsel.store.keys import CellId
from vlmsel.tasks.label_tables import NO_CLASS, read_class_names
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskCatalog, TaskSpec, folder_task

EMBEDDING, PREDICTION = "embedding", "prediction"
# Images named that are left out.
SHOWN = 3


@dataclass(frozen=True)
class LabelledTarget:
    """A folder of images with labels, and a zoo to embed them.

    Attributes:
        workspace: the zoo on the folder; its only task.
        images: all labelled images.
        task: those that can be used, as rows of `images`.
    """

    workspace: Workspace
    images: LabelledImages
    task: LabelledTask


@dataclass(frozen=True)
class LabelScores:
    """The table models x scores.

    Attributes:
        table: columns of `ZooScores.table`, and place_low and place_high, the 95 % interval of the
            place under resampling of the images within their classes; null where there is none.
        left_out: model, pretrained, reason.
        notes: what of the images was left out, a line each.
        models: what was found of each model that was scored.
    """

    table: pl.DataFrame
    left_out: pl.DataFrame
    notes: tuple[str, ...]
    models: tuple[ModelScores, ...] = field(repr=False)


def labelled_target(workspace: Workspace, images: str | Path, labels: str | Path) -> LabelledTarget:
    """A zoo on a folder of images of which some are labelled.

    The names of the classes are those that the file gives: they are also asked zero-shot.

    Raises:
        TaskError: no such folder or file, no image, or the file names an image that is not there.
        SelectionError: the labels leave fewer than two classes.
    """
    found = folder_task(images)
    file = absolute_path(labels, "labels", TaskError)
    plain = found.model_copy(update={"name": TARGET_PREFIX + found.name})
    index = _restrict_to_task(workspace, plain).catalogued.indexes[plain.name]
    names = read_class_names(file, plain, index, outside=NO_CLASS)
    classes = tuple(sorted(set(names.values())))
    target = _restrict_to_task(workspace, plain.model_copy(update={"classnames": classes}))
    return _keep_labelled(target, {image: classes.index(names[image]) for image in sorted(names)})


def usable_target(target: LabelledTarget) -> LabelledTarget:
    """Leave out labelled images that cannot be embedded, so that models compare on the same ones.

    An image that failed with every model goes. So does one that failed with some, unless a model
    lacks many: then that model has no scores instead.

    Args:
        target: its embeddings are in the store.

    Raises:
        SelectionError: the other labels leave fewer than two classes.
    """
    lost = _unusable_images(target)
    if not lost:
        return target
    codes = dict(zip(target.images.image_ids, target.images.codes.tolist(), strict=True))
    found = _keep_labelled(target.workspace, {k: v for k, v in codes.items() if k not in lost})
    more = ", ..." if len(lost) > SHOWN else ""
    shown = ", ".join(sorted(lost)[:SHOWN]) + more
    single = "labelled image has no embedding and counts"
    images = number_of(len(lost), single, "labelled images have no embedding and count")
    note = f"{images} for no model: {shown}"
    return replace(found, task=replace(found.task, notes=(note, *found.task.notes)))


def score_target(
    target: LabelledTarget,
    estimators: Iterable[str] = DEFAULT_ESTIMATORS,
    *,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    run: RunOptions | None = None,
    on_model: Callable[[str, int, int], None] | None = None,
) -> LabelScores:
    """Score a measured target: one task per model, here or on Ray.

    Args:
        target: its embeddings are in the store.
        estimators: names of scores.
        n_resamples: resamples of the images for the intervals; 0 for none.
        seed: of folds, floors and resamples.
        run: where.
        on_model: called as models are done: name, how many are done, of how many.

    Raises:
        SelectionError: a name is unknown, or no model can be scored.
    """
    names = tuple(dict.fromkeys(estimators))
    chosen = {name: find_estimator(name) for name in names}
    target = usable_target(target)
    workspace = target.workspace
    evidence = Evidence(workspace.store, workspace.catalogued, workspace.wants)
    embeddings, predictions = (
        _files_by_model(evidence, EMBEDDING),
        _files_by_model(evidence, PREDICTION),
    )
    works = [
        ScoringWork(
            key,
            workspace.store.uri,
            embeddings[key],
            predictions.get(key, {}),
            target.images,
            target.task,
            names,
            n_resamples,
            seed,
        )
        for key in sorted(embeddings)
    ]
    found: dict[ModelKey, ModelScores] = {}
    for done, model in enumerate(run_model_tasks(run_model_scores, works, run or RunOptions())):
        found[model.key] = model
        if on_model is not None:
            on_model("/".join(model.key), done + 1, len(works))
    known = tuple(found[key] for key in sorted(found))
    zoo = [(spec.model, spec.pretrained) for spec, _ in workspace.catalogued.models]
    unscored = [(*key, "it has no embedding of these images") for key in zoo if key not in found]
    unscored += [(*model.key, model.reason or "") for model in known if model.scored is None]
    scored = tuple(model for model in known if model.scored is not None)
    if not scored:
        why = unscored[0][-1] if unscored else "the zoo is empty"
        raise SelectionError(f"no model can be scored: {why}")
    rows = [model.scored for model in scored if model.scored is not None]
    table = pl.concat(
        [_add_intervals(name, estimator_column(name, chosen[name], rows), scored) for name in names]
    )
    schema = dict.fromkeys([*MODEL, "reason"], pl.String)
    groups = target.task.groups
    first = (
        f"{len(target.task.rows)} labelled images of {groups.n_classes} classes, "
        f"{groups.smallest} in the smallest"
    )
    left_out = pl.DataFrame(unscored, schema=schema, orient="row")
    return LabelScores(table, left_out, (first, *target.task.notes), scored)


def _keep_labelled(workspace: Workspace, labels: Mapping[str, int]) -> LabelledTarget:
    """The images of a workspace's only task that have a class number, in the order given."""
    ((name, index),) = workspace.catalogued.indexes.items()
    checksums = {ref.image_id: ref.sha256 for ref in index.images}
    codes = np.array(list(labels.values()))
    n_classes = len(workspace.tasks.tasks[0].classnames or ())
    task = labelled_task(
        codes, images=[checksums[image] for image in labels], classes=list(range(n_classes))
    )
    # Rows of the task refer to all of these images.
    known = LabelledImages(name, tuple(labels), codes, np.arange(len(labels)))
    return LabelledTarget(workspace, known, task)


def _unusable_images(target: LabelledTarget) -> set[str]:
    evidence = Evidence(target.workspace.store, target.workspace.catalogued, target.workspace.wants)
    files, labelled = evidence.files(EMBEDDING), set(target.images.image_ids)
    failed: dict[ModelKey, set[str]] = {(cell.model, cell.pretrained): set() for cell in files}
    for cell, images in target.workspace.store.failed_images(files).items():
        failed[cell.model, cell.pretrained] |= labelled & {image for image, _ in images}
    if not failed:
        return set()
    of_all = set.intersection(*failed.values())
    most = (1 - LEAST_SHARE) * (len(labelled) - len(of_all))
    some = [images - of_all for images in failed.values() if len(images - of_all) <= most]
    return of_all.union(*some)


def _restrict_to_task(workspace: Workspace, spec: TaskSpec) -> Workspace:
    """The zoo on one task, its embeddings and, where it has class names, its predictions."""
    catalog = TaskCatalog(tasks=(spec,))
    ready = workspace.with_wants({}, {EMBEDDING: None, PREDICTION: None})
    return ready.of_target(catalog, [EMBEDDING, PREDICTION])


def _files_by_model(evidence: Evidence, kind: str) -> dict[ModelKey, dict[CellId, str]]:
    found: dict[ModelKey, dict[CellId, str]] = {}
    for cell, path in evidence.files(kind).items():
        found.setdefault((cell.model, cell.pretrained), {})[cell] = path
    return found


def _add_intervals(name: str, column: pl.DataFrame, scored: Sequence[ModelScores]) -> pl.DataFrame:
    """Add the interval of every place, where the score ranks the zoo and can be resampled."""
    ranked = [
        model for model, place in zip(scored, column["place"], strict=True)
        if place is not None and name in model.resampled
    ]  # fmt: skip
    none = pl.lit(None, pl.Float64)
    if len(ranked) < 2:
        return column.with_columns(place_low=none, place_high=none)
    bounds = place_intervals([model.resampled[name] for model in ranked])
    frame = pl.DataFrame(
        {
            **{part: [model.key[i] for model in ranked] for i, part in enumerate(MODEL)},
            "place_low": bounds[:, 0],
            "place_high": bounds[:, 1],
        }
    ).with_columns(pl.col("place_low", "place_high").fill_nan(None))
    return column.join(frame, on=MODEL, how="left", maintain_order="left")
