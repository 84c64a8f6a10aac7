"""Where cells lie: ``profiles/<settings>/<model>@<pretrained>/<task>/<key>.<digest>.parquet``."""

from collections.abc import Iterator

from vlmsel.store.files import list_folders
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import (
    CellId,
    decode_model_folder,
    decode_name,
    encode_name,
    model_folder,
    parse_file_name,
)

PROFILES = "profiles"


def cell_folder(cell: CellId) -> str:
    """The folder of a cell's file, relative to the store."""
    model = model_folder(cell.model, cell.pretrained)
    return f"{PROFILES}/{cell.settings}/{model}/{encode_name(cell.task)}"


def walk_cells(
    folder: Folder, settings_digest: str, cells: set[CellId] | None
) -> Iterator[tuple[CellId, str]]:
    """Every file of the settings with its cell; with `cells`, at least those of their folders."""
    wanted = None if cells is None else {cell_folder(cell) for cell in cells}
    listing = list_folders(folder, f"{PROFILES}/{settings_digest}", wanted)
    for path, names in listing.items():
        parts = path.split("/")
        model = decode_model_folder(parts[2]) if len(parts) == 4 else None
        if model is None:
            continue
        task = decode_name(parts[3])
        for name in names:
            parsed = parse_file_name(name)
            if parsed:
                yield CellId(*model, task, parsed[0], settings_digest), f"{path}/{name}"


def cell_files(
    folder: Folder, settings_digest: str, cells: set[CellId] | None = None
) -> dict[CellId, str]:
    """The file that counts for each measured cell: the lexicographically first one of its key."""
    found: dict[CellId, str] = {}
    for cell, path in walk_cells(folder, settings_digest, cells):
        if cell not in found or path < found[cell]:
            found[cell] = path
    return found
