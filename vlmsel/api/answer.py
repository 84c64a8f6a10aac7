"""Answer for a folder of images: class names and a few labels in, one model out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from vlmsel.addresses import absolute_path
from vlmsel.api.answer_estimates import compare_with_sources, estimate_zoo, find_source_answers
from vlmsel.api.answer_limits import (
    MILLISECONDS,
    check_limits,
    eligible_models,
    image_times,
    may_be_eligible,
)
from vlmsel.api.answer_notes import describe_answer, describe_draw, describe_labels
from vlmsel.api.answer_options import AnswerOptions
from vlmsel.api.answer_table import answer_table
from vlmsel.api.answer_target import TargetLabels, read_target
from vlmsel.api.choice import Choice, refuse_texts
from vlmsel.api.known_zoo import KnownZoo, read_evaluated
from vlmsel.api.workspace import Workspace
from vlmsel.errors import ModelError, SelectionError, TaskError
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import execute
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.measurement import Want
from vlmsel.selection.answer import (
    Answer,
    Question,
    answer,
    average_rank_order,
    compute_regret_after,
)
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.label_draw import LabelDraw, draw_labels
from vlmsel.selection.zoo_answers import ZooAnswers, zoo_answers
from vlmsel.tasks.label_tables import read_marks
from vlmsel.tasks.task_catalog import TARGET_PREFIX, TaskCatalog
from vlmsel.zoo.catalog import Zoo

# What a ranking rests on where labels or evaluations speak.
OF_LABELS = ("posterior", "hits")
# Of real models, whose weights are large, so many are run where nothing else is said.
SHORTLIST = 10


@dataclass(frozen=True)
class TargetAnswer:
    """The answer for a folder of images, with what it rests on.

    Attributes:
        target: name of the images.
        images: where they are.
        zoo: what is known of the models.
        found: the decision.
        table: rank, model, pretrained, accuracy, low, high (90 % interval), p_best, p_top5,
            rank_low, rank_high, average_rank (place), imagenet, labelled_hits, then facts.
        draw: which labels count, and which images to label next.
        target_labels: classes and labels.
        choice: of the selector that ranks without labels; None where average rank does.
        notes: what must be known to trust it, one line each.
        to_run: models that would be run, by name; of a dry run.
        options: what was asked.
        evaluated: accuracies on the whole target, by model.
        unlike: how the answers on the images differ from those on every source; empty where they
            do not.
        changes: against the last answer for the same images, one line each; empty without one.
        answers: of the models on the images; None where none was run.
        summary: what was measured; None where nothing was.
    """

    target: str
    images: str
    zoo: KnownZoo
    found: Answer
    table: pl.DataFrame
    draw: LabelDraw
    target_labels: TargetLabels
    choice: Choice | None
    notes: tuple[str, ...]
    to_run: tuple[str, ...]
    options: AnswerOptions
    evaluated: Mapping[ModelKey, float] = field(default_factory=dict)
    unlike: str = ""
    changes: tuple[str, ...] = ()
    answers: ZooAnswers | None = field(default=None, repr=False)
    summary: RunSummary | None = field(default=None, repr=False)

    @property
    def ranking(self) -> pl.DataFrame:
        """The table, as other answers name it."""
        return self.table

    @property
    def doubt(self) -> str:
        """Reason why the images tell too little, where no label makes up for it; else empty."""
        pictures = self.target_labels.pictures
        if not pictures.is_enough and pictures.notice is not None:
            return pictures.notice
        return "" if self.found.basis in OF_LABELS else self.unlike

    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubt, if there is one, and the notes: all that limits the trust."""
        return (self.doubt, *self.notes) if self.doubt else self.notes

    @property
    def first(self) -> str:
        """Name of the first choice."""
        return "/".join(self.found.models[self.found.first])


def _ignore(_: object) -> None:
    """Hear of a step and do nothing."""


@dataclass(frozen=True)
class AnswerSteps:
    """Functions that are called on the way: with the plan, and with every settled cell."""

    on_plan: Callable[[Plan], None] = _ignore
    on_outcome: Callable[[CellOutcome], None] = _ignore


@dataclass(frozen=True)
class ReadyTarget:
    """Everything that an answer rests on beside what the models say on the images.

    Attributes:
        images: where they are.
        zoo: what is known of the models.
        options: what was asked.
        target: classes and labels.
        evaluated: accuracy on the whole target, by model.
        chosen: places of the models to run, the best by average rank first.
        notes: what must be known so far, one line each.
    """

    images: str
    zoo: KnownZoo
    options: AnswerOptions
    target: TargetLabels
    evaluated: Mapping[ModelKey, float]
    chosen: tuple[int, ...]
    notes: tuple[str, ...]

    def workspace(self, extra: Mapping[str, Want] | None = None) -> Workspace:
        """The chosen models on the images, with predictions wanted, and `extra` kinds."""
        zoo, n_images = self.zoo, len(self.target.order)
        specs = tuple(zoo.specs[zoo.models[i]] for i in self.chosen)
        return Workspace(
            store=zoo.store,
            zoo_source="",
            tasks_source="",
            wants={"prediction": Want(zoo.measurement, n_images), **(extra or {})},
            zoo=Zoo(models=specs),
            tasks=TaskCatalog(tasks=(self.target.spec,)),
        )


@dataclass(frozen=True)
class ZooRun:
    """Outcome of running models on the images.

    Attributes:
        answers: of the models; None where none was run.
        summary: what was measured; None where nothing was.
        notes: what must be known of it, one line each.
        times: milliseconds per image by model, as the store knows them now; None where no model
            was run.
    """

    answers: ZooAnswers | None = None
    summary: RunSummary | None = None
    notes: tuple[str, ...] = ()
    times: pl.Series | None = None


def answer_images(
    images: str | Path,
    zoo: KnownZoo,
    options: AnswerOptions | None = None,
    *,
    run: RunOptions | None = None,
    steps: AnswerSteps | None = None,
) -> TargetAnswer:
    """Say which model of a zoo to use for some images.

    Where the classes are named, models answer on up to 200 of the images (real models of the
    shipped table only where there are labels, or a shortlist is asked for).

    Args:
        images: folder, tar or Parquet of images.
        zoo: of `known_zoo`.
        options: class names, labels and limits.
        run: where to run models; by default in this process.
        steps: functions to call on the way.

    Raises:
        TaskError: the images, class names or labels are wrong.
        SelectionError: nothing is known that could rank a model, or an option is impossible.
    """
    ready = prepare_target(images, zoo, options or AnswerOptions())
    found = ZooRun()
    if ready.chosen and not ready.options.dry_run:
        found = _run_models(ready, run, steps or AnswerSteps())
    return conclude(ready, found)


def prepare_target(images: str | Path, zoo: KnownZoo, asked: AnswerOptions) -> ReadyTarget:
    """Read the images, classes and labels, and choose the models to run; none is run.

    Raises:
        TaskError, SelectionError: as `answer_images`.
    """
    target = read_target(images, asked)
    _check_selector(zoo, asked, target)
    check_limits(**asked.limits)
    evaluated = {}
    if asked.evaluated is not None:
        path = absolute_path(asked.evaluated, "table", SelectionError)
        evaluated = read_evaluated(path, zoo.models)
    zoo = _add_times(zoo, image_times(zoo))
    chosen = _models_to_run(zoo, asked, target, may_be_eligible(zoo.facts, **asked.limits))
    notes = []
    if target.pictures.notice is not None and target.pictures.is_enough:
        notes.append(target.pictures.notice)
    notes += describe_labels(target, asked)
    if asked.labels is not None and asked.picked_by is None:
        # The file says itself where its images are no random sample.
        marks = read_marks(absolute_path(asked.labels, "labels", TaskError))
        asked = replace(asked, picked_by=marks.picked_by)
    return ReadyTarget(str(images), zoo, asked, target, evaluated, tuple(chosen), tuple(notes))


def conclude(ready: ReadyTarget, run: ZooRun, *, with_estimate: bool = True) -> TargetAnswer:
    """Answer from what is ready and what the models said; nothing is measured.

    Args:
        ready: of `prepare_target`.
        run: what the models said on the images.
        with_estimate: whether the answers are compared with those on the sources, and a selector
            without labels is chosen; with labels the order does not depend on it.

    Raises:
        SelectionError: nothing is known that could rank a model.
    """
    asked, target, answers = ready.options, ready.target, run.answers
    zoo = _timed_zoo(ready, run)
    eligible, unknown = eligible_models(zoo.facts, **asked.limits)
    notes = [*unknown, *ready.notes, *run.notes]
    draw = _count_labels(ready, answers)
    notes += describe_draw(draw, target, answers)
    if asked.picked_by is not None:
        notes.append(
            f"the labelled images were picked by '{asked.picked_by}' and are no random sample: "
            "expected accuracy and regret are those of the picked images, not of all"
        )
    unlike, choice, estimate, of_sources = "", None, None, None
    if answers is not None and with_estimate:
        known = find_source_answers(zoo, answers)
        unlike, is_collapsed = compare_with_sources(target.classnames, answers, known)
        if asked.selector is not None or not is_collapsed:
            choice, estimate, of_sources = estimate_zoo(zoo, asked.selector, answers, known)
    found = answer(_question(ready, answers, draw, eligible, (estimate, of_sources)))
    if unlike and found.basis in OF_LABELS:
        notes.append(unlike)
    n_eligible = len(zoo.models) if eligible is None else int(eligible.sum())
    dry = tuple("/".join(zoo.models[i]) for i in ready.chosen) if asked.dry_run else ()
    return TargetAnswer(
        target=target.spec.name.removeprefix(TARGET_PREFIX),
        images=ready.images,
        zoo=zoo,
        found=found,
        table=answer_table(found, zoo),
        draw=draw,
        target_labels=target,
        choice=choice,
        notes=tuple([*notes, *describe_answer(found, target, draw, n_eligible)]),
        to_run=dry,
        options=asked,
        evaluated=ready.evaluated,
        unlike=unlike,
        answers=answers,
        summary=run.summary,
    )


def answer_known(ready: ReadyTarget) -> TargetAnswer:
    """Answer from what the store holds of the chosen models; no model is run.

    Where nothing is missing this is the answer of `answer_images`.

    Raises:
        ModelError, TaskError, SelectionError: as `answer_images`.
    """
    if not ready.chosen:
        return conclude(ready, ZooRun())
    workspace = ready.workspace()
    try:
        plan = workspace.plan(["prediction"])
    except ModelError as error:
        return conclude(ready, explain_unrun(ready, error))
    summary = execute(replace(plan, work=()), ready.zoo.store)
    return conclude(ready, read_run(ready, workspace, summary))


def compute_regret_by_labels(ready: ReadyTarget, run: ZooRun, n_labels: int) -> float | None:
    """Return the expected regret that the first labels alone would give; None where unknown.

    Args:
        ready: with labels.
        run: what the models said on the images.
        n_labels: how many labels, in the order in which images are asked for.
    """
    draw = _count_labels(ready, run.answers)
    eligible, _ = eligible_models(_timed_zoo(ready, run).facts, **ready.options.limits)
    return compute_regret_after(_question(ready, run.answers, draw, eligible), n_labels)


def _timed_zoo(ready: ReadyTarget, run: ZooRun) -> KnownZoo:
    """The zoo with the times of a run, or else those that were known before."""
    return ready.zoo if run.times is None else _add_times(ready.zoo, run.times)


def _add_times(zoo: KnownZoo, times: pl.Series) -> KnownZoo:
    """The zoo with milliseconds per image as a fact of its models."""
    return replace(zoo, facts=zoo.facts.with_columns(times.alias(MILLISECONDS)))


def _count_labels(ready: ReadyTarget, answers: ZooAnswers | None) -> LabelDraw:
    """The labels that count."""
    asked, target = ready.options, ready.target
    return draw_labels(
        target.order,
        target.labels,
        unreadable=_find_unreadable(target, answers),
        are_random=asked.labels_are_random or target.is_sorted or asked.picked_by is not None,
    )


def _question(
    ready: ReadyTarget,
    answers: ZooAnswers | None,
    draw: LabelDraw,
    eligible: np.ndarray | None,
    estimates: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Question:
    zoo = ready.zoo
    return Question(
        models=zoo.models,
        accuracy=zoo.accuracy,
        imagenet=zoo.imagenet,
        answers=answers,
        labels={image: ready.target.labels[image] for image in draw.used},
        evaluated=ready.evaluated,
        estimate=estimates[0],
        source_estimates=estimates[1],
        eligible=eligible,
        tolerance=ready.options.tolerance,
    )


def _check_selector(zoo: KnownZoo, asked: AnswerOptions, target: TargetLabels) -> None:
    """Refuse a selector that would not be asked, before any model is run."""
    if asked.selector is None:
        return
    refuse_texts(asked.selector)
    if zoo.knowledge is None:
        raise SelectionError(
            "a selector needs a store of source tasks; leave --selector out for the tables"
        )
    if not target.classnames:
        raise SelectionError(
            f"selector {asked.selector} would look at answers of the models, which need the names "
            "of the classes: give --classnames a,b,c, or leave --selector out"
        )
    if target.labels:
        raise SelectionError(
            "labels are joined with the sources by the posterior: leave --selector out, or the "
            "labels (--ignore-labels)"
        )


def _find_unreadable(target: TargetLabels, answers: ZooAnswers | None) -> set[str]:
    """Images that are no gap in the labels: those that no model could answer on."""
    found = {image for image, _ in target.pictures.unreadable}
    return found if answers is None else found | (set(target.order) - set(answers.images))


def _models_to_run(
    zoo: KnownZoo, asked: AnswerOptions, target: TargetLabels, eligible: np.ndarray | None
) -> list[int]:
    """Places of the models that answer on the images: the best eligible by average rank."""
    if asked.shortlist is not None and asked.shortlist < 1:
        raise SelectionError(f"a shortlist has at least 1 model, not {asked.shortlist}")
    if not target.classnames:
        if asked.shortlist is not None:
            raise SelectionError(
                "a shortlist is run on the images, which needs the names of the classes: give "
                "--classnames"
            )
        return []
    size = asked.shortlist
    if zoo.is_shipped and size is None:
        if not target.labels:
            return []
        size = SHORTLIST
    known = zoo.accuracy.size > 0
    order = average_rank_order(zoo.accuracy) if known else np.arange(len(zoo.models))
    within = [int(i) for i in order if eligible is None or eligible[i]]
    return within[:size]


def _run_models(ready: ReadyTarget, run: RunOptions | None, steps: AnswerSteps) -> ZooRun:
    """Answers of the chosen models, measured where the store lacks them, and what failed."""
    workspace = ready.workspace()
    try:
        plan = workspace.plan(["prediction"], run)
    except ModelError as error:
        return explain_unrun(ready, error)
    steps.on_plan(plan)
    summary = execute(plan, ready.zoo.store, options=run, on_outcome=steps.on_outcome)
    return read_run(ready, workspace, summary)


def explain_unrun(ready: ReadyTarget, error: ModelError) -> ZooRun:
    """No model can be run: a note where the published tables answer without, else the error.

    Raises:
        ModelError: of a zoo of one's own.
    """
    if not ready.zoo.is_shipped:
        raise error
    return ZooRun(notes=(f"no model of the shortlist can be run here: {error}",))


def read_run(ready: ReadyTarget, workspace: Workspace, summary: RunSummary | None) -> ZooRun:
    """Answers that the store holds by now, and how many of the chosen models gave none."""
    # Opened anew: its files were listed before they were measured.
    evidence = Evidence(ready.zoo.store, workspace.catalogued, workspace.wants)
    found = zoo_answers(evidence.predictions).get(ready.target.spec.name)
    missing = len(ready.chosen) - (0 if found is None else len(found.models))
    notes = ()
    if missing:
        notes = (f"{missing} of {len(ready.chosen)} models gave no answer on the images",)
    return ZooRun(found, summary, notes, image_times(ready.zoo))
