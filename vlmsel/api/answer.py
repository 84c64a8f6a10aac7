"""Answer for a folder of images: class names and a few labels in, one model out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import ValidationError

from vlmsel.addresses import absolute_address, absolute_path
from vlmsel.api.answer_limits import (
    MILLISECONDS,
    check_limits,
    eligible_models,
    image_times,
    may_be_eligible,
)
from vlmsel.api.choice import Choice, choose_label_free, refuse_texts
from vlmsel.api.known_zoo import KnownZoo, read_evaluated
from vlmsel.api.workspace import Workspace
from vlmsel.catalogs import one_line
from vlmsel.errors import ModelError, SelectionError, SettingsError, TaskError
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.run import execute
from vlmsel.execution.summary import RunSummary
from vlmsel.measurements.measurement import Want
from vlmsel.published.names import fold, load_names
from vlmsel.selection.answer import (
    Answer,
    Question,
    answer,
    average_rank_order,
    compute_regret_after,
)
from vlmsel.selection.answer_agreement import measure_agreement
from vlmsel.selection.answer_spread import measure_spread
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.label_draw import LabelDraw, draw_labels
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.posterior.advice import TOLERANCE
from vlmsel.selection.zoo_answers import ZooAnswers, image_order, zoo_answers
from vlmsel.tasks.catalog import TARGET_PREFIX, TaskCatalog, TaskSpec, folder_task
from vlmsel.tasks.class_folders import find_class_folders
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.label_tables import NO_CLASS, read_labels, read_marks
from vlmsel.tasks.labels import plain_name
from vlmsel.tasks.pictures import Pictures, look_at_pictures
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.questions import AnswerStyle
from vlmsel.tasks.shards import FIRST_STRATUM, plan_shards
from vlmsel.zoo.catalog import Zoo

MODEL = ["model", "pretrained"]
# Unlabelled images that models answer on: more make labels worth little more.
ANSWERED_IMAGES = 200
# What a ranking rests on where labels or evaluations speak.
OF_LABELS = ("posterior", "hits")
# Of real models, whose weights are large, so many are run where nothing else is said.
SHORTLIST = 10


@dataclass(frozen=True)
class AnswerOptions:
    """Facts about the images, and what is asked.

    Attributes:
        classnames: of the images; None takes those of `prompts`, or of class folders.
        prompts: `clip-benchmark:NAME`.
        templates: prompts with {} for the class name; those of the task or a photo of it if None.
        labels: CSV file with the columns image and label.
        questions: file of multiple-choice questions about the images, in place of class names; the
            images are then a folder, or that file, which holds them.
        answers: of questions, whether letters or the options' words are scored.
        evaluated: CSV file with model, pretrained and acc1 on the whole target.
        shortlist: how many models to run, the best by average rank; all of a store's zoo if None.
        tolerance: expected regret at which to stop, a share of 1.
        ignore_labels: take no labels, also of class folders.
        labels_are_random: labels of any images are a random draw.
        max_params: largest number of parameters, in millions.
        max_ms: longest time per image of the visual encoder, in milliseconds, where measured.
        selector: ranks where there are no labels.
        dry_run: run no model and ask no hub.
        picked_by: order that picked the labelled images, where that is no random draw: all labels
            are used, and the answer says so.
    """

    classnames: tuple[str, ...] | None = None
    prompts: str | None = None
    templates: tuple[str, ...] | None = None
    labels: Path | None = None
    questions: str | None = None
    answers: AnswerStyle = "letters"
    evaluated: Path | None = None
    shortlist: int | None = None
    tolerance: float = TOLERANCE
    ignore_labels: bool = False
    labels_are_random: bool = False
    max_params: float | None = None
    max_ms: float | None = None
    selector: str | None = None
    dry_run: bool = False
    picked_by: str | None = None

    @property
    def limits(self) -> dict[str, float | None]:
        """Limits on what a model may cost."""
        return {"max_params": self.max_params, "max_ms": self.max_ms}

    def __post_init__(self) -> None:
        """Refuse labels that would be dropped.

        Raises:
            SettingsError: labels are given, and are to be ignored.
        """
        if self.ignore_labels and (self.labels is not None or self.labels_are_random):
            raise SettingsError(
                "ignore_labels takes no labels: leave labels and labels_are_random out"
            )


@dataclass(frozen=True)
class TargetLabels:
    """The classes and labels of a target.

    Attributes:
        spec: the target, with its class names where they are known.
        index: its images.
        order: ids of the images that are looked at, in the order in which they are measured.
        labels: class number by image id.
        from_folders: whether the folders gave the class names.
        is_sorted: whether the folders gave the labels, too: of all images.
        classnames: empty where unknown.
        pictures: what decoding tells of the first images.
    """

    spec: TaskSpec
    index: TaskIndex
    order: tuple[str, ...]
    labels: Mapping[str, int]
    from_folders: bool
    classnames: tuple[str, ...]
    pictures: Pictures
    is_sorted: bool = False


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
    def warnings(self) -> tuple[str, ...]:
        """The notes, as other answers name them."""
        return self.notes

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
    """What came of running models on the images.

    Attributes:
        answers: of the models; None where none was run.
        summary: what was measured; None where nothing was.
        notes: what must be known of it, one line each.
    """

    answers: ZooAnswers | None = None
    summary: RunSummary | None = None
    notes: tuple[str, ...] = ()


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
    zoo = _with_times(zoo)
    chosen = _models_to_run(zoo, asked, target, may_be_eligible(zoo.facts, **asked.limits))
    notes = []
    if target.pictures.notice is not None and target.pictures.is_enough:
        notes.append(target.pictures.notice)
    notes += _said_of_labels(target, asked)
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
    zoo = ready.zoo if answers is None else _with_times(ready.zoo)
    eligible, unknown = eligible_models(zoo.facts, **asked.limits)
    notes = [*unknown, *ready.notes, *run.notes]
    draw = _draw_of(ready, answers)
    notes += _said_of_draw(draw, target, answers)
    if asked.picked_by is not None:
        notes.append(
            f"the labelled images were picked by '{asked.picked_by}' and are no random sample: "
            "expected accuracy and regret are those of the picked images, not of all"
        )
    known = _source_answers(zoo, answers) if with_estimate else {}
    unlike, is_collapsed = _unlike_sources(target, answers, known) if with_estimate else ("", True)
    choice, estimate, of_sources = None, None, None
    if answers is not None and (asked.selector is not None or not is_collapsed):
        choice, estimate, of_sources = _label_free(zoo, asked, answers, known)
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
        notes=tuple([*notes, *_said_of_answer(found, target, draw, n_eligible)]),
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
    draw = _draw_of(ready, run.answers)
    eligible, _ = eligible_models(ready.zoo.facts, **ready.options.limits)
    return compute_regret_after(_question(ready, run.answers, draw, eligible), n_labels)


def _draw_of(ready: ReadyTarget, answers: ZooAnswers | None) -> LabelDraw:
    """The labels that count."""
    asked, target = ready.options, ready.target
    return draw_labels(
        target.order,
        target.labels,
        unreadable=_unreadable(target, answers),
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


def read_target(images: str | Path, asked: AnswerOptions) -> TargetLabels:
    """Read the images, their classes and their labels; no model is run.

    Raises:
        TaskError: there is no image, the class names are impossible, or the labels do not fit.
    """
    bare = folder_task(images)
    bare = bare.model_copy(update={"name": TARGET_PREFIX + bare.name})
    if asked.questions is not None:
        return _read_questions(bare, asked)
    index = index_task(bare, strict=False)
    names, from_folders = asked.classnames, False
    if names is None and asked.prompts is None:
        names = find_class_folders(bare.images, [ref.image_id for ref in index.images]) or None
        from_folders = names is not None
    _check_names(names)
    _check_kind(asked.prompts)
    if asked.templates and not (names or asked.prompts):
        raise TaskError("templates need the names of the classes: give --classnames a,b,c")
    spec = _spec(bare, classnames=names, prompts=asked.prompts, templates=asked.templates)
    classnames = class_prompts(spec).classnames if names or asked.prompts else ()
    labels: dict[str, int] = {}
    if classnames:
        index = index_task(spec, strict=False)
        labels = _labels_of(spec, index, asked)
    elif asked.labels is not None:
        raise TaskError(
            f"labels {asked.labels} need the names of the classes: give --classnames a,b,c, a file "
            "with one name a line, or --prompts clip-benchmark:NAME"
        )
    return TargetLabels(
        spec,
        index,
        _first_images(index),
        {} if asked.ignore_labels else labels,
        from_folders,
        classnames,
        look_at_pictures(plan_shards(index, n_images=FIRST_STRATUM), len(index.images)),
        is_sorted=from_folders and asked.labels is None,
    )


def _read_questions(bare: TaskSpec, asked: AnswerOptions) -> TargetLabels:
    """A target of multiple-choice questions; labels are the answers that the file gives."""
    if asked.classnames or asked.prompts or asked.templates:
        raise TaskError("questions take the place of class names: leave those out")
    address = absolute_address(asked.questions or "", "questions", TaskError)
    spec = _spec(bare, questions=address, answers=asked.answers)
    index = index_task(spec, strict=False)
    assert index.questions is not None
    labels = {} if asked.ignore_labels else _labels_of(spec, index, asked)
    pictures = look_at_pictures(plan_shards(index, n_images=FIRST_STRATUM), len(index.images))
    names = index.questions.classnames
    return TargetLabels(spec, index, _first_images(index), labels, False, names, pictures)


def _labels_of(spec: TaskSpec, index: TaskIndex, asked: AnswerOptions) -> dict[str, int]:
    """Labels of the file that is given, or else of the images."""
    if asked.labels is None:
        return {ref.image_id: ref.label for ref in index.images if ref.label is not None}
    path = absolute_path(asked.labels, "labels", TaskError)
    return read_labels(path, spec, index, outside=NO_CLASS)


def _first_images(index: TaskIndex) -> tuple[str, ...]:
    """Ids of the images that models answer on."""
    order = sorted((ref.image_id for ref in index.images), key=lambda x: (image_order(x), x))
    return tuple(order[:ANSWERED_IMAGES])


def _spec(bare: TaskSpec, **update: object) -> TaskSpec:
    """The target with its classes, checked as an entry of a catalog is."""
    try:
        return TaskSpec.model_validate({**bare.model_dump(), **update})
    except ValidationError as error:
        raise TaskError(one_line(error, TaskSpec)) from None


def answer_table(found: Answer, zoo: KnownZoo) -> pl.DataFrame:
    """The eligible models, best first, with all that is known of each."""
    order = sorted((int(i) for i in found.among), key=lambda i: found.ranks[i])
    places = {int(i): at for at, i in enumerate(found.among)}
    means = _average_places(zoo.accuracy)
    right = np.nansum(found.hits, axis=0) if len(found.hits) else np.full(len(means), np.nan)
    advice = found.advice
    rows = []
    for i in order:
        at = places[i]
        row = dict(zip(MODEL, zoo.models[i], strict=True))
        row |= {"rank": int(found.ranks[i]), "accuracy": _number(found.accuracy[i])}
        for name, part in (
            ("low", "accuracy_low"),
            ("high", "accuracy_high"),
            ("p_best", "p_best"),
            ("p_top5", "p_top"),
            ("rank_low", "rank_low"),
            ("rank_high", "rank_high"),
        ):
            row[name] = None if advice is None else _number(getattr(advice, part)[at])
        row["average_rank"] = _number(means[i])
        row["imagenet"] = None if zoo.imagenet is None else _number(zoo.imagenet[i])
        run = bool(len(found.hits)) and bool(np.isfinite(found.hits[:, i]).any())
        row["labelled_hits"] = float(right[i]) if run else None
        rows.append(row)
    schema = {
        "rank": pl.Int64,
        **dict.fromkeys(MODEL, pl.String),
        **dict.fromkeys(("accuracy", "low", "high", "p_best", "p_top5"), pl.Float64),
        **dict.fromkeys(("rank_low", "rank_high", "average_rank"), pl.Int64),
        **dict.fromkeys(("imagenet", "labelled_hits"), pl.Float64),
    }
    table = pl.DataFrame(rows, schema=schema, strict=False)
    return table.join(zoo.facts, on=MODEL, how="left", maintain_order="left")


def _with_times(zoo: KnownZoo) -> KnownZoo:
    """The zoo with the milliseconds per image that its store knows now."""
    return replace(zoo, facts=zoo.facts.with_columns(image_times(zoo).alias(MILLISECONDS)))


def _average_places(accuracy: np.ndarray) -> np.ndarray:
    """Place of each model by average rank; NaN where no source knows it."""
    places = np.full(accuracy.shape[1], np.nan)
    if accuracy.size:
        is_known = np.asarray(np.isfinite(accuracy).any(axis=0))
        order = average_rank_order(accuracy)
        known = order[is_known[order]]
        places[known] = np.arange(1, len(known) + 1)
    return places


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _check_names(names: tuple[str, ...] | None) -> None:
    if names is None:
        return
    plain = [plain_name(name) for name in names]
    twice = next((name for name in plain if plain.count(name) > 1), None)
    if twice is not None:
        raise TaskError(f"the class name '{twice}' comes twice; name every class once")
    if len(names) < 2:
        only = ", ".join(names)
        raise TaskError(f"there is one class, '{only}'; a choice of models needs 2 or more")


def _check_kind(prompts: str | None) -> None:
    """Refuse a task that is no classification, by what published tables call it."""
    if prompts is None:
        return
    name = prompts.partition(":")[2]
    task = load_names().spellings().get(fold(name), "")
    kind = load_names().tasks[task].kind if task else "classification"
    if kind != "classification":
        raise TaskError(
            f"'{name}' is a {kind} task: models are ranked for classifications, which have class "
            "names; give --classnames for one"
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


def _unreadable(target: TargetLabels, answers: ZooAnswers | None) -> set[str]:
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
    return ZooRun(found, summary, notes)


def _source_answers(zoo: KnownZoo, answers: ZooAnswers | None) -> dict[str, ZooAnswers]:
    """Answers on the sources, on as many images each as on the target."""
    if answers is None or zoo.knowledge is None:
        return {}
    known = zoo.knowledge.first_answers(len(answers.images))
    return {name: known[name] for name in zoo.sources if name in known}


def _unlike_sources(
    target: TargetLabels, answers: ZooAnswers | None, known: Mapping[str, ZooAnswers]
) -> tuple[str, bool]:
    """Say how answers on the images differ from those on every source.

    Returns:
        A sentence, empty where they do not; whether most answers fall into one class, so that
        agreement says nothing.
    """
    if answers is None:
        return "", False
    spread = measure_spread(answers, known)
    if spread is not None and spread.is_unusual:
        number = spread.class_number
        # Of generated answers the last class is for those that are none of the options.
        has_name = number < len(target.classnames)
        name = f"'{target.classnames[number]}'" if has_name else "none of the options"
        note = (
            f"most models answer {name} on {spread.n_of_class} "
            f"of {len(answers.images)} images, more in one class than on any source: their "
            "agreement says nothing here (do the class names and templates fit?)"
        )
        return note, True
    agreement = measure_agreement(answers, known)
    return "" if agreement is None else agreement.notice or "", False


def _label_free(
    zoo: KnownZoo, asked: AnswerOptions, answers: ZooAnswers, known: Mapping[str, ZooAnswers]
) -> tuple[Choice | None, np.ndarray | None, np.ndarray | None]:
    """The selector that ranks without labels, what it believes, and what it does of the sources."""
    if zoo.knowledge is None:
        return None, None, None
    choice = choose_label_free(zoo.knowledge, len(answers.images), asked.selector)
    if choice is None or not isinstance(choice.selector, LabelFree):
        return None, None, None
    estimate = _estimate(choice.selector, zoo, answers)
    if not np.isfinite(estimate).any():
        raise SelectionError(
            f"selector {choice.name} reads the logits of the answers, which are read by "
            "`vlmsel evaluate` alone; leave --selector out"
        )
    nothing = np.full(len(zoo.models), np.nan)
    rows = [
        _estimate(choice.selector, zoo, known[name]) if name in known else nothing
        for name in zoo.sources
    ]
    return choice, estimate, np.stack(rows) if rows else None


def _estimate(selector: LabelFree, zoo: KnownZoo, answers: ZooAnswers) -> np.ndarray:
    """Accuracies that a selector believes, of the models of a zoo; NaN without answers."""
    place = {key: i for i, key in enumerate(zoo.models)}
    rows = [i for i, key in enumerate(answers.models) if key in place]
    among = answers.of_models(rows)
    found = np.full(len(zoo.models), np.nan)
    found[[place[key] for key in among.models]] = selector.estimate(among)
    return found


def _said_of_labels(target: TargetLabels, asked: AnswerOptions) -> list[str]:
    notes = []
    if target.from_folders:
        n = len(target.classnames)
        what = "labels count as a random sample (--ignore-labels takes none)"
        if asked.ignore_labels:
            what = "labels are ignored"
        elif not target.is_sorted:
            what = f"labels give way to those of {asked.labels}"
        notes.append(f"class folders: their names are the {n} classes, their {what}")
    return notes


def _said_of_draw(draw: LabelDraw, target: TargetLabels, answers: ZooAnswers | None) -> list[str]:
    notes = []
    beyond = len(set(target.labels) - set(target.order))
    if beyond and not target.is_sorted:
        notes.append(f"{beyond} labels are of images beyond the {len(target.order)} looked at")
    if draw.unused:
        notes.append(
            f"{len(draw.unused)} labels are not used: labels must be of the next images in the "
            f"order, without a gap (the first gap is {draw.wanted[0]}); say --labels-are-random if "
            "the images were drawn at random"
        )
    if target.labels and answers is None:
        notes.append("no model was run on the images, so labels say nothing yet")
    return notes


def _said_of_answer(
    found: Answer, target: TargetLabels, draw: LabelDraw, n_eligible: int
) -> list[str]:
    notes = []
    if found.n_outside:
        notes.append(f"{found.n_outside} labelled images are in none of the classes and dropped")
    classes = {target.labels[image] for image in draw.used if target.labels[image] >= 0}
    if len(draw.used) > 1 and len(classes) == 1:
        name = target.classnames[classes.pop()]
        notes.append(
            f"all {len(draw.used)} labels are of one class, '{name}': they tell how often models "
            "say that class, and little of the others"
        )
    if found.n_labels == 1:
        notes.append("one label says next to nothing; the first check is at 5")
    if found.basis == "hits":
        what = "labels" if found.n_labels else "evaluated models"
        notes.append(f"fewer than 2 source tasks: the {what} alone rank")
    left_out = n_eligible - len(found.among)
    if left_out:
        lack = {
            "posterior": "no accuracy, label or evaluation says anything of them",
            "hits": "they have no hits on labelled images and are not evaluated",
            "estimate": "they were not run on the images, or gave no answer",
            "average-rank": "no source task knows their accuracy",
        }[found.basis]
        models = "1 model has" if left_out == 1 else f"{left_out} models have"
        notes.append(f"{models} no place in the ranking: {lack}")
    return notes
