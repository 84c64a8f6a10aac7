"""Repeated images are taken once when they agree and refused when they do not."""

import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.store.merge import RELATIVE_TOLERANCE, one_row_per_image


def rows(conductance: float, sha256: str = "s", image: str = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": ["m"] * 2,
            "pretrained": ["p"] * 2,
            "task": ["t"] * 2,
            "image_id": [image] * 2,
            "image_sha256": [sha256] * 2,
            "block": [1, 0],
            "block_name": ["two", "one"],
            "conductance": [conductance, 1.0],
        }
    )


def test_rows_are_sorted() -> None:
    merged = one_row_per_image(pl.concat([rows(2.0, image="b"), rows(2.0)]), "store")
    assert merged.select("image_id", "block").rows() == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


@pytest.mark.parametrize("factor", [1.0, 1.0 + RELATIVE_TOLERANCE / 2])
def test_rounding_between_batches_is_one_profile(factor: float) -> None:
    merged = one_row_per_image(pl.concat([rows(2.0), rows(2.0 * factor)]), "store")
    assert merged["conductance"].to_list() == [1.0, 2.0]


def test_a_block_of_zeros_agrees_with_itself() -> None:
    assert one_row_per_image(pl.concat([rows(0.0), rows(0.0)]), "store").height == 2


@pytest.mark.parametrize(
    "other", [rows(2.0 * (1 + 2 * RELATIVE_TOLERANCE)), rows(2.0, sha256="other"), rows(0.0)]
)
def test_other_values_or_content_are_refused(other: pl.DataFrame) -> None:
    with pytest.raises(StoreError, match="first is a of task t for m/p"):
        one_row_per_image(pl.concat([rows(2.0), other]), "store")
