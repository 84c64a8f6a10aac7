"""Last answer for a folder, kept in the user's cache, and what a new one changes against it.

Labels went into an answer, so it is no cell: it lies in the cache, by folder and store, with what
it came from. The comparison is pure: two records in, sentences out.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from vlmsel.addresses import is_address
from vlmsel.api.answer import TargetAnswer
from vlmsel.api.answer_limits import limit_words
from vlmsel.cache import cache_dir, write_atomically
from vlmsel.columns import MODEL
from vlmsel.documents import read_json
from vlmsel.outside_names import shown
from vlmsel.private_temp import UnsafeFolderError

ANSWERS = "answers"
NAMED = 3


class AnswerRecord(BaseModel):
    """Inputs and outcome of an answer.

    Attributes:
        when: ISO time, UTC.
        first: name of the first choice.
        accuracy: its expected accuracy; None where unknown.
        regret: expected regret; None where unknown.
        basis: `posterior`, `hits`, `estimate` or `average-rank`.
        selector: of the ranking without labels.
        labels: class names by image id, those that count.
        images: ids of the images that are looked at.
        classnames: of the images.
        templates: of the prompts; empty for the default.
        models_run: names of the models with answers on the images.
        models: names of the models that are ranked.
        answers: of questions, where their words are scored.
        evaluated: accuracies on the whole target, by model.
        sources: digests of the models' accuracies by source task.
        limits: on the costs of a model, in words.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    when: str
    first: str
    accuracy: float | None
    regret: float | None
    basis: str
    selector: str
    labels: dict[str, str]
    images: tuple[str, ...]
    classnames: tuple[str, ...]
    templates: tuple[str, ...] = ()
    models_run: tuple[str, ...]
    models: tuple[str, ...]
    answers: str = ""
    evaluated: dict[str, float]
    sources: dict[str, str]
    limits: str


def record_answer(answer: TargetAnswer) -> AnswerRecord:
    """Reduce an answer to what a later one is compared with."""
    found, target, zoo = answer.found, answer.target_labels, answer.zoo
    names = target.classnames
    labels = {image: names[target.labels[image]] for image in found.labelled}
    row = answer.table.row(0, named=True)
    return AnswerRecord(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        first=answer.first,
        accuracy=row["accuracy"],
        regret=found.regret,
        basis=found.basis,
        selector="" if answer.choice is None else answer.choice.name,
        labels=labels,
        images=target.order,
        classnames=names,
        templates=tuple(answer.options.templates or ()),
        models_run=() if answer.answers is None else tuple(map("/".join, answer.answers.models)),
        models=tuple(f"{model}/{tag}" for model, tag in answer.table.select(MODEL).iter_rows()),
        answers="words" if answer.options.answers == "words" else "",
        evaluated={"/".join(key): value for key, value in answer.evaluated.items()},
        sources={
            name: hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()[:16]
            for name, row in zip(zoo.sources, zoo.accuracy, strict=True)
        },
        limits=limit_words(**answer.options.limits),
    )


def compare_answer(answer: TargetAnswer) -> TargetAnswer:
    """Put what is new against the last answer into an answer, and keep it for the next one.

    A dry run is compared and not kept.
    """
    before, current = recall_answer(answer), record_answer(answer)
    if not answer.options.dry_run:
        remember_answer(answer, current)
    return (
        answer
        if before is None
        else replace(answer, changes=tuple(describe_changes(before, current)))
    )


def recall_answer(answer: TargetAnswer) -> AnswerRecord | None:
    """Read the last answer for the same folder and store; None where none is kept."""
    try:
        return AnswerRecord.model_validate(read_json(_note(answer)))
    except (OSError, ValueError, ValidationError, UnsafeFolderError):
        return None


def remember_answer(answer: TargetAnswer, record: AnswerRecord) -> None:
    """Keep an answer for the next one; a cache that cannot be written keeps nothing."""
    try:
        write_atomically(_note(answer), record.model_dump_json().encode())
    except (OSError, UnsafeFolderError):
        return


def _note(answer: TargetAnswer) -> Path:
    images = answer.images
    place = images if is_address(images) else str(Path(images).expanduser().resolve())
    key = hashlib.sha256("\0".join([place, answer.zoo.store.uri]).encode()).hexdigest()
    return cache_dir() / ANSWERS / f"{key}.json"


def describe_changes(before: AnswerRecord, current: AnswerRecord) -> list[str]:
    """Say in sentences what a new answer changes, and what of its inputs is new.

    Args:
        before: the last answer.
        current: the new one.

    Returns:
        The outcome first, then one line of reasons.
    """
    when = before.when[:16].replace("T", " ")
    choice = f"is still {current.first}"
    if current.first != before.first:
        choice = f"was {before.first} and is {current.first} now"
    figures = [
        f"{name} {100 * old:.1f} -> {100 * new:.1f}{unit}"
        for name, unit, old, new in (
            ("expected accuracy", " %", before.accuracy, current.accuracy),
            ("expected regret", " points", before.regret, current.regret),
        )
        if old is not None and new is not None and abs(old - new) >= 0.0005
    ]
    line = f"Since the answer of {when} UTC: the first choice {choice}"
    lines = [f"{line}; {', '.join(figures)}." if figures else f"{line}."]
    reasons = find_reasons(before, current)
    if reasons:
        lines.append(f"New since then: {'; '.join(reasons)}.")
    elif figures or current.first != before.first:
        lines.append("Nothing that enters the answer is new; the version of vlmsel may be.")
    else:
        lines.append("Nothing that enters the answer is new.")
    return lines


def find_reasons(before: AnswerRecord, current: AnswerRecord) -> list[str]:
    """List the inputs that differ between two answers, in words."""
    return [
        *_describe_labels(before, current),
        *_describe_difference("image", before.images, current.images),
        *_describe_difference("class", before.classnames, current.classnames),
        *_describe_difference("template", before.templates, current.templates),
        *_describe_difference("model run on the images", before.models_run, current.models_run),
        *_describe_difference("ranked model", before.models, current.models),
        *_describe_difference("evaluated model", before.evaluated, current.evaluated),
        *_describe_sources(before, current),
        *_describe_options(before, current),
    ]


def _describe_labels(before: AnswerRecord, current: AnswerRecord) -> list[str]:
    found = _describe_difference("label", before.labels, current.labels, named=False)
    common = before.labels.keys() & current.labels.keys()
    changed = sorted(image for image in common if before.labels[image] != current.labels[image])
    if changed:
        found.append(f"{_count(len(changed), 'label')} changed ({_list_first(changed)})")
    return found


def _describe_sources(before: AnswerRecord, current: AnswerRecord) -> list[str]:
    found = _describe_difference("source task", before.sources, current.sources)
    common = before.sources.keys() & current.sources.keys()
    changed = sorted(name for name in common if before.sources[name] != current.sources[name])
    # Other models change every row; the number of models says that already.
    if changed and set(before.models) == set(current.models):
        found.append(f"other accuracies on {_count(len(changed), 'source task')}")
    return found


def _describe_options(before: AnswerRecord, current: AnswerRecord) -> list[str]:
    found = []
    if before.answers != current.answers:
        style = {"": "letters", "words": "words"}
        found.append(
            f"{style[current.answers]} of the options are scored instead of {style[before.answers]}"
        )
    if before.limits != current.limits:
        found.append(f"limits: {current.limits or 'none'} instead of {before.limits or 'none'}")
    if before.selector != current.selector and before.basis == current.basis == "estimate":
        found.append(
            f"selector {current.selector or 'none'} instead of {before.selector or 'none'}"
        )
    return found


def _describe_difference(
    what: str, before: Collection[str], current: Collection[str], *, named: bool = True
) -> list[str]:
    """Count what came and what went, with the first names."""
    old, new = set(before), set(current)
    found = []
    for names, word in ((sorted(new - old), "more"), (sorted(old - new), "fewer")):
        if names:
            listed = f" ({_list_first(names)})" if named else ""
            found.append(f"{_count(len(names), what, word)}{listed}")
    return found


def _count(n: int, what: str, word: str = "") -> str:
    noun, _, rest = what.partition(" run ")
    many = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    parts = [str(n), word, noun if n == 1 else many, f"run {rest}" if rest else ""]
    return " ".join(part for part in parts if part)


def _list_first(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(shown(name) for name in names[:NAMED]) + more
