"""A store of many small cells before and after `vlmsel store compact`: listing, reading, values.

    python bench/compaction.py [CELLS [FOLDER]]      default 100000, in a temporary folder

A folder that holds such cells, as a run that was ended leaves it, is taken as it is.

Cells are made (predictions of 8 images over 10 classes), not measured; their files are written
without fsync, so that the bench does not wait for the disk. Times are the process's processor time,
since the machine may be busy. `read` is what `evaluate` does first:
list, hash and parse every cell, and derive accuracies.
"""

import os
import sys
import tempfile
import time

import numpy as np
import polars as pl
import pyarrow as pa

from vlmsel.evidence.accuracies import PREDICTION_COLUMNS, derive_accuracies
from vlmsel.measurements import Prediction
from vlmsel.store import CellId, Store
from vlmsel.store.cells import cell_folder, cell_stem
from vlmsel.store.compaction import compact_settings
from vlmsel.store.keys import file_name
from vlmsel.store.row_bytes import to_bytes

N_CLASSES, N_IMAGES, N_MODELS = 10, 8, 100
MEASUREMENT = Prediction()


def rows(cell: CellId, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(N_IMAGES, N_CLASSES)).astype(np.float16)
    order = np.argsort(-logits, axis=1)[:, :5].astype(np.int32)
    return pa.table(
        {
            "model": [cell.model] * N_IMAGES,
            "pretrained": [cell.pretrained] * N_IMAGES,
            "task": [cell.task] * N_IMAGES,
            "image_id": [f"{seed}-{i}" for i in range(N_IMAGES)],
            "image_sha256": ["0" * 64] * N_IMAGES,
            "argmax": pa.array(order[:, 0]),
            "top": pa.array(order.tolist(), pa.list_(pa.int32())),
            "log_sum_exp": pa.array(np.full(N_IMAGES, 3.0, np.float32)),
            "logits": pa.array(logits.tolist(), pa.list_(pa.float16())),
            "n_classes": pa.array(np.full(N_IMAGES, N_CLASSES, np.int32)),
            "reason": pa.nulls(N_IMAGES, pa.string()),
        }
    ).cast(MEASUREMENT.row_schema())


def fill(store: Store, root: str, n_cells: int) -> None:
    for number in range(n_cells):
        model, task = f"model-{number % N_MODELS}", f"task-{number // N_MODELS // 10}"
        cell = CellId(model, "x", task, f"{number:032x}", MEASUREMENT.digest, MEASUREMENT.kind)
        data = to_bytes(rows(cell, number), {"key": cell.key, "settings": cell.settings})
        folder = f"{root}/{cell_folder(cell)}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{file_name(cell_stem(cell), data)}", "wb") as file:
            file.write(data)


def look(uri: str) -> tuple[float, float, int, pl.DataFrame]:
    """Processor seconds to list and to read, number of files, and the accuracies."""
    store = Store(uri)
    start = time.process_time()
    files = store.cells(MEASUREMENT.kind, MEASUREMENT.digest)
    listed = time.process_time() - start
    start = time.process_time()
    found = store.scan(files, kind=MEASUREMENT.kind, columns=PREDICTION_COLUMNS).measured
    labelled = found.with_columns(label=(pl.col("image_id").hash() % N_CLASSES).cast(pl.Int32))
    accuracies = derive_accuracies(labelled)
    read = time.process_time() - start
    n_files = len(store.folder.files_below.files(MEASUREMENT.kind))
    print(
        f"{len(files)} cells in {n_files} files: list {listed:.2f} s, read {read:.2f} s", flush=True
    )
    return listed, read, len(files), accuracies


def main() -> None:
    n_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores (shared, simulated cells)")
    with tempfile.TemporaryDirectory() as temporary:
        root = sys.argv[2] if len(sys.argv) > 2 else temporary
        store = Store(root)
        store._write_settings(MEASUREMENT)
        if len(store.cells(MEASUREMENT.kind, MEASUREMENT.digest)) < n_cells:
            fill(store, root, n_cells)
        before = look(root)
        start = time.process_time()
        done = compact_settings(
            store.folder, MEASUREMENT.kind, MEASUREMENT.digest, lambda cell: True
        )
        print(f"compact {time.process_time() - start:.1f} s: {done.n_packs} packs", flush=True)
        after = look(root)
        print(
            f"list {before[0] / after[0]:.1f} times, read {before[1] / after[1]:.1f} times faster"
        )
        print("cells and accuracies equal:", before[2] == after[2] and before[3].equals(after[3]))


if __name__ == "__main__":
    main()
