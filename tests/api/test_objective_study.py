"""What a study of objectives measures, and which embeddings it takes."""

import polars as pl
import pytest

from vlmsel.api.objective_study import block_outputs, variant_settings
from vlmsel.errors import SelectionError
from vlmsel.settings import AttributionSettings


def test_every_variant_has_settings_of_its_own():
    found = variant_settings(AttributionSettings(granularity="stage"))
    assert len({one.digest for one in found.values()}) == len(found)
    assert {one.granularity for one in found.values()} == {"stage"}
    assert found["score-class, text tower"].tower == "text"


def test_embeddings_of_other_blocks_are_refused():
    names = {"model": "a", "pretrained": "p"}
    profiles = pl.DataFrame([{**names, "block": block} for block in range(3)])
    blocks = pl.DataFrame([{**names, "task": "t", "image_id": "i", "vector": [1.0] * 4}])
    with pytest.raises(SelectionError, match="4 numbers are no embeddings of 3 blocks"):
        block_outputs(blocks, profiles)
    found = block_outputs(blocks.with_columns(vector=pl.lit([1.0] * 6)), profiles)
    assert found["a", "p"].images == ("t/i",)
    assert found["a", "p"].vectors.shape == (1, 3, 2)
