"""Content-named Parquet files: list, read with the hash checked, verify, quarantine.

Of two files of one cell, the lexicographically first name counts, everywhere.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import polars as pl
import pyarrow as pa

from vlmsel.errors import StoreError
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import content_digest, parse_file_name
from vlmsel.store.os_errors import MissingFileError
from vlmsel.store.row_bytes import from_bytes

Cell = TypeVar("Cell")

QUARANTINE = "quarantine"
READERS = 16
# Beyond a few folders, one recursive listing of an object store is cheaper.
FOLDERS_LISTED_ALONE = 32


def files_of_stem(names: Iterable[str], stem: str) -> list[str]:
    """The files of one stem, the one that counts first."""
    # Few begin so: a folder of hundreds is not parsed for each of its cells.
    near = [name for name in names if name.startswith(f"{stem}.")]
    return sorted(name for name in near if (parse_file_name(name) or ("",))[0] == stem)


def list_folders(folder: Folder, prefix: str, wanted: set[str] | None) -> dict[str, list[str]]:
    """Names of the files in the folders `wanted` (None: all below `prefix`), by folder."""
    if wanted is not None and len(wanted) <= FOLDERS_LISTED_ALONE:
        return {path: folder.names(path) for path in wanted}
    found: dict[str, list[str]] = {}
    for path in folder.files(prefix):
        parent, _, name = path.rpartition("/")
        if wanted is None or parent in wanted:
            found.setdefault(parent, []).append(name)
    return found


def read_checked(folder: Folder, path: str) -> bytes:
    """One file, refused when its bytes do not hash to its name.

    Raises:
        StoreError: the file is corrupt or cannot be read.
    """
    data = folder.read(path)
    if is_corrupt(path, data):
        raise StoreError(
            f"{folder.address}/{path} is corrupt (its bytes do not hash to its name): "
            "run the measurement again, it sets the file aside and measures it anew"
        )
    return data


def read_rows(folder: Folder, paths: Sequence[str], schema: pa.Schema) -> pl.DataFrame:
    """The rows of all files, in the order of `paths`, read by a few threads."""
    with ThreadPoolExecutor(READERS) as pool:
        files = list(pool.map(lambda path: read_checked(folder, path), paths))
    return from_bytes(files, schema, f"one of {len(paths)} files in {folder.address}")


def read_sound(
    folder: Folder, files: Sequence[tuple[str, Cell]], find_again: Callable[[Cell], str | None]
) -> tuple[list[bytes], list[Cell]]:
    """The bytes of files that hash to their names, in order, and what the others were.

    Args:
        folder: the store.
        files: path and what it holds.
        find_again: gives the path where a retry replaced the file since it was listed.

    Raises:
        StoreError: a file cannot be read.
    """

    def read(item: tuple[str, Cell]) -> bytes | None:
        path, cell = item
        try:
            data = folder.read(path)
        except MissingFileError:
            again = find_again(cell)
            if again is None:
                # A run that verifies has set it aside since it was listed.
                return None
            path, data = again, folder.read(again)
        return None if is_corrupt(path, data) else data

    with ThreadPoolExecutor(READERS) as pool:
        found = list(zip(files, pool.map(read, files), strict=True))
    sound = [data for _, data in found if data is not None]
    return sound, [cell for (_, cell), data in found if data is None]


def is_corrupt(path: str, data: bytes) -> bool:
    """Return whether `data` does not hash to the digest in the file's name."""
    parsed = parse_file_name(path.rpartition("/")[2])
    return parsed is None or parsed[1] != content_digest(data)


def quarantine_corrupt(folder: Folder, paths: list[str], report: Callable[[str], None]) -> None:
    """Hash every file; move the corrupt ones to ``quarantine/`` and `report` each path."""

    def check(path: str) -> str | None:
        try:
            data = folder.read(path)
        except MissingFileError:
            # Another driver has set it aside since it was listed.
            return None
        return f"{QUARANTINE}/{path}.{content_digest(data)}" if is_corrupt(path, data) else None

    with ThreadPoolExecutor(READERS) as pool:
        for path, target in zip(paths, pool.map(check, paths), strict=True):
            if target:
                folder.move(path, target)
                report(path)
