"""Imported tables: names that would hide what was measured here."""

import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.published import stored_tables
from vlmsel.store.filesystem import open_folder

WRITERS = {
    stored_tables.write_class_accuracies: stored_tables.CLASS_SCHEMA,
    stored_tables.write_predictions: stored_tables.PREDICTION_SCHEMA,
    stored_tables.write_rankings: stored_tables.RANKING_SCHEMA,
    stored_tables.write_probes: stored_tables.PROBE_SCHEMA,
}


@pytest.mark.parametrize("write", WRITERS)
def test_no_import_is_called_as_what_was_measured(tmp_path, write):
    table = pl.from_arrow(WRITERS[write].empty_table())
    with pytest.raises(StoreError, match="reserved"):
        write(open_folder(tmp_path), table, stored_tables.MEASURED)
    assert list(tmp_path.iterdir()) == []
