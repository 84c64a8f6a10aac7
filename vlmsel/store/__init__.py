"""What was measured, as Parquet files that are whole or absent, and never written twice.

    execution --write--> ProfileStore / AccuracyStore --scan--> selection, evaluation, report
    published tables --imports--> (the same two, under imported/)

filesystem (local, s3, gs) < keys (names), schema (columns, bytes) < files < cells, failures,
imported < profiles, accuracies. imports reads other people's tables; duplicates finds one
measurement printed twice.
"""

from vlmsel.store.accuracies import AccuracyStore
from vlmsel.store.keys import CellId, cell_key
from vlmsel.store.profiles import ProfileStore

__all__ = ["AccuracyStore", "CellId", "ProfileStore", "cell_key"]
