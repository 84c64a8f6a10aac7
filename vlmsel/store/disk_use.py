"""Sizes of a store: bytes, files and cells by kind and model."""

from collections import defaultdict
from dataclasses import dataclass

from vlmsel.measurements.kinds import measurement_kinds
from vlmsel.store.garbage import cell_of, model_of
from vlmsel.store.packed_folder import PackedFolder


@dataclass(frozen=True, slots=True)
class Size:
    """Size of one kind of one model.

    Attributes:
        what: kind of measurement, or another folder of the store.
        model: ``model/pretrained``; empty where it is of no model.
        cells: measured cells, packed or not.
        files: on the disk.
        size: in bytes.
    """

    what: str
    model: str
    cells: int
    files: int
    size: int


def store_sizes(folder: PackedFolder) -> list[Size]:
    """Sizes by kind and model, from one listing of the store; sorted.

    Raises:
        StoreError: the store cannot be listed.
    """
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for top in sorted({*folder.folders(""), *measurement_kinds()}):
        for entry in folder.entries(top):
            count = counts[top, model_of(entry.path.split("/"))]
            count[1] += 1
            count[2] += entry.size
    for kind in measurement_kinds():
        for path in folder.files(kind):
            if (cell := cell_of(path)) is not None:
                counts[kind, f"{cell.model}/{cell.pretrained}"][0] += 1
    return [Size(*key, *count) for key, count in sorted(counts.items())]
