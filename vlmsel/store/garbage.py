"""Garbage: what a store holds and nobody wants any more, found first and deleted then."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vlmsel.measurements.kinds import measurement_kinds
from vlmsel.store.failed_images import FAILED_IMAGES
from vlmsel.store.failures import FAILURES
from vlmsel.store.file_entry import FileEntry
from vlmsel.store.files import QUARANTINE
from vlmsel.store.keys import CellId, decode_model_folder, decode_stem, parse_file_name
from vlmsel.store.known_settings import readable_digests
from vlmsel.store.packed_folder import PackedFolder
from vlmsel.store.packs import is_of_a_pack, pack_of

# Of kinds/<settings>/<model>@<pretrained>/<file>.
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Garbage:
    """One file, or one packed cell, that can go.

    Attributes:
        what: `cells`, `failures`, `failed-images`, `quarantine` or `packs` (left by a kill).
        path: in the store.
        model: ``model/pretrained``; empty where that is not known.
        size: in bytes; of a packed cell its share of the pack.
    """

    what: str
    path: str
    model: str
    size: int


def find_garbage(
    folder: PackedFolder, is_wanted: Callable[[CellId], bool], *, written_before: float
) -> list[Garbage]:
    """Find what can go of a store.

    Left alone are kinds of measurement and settings that are not known here, as those of a newer
    version, and packs whose index is damaged: nobody can say which cells they hold.

    Args:
        folder: the store.
        is_wanted: whether some catalog asks for a cell.
        written_before: seconds since 1970; what is younger stays, whatever it is.

    Raises:
        StoreError: the store cannot be listed.
    """
    found: list[Garbage] = []
    for kind in measurement_kinds():
        found += _unwanted_cells(folder, kind, is_wanted, written_before)
        found += _find_left_packs(folder, kind, written_before)
    for what in (FAILURES, QUARANTINE):
        for entry in folder.entries(what):
            if entry.modified < written_before:
                found.append(Garbage(what, entry.path, model_of(entry.path.split("/")), entry.size))
    return found + list(_notes_without_a_file(folder, written_before))


def delete_garbage(folder: PackedFolder, garbage: Sequence[Garbage]) -> None:
    """Delete what was found; what has gone meanwhile is no failure.

    Raises:
        StoreError: something cannot be deleted.
    """
    cells = [item.path for item in garbage if item.what == "cells"]
    packed = folder.find_packed(cells)
    folder.unpack(packed)
    for item in garbage:
        if item.path not in packed:
            folder.files_below.delete(item.path)


def _unwanted_cells(
    folder: PackedFolder, kind: str, is_wanted: Callable[[CellId], bool], written_before: float
) -> Iterator[Garbage]:
    on_disk = {entry.path: entry for entry in folder.entries(kind)}
    readable = readable_digests(folder, kind)
    unwanted = [
        (path, cell)
        for path in folder.files(kind)
        if (cell := cell_of(path)) is not None and cell.settings in readable and not is_wanted(cell)
    ]
    packed = folder.find_packed(path for path, _ in unwanted)
    for path, cell in unwanted:
        model = f"{cell.model}/{cell.pretrained}"
        if path in on_disk:
            entry = on_disk[path]
            if entry.modified < written_before:
                yield Garbage("cells", path, model, entry.size)
        elif path in packed:
            pack, member = packed[path]
            if member.modified < written_before:
                share = on_disk[pack].size * member.n_rows // max(1, _rows(folder, pack))
                yield Garbage("cells", path, model, share)


def _rows(folder: PackedFolder, pack: str) -> int:
    """Rows of the cells that a pack's index names."""
    parent, _, name = pack.rpartition("/")
    indexes = [index for index in folder.indexes(parent).values() if index.pack == name]
    return sum(member.n_rows for index in indexes[:1] for member in index.members)


def _find_left_packs(folder: PackedFolder, kind: str, written_before: float) -> Iterator[Garbage]:
    """Packs without an index and indexes without a pack, which a kill left."""
    by_parent: dict[str, list[FileEntry]] = defaultdict(list)
    for entry in folder.entries(kind):
        parent, _, name = entry.path.rpartition("/")
        if is_of_a_pack(name):
            by_parent[parent].append(entry)
    for entries in by_parent.values():
        names = {entry.path.rpartition("/")[2] for entry in entries}
        # Both by name: a pack whose index cannot be read is no leftover.
        indexed = {pack_of(name) for name in names} - {None}
        for entry in entries:
            name = entry.path.rpartition("/")[2]
            is_used = name in indexed or pack_of(name) in names
            if not is_used and entry.modified < written_before:
                yield Garbage("packs", entry.path, model_of(entry.path.split("/")), entry.size)


def _notes_without_a_file(folder: PackedFolder, written_before: float) -> Iterator[Garbage]:
    """Notes of failed images whose cell's file has gone."""
    notes = [e for e in folder.entries(FAILED_IMAGES) if e.modified < written_before]
    parents = {note.path.rpartition("/")[0] for note in notes}
    names = {parent: set(folder.names(parent.partition("/")[2])) for parent in parents}
    for note in notes:
        parent, _, name = note.path.rpartition("/")
        if f"{name.removesuffix('.json')}.parquet" not in names[parent]:
            model = model_of(note.path.split("/"))
            yield Garbage(FAILED_IMAGES, note.path, model, note.size)


def cell_of(path: str) -> CellId | None:
    """The cell of a file in the folder of a kind; None for a file of another sort."""
    parts = path.split("/")
    parsed = parse_file_name(parts[-1])
    if len(parts) != DEPTH or parsed is None:
        return None
    model, found = decode_model_folder(parts[2]), decode_stem(parsed[0])
    if model is None or found is None:
        return None
    return CellId(*model, *found, parts[1], parts[0])


def model_of(parts: Sequence[str]) -> str:
    """``model/pretrained`` of the parts of a path; empty where none is a model's folder."""
    folders = [decode_model_folder(part) for part in parts[:-1]]
    return next(("/".join(model) for model in folders if model is not None), "")
