"""Time of listing, scanning and verifying; run with `python -m tests.store.bench_store`."""

import sys
import time
from collections.abc import Callable, Sized
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from tests.store.cases import PROFILE, make_cell, make_rows
from vlmsel.measurements.row_checks import check_rows
from vlmsel.store import Store, known_settings
from vlmsel.store.cells import cell_folder, cell_stem
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import file_name
from vlmsel.store.row_bytes import to_bytes

IMAGES = [f"image{number}" for number in range(25)]


def fill(root: Path, n_models: int, n_tasks: int, *, empty: bool) -> None:
    """Cells of 25 images x 12 blocks, or empty files; written directly, without an fsync each."""
    known_settings.write(open_folder(root), PROFILE)
    for model in (f"m{number}" for number in range(n_models)):
        cells = [make_cell(model, task=f"t{number}", images=IMAGES) for number in range(n_tasks)]
        folder = root / cell_folder(cells[0])
        folder.mkdir()
        rows = check_rows(PROFILE, make_rows(cells[0], IMAGES, n_blocks=12), "bench")
        for cell in cells:
            task = pl.DataFrame(rows).with_columns(task=pl.lit(cell.task))
            data = b"" if empty else to_bytes(task.to_arrow().cast(rows.schema), {})
            (folder / file_name(cell_stem(cell), data)).write_bytes(data)


def show(what: str, work: Callable[[], Sized]) -> None:
    """One line: what, how many, seconds of CPU and of wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    count = len(work())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    sys.stdout.write(f"{what:28} {count:9,d}  cpu {cpu:6.2f} s  wall {wall:6.2f} s\n")


def main() -> None:
    """Half a million cells for the listing, five thousand for what reads them."""
    with TemporaryDirectory() as root:
        fill(Path(root), 1000, 500, empty=True)
        show("cells, 500,000 cells", lambda: Store(root).cells("profile", PROFILE.digest))
    with TemporaryDirectory() as root:
        fill(Path(root), 100, 50, empty=False)
        store = Store(root)
        files = store.cells("profile", PROFILE.digest)
        show("scan, 5,000 cells (rows)", lambda: store.scan(files).rows)
        show("scan of one column", lambda: store.scan(files, columns=["conductance"]).rows)
        show("verify, 5,000 cells (corrupt)", lambda: store.verify("profile", PROFILE.digest))


if __name__ == "__main__":
    main()
