"""What is current in a store: catalogs, settings and number of images of its last run.

A store keeps every cell that was ever measured. Which of them count is said by a zoo, a task
catalog, settings and a number of images. A run writes these four beside the cells, so that
`select`, `evaluate` and `report` need only the store.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vlmsel.addresses import absolute_path, output_address
from vlmsel.cache import cache_dir
from vlmsel.errors import CatalogError, StoreError
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan
from vlmsel.execution.prepare import DEFAULT_IMAGES, plan_accuracies, plan_profiles
from vlmsel.execution.refresh import labelled_tasks
from vlmsel.settings import AttributionSettings
from vlmsel.store.filesystem import open_folder
from vlmsel.tasks.catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

REMEMBERED = "workspace.json"


class Choices(BaseModel):
    """The file that a run leaves in its store."""

    model_config = ConfigDict(frozen=True)

    zoo: str
    tasks: str
    settings: AttributionSettings
    n_images: int = Field(ge=1)


@dataclass(frozen=True)
class Workspace:
    """A store with what is current in it.

    Attributes:
        store: folder or address of the store.
        zoo_source: what ``zoo`` was loaded from, a path or a shipped name.
        tasks_source: what ``tasks`` was loaded from.
        n_images: images per task that are profiled.
    """

    store: str
    zoo_source: str
    tasks_source: str
    settings: AttributionSettings
    n_images: int
    zoo: Zoo = field(repr=False)
    tasks: TaskCatalog = field(repr=False)

    @property
    def address(self) -> str:
        """Where the store is, without credentials."""
        return open_folder(self.store).address

    @property
    def labelled(self) -> "Workspace | None":
        """The same with the tasks that have class names, of which accuracies can be known."""
        tasks = labelled_tasks(self.tasks)
        return None if tasks is None else replace(self, tasks=tasks)

    def remember(self) -> None:
        """Write the four choices beside the cells; the next command need not repeat them."""
        choices = Choices(
            zoo=self.zoo_source,
            tasks=self.tasks_source,
            settings=self.settings,
            n_images=self.n_images,
        )
        text = choices.model_dump_json(indent=2)
        open_folder(self.store).write_atomic(REMEMBERED, text.encode())

    def plan_profiles(
        self, options: RunOptions | None = None, *, tasks: TaskCatalog | None = None
    ) -> Plan:
        """The missing profiles of the zoo on its tasks, or on other ``tasks``.

        Raises:
            ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
            StoreError: the store cannot be read.
        """
        return plan_profiles(
            self.zoo,
            tasks or self.tasks,
            self.store,
            self.settings,
            n_images=self.n_images,
            options=options,
        )

    def plan_accuracies(self, options: RunOptions | None = None) -> Plan:
        """The missing zero-shot accuracies of the zoo on its labelled tasks; raises likewise."""
        return plan_accuracies(self.zoo, self.tasks, self.store, options=options)


def open_workspace(
    store: str | Path,
    *,
    zoo: str | Path | None = None,
    tasks: str | Path | None = None,
    settings: AttributionSettings | None = None,
    n_images: int | None = None,
) -> Workspace:
    """A workspace from what is said, and for the rest from what the store remembers.

    Args:
        store: folder or address of the store; need not exist when ``zoo`` and ``tasks`` are given.
        zoo: model catalog (YAML) or a shipped name.
        tasks: task catalog (YAML) or ``demo``.
        settings: how blocks are scored; default settings for a new store.
        n_images: images per task; 25 for a new store.

    Raises:
        StoreError: the store remembers nothing and ``zoo`` or ``tasks`` is not given.
        CatalogError: a catalog cannot be read.
    """
    # What is said in full needs no memory, so that it also mends a broken one.
    whole = zoo is not None and tasks is not None and settings is not None and n_images is not None
    last = None if whole else _recall(store)
    missing = [name for name, said in (("--zoo", zoo), ("--tasks", tasks)) if said is None]
    if missing and last is None:
        raise StoreError(
            f"store {open_folder(store).address} holds no run yet: give {' and '.join(missing)}, "
            "or run `vlmsel profile --zoo ... --tasks ... --store ...` first"
        )
    zoo_source = _source("zoo", zoo, last)
    tasks_source = _source("tasks", tasks, last)
    return Workspace(
        store=output_address(store, "store", StoreError),
        zoo_source=zoo_source,
        tasks_source=tasks_source,
        settings=settings or (last.settings if last else AttributionSettings()),
        n_images=n_images or (last.n_images if last else DEFAULT_IMAGES),
        zoo=load_zoo(zoo_source),
        tasks=load_task_catalog(tasks_source),
    )


def remembers(store: str | Path) -> bool:
    """Whether the store holds a run of its own, and not only imported tables."""
    return _recall(store) is not None


def load_task_catalog(source: str | Path) -> TaskCatalog:
    """A task catalog from a YAML path, or the embedded tasks (drawn once, then kept) for ``demo``.

    Raises:
        CatalogError: it cannot be read.
    """
    if str(source) != "demo":
        return load_tasks(source)
    from vlmsel.demo.tasks import write_demo_tasks

    return load_tasks(write_demo_tasks(cache_dir() / "demo-tasks"))


def _recall(store: str | Path) -> Choices | None:
    folder = open_folder(store)
    if REMEMBERED not in folder.names(""):
        return None
    try:
        return Choices.model_validate_json(folder.read(REMEMBERED))
    except ValidationError:
        raise StoreError(
            f"{folder.address}/{REMEMBERED}, which names the store's zoo and tasks, is damaged: "
            "delete this one file and run `vlmsel profile --zoo ... --tasks ... --store ...` "
            "again; what is measured stays"
        ) from None


def _source(kind: str, said: str | Path | None, last: Choices | None) -> str:
    """The catalog that is said, else the remembered one, which may have gone meanwhile."""
    if said is not None:
        return _absolute(said)
    source = str(getattr(last, kind))
    if Path(source).is_absolute() and not Path(source).exists():
        raise CatalogError(
            f"the store's last run used the {kind} catalog {source}, which does not exist any "
            f"more: give --{kind} FILE"
        )
    return source


def _absolute(source: str | Path) -> str:
    """A path that means the same from any folder; shipped names stay as they are."""
    path = absolute_path(source, "catalog", CatalogError)
    return str(path) if path.suffix or path.is_file() else str(source)
