"""The current choices of a store: catalogs, and which measurements of how many images.

A store keeps every cell that was ever measured. Which of them count is said by a zoo, a task
catalog, and the measurements that are wanted. A run writes these beside the cells, so that
`select`, `evaluate` and `report` need only the store.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vlmsel.addresses import absolute_path, output_address
from vlmsel.cache import cache_dir
from vlmsel.errors import CatalogError, StoreError
from vlmsel.evidence.catalog_contents import Catalogued, FoundModels, look_up_models, look_up_tasks
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.preparation import plan_catalogued
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.measurements.kinds import measurement_class
from vlmsel.measurements.measurement import Measurement, Want
from vlmsel.settings import AttributionSettings
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import SHIPPED, Zoo, load_zoo

log = logging.getLogger(__name__)

REMEMBERED = "workspace.json"
# What a store is for where nothing else was said.
DEFAULT_KINDS = ("profile", "prediction")


class RememberedWant(BaseModel):
    """One measurement as `workspace.json` names it."""

    model_config = ConfigDict(frozen=True)

    settings: dict[str, Any]
    n_images: int | None = Field(ge=1)


class Choices(BaseModel):
    """The file that a run leaves in its store."""

    model_config = ConfigDict(frozen=True)

    version: Literal[2] = 2
    zoo: str
    tasks: str
    wants: dict[str, RememberedWant]
    labels: dict[str, str] = {}


@dataclass(frozen=True)
class Workspace:
    """A store with what is current in it.

    Attributes:
        store: the store.
        zoo_source: what ``zoo`` was loaded from, a path or a shipped name.
        tasks_source: what ``tasks`` was loaded from.
        wants: measurements by kind, each with its number of images.
        labels: files of labels by task, beside those that the catalog names.
    """

    store: Store
    zoo_source: str
    tasks_source: str
    wants: Mapping[str, Want]
    zoo: Zoo = field(repr=False)
    tasks: TaskCatalog = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Address of the store, without credentials."""
        return self.store.address

    @property
    def settings(self) -> AttributionSettings:
        """Of the profiles; the defaults where none are wanted."""
        want = self.wants.get("profile")
        settings = getattr(want.measurement, "settings", None) if want else None
        return settings or AttributionSettings()

    @cached_property
    def catalogued(self) -> Catalogued:
        """The catalogs, looked at once.

        Raises:
            ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
        """
        models = self._models
        return look_up_tasks(self.tasks).with_models(models)

    @cached_property
    def _models(self) -> FoundModels:
        return look_up_models(self.zoo)

    @cached_property
    def evidence(self) -> Evidence:
        """Stored results of these models and tasks; raises as `read_catalogs`."""
        return Evidence(self.store, self.catalogued, self.wants)

    def with_labels(self, files: Mapping[str, str]) -> "Workspace":
        """The same with these files of labels, which `remember` keeps; no cell depends on them."""
        labels = {**self.labels, **files}
        specs = tuple(
            spec.model_copy(update={"labels": labels.get(spec.name, spec.labels)})
            for spec in self.tasks.tasks
        )
        return replace(self, tasks=TaskCatalog(tasks=specs), labels=labels)

    def with_wants(
        self, measurements: Mapping[str, Measurement], n_images: Mapping[str, int | None]
    ) -> "Workspace":
        """The same with other settings and numbers of images, by kind."""
        wants = dict(self.wants)
        for kind in (*measurements, *n_images):
            wants.setdefault(kind, default_want(kind))
        for kind, measurement in measurements.items():
            wants[kind] = replace(wants[kind], measurement=measurement)
        for kind, number in n_images.items():
            wants[kind] = replace(wants[kind], n_images=number)
        return replace(self, wants=wants)

    def with_defaults(self) -> "Workspace":
        """The same with the measurements that every store is meant to hold."""
        wants = {kind: self.wants.get(kind) or default_want(kind) for kind in DEFAULT_KINDS}
        return replace(self, wants={**wants, **self.wants})

    def remember(self) -> None:
        """Write the choices beside the cells; the next command need not repeat them."""
        choices = Choices(
            zoo=self.zoo_source,
            tasks=self.tasks_source,
            wants={
                kind: RememberedWant(
                    settings=want.measurement.model_dump(mode="json"), n_images=want.n_images
                )
                for kind, want in self.wants.items()
            },
            labels=dict(self.labels),
        )
        text = choices.model_dump_json(indent=2)
        self.store.folder.write_atomic(REMEMBERED, text.encode())

    def plan(
        self,
        kinds: Iterable[str],
        options: RunOptions | None = None,
        *,
        name_unprompted: bool = True,
    ) -> Plan:
        """Plan the missing cells of some kinds, see `plan_measurements`.

        Raises:
            ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
            StoreError: the store cannot be read.
        """
        return plan_catalogued(
            self.catalogued,
            self.store,
            [self.wants[kind] for kind in kinds],
            options=options or RunOptions(),
            name_unprompted=name_unprompted,
        )

    def of_target(self, tasks: TaskCatalog, kinds: Iterable[str]) -> "Workspace":
        """The same zoo and store on other tasks, for some kinds."""
        found = replace(self, tasks=tasks, wants={kind: self.wants[kind] for kind in kinds})
        # Frozen, so what was found of the zoo is handed on by hand.
        found.__dict__["_models"] = self._models
        return found


def default_want(kind: str) -> Want:
    """A kind under its default settings, of its default number of images."""
    measurement = measurement_class(kind)
    return Want(measurement(), measurement.default_images)


def open_workspace(
    store: str | Path | Store,
    *,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    kinds: Iterable[str] = (),
    measurements: Mapping[str, Measurement] | None = None,
    n_images: Mapping[str, int | None] | None = None,
    forget_damaged: bool = False,
) -> Workspace:
    """Open a workspace from these arguments, and for the rest from the store's memory.

    Args:
        store: folder or address of the store; need not exist when ``zoo`` and ``tasks`` are given.
        zoo: model catalog (YAML) or a shipped name.
        tasks: task catalog (YAML) or ``demo``.
        kinds: measurements that are wanted beside those remembered; by default, where nothing is
            remembered, profiles and predictions.
        measurements: by kind, where not the remembered or default settings.
        n_images: images per task by kind, None for all.
        forget_damaged: a memory that is damaged is none: the caller says all of it.

    Raises:
        StoreError: the store remembers nothing and ``zoo`` or ``tasks`` is not given.
        CatalogError: a catalog cannot be read.
        SettingsError: there is no such kind.
    """
    opened = (
        store if isinstance(store, Store) else Store(output_address(store, "store", StoreError))
    )
    whole = bool(zoo is not None and tasks is not None and measurements and n_images)
    try:
        last = _recall(opened)
    except StoreError:
        # What is said in full needs no memory, so that it also mends a broken one.
        if not (whole or forget_damaged):
            raise
        last = None
    missing = [name for name, value in (("--zoo", zoo), ("--tasks", tasks)) if value is None]
    if missing and last is None:
        raise StoreError(
            f"store {opened.address} holds no run yet: give {' and '.join(missing)}, "
            "or run `vlmsel measure profile prediction --zoo ... --tasks ... --store ...` first"
        )
    zoo_source = _source("zoo", zoo, last)
    tasks_source = _source("tasks", tasks, last)
    wants = _remembered_wants(last)
    asked = [*kinds, *(measurements or {}), *(n_images or {})]
    for kind in asked or ([] if wants else DEFAULT_KINDS):
        wants.setdefault(kind, default_want(kind))
    found = Workspace(
        store=opened,
        zoo_source=zoo_source,
        tasks_source=tasks_source,
        wants=wants,
        zoo=load_zoo(zoo_source),
        tasks=load_task_catalog(tasks_source),
    ).with_wants(measurements or {}, n_images or {})
    # Those of another catalog's tasks mean nothing here.
    same = last is not None and last.tasks == tasks_source
    return found.with_labels(last.labels) if last is not None and same else found


def open_store(store: str | Path) -> Store:
    """Open a store that exists, for `select`, `evaluate` and for reading what it holds.

    Args:
        store: folder, or s3:// or gs:// address.

    Raises:
        StoreError: there is none.
    """
    found = Store(output_address(store, "store", StoreError))
    if not found.folder.names(""):
        raise StoreError(
            f"there is no store at {found.address}: `vlmsel.measure(..., store=...)` or "
            "`vlmsel measure ... --store ...` makes one"
        )
    return found


def remembers(store: str | Path) -> bool:
    """Tell whether the store holds a run of its own, and not only imported tables."""
    return _recall(Store(store)) is not None


def load_task_catalog(source: str | Path) -> TaskCatalog:
    """A task catalog from a YAML path, or the embedded tasks, which are drawn once and then kept.

    Args:
        source: a path; ``demo``: tasks of dual encoders; ``demo-vlm``: multiple-choice questions.

    Raises:
        CatalogError: it cannot be read.
    """
    if str(source) == "demo":
        from vlmsel.demo.demo_tasks import write_demo_tasks

        return load_tasks(write_demo_tasks(cache_dir() / "demo-tasks"))
    if str(source) == "demo-vlm":
        from vlmsel.demo.question_bundle import write_demo_questions

        return load_tasks(write_demo_questions(cache_dir() / "demo-questions"))
    return load_tasks(source)


def _remembered_wants(last: Choices | None) -> dict[str, Want]:
    """Measurements of the last run.

    Raises:
        ValidationError: the memory names settings that this version does not know.
    """
    return {
        kind: Want(measurement_class(kind)(**choice.settings), choice.n_images)
        for kind, choice in (last.wants if last else {}).items()
    }


def _recall(store: Store) -> Choices | None:
    folder = store.folder
    if REMEMBERED not in folder.names(""):
        return None
    if store.is_old():
        log.warning(
            "store %s was written by an earlier version of vlmsel, which this one does not read: "
            "everything is measured anew (delete its folders profiles and accuracies, or choose "
            "another store)",
            store.address,
        )
    try:
        found = Choices.model_validate_json(folder.read(REMEMBERED))
        # Kinds and settings that this version does not know are found here, not in the middle.
        _remembered_wants(found)
    except ValidationError:
        if store.is_old():
            return None
        raise StoreError(
            f"{folder.address}/{REMEMBERED}, which names the store's zoo and tasks, is damaged: "
            "delete this one file and run `vlmsel measure ... --zoo ... --tasks ... --store ...` "
            "again; what is measured stays"
        ) from None
    return found


def _source(kind: str, given: str | Path | None, last: Choices | None) -> str:
    """Return the given catalog, else the remembered one, which may have gone meanwhile."""
    if given is not None:
        return _absolute(given)
    source = str(getattr(last, kind))
    if Path(source).is_absolute() and not Path(source).exists():
        raise CatalogError(
            f"the store's last run used the {kind} catalog {source}, which does not exist any "
            f"more: give --{kind} FILE"
        )
    return source


def _absolute(source: str | Path) -> str:
    """A path that means the same from any folder; shipped names stay as they are."""
    if str(source) in SHIPPED:
        return str(source)
    path = absolute_path(source, "catalog", CatalogError)
    return str(path) if path.suffix or path.exists() else str(source)
