"""One folder of pictures ranked three times: images alone, class names, a few labels."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from vlmsel.api.answer import AnswerOptions, AnswerSteps, TargetAnswer, answer_images
from vlmsel.api.choice import choose_selector
from vlmsel.api.image_selection import NOVELTY_KIND, read_target, target_pictures, target_workspace
from vlmsel.api.known_zoo import zoo_of_workspace
from vlmsel.api.laboratory import Knowledge
from vlmsel.api.ranking import rank_zoo
from vlmsel.api.selection import Selection
from vlmsel.api.workspace import Workspace
from vlmsel.columns import MODEL
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.selection.zoo_answers import image_order
from vlmsel.store.local_folder import LocalFolder

N_LABELS = 25


@dataclass(frozen=True)
class Sample:
    """Pictures whose truth is known, though no ranking sees more of it than some labels.

    Attributes:
        folder: the pictures.
        task: the source task that they are like; it is held out.
        classnames: of the pictures.
        templates: prompts.
        truth: class name by picture.
    """

    folder: Path
    task: str
    classnames: tuple[str, ...]
    templates: tuple[str, ...]
    truth: dict[str, str]


@dataclass(frozen=True)
class ThreeRankings:
    """The same pictures ranked three times.

    Attributes:
        table: model, pretrained, images_alone, class_names, labels (places), true_rank, accuracy
            (of all pictures), best truth first.
        images_alone: of profiles.
        class_names: of answers without labels.
        labels: of `N_LABELS` labels.
        labels_file: where these labels were written.
    """

    table: pl.DataFrame
    images_alone: Selection
    class_names: TargetAnswer
    labels: TargetAnswer
    labels_file: Path


def rank_three_ways(
    workspace: Workspace,
    knowledge: Knowledge,
    sample: Sample,
    run: RunOptions,
    do: Callable[[Plan, str], RunSummary],
) -> ThreeRankings:
    """Rank a sample three times; the task that it is drawn from is no source.

    Args:
        workspace: the store.
        knowledge: of the sources.
        sample: the pictures.
        run: where to run models.
        do: does a plan; called with what is measured.
    """
    others = pl.col("task") != sample.task
    answers = {name: answer for name, answer in knowledge.answers.items() if name != sample.task}
    known = replace(
        knowledge,
        accuracies=knowledge.accuracies.filter(others),
        profiles=knowledge.profiles.filter(others),
        answers_of=lambda: answers,
    )
    alone = _rank_images(workspace, known, sample, run, do)
    zoo = zoo_of_workspace(workspace, known)
    named = AnswerOptions(classnames=sample.classnames, templates=sample.templates)
    steps = AnswerSteps()
    class_names = answer_images(sample.folder, zoo, named, run=run, steps=steps)
    file = sample.folder.with_name("sample-labels.csv")
    _write_labels(file, sample)
    labels = answer_images(sample.folder, zoo, replace(named, labels=file), run=run, steps=steps)
    table = _table(alone, class_names, labels, sample)
    return ThreeRankings(table, alone, class_names, labels, file)


def _rank_images(
    workspace: Workspace,
    knowledge: Knowledge,
    sample: Sample,
    run: RunOptions,
    do: Callable[[Plan, str], RunSummary],
) -> Selection:
    target = target_workspace(workspace, sample.folder)
    choice = choose_selector(knowledge)
    kinds = choice.needs.on_target | {NOVELTY_KIND}
    do(target.plan(sorted(kinds), run), "profiles of the sample")
    found = read_target(target, frozenset(kinds), target_pictures(target))
    return rank_zoo(target.tasks.tasks[0].name, found, knowledge, choice=choice)


def _write_labels(file: Path, sample: Sample) -> None:
    """The labels of the pictures that an answer asks for first, from the sample's own truth."""
    first = sorted(sample.truth, key=lambda name: (image_order(name), name))[:N_LABELS]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([("image", "label"), *((name, sample.truth[name]) for name in first)])
    LocalFolder(file.parent).write_atomic(file.name, out.getvalue().encode())


def _table(
    alone: Selection, class_names: TargetAnswer, labels: TargetAnswer, sample: Sample
) -> pl.DataFrame:
    answers = class_names.answers
    assert answers is not None
    number = {name: i for i, name in enumerate(sample.classnames)}
    truth = [number[sample.truth[image]] for image in answers.images]
    accuracy = (answers.classes == truth).mean(axis=1)
    table = pl.DataFrame(list(answers.models), schema=MODEL, orient="row").with_columns(
        accuracy=accuracy
    )
    ranked = {
        "images_alone": alone.ranking,
        "class_names": class_names.table,
        "labels": labels.table,
    }
    for name, frame in ranked.items():
        places = frame.select(*MODEL, pl.col("rank").cast(pl.Int64).alias(name))
        table = table.join(places, on=MODEL, how="left")
    rank = pl.col("accuracy").rank("min", descending=True).cast(pl.Int64)
    columns = [*MODEL, *ranked, "true_rank", "accuracy"]
    return table.with_columns(true_rank=rank).select(columns).sort("true_rank", "model")
