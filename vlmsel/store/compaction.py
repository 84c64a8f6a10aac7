"""Compaction: the small cells of finished tasks in a few larger files, with the same rows.

The pack is written first, then its index, then the small files go: after a kill at any point every
cell is there, in one form or in both, and the next compaction goes on from there.
"""

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from vlmsel.errors import StoreError
from vlmsel.store.cells import settings_folder
from vlmsel.store.file_entry import FileEntry
from vlmsel.store.files import READERS, is_corrupt
from vlmsel.store.keys import CellId, decode_model_folder, decode_stem, parse_file_name
from vlmsel.store.packed_folder import PackedFolder
from vlmsel.store.packs import PackIndex, lay_end_to_end, pack_name
from vlmsel.store.row_bytes import to_bytes

# A pack is read whole, for one of its cells too.
PACK_BYTES = 32 * 2**20
# Packs below this are made anew together with what has come since.
SMALL_PACK_BYTES = 8 * 2**20
LEAST_FILES = 2


@dataclass(frozen=True)
class Compacted:
    """Report of a compaction.

    Attributes:
        n_cells: cells that are in a pack now and were files.
        n_packs: packs that were written.
        n_deleted: small files that went, those that an earlier, killed compaction left among them.
        corrupt: files that do not hash to their names; they are left where they are.
    """

    n_cells: int = 0
    n_packs: int = 0
    n_deleted: int = 0
    corrupt: tuple[str, ...] = ()

    def __add__(self, other: "Compacted") -> "Compacted":
        """Both together."""
        return Compacted(
            self.n_cells + other.n_cells,
            self.n_packs + other.n_packs,
            self.n_deleted + other.n_deleted,
            self.corrupt + other.corrupt,
        )


@dataclass(frozen=True)
class _Piece:
    """Cells to be packed: a loose file, or a small pack with its index."""

    paths: tuple[str, ...]
    table: pa.Table
    cells: tuple[tuple[str, int, float], ...]
    size: int


def compact_settings(
    folder: PackedFolder,
    kind: str,
    settings: str,
    is_finished: Callable[[CellId], bool],
    *,
    pack_bytes: int = PACK_BYTES,
) -> Compacted:
    """Pack the cells of one kind under one set of settings, model by model.

    Args:
        folder: the store.
        kind: of the measurement.
        settings: digest of its settings.
        is_finished: whether the task of a cell is: only such cells are packed.
        pack_bytes: small files of about so many bytes go into one pack.

    Raises:
        StoreError: a file cannot be read or written.
    """
    found = Compacted()
    top = settings_folder(kind, settings)
    for name in sorted(folder.folders(top)):
        model = decode_model_folder(name)
        if model is not None:
            finished = _finished(model, kind, settings, is_finished)
            found += _compact_model(folder, f"{top}/{name}", finished, pack_bytes)
    return found


def _finished(
    model: tuple[str, str], kind: str, settings: str, is_finished: Callable[[CellId], bool]
) -> Callable[[str], bool]:
    def check(name: str) -> bool:
        parsed = parse_file_name(name)
        found = decode_stem(parsed[0]) if parsed else None
        return found is not None and is_finished(CellId(*model, *found, settings, kind))

    return check


def _compact_model(
    folder: PackedFolder, parent: str, is_finished: Callable[[str], bool], pack_bytes: int
) -> Compacted:
    indexes = folder.indexes(parent)
    packed = {member.name for index in indexes.values() for member in index.members}
    files = folder.files_below.names(parent)
    loose = sorted(name for name in _find_only_files(files) if is_finished(name))
    left_over = _find_left_over(folder, parent, [name for name in loose if name in packed])
    for name in left_over:
        folder.files_below.delete(f"{parent}/{name}")
    new = [name for name in loose if name not in packed]
    found = Compacted(n_deleted=len(left_over))
    if len(new) < LEAST_FILES and not (new and indexes):
        return found
    on_disk = {entry.path: entry for entry in folder.entries(parent)}
    small = {
        path: index
        for path, index in indexes.items()
        if on_disk[f"{parent}/{index.pack}"].size < SMALL_PACK_BYTES
    }
    batch: list[_Piece] = list(_find_small_packs(folder, parent, small))
    for start in range(0, len(new), READERS * 8):
        some = new[start : start + READERS * 8]
        pieces, corrupt = _read_loose(folder, [on_disk[f"{parent}/{name}"] for name in some])
        found += Compacted(corrupt=corrupt)
        for piece in pieces:
            batch.append(piece)
            if sum(file.size for file in batch) >= pack_bytes:
                found += _write_pack(folder, parent, batch)
                batch = []
    return found + _write_pack(folder, parent, batch)


def _find_left_over(folder: PackedFolder, parent: str, names: list[str]) -> list[str]:
    """Files that are in a sound pack, too: only those can go."""
    places = folder.find_packed(f"{parent}/{name}" for name in names)
    packs = {pack for pack, _ in places.values()}
    sound = {pack for pack in packs if not is_corrupt(pack, folder.read(pack))}
    return [name for name in names if places[f"{parent}/{name}"][0] in sound]


def _find_only_files(names: Iterable[str]) -> list[str]:
    """Files that are their cell's only one; where there are two, a retry was killed."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        parsed = parse_file_name(name)
        if parsed and decode_stem(parsed[0]):
            by_stem.setdefault(parsed[0], []).append(name)
    return [files[0] for files in by_stem.values() if len(files) == 1]


def _find_small_packs(
    folder: PackedFolder, parent: str, indexes: dict[str, PackIndex]
) -> Iterable[_Piece]:
    of_packs: dict[str, list[str]] = {}
    for path, index in indexes.items():
        of_packs.setdefault(f"{parent}/{index.pack}", []).append(path)
    for pack, paths in of_packs.items():
        index = indexes[paths[0]]
        data = folder.read(pack)
        if is_corrupt(pack, data):
            continue
        table = pq.read_table(io.BytesIO(data))
        parts = [table.slice(member.start, member.n_rows) for member in index.members]
        parts = parts or [table.slice(0, 0)]
        cells = tuple((m.name, m.n_rows, m.modified) for m in index.members)
        yield _Piece((*paths, pack), pa.concat_tables(parts), cells, len(data))


def _read_loose(
    folder: PackedFolder, entries: list[FileEntry]
) -> tuple[list[_Piece], tuple[str, ...]]:
    """The cells in some files, and the paths of the files that are corrupt."""

    def read(entry: FileEntry) -> _Piece | None:
        data = folder.read(entry.path)
        if is_corrupt(entry.path, data):
            return None
        table = pq.read_table(io.BytesIO(data))
        cell = (entry.path.rpartition("/")[2], table.num_rows, entry.modified)
        return _Piece((entry.path,), table, (cell,), len(data))

    with ThreadPoolExecutor(READERS) as pool:
        found = list(zip(entries, pool.map(read, entries), strict=True))
    pieces = [piece for _, piece in found if piece is not None]
    return pieces, tuple(entry.path for entry, piece in found if piece is None)


def _write_pack(folder: PackedFolder, parent: str, pieces: list[_Piece]) -> Compacted:
    """Commit a pack and its index, then delete what they replace.

    Raises:
        StoreError: the pack would not give the same rows back; nothing is deleted then.
    """
    loose = [piece for piece in pieces if len(piece.paths) == 1]
    if not loose or len(pieces) < LEAST_FILES:
        return Compacted()
    cells = [cell for piece in pieces for cell in piece.cells]
    tables = [piece.table.replace_schema_metadata(None) for piece in pieces]
    rows = pa.concat_tables(tables)
    data = to_bytes(rows, {"cells": str(len(cells))})
    again = pq.read_table(io.BytesIO(data)).replace_schema_metadata(None)
    if not again.equals(rows.combine_chunks()):
        raise StoreError(f"{folder.address}/{parent}: a pack would not hold the same rows")
    name = pack_name(data)
    index = PackIndex(name, lay_end_to_end(cells))
    index_name, index_data = index.to_file()
    below = folder.files_below
    below.write_atomic(f"{parent}/{name}", data)
    below.write_atomic(f"{parent}/{index_name}", index_data)
    replaced = [path for piece in pieces for path in piece.paths]
    kept = {f"{parent}/{name}", f"{parent}/{index_name}"}
    for path in replaced:
        if path not in kept:
            below.delete(path)
    return Compacted(n_cells=len(loose), n_packs=1, n_deleted=len(loose))
