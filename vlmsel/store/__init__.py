"""Measurements as Parquet files that are whole or absent, and never written twice.

    execution --write--> Store --scan--> evidence
    published tables --imports--> Store (under imported/)

filesystem (local, s3, gs) < keys (names), schema (bytes) < files < cells, failures, imported <
store. imports reads other people's tables; duplicates finds one measurement printed twice.
"""

from vlmsel.store.keys import CellId, cell_key
from vlmsel.store.store import Scan, Store

__all__ = ["CellId", "Scan", "Store", "cell_key"]
