"""Say which model to use for some images: by the images alone, or with class names and labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from vlmsel.addresses import absolute_path
from vlmsel.api.answer import AnswerOptions, TargetAnswer, answer_images
from vlmsel.api.image_selection import select_by_images
from vlmsel.api.known_zoo import known_zoo
from vlmsel.api.selection import Selection
from vlmsel.errors import SettingsError, TaskError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.store.store import Store


@overload
def select(
    images: str | Path,
    *,
    store: str | Path | Store,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    profile_anyway: bool = False,
    options: RunOptions | None = None,
) -> Selection: ...


@overload
def select(
    images: str | Path,
    *,
    store: str | Path,
    classnames: Sequence[str],
    labels: str | Path | None = None,
    question: AnswerOptions | None = None,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    options: RunOptions | None = None,
) -> TargetAnswer: ...


@overload
def select(
    images: str | Path,
    *,
    store: str | Path,
    labels: str | Path | None = None,
    question: AnswerOptions,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    options: RunOptions | None = None,
) -> TargetAnswer: ...


# One argument per option of the command of this name, which users know.
def select(  # noqa: PLR0913
    images: str | Path,
    *,
    store: str | Path | Store,
    classnames: Sequence[str] | None = None,
    labels: str | Path | None = None,
    question: AnswerOptions | None = None,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    selector: str | None = None,
    profile_anyway: bool = False,
    options: RunOptions | None = None,
) -> Selection | TargetAnswer:
    """Rank a zoo for some images; what the store lacks for it is measured first.

    With images alone the zoo is ranked by what the store knows of its source tasks. With class
    names the models answer on the images, and labels of a few say what a wrong choice costs. Both
    results have `ranking` (polars, best first) and `warnings`.

    Args:
        images: folder, tar or Parquet of images.
        store: folder or address of a store. With class names or a question, one that is not there
            or empty stands for the public models of the shipped table.
        classnames: of the images, in any order.
        labels: CSV file with the columns image and label, of a few images.
        question: what else is asked, such as a shortlist; without class names, labels of class
            folders are found by `question=AnswerOptions()`.
        zoo: model catalog (YAML) or a shipped name; by default that of the store's last run.
        tasks: task catalog of the sources; by default likewise.
        selector: by name; by default the one that leave-one-out over the sources supports.
        profile_anyway: profile the images even where the selector does not ask for it.
        options: where to run models; by default in this process.

    Raises:
        SettingsError: options contradict each other.
        VlmselError: of the kind that says what is missing or wrong; see `vlmsel.errors`.
    """
    if classnames is None and question is None:
        if labels is not None:
            raise SettingsError(
                "labels need the names of the classes: give classnames, or question="
                "AnswerOptions() for class folders"
            )
        return select_by_images(
            images,
            store=store,
            zoo=zoo,
            tasks=tasks,
            selector=selector,
            profile_anyway=profile_anyway,
            options=options,
        )
    if profile_anyway or isinstance(store, Store):
        raise SettingsError(
            "with class names or a question, store is a folder or an address, and profile_anyway "
            "says nothing: leave it out"
        )
    if isinstance(classnames, str):
        raise SettingsError(f"classnames is a sequence of names, not the text {classnames!r}")
    asked = _add_arguments(
        question or AnswerOptions(),
        classnames=None if classnames is None else tuple(classnames),
        labels=None if labels is None else absolute_path(labels, "labels", TaskError),
        selector=selector,
    )
    if asked.selector is not None and asked.labels is not None:
        raise SettingsError(
            "labels are joined with the sources by the posterior: leave out selector or labels"
        )
    sources = (None if source is None else str(source) for source in (zoo, tasks))
    known = known_zoo(str(store), *sources)
    return answer_images(images, known, asked, run=options)


def _add_arguments(question: AnswerOptions, **arguments: Any) -> AnswerOptions:
    """Add the arguments beside a question to it.

    Raises:
        SettingsError: both say it.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in given:
        if getattr(question, name) is not None:
            raise SettingsError(f"{name} is given twice, also by the question: leave one out")
    return replace(question, **given)
