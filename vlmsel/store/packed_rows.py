"""Rows of packed cells: packs are read whole, hashed, and cut to the cells that are wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from vlmsel.store.files import is_corrupt
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import content_digest
from vlmsel.store.os_errors import MissingFileError
from vlmsel.store.packed_folder import PackedFolder, group_by_pack
from vlmsel.store.packs import Member
from vlmsel.store.row_bytes import from_bytes

TRIES = 3


@dataclass(frozen=True)
class PackedRows:
    """Rows that were read of packs.

    Attributes:
        frames: rows of the wanted cells, one frame per pack.
        corrupt: paths of the cells whose pack does not hash to its name, or has gone.
    """

    frames: list[pl.DataFrame]
    corrupt: set[str]


def read_packed(
    folder: PackedFolder,
    places: Mapping[str, tuple[str, Member]],
    schema: pa.Schema,
    columns: Sequence[str] | None,
) -> PackedRows:
    """Rows of packed cells; every pack is read once.

    Args:
        folder: the store.
        places: pack and member by the cell's path.
        schema: of the rows.
        columns: which to read; all if None.

    Raises:
        StoreError: a pack cannot be read, or holds other columns.
    """
    todo, found = dict(places), PackedRows([], set())
    for _ in range(TRIES):
        paths = {(pack, member.name): path for path, (pack, member) in todo.items()}
        moved: set[str] = set()
        for pack, members in group_by_pack(todo).items():
            try:
                data = folder.read(pack)
            except MissingFileError:
                # Packed anew since it was listed.
                moved |= {paths[pack, member.name] for member in members}
                continue
            if is_corrupt(pack, data):
                found.corrupt.update(paths[pack, member.name] for member in members)
                continue
            where = f"{folder.address}/{pack}"
            found.frames.append(_cut(from_bytes([data], schema, where, columns), members))
        todo = folder.find_packed(moved)
        found.corrupt.update(moved - todo.keys())
        if not todo:
            break
    found.corrupt.update(todo)
    return found


def _cut(rows: pl.DataFrame, members: Sequence[Member]) -> pl.DataFrame:
    """The rows of some members, in the order of the pack."""
    if sum(member.n_rows for member in members) == rows.height:
        return rows
    is_wanted = np.zeros(rows.height, dtype=bool)
    for member in members:
        is_wanted[member.start : member.start + member.n_rows] = True
    return rows.filter(pl.Series(is_wanted))


def quarantine_corrupt_packs(
    folder: PackedFolder,
    places: Mapping[str, tuple[str, Member]],
    quarantine: str,
    report: Callable[[str], None],
) -> None:
    """Hash the packs of some cells; set the corrupt ones aside and `report` their cells' paths."""
    by_path: dict[str, list[str]] = {}
    for path, (pack, _) in places.items():
        by_path.setdefault(pack, []).append(path)
    below: Folder = folder.files_below
    for pack, paths in sorted(by_path.items()):
        try:
            data = below.read(pack)
        except MissingFileError:
            continue
        if is_corrupt(pack, data):
            below.move(pack, f"{quarantine}/{pack}.{content_digest(data)}")
            for path in sorted(paths):
                report(path)
