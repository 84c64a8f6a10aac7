"""Imported tables: names that would hide what was measured here."""

import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.store import imported
from vlmsel.store.filesystem import open_folder

WRITERS = {
    imported.write_class_accuracies: imported.CLASS_SCHEMA,
    imported.write_predictions: imported.PREDICTION_SCHEMA,
    imported.write_rankings: imported.RANKING_SCHEMA,
    imported.write_probes: imported.PROBE_SCHEMA,
}


@pytest.mark.parametrize("write", WRITERS)
def test_no_import_is_called_as_what_was_measured(tmp_path, write):
    table = pl.from_arrow(WRITERS[write].empty_table())
    with pytest.raises(StoreError, match="reserved"):
        write(open_folder(tmp_path), table, imported.MEASURED)
    assert list(tmp_path.iterdir()) == []
