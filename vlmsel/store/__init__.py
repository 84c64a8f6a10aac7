"""Measurements as Parquet files that are whole or absent, and never written twice.

    execution --write--> Store --scan--> evidence

`filesystem` (local, s3, gs) < `keys` (names), `row_bytes` < `files` < `cells`, `cell_commit`,
`failures` < `store`. `packs` and `compaction` keep many small cells in few files. Published tables
lie under imported/ by the same means; `vlmsel.published.stored_tables` keeps them.
"""

from vlmsel.store.keys import CellId, cell_key
from vlmsel.store.store import Scan, Store

__all__ = ["CellId", "Scan", "Store", "cell_key"]
