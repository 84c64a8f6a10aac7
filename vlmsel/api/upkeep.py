"""Upkeep of a store: collect garbage, compact, measure sizes, migrate; nothing else writes then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vlmsel.api.prompt_study import prompt_variants
from vlmsel.api.workspace import Workspace, load_task_catalog, open_workspace, remembers
from vlmsel.errors import StoreError
from vlmsel.evidence.catalog_contents import Catalogued, look_up
from vlmsel.evidence.wanted_cells import wanted_cells, wanted_shards
from vlmsel.execution.lease import hold_maintenance_lease
from vlmsel.measurements.kinds import measurement_kinds
from vlmsel.measurements.measurement import Want
from vlmsel.settings import SCHEMA_VERSION
from vlmsel.store.compaction import Compacted, compact_settings
from vlmsel.store.garbage import Garbage, cell_of, delete_garbage, find_garbage
from vlmsel.store.keys import CellId, cell_key, images_digest
from vlmsel.store.known_settings import read_earlier
from vlmsel.store.migration import Migrated, conversion, migrate_cells
from vlmsel.store.store import Store
from vlmsel.zoo.catalog import load_zoo

DAY_S = 86_400.0


@dataclass(frozen=True)
class WantedCells:
    """Cells that catalogs ask for, and might ask for if all of them could be read.

    Attributes:
        cells: every cell of every model on every task, under all settings that the store knows.
        models: (model, pretrained) of models that cannot be identified now.
        tasks: names of tasks of which something cannot be read now.
        identities: digests of the models' identities by (model, pretrained).
        bases: digests of settings and class prompts by kind, settings and task.
        images: (id, checksum) of every image by task.
    """

    cells: set[CellId] = field(default_factory=set)
    models: set[tuple[str, str]] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    identities: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    bases: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    images: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def has(self, cell: CellId) -> bool:
        """True if a cell is wanted, or may be."""
        model = (cell.model, cell.pretrained)
        return cell in self.cells or model in self.models or cell.task in self.tasks

    def is_of_images(self, cell: CellId, images: set[tuple[str, str]]) -> bool:
        """True if a cell is of these images, and they are some of its task's as it is now."""
        if not images or not images <= self.images.get(cell.task, set()):
            return False
        digest = images_digest(sorted(images))
        return any(
            cell.key == cell_key(identity, basis, digest)
            for identity in self.identities.get((cell.model, cell.pretrained), ())
            for basis in self.bases.get((cell.kind, cell.settings, cell.task), ())
        )

    def may_have_fewer(self, cell: CellId) -> bool:
        """True if a cell's model, task and settings are known, so that its images decide."""
        return (cell.model, cell.pretrained) in self.identities and (
            (cell.kind, cell.settings, cell.task) in self.bases
        )

    def add(self, catalogued: Catalogued, wants: Sequence[Want]) -> None:
        """Ask for all that these catalogs name, comparisons of their prompts included."""
        prompted = [want for want in wants if want.measurement.reads_prompts]
        self._add_cells(catalogued, wants)
        for variant in prompt_variants(catalogued) if prompted else ():
            self._add_cells(variant, prompted)
        for spec, identity in catalogued.models:
            name = (spec.model, spec.pretrained)
            self.identities.setdefault(name, set()).add(identity.digest)
        for task, index in catalogued.indexes.items():
            known = self.images.setdefault(task, set())
            known.update((ref.image_id, ref.sha256) for ref in index.images)
        faults = list(catalogued.faults)
        if any(want.measurement.of_texts for want in wants):
            faults += catalogued.text_faults
        for fault in faults:
            if fault.task:
                self.tasks.add(fault.task)
            else:
                self.models.add((fault.model, fault.pretrained))

    def _add_cells(self, catalogued: Catalogued, wants: Sequence[Want]) -> None:
        for want in wants:
            shards = wanted_shards(catalogued, [want])
            self.cells.update(cell for cell, _ in wanted_cells(catalogued.models, shards))
            for wanted in shards:
                for asked in wanted.asked:
                    place = (asked.kind, asked.settings, wanted.shard.task)
                    self.bases.setdefault(place, set()).add(asked.basis)


def collect_garbage(
    workspace: Workspace,
    *,
    older_than_days: float,
    dry_run: bool,
    zoos: Sequence[str] = (),
    tasks: Sequence[str] = (),
    settle_s: float = 1.0,
) -> list[Garbage]:
    """Delete what no catalog wants any more, old failures, and what was set aside.

    A model or task that cannot be read now loses nothing. Imported tables are not touched.

    Args:
        workspace: the store with its catalogs.
        older_than_days: what is younger stays.
        dry_run: only find it.
        zoos: further model catalogs whose cells stay.
        tasks: further task catalogs, likewise.
        settle_s: see `hold_lease`.

    Returns:
        What went, or would go.

    Raises:
        ExecutionError: a run writes into the store, or other maintenance works on it.
        StoreError: the store cannot be listed or written.
        CatalogError, ModelError, TaskError: a catalog cannot be used; nothing is deleted then.
    """
    before = time.time() - older_than_days * DAY_S

    def find() -> list[Garbage]:
        wanted = collect_wanted(workspace, zoos=zoos, tasks=tasks)
        found = find_garbage(workspace.store.folder, wanted.has, written_before=before)
        return [
            garbage
            for garbage in found
            if not _is_of_fewer_images(workspace.store, wanted, garbage)
        ]

    if dry_run:
        return find()
    with hold_maintenance_lease(workspace.store.uri, settle_s=settle_s):
        # Found under the lease: a run that has just ended counts.
        found = find()
        delete_garbage(workspace.store.folder, found)
        workspace.store.folder.clean(measurement_kinds())
    return found


def _is_of_fewer_images(store: Store, wanted: WantedCells, garbage: Garbage) -> bool:
    """True if a cell that is not wanted is of another number of images, by its rows."""
    cell = cell_of(garbage.path) if garbage.what == "cells" else None
    if cell is None or not wanted.may_have_fewer(cell):
        return False
    columns = ["image_id", "image_sha256"]
    rows = store.scan({cell: garbage.path}, kind=cell.kind, columns=columns).rows
    return wanted.is_of_images(cell, set(rows.select(columns).unique().iter_rows()))


def collect_wanted(
    workspace: Workspace, *, zoos: Sequence[str] = (), tasks: Sequence[str] = ()
) -> WantedCells:
    """The cells that a store's catalogs, and further ones, ask for.

    Raises:
        CatalogError, ModelError, TaskError: a catalog cannot be used.
    """
    wants = _all_wants(workspace)
    wanted = WantedCells()
    wanted.add(workspace.catalogued, wants)
    all_zoos = [workspace.zoo, *(load_zoo(source) for source in zoos)]
    all_tasks = [workspace.tasks, *(load_task_catalog(source) for source in tasks)]
    for zoo_place, zoo in enumerate(all_zoos):
        for task_place, catalog in enumerate(all_tasks):
            if zoo_place or task_place:
                wanted.add(look_up(zoo, catalog), wants)
    return wanted


def _all_wants(workspace: Workspace) -> list[Want]:
    """Every measurement that the store knows, of the remembered and of any number of images."""
    wants: list[Want] = []
    for kind in measurement_kinds():
        remembered = workspace.wants.get(kind)
        numbers = {None, *([remembered.n_images] if remembered else [])}
        known = list(workspace.store.settings(kind).values())
        if remembered is not None and remembered.measurement not in known:
            known.append(remembered.measurement)
        wants += [Want(measurement, number) for measurement in known for number in numbers]
    return wants


def compact_store(store: Store, *, settle_s: float = 1.0) -> Compacted:
    """Put the cells of finished tasks into larger files; readers see no difference.

    A task is finished for a model when no cell that the store's catalogs want of it is missing; of
    a store that remembers no run, and of models and tasks in no catalog, all is finished.

    Raises:
        ExecutionError: a run writes into the store, or other maintenance works on it.
        StoreError: the store cannot be read or written.
    """
    with hold_maintenance_lease(store.uri, settle_s=settle_s):
        is_finished = _make_finished_test(store)
        found = Compacted()
        for kind in measurement_kinds():
            for digest in store.folder.folders(kind):
                found += compact_settings(store.folder, kind, digest, is_finished)
    return found


def _make_finished_test(store: Store) -> Callable[[CellId], bool]:
    if not remembers(store.uri):
        return lambda cell: True
    workspace = open_workspace(store)
    lacking = {
        (cell.kind, cell.settings, cell.model, cell.pretrained, cell.task)
        for kind in workspace.wants
        for cell in workspace.evidence.wanted(kind) - workspace.evidence.files(kind).keys()
    }

    def is_finished(cell: CellId) -> bool:
        return (cell.kind, cell.settings, cell.model, cell.pretrained, cell.task) not in lacking

    return is_finished


def migrate_store(workspace: Workspace, *, settle_s: float = 1.0) -> dict[str, Migrated]:
    """Rewrite the cells of earlier schema versions that the catalogs name under this one.

    Returns:
        What was done, by ``<kind> of schema <version>``.

    Raises:
        ExecutionError: a run writes into the store, or other maintenance works on it.
        StoreError: a version cannot be converted, or the store cannot be read or written.
    """
    found: dict[str, Migrated] = {}
    with hold_maintenance_lease(workspace.store.uri, settle_s=settle_s):
        for kind in measurement_kinds():
            for schema, measurements in read_earlier(workspace.store.folder, kind).items():
                convert = conversion(kind, schema, SCHEMA_VERSION)
                name = f"{kind} of schema {schema}"
                if convert is None:
                    raise StoreError(
                        f"store {workspace.address}: {name} cannot be brought under schema "
                        f"{SCHEMA_VERSION}, whose values mean something else: measure it anew, "
                        "`vlmsel store gc` takes the old cells"
                    )
                done = Migrated()
                for measurement in measurements:
                    remembered = workspace.wants.get(kind)
                    numbers = {None, *([remembered.n_images] if remembered else [])}
                    for number in numbers:
                        pairs = _pairs(workspace, Want(measurement, number), schema)
                        done += migrate_cells(workspace.store, measurement, pairs, convert)
                found[name] = done
    return found


def _pairs(workspace: Workspace, want: Want, schema: int) -> dict[CellId, CellId]:
    """The cell of this version by that of an earlier one, of everything that the catalogs name."""
    models = workspace.catalogued.models
    old = wanted_shards(workspace.catalogued, [want], schema=schema)
    new = wanted_shards(workspace.catalogued, [want])
    return {
        earlier: current
        for (earlier, _), (current, _) in zip(
            wanted_cells(models, old), wanted_cells(models, new), strict=True
        )
    }
