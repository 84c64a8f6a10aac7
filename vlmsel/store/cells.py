"""Paths of cells: ``<kind>/<settings>/<model>@<pretrained>/<task>@<key>.<digest>.parquet``.

One folder per model and not one per task: half a million cells are listed in a second or two, and
on a network disk a folder costs a round trip.
"""

from collections.abc import Iterator

from vlmsel.store.files import list_folders
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import (
    CellId,
    decode_model_folder,
    decode_stem,
    model_folder,
    parse_file_name,
    stem,
)


def settings_folder(kind: str, settings_digest: str) -> str:
    """The folder of everything measured under one set of settings, relative to the store."""
    return f"{kind}/{settings_digest}"


def cell_folder(cell: CellId) -> str:
    """The folder of a cell's file, relative to the store."""
    model = model_folder(cell.model, cell.pretrained)
    return f"{settings_folder(cell.kind, cell.settings)}/{model}"


def cell_stem(cell: CellId) -> str:
    """Return the beginning of the name of a cell's file."""
    return stem(cell.task, cell.key)


def walk_cells(
    folder: Folder, kind: str, settings_digest: str, cells: set[CellId] | None
) -> Iterator[tuple[CellId, str]]:
    """Every file of the settings with its cell; with `cells`, at least those of their folders."""
    wanted = None if cells is None else {cell_folder(cell) for cell in cells}
    listing = list_folders(folder, settings_folder(kind, settings_digest), wanted)
    for path, names in listing.items():
        model = decode_model_folder(path.rpartition("/")[2])
        if model is None:
            continue
        for name in names:
            parsed = parse_file_name(name)
            found = decode_stem(parsed[0]) if parsed else None
            if found:
                yield CellId(*model, *found, settings_digest, kind), f"{path}/{name}"


def cell_files(
    folder: Folder, kind: str, settings_digest: str, cells: set[CellId] | None = None
) -> dict[CellId, str]:
    """The file that counts for each measured cell: the lexicographically first one of its stem."""
    found: dict[CellId, str] = {}
    for cell, path in walk_cells(folder, kind, settings_digest, cells):
        if cell not in found or path < found[cell]:
            found[cell] = path
    return found
