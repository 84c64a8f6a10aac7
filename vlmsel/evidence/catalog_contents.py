"""A zoo and a task catalog, looked at once: identities, images, class prompts."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import polars as pl

from vlmsel.errors import ModelError, TaskError, VlmselError
from vlmsel.evidence.failure import Failure
from vlmsel.redaction import describe_error, redact
from vlmsel.tasks.index import TaskIndex, index_task
from vlmsel.tasks.label_tables import label_table
from vlmsel.tasks.prompts import ClassPrompts, TaskPrompts, class_prompts, has_classnames
from vlmsel.tasks.readable_images import with_readable_first
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec
from vlmsel.tasks.task_texts import TaskTexts, task_texts
from vlmsel.zoo.catalog import ModelSpec, Zoo
from vlmsel.zoo.identity import ModelIdentity, identify

log = logging.getLogger(__name__)

Candidate = tuple[ModelSpec, ModelIdentity]
Spec = TypeVar("Spec", ModelSpec, TaskSpec)
Found = TypeVar("Found")


@dataclass(frozen=True)
class FoundModels:
    """Models of a zoo that can be identified, and why the others cannot."""

    models: tuple[Candidate, ...]
    faults: tuple[Failure, ...]


@dataclass(frozen=True)
class Catalogued:
    """Contents of catalogs, as far as they can be used.

    Attributes:
        models: specs with their identities, in zoo order.
        specs: tasks by name, in catalog order.
        indexes: images by task.
        prompts: class names and templates, or questions, of the tasks that have some.
        faults: models, tasks and files of tasks that cannot be used, with the reason.
    """

    models: tuple[Candidate, ...]
    specs: Mapping[str, TaskSpec]
    indexes: Mapping[str, TaskIndex]
    prompts: Mapping[str, TaskPrompts] = field(default_factory=lambda: MappingProxyType({}))
    faults: tuple[Failure, ...] = ()

    @property
    def passed_over(self) -> tuple[Failure, ...]:
        """By task, what lies beside its images and is not read; no failures."""
        return tuple(
            Failure("", "", task, None, phrase)
            for task, index in self.indexes.items()
            for phrase in index.passed_over
        )

    @property
    def texts(self) -> Mapping[str, TaskTexts]:
        """Prompts, captions and synonyms of the tasks that have class names and sound files."""
        return self._texts[0]

    @property
    def text_faults(self) -> tuple[Failure, ...]:
        """Tasks whose files of captions or synonyms are wrong, each with the reason."""
        return self._texts[1]

    @cached_property
    def _texts(self) -> tuple[Mapping[str, TaskTexts], tuple[Failure, ...]]:
        found: dict[str, TaskTexts] = {}
        faults: list[Failure] = []
        for task, prompts in self.prompts.items():
            if not isinstance(prompts, ClassPrompts):
                continue
            try:
                found[task] = task_texts(self.specs[task], prompts)
            except TaskError as error:
                faults.append(Failure("", "", task, None, redact(error)))
        return found, tuple(faults)

    def with_models(self, found: FoundModels) -> "Catalogued":
        """The same tasks with these models, whose faults are added."""
        return replace(self, models=found.models, faults=self.faults + found.faults)

    def labels(self, task: str) -> pl.DataFrame:
        """The labelled images of a task: image_id, label.

        Raises:
            TaskError: its labels file is wrong.
        """
        return label_table(self.specs[task], self.indexes[task])

    def only(self, tasks: Iterable[str]) -> "Catalogued":
        """The same with some of the tasks."""
        kept = set(tasks)
        return replace(
            self,
            specs={name: spec for name, spec in self.specs.items() if name in kept},
            indexes={name: index for name, index in self.indexes.items() if name in kept},
            prompts={name: found for name, found in self.prompts.items() if name in kept},
        )


def look_up(zoo: Zoo, tasks: TaskCatalog, *, index_cache: Path | None = None) -> Catalogued:
    """Identify the models and index the tasks; what cannot be used is named and left out.

    Args:
        zoo: the models.
        tasks: the tasks.
        index_cache: folder for what was read of the tasks; by default in the user's cache.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used; the first reason.
    """
    models = look_up_models(zoo)
    return look_up_tasks(tasks, index_cache=index_cache).with_models(models)


def look_up_models(zoo: Zoo) -> FoundModels:
    """Identify the models of a zoo, in its order.

    Raises:
        ModelError: no model can; the first reason.
    """
    faults: list[Failure] = []
    identities = _collect_usable(zoo.models, identify, _model_fault, faults)
    models = tuple(
        # A spec that was not read from a catalog may hold a path as it was said.
        (spec.anchored(Path.cwd()), identities[spec.name])
        for spec in zoo.models
        if spec.name in identities
    )
    return FoundModels(models, tuple(faults))


def look_up_tasks(tasks: TaskCatalog, *, index_cache: Path | None = None) -> Catalogued:
    """The same of the tasks alone, without models.

    Raises:
        TaskError: no task can be used; the first reason.
    """
    faults: list[Failure] = []

    def index(spec: TaskSpec) -> TaskIndex:
        return with_readable_first(
            index_task(spec, cache=index_cache, strict=False), cache=index_cache
        )

    indexes = _collect_usable(tasks.tasks, index, _task_fault, faults)
    for found in indexes.values():
        faults.extend(Failure("", "", found.task, None, bad.reason) for bad in found.bad)
    named = {spec.name: spec for spec in tasks.tasks if spec.name in indexes}
    # A task whose index could be made has prompts that exist.
    prompts: dict[str, TaskPrompts] = {}
    for name, spec in named.items():
        questions = indexes[name].questions
        if questions is not None:
            prompts[name] = questions
        elif has_classnames(spec):
            prompts[name] = class_prompts(spec)
    return Catalogued((), named, indexes, prompts, tuple(faults))


def _collect_usable(
    specs: Iterable[Spec],
    read: Callable[[Spec], Found],
    fault: Callable[[Spec, str], Failure],
    faults: list[Failure],
) -> dict[str, Found]:
    """Collect the results of `read` by name.

    Its errors become faults, unless nothing is left: then the first is raised.
    """
    found: dict[str, Found] = {}
    first: VlmselError | None = None
    for spec in specs:
        try:
            found[spec.name] = read(spec)
        except (ModelError, TaskError) as error:
            first = first or error
            faults.append(fault(spec, redact(error)))
        except (Exception, SystemExit) as error:
            # Whatever it is, it is the trouble of this one; --debug shows where it came from.
            log.debug("where it failed", exc_info=error)
            first = first or TaskError(f"{spec.name}: {describe_error(error)}")
            faults.append(fault(spec, describe_error(error)))
        else:
            continue
        log.warning("left out: %s", faults[-1])
    if first is not None and not found:
        raise first
    return found


def _model_fault(spec: ModelSpec, reason: str) -> Failure:
    return Failure(spec.model, spec.pretrained, "", None, reason)


def _task_fault(spec: TaskSpec, reason: str) -> Failure:
    return Failure("", "", spec.name, None, reason)
