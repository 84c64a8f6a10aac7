"""Migration: cells of an earlier schema version, rewritten under this one instead of measured anew.

A version whose change can be undone on the stored rows says how in `CONVERSIONS`; where it says
nothing, the change was one of meaning, and the cells are measured anew.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.measurements.measurement import Measurement
from vlmsel.store.files import is_corrupt
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store

Conversion = Callable[[pa.Table], pa.Table]

# (kind, schema version) -> rows of that version into rows of the next one.
CONVERSIONS: dict[tuple[str, int], Conversion] = {}


@dataclass(frozen=True)
class Migrated:
    """Report of a migration.

    Attributes:
        n_cells: cells that are under this version now.
        n_there: cells that were there already.
        corrupt: cells whose file does not hash to its name; they are measured anew.
    """

    n_cells: int = 0
    n_there: int = 0
    corrupt: tuple[CellId, ...] = ()

    def __add__(self, other: "Migrated") -> "Migrated":
        """Both together."""
        return Migrated(
            self.n_cells + other.n_cells,
            self.n_there + other.n_there,
            self.corrupt + other.corrupt,
        )


def conversion(kind: str, schema: int, current: int) -> Conversion | None:
    """Conversion of a version's rows to the current one; None where some step is not known."""
    steps = [CONVERSIONS.get((kind, version)) for version in range(schema, current)]
    if any(step is None for step in steps):
        return None

    def convert(rows: pa.Table) -> pa.Table:
        for step in steps:
            assert step is not None
            rows = step(rows)
        return rows

    return convert


def migrate_cells(
    store: Store, measurement: Measurement, pairs: Mapping[CellId, CellId], convert: Conversion
) -> Migrated:
    """Write cells of an earlier version under this one; the old ones stay until `gc` takes them.

    Args:
        store: the store.
        measurement: of the cells, as it is now.
        pairs: the cell of this version by that of the earlier one.
        convert: rows of then into rows of now.

    Raises:
        StoreError: a cell cannot be read or written.
        RowsError: converted rows are none of their kind.
    """
    if not pairs:
        return Migrated()
    digest = next(iter(pairs)).settings
    files = store.cells(measurement.kind, digest, pairs)
    migrated = set(store.cells(measurement.kind, measurement.digest, pairs.values()))
    found = Migrated(n_there=sum(pairs[old] in migrated for old in files))
    todo = {old: path for old, path in files.items() if pairs[old] not in migrated}
    packed = store.folder.find_packed(todo.values())
    names = {pack for pack, _ in packed.values()}
    packs: dict[str, pa.Table | None] = {}
    for old, path in todo.items():
        place = packed.get(path)
        source = path if place is None else place[0]
        if source not in packs:
            # Packs serve many cells; of loose files only the last one is kept.
            packs = {name: table for name, table in packs.items() if name in names}
            packs[source] = _table(store, source)
        table = packs[source]
        if table is None:
            found += Migrated(corrupt=(old,))
            continue
        rows = table if place is None else table.slice(place[1].start, place[1].n_rows)
        store.write(pairs[old], measurement, convert(rows))
        found += Migrated(n_cells=1)
    return found


def _table(store: Store, path: str) -> pa.Table | None:
    data = store.folder.read(path)
    if is_corrupt(path, data):
        return None
    return pq.read_table(io.BytesIO(data)).replace_schema_metadata(None)
