"""What is current in a store: the catalogs, the settings and the number of images of its last run.

A store keeps every cell that was ever measured. Which of them count is said by a zoo, a task catalog,
settings and a number of images. A run writes these four beside the cells, so that `select`, `evaluate`
and `report` need only the store.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from vlmsel.errors import StoreError
from vlmsel.settings import AttributionSettings, make_settings
from vlmsel.store.filesystem import open_folder
from vlmsel.tasks.catalog import TaskCatalog, load_tasks
from vlmsel.zoo.catalog import Zoo, load_zoo

DEFAULT_IMAGES = 25
REMEMBERED = "workspace.json"


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

    def remember(self) -> None:
        """Write the four choices beside the cells; the next command need not repeat them."""
        choices = {
            "zoo": self.zoo_source,
            "tasks": self.tasks_source,
            "settings": self.settings.model_dump(),
            "n_images": self.n_images,
        }
        open_folder(self.store).write_atomic(REMEMBERED, json.dumps(choices, indent=2).encode())


def open_workspace(
    store: str | Path,
    *,
    zoo: str | None = None,
    tasks: str | None = None,
    settings: AttributionSettings | None = None,
    n_images: int | None = None,
) -> Workspace:
    """A workspace from what is said, and for the rest from what the store remembers of its last run.

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
    last = _recall(str(store))
    missing = [name for name, said in (("--zoo", zoo), ("--tasks", tasks)) if said is None]
    if missing and not last:
        raise StoreError(
            f"store {store} holds no run yet: give {' and '.join(missing)}, "
            "or run `vlmsel profile --zoo ... --tasks ... --store ...` first"
        )
    zoo_source = _absolute(zoo) if zoo else str(last["zoo"])
    tasks_source = _absolute(tasks) if tasks else str(last["tasks"])
    remembered = make_settings(last["settings"]) if last else AttributionSettings()
    return Workspace(
        store=str(store),
        zoo_source=zoo_source,
        tasks_source=tasks_source,
        settings=settings or remembered,
        n_images=n_images or int(last.get("n_images", DEFAULT_IMAGES)),
        zoo=load_zoo(zoo_source),
        tasks=load_task_catalog(tasks_source),
    )


def remembers(store: str | Path) -> bool:
    """Whether the store holds a run of its own, and not only imported tables."""
    return bool(_recall(str(store)))


def load_task_catalog(source: str | Path) -> TaskCatalog:
    """A task catalog from a YAML path, or the embedded tasks for the name ``demo`` (drawn once, then kept)."""
    if str(source) != "demo":
        return load_tasks(source)
    from vlmsel.demo.tasks import write_demo_tasks

    return load_tasks(write_demo_tasks(cache_folder() / "demo-tasks"))


def cache_folder() -> Path:
    """Where things live that can be made again: ``VLMSEL_CACHE``, else the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("VLMSEL_CACHE") or Path(base) / "vlmsel").expanduser()


def _recall(store: str) -> dict:
    folder = open_folder(store)
    if REMEMBERED not in folder.names(""):
        return {}
    try:
        return json.loads(folder.read(REMEMBERED))
    except ValueError:
        raise StoreError(
            f"{folder.address}/{REMEMBERED} is not JSON: delete it and give --zoo and --tasks"
        ) from None


def _absolute(source: str) -> str:
    """A path that means the same from any folder; shipped names and addresses stay as they are."""
    path = Path(source).expanduser()
    return str(path.absolute()) if path.suffix or path.exists() else source
